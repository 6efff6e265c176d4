using System;
using System.IO;
using System.Linq;

namespace Ivf.Tests
{
    /// <summary>What a case does by way of files, streams and bytes.</summary>
    internal sealed partial class Conformance
    {
        private void ThroughFile(Action<string> write, IOOptions load = null)
        {
            Data.InFolder(folder =>
            {
                string path = Path.Combine(folder, "индекс-索引");
                write(path);
                GoOnWith(IvfIndex.Load(path, load));
            });
        }

        private void ThroughStream()
        {
            using (var stream = new MemoryStream())
            {
                index.Save(stream);
                stream.Position = 0;
                GoOnWith(IvfIndex.Load(stream));
            }
        }

        /// <summary>A load of damaged bytes and a check, of a file of them and of themselves, have to answer alike.</summary>
        private void CheckDamaged(Json step)
        {
            byte[] bytes = index.Serialize();
            if (step["flip"] != null)
                bytes[bytes.Length * step["flip"].Integer / 16] ^= 0xff;
            if (step["cut"] != null)
                Array.Resize(ref bytes, (int)(bytes.Length * step["cut"].Integer / 16));
            string loaded = Refusal(() => IvfIndex.Deserialize(bytes).Dispose());
            Check.Equal(loaded, Refusal(() => IvfIndex.Check(bytes)), "a check's answer");
            Data.InFolder(folder =>
            {
                string path = Path.Combine(folder, "индекс-索引");
                File.WriteAllBytes(path, bytes);
                Check.Equal(loaded, Refusal(() => IvfIndex.Check(path)), "a check's answer by path");
            });
            IvfIndex.Check(bytes);
        }

        /// <summary>The name of the status that a call fails with; null if it succeeds.</summary>
        private static string Refusal(Action call)
        {
            try
            {
                call();
                return null;
            }
            catch (IvfException exception)
            {
                return exception.StatusName;
            }
        }

        /// <summary>Adds, or builds from, a file of vectors.</summary>
        private void FromFile(Json step, Func<string, long> add)
        {
            Data.InFolder(folder =>
            {
                string path = Path.Combine(folder, step["file"].Text);
                if (step["content"] != null)
                    File.WriteAllBytes(path, Integers(step, "content").Select(value => (byte)value).ToArray());
                Check.Equal(step["added"]?.Integer, (long?)add(path), "added");
            });
        }
    }
}
