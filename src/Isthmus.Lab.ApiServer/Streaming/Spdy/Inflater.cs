namespace Isthmus.Lab.ApiServer.Streaming.Spdy;

/// <summary>
/// Decompresses one zlib stream with a preset dictionary, piece by piece, each piece ended by a sync flush (RFC 1950,
/// 1951). The runtime's own has no dictionary. The input is untrusted: output is limited, errors are <see cref="InvalidDataException"/>.
/// </summary>
internal sealed class Inflater(ReadOnlyMemory<byte> dictionary)
{
    private const int WindowSize = 32 * 1024, EndOfBlock = 256, LongestCode = 15;

    private static readonly int[] LengthBase = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227,
        258];
    private static readonly int[] LengthBits = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
    private static readonly int[] DistanceBase = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
        6145, 8193, 12289, 16385, 24577];
    private static readonly int[] DistanceBits = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
    private static readonly int[] CodeOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    private static readonly Huffman FixedLiterals = new([.. Enumerable.Range(0, 288).Select(i => (byte)(i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8))]);
    private static readonly Huffman FixedDistances = new([.. Enumerable.Repeat((byte)5, 30)]);

    private readonly byte[] _window = new byte[WindowSize];
    private int _position; // of the next byte in the window, counted without end
    private bool _begun;

    /// <summary>Decompresses one piece.</summary>
    /// <param name="limit">The most bytes it may grow to.</param>
    internal byte[] Inflate(ReadOnlySpan<byte> piece, int limit)
    {
        var output = new List<byte>();
        var bits = new Bits(piece);
        if (!_begun) ReadHeader(ref bits);
        while (!bits.AtEnd)
        {
            var last = bits.Read(1) == 1;
            switch (bits.Read(2))
            {
                case 0: ReadStored(ref bits, output, limit); break;
                case 1: ReadCoded(ref bits, FixedLiterals, FixedDistances, output, limit); break;
                case 2:
                    var (literals, distances) = ReadCodes(ref bits);
                    ReadCoded(ref bits, literals, distances, output, limit);
                    break;
                default: throw new InvalidDataException("deflate: unknown kind of block");
            }
            if (last) break;
        }
        return [.. output];
    }

    private void ReadHeader(ref Bits bits)
    {
        var (method, flags) = (bits.Read(8), bits.Read(8));
        if ((method & 0xf) != 8 || ((method << 8) | flags) % 31 != 0) throw new InvalidDataException("not a zlib stream");
        if ((flags & 0x20) != 0)
        {
            var id = 0u;
            for (var i = 0; i < 4; i++) id = (id << 8) | (uint)bits.Read(8);
            if (id != Adler32(dictionary.Span)) throw new InvalidDataException("zlib: another dictionary is needed");
            foreach (var one in dictionary.Span) Remember(one);
        }
        _begun = true;
    }

    private void ReadStored(ref Bits bits, List<byte> output, int limit)
    {
        bits.SkipToByte();
        var length = bits.Read(16);
        if ((bits.Read(16) ^ 0xffff) != length) throw new InvalidDataException("deflate: the lengths of a stored block differ");
        for (var i = 0; i < length; i++) Emit((byte)bits.Read(8), output, limit);
    }

    private void ReadCoded(ref Bits bits, Huffman literals, Huffman distances, List<byte> output, int limit)
    {
        while (true)
        {
            var symbol = literals.Read(ref bits);
            if (symbol < EndOfBlock)
            {
                Emit((byte)symbol, output, limit);
                continue;
            }
            if (symbol == EndOfBlock) return;
            symbol -= EndOfBlock + 1;
            if (symbol >= LengthBase.Length) throw new InvalidDataException("deflate: unknown length");
            var length = LengthBase[symbol] + bits.Read(LengthBits[symbol]);
            var code = distances.Read(ref bits);
            if (code >= DistanceBase.Length) throw new InvalidDataException("deflate: unknown distance");
            var distance = DistanceBase[code] + bits.Read(DistanceBits[code]);
            if (distance > Math.Min(_position, WindowSize)) throw new InvalidDataException("deflate: distance before the beginning");
            for (var i = 0; i < length; i++) Emit(_window[(_position - distance) & (WindowSize - 1)], output, limit);
        }
    }

    private static (Huffman Literals, Huffman Distances) ReadCodes(ref Bits bits)
    {
        var (literals, distances, codes) = (bits.Read(5) + 257, bits.Read(5) + 1, bits.Read(4) + 4);
        var codeLengths = new byte[19];
        for (var i = 0; i < codes; i++) codeLengths[CodeOrder[i]] = (byte)bits.Read(3);
        var code = new Huffman(codeLengths);
        var lengths = new byte[literals + distances];
        for (var i = 0; i < lengths.Length;)
        {
            var symbol = code.Read(ref bits);
            if (symbol < 16)
            {
                lengths[i++] = (byte)symbol;
                continue;
            }
            if (symbol == 16 && i == 0) throw new InvalidDataException("deflate: nothing to repeat");
            var (value, times) = symbol switch
            {
                16 => (lengths[i - 1], 3 + bits.Read(2)),
                17 => ((byte)0, 3 + bits.Read(3)),
                _ => ((byte)0, 11 + bits.Read(7)),
            };
            if (i + times > lengths.Length) throw new InvalidDataException("deflate: too many code lengths");
            for (; times > 0; times--) lengths[i++] = value;
        }
        return (new(lengths[..literals]), new(lengths[literals..]));
    }

    private void Emit(byte value, List<byte> output, int limit)
    {
        if (output.Count >= limit) throw new InvalidDataException($"headers are longer than {limit} bytes");
        output.Add(value);
        Remember(value);
    }

    private void Remember(byte value)
    {
        _window[_position & (WindowSize - 1)] = value;
        // The low bits stay the same when it wraps far before overflow.
        _position = _position == int.MaxValue - 1 ? (_position & (WindowSize - 1)) + WindowSize + 1 : _position + 1;
    }

    internal static uint Adler32(ReadOnlySpan<byte> bytes)
    {
        uint a = 1, b = 0;
        foreach (var one in bytes)
        {
            a = (a + one) % 65521;
            b = (b + a) % 65521;
        }
        return (b << 16) | a;
    }

    private ref struct Bits(ReadOnlySpan<byte> bytes)
    {
        private readonly ReadOnlySpan<byte> _bytes = bytes;
        private int _next;
        private uint _held;
        private int _count;

        /// <summary>Nothing is left but the padding of the last byte.</summary>
        internal readonly bool AtEnd => _next == _bytes.Length && _count < 8;

        internal int Read(int count)
        {
            while (_count < count)
            {
                if (_next == _bytes.Length) throw new InvalidDataException("deflate: the piece ends in the middle");
                _held |= (uint)_bytes[_next++] << _count;
                _count += 8;
            }
            var value = (int)(_held & ((1u << count) - 1));
            _held >>= count;
            _count -= count;
            return value;
        }

        internal void SkipToByte()
        {
            _held >>= _count & 7;
            _count &= ~7;
        }
    }

    /// <summary>A canonical code, read bit by bit: headers are short.</summary>
    private sealed class Huffman
    {
        private readonly int[] _counts = new int[LongestCode + 1];
        private readonly int[] _symbols;

        internal Huffman(byte[] lengths)
        {
            _symbols = new int[lengths.Length];
            foreach (var length in lengths) _counts[length]++;
            _counts[0] = 0;
            var offsets = new int[LongestCode + 2];
            var left = 1;
            for (var length = 1; length <= LongestCode; length++)
            {
                left = (left << 1) - _counts[length];
                if (left < 0) throw new InvalidDataException("deflate: impossible code lengths");
                offsets[length + 1] = offsets[length] + _counts[length];
            }
            for (var symbol = 0; symbol < lengths.Length; symbol++)
            {
                if (lengths[symbol] != 0) _symbols[offsets[lengths[symbol]]++] = symbol;
            }
        }

        internal int Read(ref Bits bits)
        {
            int code = 0, first = 0, index = 0;
            for (var length = 1; length <= LongestCode; length++)
            {
                code |= bits.Read(1);
                if (code - first < _counts[length]) return _symbols[index + code - first];
                index += _counts[length];
                first = (first + _counts[length]) << 1;
                code <<= 1;
            }
            throw new InvalidDataException("deflate: unknown code");
        }
    }
}
