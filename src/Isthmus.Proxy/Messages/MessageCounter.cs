using System.Buffers.Binary;

namespace Isthmus.Proxy.Messages;

/// <summary>Counts the messages of a gRPC body by their prefixes: a flag and a length of 4 bytes, big-endian (gRPC over HTTP/2, Length-Prefixed-Message).
/// A message counts once its prefix has arrived.</summary>
internal struct MessageCounter
{
    private const int PrefixBytes = 5;

    private int _read;
    private uint _length;
    private long _left;

    /// <summary>Messages that have begun.</summary>
    public long Count { get; private set; }

    /// <summary>Reads the next piece of the body, however the body was cut.</summary>
    public void Read(ReadOnlySpan<byte> piece)
    {
        while (!piece.IsEmpty)
        {
            if (_left > 0)
            {
                var skipped = (int)Math.Min(_left, piece.Length);
                _left -= skipped;
                piece = piece[skipped..];
                continue;
            }
            if (_read == 0 && piece.Length >= PrefixBytes)
            {
                Begin(BinaryPrimitives.ReadUInt32BigEndian(piece[1..]));
                piece = piece[PrefixBytes..];
                continue;
            }
            if (_read > 0) _length = (_length << 8) | piece[0];
            if (++_read == PrefixBytes) Begin(_length);
            piece = piece[1..];
        }
    }

    private void Begin(uint length)
    {
        Count++;
        (_left, _read, _length) = (length, 0, 0);
    }
}
