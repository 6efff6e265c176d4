using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;

namespace Ivf.Tests
{
    /// <summary>Threads whose exceptions reach the test.</summary>
    internal static class Parallel
    {
        /// <summary>Runs action(0) to action(count - 1) at once.</summary>
        internal static void Run(int count, Action<int> action)
        {
            var failures = new List<Exception>();
            var threads = Enumerable.Range(0, count).Select(number => new Thread(() =>
            {
                try
                {
                    action(number);
                }
                catch (Exception exception)
                {
                    lock (failures)
                        failures.Add(exception);
                }
            })).ToList();
            threads.ForEach(thread => thread.Start());
            threads.ForEach(thread => thread.Join());
            if (failures.Count != 0)
                throw new AggregateException(failures);
        }
    }
}
