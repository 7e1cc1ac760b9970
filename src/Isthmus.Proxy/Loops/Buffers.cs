using System.Buffers;
using System.Numerics;

namespace Isthmus.Proxy.Loops;

/// <summary>
/// Arrays that are used again by the thread that gave them back, without locks. Each thread keeps what the connections of a busy loop use at once;
/// the shared pool has the rest.
/// </summary>
internal static class Buffers<T>
{
    private const int LeastBits = 4, MostBits = 15;

    /// <summary>Elements of one size that a thread keeps at most.</summary>
    private const int KeptElements = 256 * 1024;

    /// <summary>Arrays of one size that a thread keeps at most.</summary>
    private const int KeptArrays = 128;

    [ThreadStatic] private static Stack[]? _stacks;

    /// <summary>An array of at least that length, with whatever it contained.</summary>
    internal static T[] Rent(int length)
    {
        var bits = Bits(length);
        return bits <= MostBits && _stacks is { } stacks && stacks[bits - LeastBits].TryPop(out var array) ? array : ArrayPool<T>.Shared.Rent(length);
    }

    /// <summary>Gives an array back, which its owner must not use from now on.</summary>
    internal static void Return(T[] array)
    {
        var bits = Bits(array.Length);
        if (bits > MostBits || !(_stacks ??= CreateStacks())[bits - LeastBits].TryPush(array)) ArrayPool<T>.Shared.Return(array);
    }

    private static int Bits(int length) => Math.Max(LeastBits, BitOperations.Log2((uint)(Math.Max(length, 1) - 1)) + 1);

    private static Stack[] CreateStacks()
    {
        var stacks = new Stack[MostBits - LeastBits + 1];
        for (var i = 0; i < stacks.Length; i++) stacks[i] = new(Math.Min(KeptArrays, KeptElements >> (i + LeastBits)));
        return stacks;
    }

    private struct Stack(int most)
    {
        private T[]?[]? _arrays;
        private int _count;

        internal bool TryPop([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out T[]? array)
        {
            array = null;
            if (_count == 0) return false;
            array = _arrays![--_count]!;
            _arrays[_count] = null;
            return true;
        }

        internal bool TryPush(T[] array)
        {
            if (_count == most) return false;
            (_arrays ??= new T[most][])[_count++] = array;
            return true;
        }
    }
}
