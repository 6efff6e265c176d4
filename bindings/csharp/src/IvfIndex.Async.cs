using System;
using System.Threading;
using System.Threading.Tasks;

namespace Ivf
{
    // Each is its namesake on a thread of the pool. A cancelled token stops the native work itself, so that the thread is free
    // again at once. The memory must stay as it is until the task has ended.
    public sealed partial class IvfIndex
    {
        /// <summary><c>Search</c> on a thread of the pool; a cancelled token stops the work itself.</summary>
        /// <param name="queries">[n, dim], row-major; must stay as it is until the task has ended.</param>
        /// <param name="k">Results a query, at least 1.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the search within 50 ms or so; the task is then cancelled.</param>
        /// <returns>A task that fails with the exceptions of <c>Search</c>.</returns>
        public Task<Neighbors> SearchAsync(
            ReadOnlyMemory<float> queries, int k, SearchOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            return Task.Run(() => Search(queries.Span, k, options, cancellationToken), cancellationToken);
        }

        /// <summary><c>Train</c> on a thread of the pool; a cancelled token stops the work itself.</summary>
        /// <param name="x">[n, dim], row-major; must stay as it is until the task has ended.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the training within 50 ms or so; the task is then cancelled.</param>
        /// <returns>A task that fails with the exceptions of <c>Train</c>.</returns>
        public Task TrainAsync(
            ReadOnlyMemory<float> x, TrainOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            return Task.Run(() => Train(x.Span, options, cancellationToken), cancellationToken);
        }

        /// <summary><c>Add</c> on a thread of the pool; a cancelled token stops the work itself.</summary>
        /// <param name="x">[n, dim], row-major; must stay as it is until the task has ended.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call within 50 ms or so; the task is then cancelled.</param>
        /// <returns>A task that fails with the exceptions of <c>Add</c>.</returns>
        public Task AddAsync(
            ReadOnlyMemory<float> x, AddOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            return Task.Run(() => Add(x.Span, options, cancellationToken), cancellationToken);
        }

        /// <summary><c>Add</c> with ids of your own on a thread of the pool; a cancelled token stops the work itself.</summary>
        /// <param name="x">[n, dim], row-major; must stay as it is until the task has ended.</param>
        /// <param name="ids">[n]; must stay as they are until the task has ended.</param>
        /// <param name="options">null for the defaults.</param>
        /// <param name="cancellationToken">Ends the call within 50 ms or so; the task is then cancelled.</param>
        /// <returns>A task that fails with the exceptions of <c>Add</c>.</returns>
        public Task AddAsync(
            ReadOnlyMemory<float> x, ReadOnlyMemory<long> ids, AddOptions options = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            return Task.Run(() => Add(x.Span, ids.Span, options, cancellationToken), cancellationToken);
        }
    }
}
