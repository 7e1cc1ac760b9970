using System.Buffers.Text;
using System.Runtime.CompilerServices;
using Isthmus.Proxy.Loops;

namespace Isthmus.Proxy.Messages;

/// <summary>Reads the body of one HTTP/1.x message after another from a shared buffer, without its framing.</summary>
internal sealed class BodyReader(ByteReader reader, HttpLimits limits)
{
    private BodyKind _kind;
    private long _left;
    private int _lent;
    private bool _inChunk;
    private bool _pastFirst;
    private bool _done;

    /// <summary>The trailers of a chunked body; empty otherwise.</summary>
    public HeaderBlock Trailers { get; } = new();

    /// <summary>The body was read completely, so the next message may begin.</summary>
    public bool IsDone => _done;

    /// <summary>After the last piece that was lent out, another one or the end is buffered. The end of a chunk alone is neither.</summary>
    public bool HasBuffered
    {
        get
        {
            var rest = reader.Span[_lent..];
            if (_kind != BodyKind.Chunked || _inChunk) return !rest.IsEmpty;
            if (_pastFirst)
            {
                if (rest.Length <= 2) return false;
                rest = rest[2..];
            }
            var line = rest.IndexOf("\r\n"u8);
            return line >= 0 && rest.Length > line + 2;
        }
    }

    /// <summary>Length of the last piece that was lent out, which is still in the buffer.</summary>
    public int Lent => _lent;

    /// <summary>Takes the last piece back.</summary>
    public void Settle()
    {
        reader.Consume(_lent);
        _lent = 0;
    }

    public void Begin(BodyKind kind, long length)
    {
        _kind = kind;
        _left = kind == BodyKind.Length ? length : 0;
        _lent = 0;
        _inChunk = _pastFirst = false;
        _done = kind is BodyKind.None || (kind == BodyKind.Length && length == 0);
        Trailers.Clear();
    }

    /// <summary>The next piece, valid until the next call; empty at the end.</summary>
    /// <exception cref="HttpMessageException">Broken framing, or the stream ended inside the body.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public async ValueTask<ReadOnlyMemory<byte>> ReadAsync()
    {
        Settle();
        while (!_done)
        {
            if (_kind == BodyKind.Chunked && !_inChunk && !TryBeginChunk())
            {
                if (_done) break;
                await FillAsync().ConfigureAwait(false);
                continue;
            }
            if (reader.Buffered == 0)
            {
                if (_kind == BodyKind.UntilClose)
                {
                    _done = await reader.FillAsync().ConfigureAwait(false) == 0;
                    continue;
                }
                await FillAsync().ConfigureAwait(false);
            }
            var piece = reader.Available;
            if (_kind != BodyKind.UntilClose && piece.Length > _left) piece = piece[..(int)_left];
            Take(piece.Length);
            return piece;
        }
        return default;
    }

    private void Take(int count)
    {
        _lent = count;
        if (_kind == BodyKind.UntilClose) return;
        _left -= count;
        if (_left > 0) return;
        if (_kind == BodyKind.Length) _done = true;
        else _inChunk = false;
    }

    // After a chunk comes CRLF, then the next size line; after the last one the trailers and an empty line.
    private bool TryBeginChunk()
    {
        var span = reader.Span;
        var at = 0;
        if (_left == 0 && _pastFirst)
        {
            if (span.Length < 2) return false;
            if (span[0] != '\r' || span[1] != '\n') throw Broken();
            at = 2;
        }
        var lineEnd = span[at..].IndexOf("\r\n"u8);
        if (lineEnd < 0)
        {
            if (span.Length - at > limits.ChunkLineBytes) throw Broken();
            return false;
        }
        var size = ParseSize(span.Slice(at, lineEnd));
        if (size == 0)
        {
            var rest = span[(at + lineEnd + 2)..];
            return EndOfChunks(rest, at + lineEnd + 2);
        }
        reader.Consume(at + lineEnd + 2);
        _left = size;
        _inChunk = _pastFirst = true;
        return true;
    }

    private bool EndOfChunks(ReadOnlySpan<byte> rest, int before)
    {
        if (rest.StartsWith("\r\n"u8))
        {
            reader.Consume(before + 2);
        }
        else
        {
            var end = HeadParser.FindEnd(rest);
            if (end < 0)
            {
                if (rest.Length > limits.HeadBytes) throw new HttpMessageException(431, "http1.trailers_too_long");
                return false;
            }
            HeadParser.ParseFields(rest[..(end - 2)], Trailers, limits);
            reader.Consume(before + end);
        }
        _done = true;
        _pastFirst = false;
        return false;
    }

    private static long ParseSize(ReadOnlySpan<byte> line)
    {
        var end = line.IndexOfAny((byte)';', (byte)' ', (byte)'\t');
        var digits = end < 0 ? line : line[..end];
        // Some parsers read a bare CR in an extension as a line end.
        if (digits.IsEmpty || digits.Length > 15 || line.ContainsAny((byte)'\r', (byte)'\n', (byte)0)) throw Broken();
        if (!Utf8Parser.TryParse(digits, out long size, out var used, 'x') || used != digits.Length || size < 0) throw Broken();
        return size;
    }

    [AsyncMethodBuilder(typeof(PooledMethodBuilder))]
    private async ValueTask FillAsync()
    {
        if (await reader.FillAsync().ConfigureAwait(false) == 0) throw new HttpMessageException(400, "http1.body_ended_early");
    }

    private static HttpMessageException Broken() => new(400, "http1.invalid_chunk");
}
