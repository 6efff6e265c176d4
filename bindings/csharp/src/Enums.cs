namespace Ivf
{
    /// <summary>How near two vectors are to each other.</summary>
    public enum Metric
    {
        /// <summary>Inner product, a similarity: the largest comes first.</summary>
        InnerProduct = 0,

        /// <summary>Squared Euclidean distance, never negative: the smallest comes first.</summary>
        L2 = 1,

        /// <summary>
        /// Cosine similarity, within [-1, 1]: the largest comes first. Vectors and queries are normalised inside; a vector of
        /// length 0 has similarity 0 with everything.
        /// </summary>
        Cosine = 2,
    }

    /// <summary>What one value of a row is held in.</summary>
    public enum Element
    {
        /// <summary>float: float32.</summary>
        F32 = 0,

        /// <summary>IEEE 754 binary16, System.Half.</summary>
        F16 = 1,

        /// <summary>bfloat16: the upper half of a float.</summary>
        BF16 = 2,

        /// <summary>byte, as the whole numbers from 0 to 255.</summary>
        U8 = 3,
    }

    /// <summary>How much a message of the library matters.</summary>
    public enum LogLevel
    {
        /// <summary>Something goes on, but not as well as it could.</summary>
        Warning = 1,

        /// <summary>Good to know.</summary>
        Info = 2,
    }

    /// <summary>Where k-means starts from.</summary>
    public enum Seeding
    {
        /// <summary>The library's choice.</summary>
        Default = 0,

        /// <summary>Points drawn at random.</summary>
        Random = 1,

        /// <summary>
        /// k-means++: each next point drawn in proportion to its squared distance from those drawn before.
        /// </summary>
        PlusPlus = 2,

        /// <summary>
        /// Centroids of groups of points first, then within each group, then a few iterations that compare a point
        /// only with centroids near its own: for thousands of centroids a fraction of the time, at a slightly
        /// higher objective.
        /// </summary>
        Hierarchical = 3,
    }

    /// <summary>What kind of device this is.</summary>
    public enum DeviceType
    {
        /// <summary>A CPU, or a GPU that is emulated on one.</summary>
        Cpu = 0,

        /// <summary>A GPU that shares the CPU's memory.</summary>
        IntegratedGpu = 1,

        /// <summary>A GPU with memory of its own.</summary>
        DiscreteGpu = 2,

        /// <summary>A GPU as a virtual machine shows it.</summary>
        VirtualGpu = 3,

        /// <summary>A device of another kind.</summary>
        Other = 4,
    }

    /// <summary>
    /// How a call of the library ended. Every one but <see cref="Ok"/> has an exception of its own. Later versions of the
    /// library may add numbers.
    /// </summary>
    public enum Status
    {
        /// <summary>Success.</summary>
        Ok = 0,

        /// <summary>A required pointer is null.</summary>
        Null = 1,

        /// <summary>A value is outside its range: k = 0, an unknown metric, an option that does not exist.</summary>
        Argument = 2,

        /// <summary>Rows have another width than the index: "expected 128 columns, got 96".</summary>
        Dimension = 3,

        /// <summary>NaN or infinity among the vectors; the message names the first such row.</summary>
        NotFinite = 4,

        /// <summary>A shape that no memory of this machine, or no array of .NET, can hold.</summary>
        Overflow = 5,

        /// <summary>The index has no centroids yet: train it first.</summary>
        NotTrained = 6,

        /// <summary>The call does not fit the index's state, such as training while it holds vectors.</summary>
        State = 7,

        /// <summary>Training with fewer points than centroids; the message has both numbers.</summary>
        TooFewPoints = 8,

        /// <summary>An id twice, in the batch or in the index.</summary>
        DuplicateId = 9,

        /// <summary>No vector has this id.</summary>
        NotFound = 10,

        /// <summary>An index string that is not understood; the message points at the place.</summary>
        Description = 11,

        /// <summary>Memory that could not be had.</summary>
        Memory = 12,

        /// <summary>The operating system's error, with the path.</summary>
        Io = 13,

        /// <summary>Neither a file of this library nor one of faiss, or a version that this library does not know.</summary>
        Format = 14,

        /// <summary>A damaged file: truncated, a failed checksum, sizes that contradict each other.</summary>
        Corrupt = 15,

        /// <summary>Known, but not supported; the message has its name (a faiss index type, say).</summary>
        Unsupported = 16,

        /// <summary>The call was cancelled.</summary>
        Cancelled = 17,

        /// <summary>A device that is missing, lost, or refuses to work.</summary>
        Device = 18,

        /// <summary>
        /// A bug in the library, caught at its edge. An index that was being changed answers this from then on and can only be
        /// disposed.
        /// </summary>
        Panic = 19,
    }
}
