using System.Buffers.Binary;

namespace Isthmus.Profile;

/// <summary>One thing that instrumented code counts or collects.</summary>
/// <param name="Kind">What it is. Its lowest four bits tell what its values are.</param>
/// <param name="Offset">Where in the method's IL.</param>
/// <param name="Other">More about it; for the count of an edge between blocks, where that leads.</param>
/// <param name="Values">Counts (<see cref="long"/>), or references to types or methods; 0 is none, and <see cref="Unknown"/> one without a name.</param>
internal sealed record Probe(int Kind, int Offset, int Count, int Other, IReadOnlyList<object> Values)
{
    internal const long Unknown = 1;

    internal bool IsCounter => (Kind & 15) is Instrumentation.FourBytes or Instrumentation.EightBytes && Count == 1;

    internal bool IsCollection => (Kind & 15) is Instrumentation.TypeHandle or Instrumentation.MethodHandle;

    internal bool IsSame(Probe other) => (Kind, Offset, Other) == (other.Kind, other.Offset, other.Other);

    /// <summary>What two runs have counted.</summary>
    internal Probe With(Probe other) => IsCollection ? this with { Count = Count + other.Count, Values = [.. Values, .. other.Values] }
        : IsCounter && other.IsCounter ? this with { Values = [(long)Values[0] + (long)other.Values[0]] }
        : this;
}

/// <summary>What the instrumented code of one method has counted, as the runtime's events have it: a list of probes. Each is a mask of what differs from the
/// probe before, these differences, and its values as differences from values before
/// (https://github.com/dotnet/runtime/blob/main/src/coreclr/tools/Common/Pgo/PgoFormat.cs).</summary>
internal static class Instrumentation
{
    internal const int FourBytes = 1, EightBytes = 2, TypeHandle = 3, MethodHandle = 4;

    /// <summary>All parts of a probe.</summary>
    internal const int Everything = OffsetDiffers | KindDiffers | CountDiffers | OtherDiffers;

    private const int OffsetDiffers = 1, KindDiffers = 2, CountDiffers = 4, OtherDiffers = 8;

    /// <param name="typeOf">The reference to the type of a handle, or <see cref="Probe.Unknown"/>.</param>
    /// <param name="methodOf">The same for methods.</param>
    internal static List<Probe> Parse(ReadOnlySpan<byte> bytes, Func<ulong, object> typeOf, Func<ulong, object> methodOf)
    {
        var probes = new List<Probe>();
        var (offset, kind, count, other) = (0, 0, 0, 0);
        var (number, type, method) = (0L, 0L, 0L);
        while (!bytes.IsEmpty)
        {
            var mask = Next(ref bytes);
            if ((mask & OffsetDiffers) != 0) offset += (int)Next(ref bytes);
            if ((mask & KindDiffers) != 0) kind += (int)Next(ref bytes);
            if ((mask & CountDiffers) != 0) count += (int)Next(ref bytes);
            if ((mask & OtherDiffers) != 0) other += (int)Next(ref bytes);
            if (kind == 0) break;
            var values = new object[(kind & 15) == 0 ? 0 : count];
            for (var i = 0; i < values.Length; i++)
            {
                values[i] = (kind & 15) switch
                {
                    FourBytes or EightBytes => number += Next(ref bytes),
                    TypeHandle => (type += Next(ref bytes)) == 0 ? 0L : typeOf((ulong)type),
                    MethodHandle => (method += Next(ref bytes)) == 0 ? 0L : methodOf((ulong)method),
                    var unknown => throw new InvalidDataException($"a probe has values of kind {unknown}, which this runtime does not have yet"),
                };
            }
            probes.Add(new(kind, offset, count, other, values));
        }
        return probes;
    }

    /// <summary>The probes of two runs.</summary>
    internal static List<Probe> Merge(List<Probe> one, List<Probe> other)
    {
        var all = one.ToList();
        foreach (var probe in other)
        {
            var same = all.FindIndex(probe.IsSame);
            if (same < 0) all.Add(probe);
            else all[same] = all[same].With(probe);
        }
        return all;
    }

    // Like signed numbers in signatures (ECMA-335, II.23.2), but of up to 64 bits.
    private static long Next(ref ReadOnlySpan<byte> bytes)
    {
        var (value, length) = bytes[0] switch
        {
            < 0x80 => ((bytes[0] & 1) == 0 ? bytes[0] >> 1 : bytes[0] >> 1 | ~0x3fL, 1),
            < 0xc0 => (Two(bytes), 2),
            0xc1 => (BinaryPrimitives.ReadInt64BigEndian(bytes[1..]), 9),
            _ => (BinaryPrimitives.ReadInt32BigEndian(bytes[1..]), 5),
        };
        bytes = bytes[length..];
        return value;
    }

    private static long Two(ReadOnlySpan<byte> bytes)
    {
        var both = (bytes[0] & 0x3f) << 8 | bytes[1];
        return (both & 1) == 0 ? both >> 1 : both >> 1 | ~0x1fffL;
    }
}
