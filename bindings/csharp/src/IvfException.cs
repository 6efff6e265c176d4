using System;
using System.Threading;

namespace Ivf
{
    /// <summary>
    /// A call of the library failed and has changed nothing. The message says what was expected and what came. Each
    /// <see cref="Ivf.Status"/> has a class of its own below this one, so that one can be caught alone; the one exception
    /// to that is <see cref="IvfCancelledException"/>, which is an <see cref="OperationCanceledException"/>.
    /// </summary>
    public class IvfException : Exception
    {
        /// <summary>Makes an exception of a status and a text.</summary>
        public IvfException(Status status, string message)
            : base(message)
        {
            Status = status;
        }

        /// <summary>How the call ended; a number without a name is one of a newer library.</summary>
        public Status Status { get; }

        /// <summary>The status's name in the C ABI, such as "IVF_E_DIMENSION".</summary>
        public string StatusName
        {
            get
            {
                IvfLibrary.Require();
                unsafe
                {
                    return Text.Read(Native.ivf_status_name((int)Status));
                }
            }
        }

        /// <summary>Throws what belongs to a failed status, with the library's text of this thread's latest failure.</summary>
        internal static unsafe void Check(int status, CancellationToken cancellationToken = default(CancellationToken))
        {
            if (status != (int)Status.Ok)
                throw Of((Status)status, Text.Read(Native.ivf_last_error()), cancellationToken);
        }

        internal static Exception Of(Status status, string message, CancellationToken cancellationToken)
        {
            switch (status)
            {
                case Status.Null: return new IvfNullException(message);
                case Status.Argument: return new IvfArgumentException(message);
                case Status.Dimension: return new IvfDimensionException(message);
                case Status.NotFinite: return new IvfNotFiniteException(message);
                case Status.Overflow: return new IvfOverflowException(message);
                case Status.NotTrained: return new IvfNotTrainedException(message);
                case Status.State: return new IvfStateException(message);
                case Status.TooFewPoints: return new IvfTooFewPointsException(message);
                case Status.DuplicateId: return new IvfDuplicateIdException(message);
                case Status.NotFound: return new IvfNotFoundException(message);
                case Status.Description: return new IvfDescriptionException(message);
                case Status.Memory: return new IvfMemoryException(message);
                case Status.Io: return new IvfIOException(message);
                case Status.Format: return new IvfFormatException(message);
                case Status.Corrupt: return new IvfCorruptException(message);
                case Status.Unsupported: return new IvfUnsupportedException(message);
                case Status.Cancelled: return new IvfCancelledException(message, cancellationToken);
                case Status.Device: return new IvfDeviceException(message);
                case Status.Panic: return new IvfPanicException(message);
                default: return new IvfException(status, message);
            }
        }
    }
}
