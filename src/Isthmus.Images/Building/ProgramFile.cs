using System.Buffers.Binary;
using System.Text;
using Isthmus.Core.Problems;

namespace Isthmus.Images.Building;

/// <summary>A foreign program for Linux that becomes part of the image: what of its ELF headers says whether it runs there.</summary>
/// <param name="Machine">The architecture as Go names it; empty: another one.</param>
/// <param name="Interpreter">The loader that it asks for; empty if it is static.</param>
/// <param name="Libraries">The shared libraries that it needs.</param>
/// <param name="Glibc">The newest version of glibc of which it needs something.</param>
internal sealed record ProgramFile(string Machine, string Interpreter, IReadOnlyList<string> Libraries, Version Glibc)
{
    private const int HeaderBytes = 64, EntryBytes = 56, MostEntries = 256;
    private const uint Load = 1, Dynamic = 2, Interp = 3;
    private const ulong Needed = 1, StringTable = 5, VersionNeeds = 0x6ffffffe, VersionNeedCount = 0x6fffffff;

    private static readonly string[] OfGlibc = ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libresolv.so.2", "libutil.so.1"];

    /// <summary>Reads the headers; nothing is run.</summary>
    /// <exception cref="ProblemException">The file is not a 64-bit program for Linux.</exception>
    public static ProgramFile Read(string path, string option)
    {
        try
        {
            using var file = File.OpenRead(path);
            return (file.Length < HeaderBytes ? null : new Reader(file).Read())
                ?? throw new ProblemException(option, $"{path} is not a program for Linux (64-bit ELF, little-endian)",
                    "specify the file of an Envoy release, for example of its release page");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentOutOfRangeException)
        {
            throw new ProblemException(option, $"{path} cannot be read: {e.Message}", "specify the file of an Envoy release", e);
        }
    }

    /// <summary>Why it does not run in the image; null: it does.</summary>
    /// <param name="architecture">That of the image.</param>
    /// <param name="glibc">The version in the image.</param>
    public string? Reject(string architecture, Version glibc)
    {
        if (Machine != architecture) return $"is a program for {(Machine.Length > 0 ? Machine : "another architecture")}, and the image is for {architecture}";
        if (Interpreter.Length > 0 && !Path.GetFileName(Interpreter).StartsWith("ld-linux", StringComparison.Ordinal))
            return $"needs the loader {Interpreter}, and the image has that of glibc";
        if (Libraries.FirstOrDefault(name => !OfGlibc.Contains(name) && !name.StartsWith("ld-linux", StringComparison.Ordinal)) is { } other)
            return $"needs the library {other}, which the image does not have";
        return Glibc > glibc ? $"needs glibc {Glibc}, and the image has {glibc}" : null;
    }

    private sealed class Reader(Stream file)
    {
        private readonly List<(ulong Address, ulong Offset, ulong Size)> _loads = [];

        public ProgramFile? Read()
        {
            var head = At(0, HeaderBytes);
            // 64-bit, little-endian; a program, or one that can be anywhere.
            if (!head.AsSpan(0, 6).SequenceEqual((ReadOnlySpan<byte>)[0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1]) || U16(head, 16) is not (2 or 3))
                return null;
            var machine = U16(head, 18) switch { 62 => "amd64", 183 => "arm64", _ => "" };
            if (U16(head, 54) != EntryBytes || U16(head, 56) is 0 or > MostEntries) return null;
            var (interpreter, dynamic) = ("", Array.Empty<byte>());
            for (var i = 0; i < U16(head, 56); i++)
            {
                var entry = At((long)U64(head, 32) + i * EntryBytes, EntryBytes);
                var (offset, address, size) = (U64(entry, 8), U64(entry, 16), U64(entry, 32));
                switch (BinaryPrimitives.ReadUInt32LittleEndian(entry))
                {
                    case Load: _loads.Add((address, offset, size)); break;
                    case Interp: interpreter = Encoding.ASCII.GetString(At((long)offset, Bounded(size))).TrimEnd('\0'); break;
                    case Dynamic: dynamic = At((long)offset, Bounded(size)); break;
                }
            }
            var (strings, needs, count, libraries) = (0UL, 0UL, 0UL, new List<ulong>());
            for (var at = 0; at + 16 <= dynamic.Length; at += 16)
            {
                var value = U64(dynamic, at + 8);
                switch (U64(dynamic, at))
                {
                    case Needed: libraries.Add(value); break;
                    case StringTable: strings = value; break;
                    case VersionNeeds: needs = value; break;
                    case VersionNeedCount: count = value; break;
                }
            }
            return new(machine, interpreter, [.. libraries.Select(name => Text(strings + name))], Newest(strings, needs, count));
        }

        private Version Newest(ulong strings, ulong needs, ulong count)
        {
            var newest = new Version(0, 0);
            for (var (file, at) = (0UL, needs); file < Math.Min(count, MostEntries); file++)
            {
                var need = Mapped(at, 16);
                var next = at + U32(need, 8);
                for (var (item, i) = (next, 0); i < Math.Min((int)U16(need, 2), MostEntries); i++)
                {
                    var version = Mapped(item, 16);
                    const string prefix = "GLIBC_";
                    if (Text(strings + U32(version, 8)) is var name && name.StartsWith(prefix, StringComparison.Ordinal)
                        && Version.TryParse(name[prefix.Length..], out var known) && known > newest)
                        newest = known;
                    item += U32(version, 12);
                }
                at += U32(need, 12);
            }
            return newest;
        }

        private string Text(ulong address)
        {
            var bytes = Mapped(address, 256);
            var end = Array.IndexOf(bytes, (byte)0);
            return Encoding.ASCII.GetString(bytes, 0, end < 0 ? bytes.Length : end);
        }

        private byte[] Mapped(ulong address, int most)
        {
            var (start, offset, size) = _loads.Find(load => address >= load.Address && address - load.Address < load.Size);
            if (size == 0) throw new IOException("its headers lead nowhere");
            return At((long)(offset + address - start), (int)Math.Min((ulong)most, size - (address - start)));
        }

        private byte[] At(long offset, int count)
        {
            var bytes = new byte[count];
            file.Position = offset;
            file.ReadExactly(bytes);
            return bytes;
        }

        private static int Bounded(ulong size) => size <= 1 << 20 ? (int)size : throw new IOException("its headers are too large");

        private static ushort U16(byte[] bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(at));

        private static uint U32(byte[] bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at));

        private static ulong U64(byte[] bytes, int at) => BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at));
    }
}
