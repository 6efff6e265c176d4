using System;
using System.Threading;

namespace Ivf
{
    /// <summary>A required pointer is null.</summary>
    public sealed class IvfNullException : IvfException
    {
        internal IvfNullException(string message)
            : base(Status.Null, message)
        {
        }
    }

    /// <summary>A value is outside its range, such as k = 0, or an option does not suit the call.</summary>
    public sealed class IvfArgumentException : IvfException
    {
        internal IvfArgumentException(string message)
            : base(Status.Argument, message)
        {
        }
    }

    /// <summary>Rows have another width than the index, or an array is no whole number of rows.</summary>
    public sealed class IvfDimensionException : IvfException
    {
        internal IvfDimensionException(string message)
            : base(Status.Dimension, message)
        {
        }
    }

    /// <summary>NaN or infinity among the vectors; the message names the first such row.</summary>
    public sealed class IvfNotFiniteException : IvfException
    {
        internal IvfNotFiniteException(string message)
            : base(Status.NotFinite, message)
        {
        }
    }

    /// <summary>A shape that no memory of this machine, or no array of .NET, can hold.</summary>
    public sealed class IvfOverflowException : IvfException
    {
        internal IvfOverflowException(string message)
            : base(Status.Overflow, message)
        {
        }
    }

    /// <summary>The index has no centroids yet: train it first.</summary>
    public sealed class IvfNotTrainedException : IvfException
    {
        internal IvfNotTrainedException(string message)
            : base(Status.NotTrained, message)
        {
        }
    }

    /// <summary>The call does not fit the index's state, such as training while it holds vectors.</summary>
    public sealed class IvfStateException : IvfException
    {
        internal IvfStateException(string message)
            : base(Status.State, message)
        {
        }
    }

    /// <summary>Training with fewer points than centroids; the message has both numbers.</summary>
    public sealed class IvfTooFewPointsException : IvfException
    {
        internal IvfTooFewPointsException(string message)
            : base(Status.TooFewPoints, message)
        {
        }
    }

    /// <summary>An id twice, in the batch or in the index.</summary>
    public sealed class IvfDuplicateIdException : IvfException
    {
        internal IvfDuplicateIdException(string message)
            : base(Status.DuplicateId, message)
        {
        }
    }

    /// <summary>No vector has this id.</summary>
    public sealed class IvfNotFoundException : IvfException
    {
        internal IvfNotFoundException(string message)
            : base(Status.NotFound, message)
        {
        }
    }

    /// <summary>An index string that is not understood; the message points at the place.</summary>
    public sealed class IvfDescriptionException : IvfException
    {
        internal IvfDescriptionException(string message)
            : base(Status.Description, message)
        {
        }
    }

    /// <summary>Memory that could not be had.</summary>
    public sealed class IvfMemoryException : IvfException
    {
        internal IvfMemoryException(string message)
            : base(Status.Memory, message)
        {
        }
    }

    /// <summary>The operating system's error, with the path.</summary>
    public sealed class IvfIOException : IvfException
    {
        internal IvfIOException(string message)
            : base(Status.Io, message)
        {
        }
    }

    /// <summary>Neither a file of this library nor one of faiss, or a version that this library does not know.</summary>
    public sealed class IvfFormatException : IvfException
    {
        internal IvfFormatException(string message)
            : base(Status.Format, message)
        {
        }
    }

    /// <summary>A damaged file: truncated, a failed checksum, sizes that contradict each other.</summary>
    public sealed class IvfCorruptException : IvfException
    {
        internal IvfCorruptException(string message)
            : base(Status.Corrupt, message)
        {
        }
    }

    /// <summary>Known, but not supported; the message has its name (a faiss index type, say).</summary>
    public sealed class IvfUnsupportedException : IvfException
    {
        internal IvfUnsupportedException(string message)
            : base(Status.Unsupported, message)
        {
        }
    }

    /// <summary>A device that is missing, lost, or refuses to work.</summary>
    public sealed class IvfDeviceException : IvfException
    {
        internal IvfDeviceException(string message)
            : base(Status.Device, message)
        {
        }
    }

    /// <summary>A bug in the library, caught at its edge. An index that was being changed can only be disposed.</summary>
    public sealed class IvfPanicException : IvfException
    {
        internal IvfPanicException(string message)
            : base(Status.Panic, message)
        {
        }
    }

    /// <summary>
    /// The call was cancelled and has changed nothing. Not an <see cref="IvfException"/> but what .NET expects of a cancelled
    /// call, so that a task that ends with it counts as cancelled, not as failed.
    /// </summary>
    public sealed class IvfCancelledException : OperationCanceledException
    {
        internal IvfCancelledException(string message, CancellationToken cancellationToken)
            : base(message, cancellationToken)
        {
        }

        /// <summary><see cref="Ivf.Status.Cancelled"/>.</summary>
        public Status Status
        {
            get { return Status.Cancelled; }
        }
    }
}
