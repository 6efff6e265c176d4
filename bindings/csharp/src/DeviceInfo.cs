namespace Ivf
{
    /// <summary>What is known of a device.</summary>
    public sealed class DeviceInfo
    {
        internal unsafe DeviceInfo(Native.ivf_device_info* info)
        {
            Name = Text.Read(info->name);
            Vendor = Text.Read(info->vendor);
            Backend = Text.Read(info->backend);
            Kernel = Text.Read(info->kernel);
            Type = (DeviceType)info->type;
            MemoryBytes = (long)info->memory_bytes;
            Threads = (int)info->threads;
            MaxBindingBytes = (long)info->max_binding_bytes;
            SubgroupMin = (int)info->subgroup_min;
            SubgroupMax = (int)info->subgroup_max;
            Float16 = info->f16 != 0;
        }

        /// <summary>The device's name, such as "AMD Ryzen 7 7840U".</summary>
        public string Name { get; }

        /// <summary>Who made it; "" = unknown.</summary>
        public string Vendor { get; }

        /// <summary>By what it is reached: "cpu", "vulkan", "metal" or "dx12".</summary>
        public string Backend { get; }

        /// <summary>CPU: the kernels it runs, "scalar", "avx2", "avx512" or "neon". GPU: "".</summary>
        public string Kernel { get; }

        /// <summary>What kind of device it is.</summary>
        public DeviceType Type { get; }

        /// <summary>Memory of the device in bytes; 0 = unknown.</summary>
        public long MemoryBytes { get; }

        /// <summary>CPU: the cores that this process may use. GPU: 0.</summary>
        public int Threads { get; }

        /// <summary>GPU: the most bytes that a kernel can see of one buffer; larger lists lie in several. CPU: 0.</summary>
        public long MaxBindingBytes { get; }

        /// <summary>GPU: how many lanes run in step, at least. CPU: 0.</summary>
        public int SubgroupMin { get; }

        /// <summary>GPU: how many lanes run in step, at most. CPU: 0.</summary>
        public int SubgroupMax { get; }

        /// <summary>Whether it is a GPU that computes in float16.</summary>
        public bool Float16 { get; }

        /// <summary>"AMD Ryzen 7 7840U (cpu, avx512)".</summary>
        public override string ToString()
        {
            return Name + " (" + Backend + (Kernel.Length == 0 ? "" : ", " + Kernel) + ")";
        }
    }
}
