using System;
using System.IO;
using System.Text;
using System.Threading;

namespace Ivf.Tests
{
    /// <summary>Files and bytes, good and bad ones.</summary>
    public static class FileTests
    {
        private const int Dim = 8;
        private static readonly float[] X = Data.Random(500, Dim);

        private static void Same(IvfIndex expected, IvfIndex got)
        {
            Check.Equal(expected.ToString(), got.ToString(), "text");
            Check.Sequence(expected.Search(X, 5).Ids, got.Search(X, 5).Ids, "ids");
        }

        public static void Save_PathNotAscii_LoadsAgain()
        {
            Data.InFolder(folder =>
            {
                string path = Path.Combine(folder, "Ünïcödé-индекс-索引-😀.ivf");
                using (IvfIndex index = Data.Trained(X, Dim))
                {
                    index.Save(path);
                    Check.True(File.Exists(path), "a file of that name");
                    using (IvfIndex loaded = IvfIndex.Load(path))
                        Same(index, loaded);
                    using (IvfIndex mapped = IvfIndex.Load(path, new IOOptions { MemoryMap = true, SkipVerify = true }))
                        Same(index, mapped);
                    Check.Sequence(File.ReadAllBytes(path), index.Serialize(), "bytes");
                }
            });
        }

        public static void ExportFaiss_Loaded_HasTheSameVectors()
        {
            Data.InFolder(folder =>
            {
                string path = Path.Combine(folder, "индекс.faiss");
                using (IvfIndex index = Data.Trained(X, Dim))
                {
                    index.ExportFaiss(path);
                    Check.Equal("IwFl", Encoding.ASCII.GetString(File.ReadAllBytes(path), 0, 4), "magic");
                    using (IvfIndex loaded = IvfIndex.Load(path))
                        Check.Sequence(index.Search(X, 5, new SearchOptions { NProbe = 16 }).Ids,
                            loaded.Search(X, 5, new SearchOptions { NProbe = 16 }).Ids, "ids");
                }
            });
        }

        public static void Deserialize_OnAContext_IsTheSameIndex()
        {
            using (var context = new IvfContext(new ContextOptions { Threads = 1 }))
            using (IvfIndex index = Data.Trained(X, Dim, "IVF16,Flat", Metric.Cosine))
            using (IvfIndex copy = IvfIndex.Deserialize(index.Serialize(), null, context))
            {
                Same(index, copy);
                Check.Equal(Metric.Cosine, copy.Metric, "metric");
                Check.Equal(Dim, copy.Dim, "dim");
            }
        }

        public static void Load_BadFiles_AreRefused()
        {
            Data.InFolder(folder =>
            {
                string path = Path.Combine(folder, "файл");
                Check.Throws<IvfIOException>(() => IvfIndex.Load(path), path);
                File.WriteAllText(path, "just a text, and a long one, too, so that it is not merely too short for a header");
                Check.Throws<IvfFormatException>(() => IvfIndex.Load(path));
                byte[] bytes;
                using (IvfIndex index = Data.Trained(X, Dim))
                    bytes = index.Serialize();
                File.WriteAllBytes(path, bytes.AsSpan(0, bytes.Length / 2).ToArray());
                Check.Throws<IvfCorruptException>(() => IvfIndex.Load(path));
                bytes[bytes.Length / 2] ^= 1;
                Check.Throws<IvfCorruptException>(() => IvfIndex.Deserialize(bytes));
                Check.Throws<IvfFormatException>(() => IvfIndex.Deserialize(new byte[64]));
                Check.Throws<IvfCorruptException>(() => IvfIndex.Deserialize(bytes.AsSpan(0, 100).ToArray()));
            });
        }

        public static void Check_AnyFile_AnswersAsLoad()
        {
            Data.InFolder(folder =>
            {
                string path = Path.Combine(folder, "файл");
                Check.Throws<IvfIOException>(() => IvfIndex.Check(path), path);
                byte[] bytes;
                using (IvfIndex index = Data.Trained(X, Dim))
                {
                    bytes = index.Serialize();
                    index.Save(path);
                }
                IvfIndex.Check(path);
                IvfIndex.Check(bytes);
                bytes[bytes.Length / 2] ^= 1;
                File.WriteAllBytes(path, bytes);
                Check.Throws<IvfCorruptException>(() => IvfIndex.Check(path), path);
                Check.Throws<IvfCorruptException>(() => IvfIndex.Check(bytes));
                Check.Throws<IvfFormatException>(() => IvfIndex.Check(new byte[64]));
                Check.Throws<IvfArgumentException>(() => IvfIndex.Check(bytes, new IOOptions { SkipVerify = true }), "skip_verify");
            });
        }

        private sealed class Broken : MemoryStream
        {
            public override void Write(byte[] buffer, int offset, int count)
            {
                throw new TimeoutException("write");
            }

            public override int Read(byte[] buffer, int offset, int count)
            {
                throw new TimeoutException("read");
            }
        }

        public static void Streams_AnyIndex_HoldTheBytesOfAFile()
        {
            using (IvfIndex index = Data.Trained(X, Dim))
            using (var stream = new MemoryStream())
            {
                index.Save(stream);
                Check.Sequence(index.Serialize(), stream.ToArray(), "bytes");
                stream.WriteByte(7);
                stream.Position = 0;
                using (IvfIndex loaded = IvfIndex.Load(stream))
                    Same(index, loaded);
                Check.Equal(7, stream.ReadByte(), "what follows");
                stream.SetLength(stream.Length / 2);
                stream.Position = 0;
                Check.Throws<IvfCorruptException>(() => IvfIndex.Load(stream), "truncated");
                using (var broken = new Broken())
                {
                    Check.Throws<TimeoutException>(() => index.Save(broken), "write");
                    Check.Throws<TimeoutException>(() => IvfIndex.Load(broken), "read");
                }
            }
            Check.Throws<ArgumentNullException>(() => IvfIndex.Load((Stream)null));
        }

        public static void Save_BadArguments_AreRefused()
        {
            using (IvfIndex index = Data.Trained(X, Dim))
            {
                Check.Throws<ArgumentNullException>(() => index.Save((string)null));
                Check.Throws<ArgumentException>(() => index.Save("a\0b"), "NUL at 1".Substring(0, 3));
                Check.Throws<IvfIOException>(() => index.Save("/no/such/folder/индекс"), "/no/such/folder/индекс");
                Check.Throws<IvfArgumentException>(() => index.Save("never", new IOOptions { MemoryMap = true }), "memory_map");
                Check.True(!File.Exists("never"), "no file");
            }
        }

        public static void Save_Cancelled_LeavesTheOldFile()
        {
            Data.InFolder(folder =>
            {
                string path = Path.Combine(folder, "a");
                File.WriteAllText(path, "old");
                using (IvfIndex index = Data.Trained(X, Dim))
                    Check.Throws<IvfCancelledException>(() => index.Save(path, null, new CancellationToken(true)));
                Check.Equal("old", File.ReadAllText(path), "content");
                Check.Equal(1, Directory.GetFiles(folder).Length, "files");
            });
        }
    }
}
