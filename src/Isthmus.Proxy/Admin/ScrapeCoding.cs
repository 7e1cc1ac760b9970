using System.Globalization;
using System.IO.Compression;
using Isthmus.Proxy.Dumps;

namespace Isthmus.Proxy.Admin;

/// <summary>How an answer to Prometheus is compressed. The text of metrics repeats itself, and shrinks to less than a tenth.</summary>
internal static class ScrapeCoding
{
    /// <summary>gzip or br, whichever the client prefers; empty: neither. .NET has no zstd.</summary>
    /// <param name="accepted">The field Accept-Encoding.</param>
    public static string Of(string accepted)
    {
        var (best, most) = ("", 0.0);
        foreach (var item in accepted.Split(',', StringSplitOptions.TrimEntries))
        {
            var parts = item.Split(';', StringSplitOptions.TrimEntries);
            var coding = parts[0].ToLowerInvariant();
            if (coding is not ("gzip" or "br") || Weight(parts) is not (> 0 and <= 1 and var weight) || weight <= most) continue;
            (best, most) = (coding, weight);
        }
        return best;
    }

    /// <summary>Compresses what a body writes, piece by piece.</summary>
    public static AdminBody Compress(string coding, AdminBody body) => async (send, stop) =>
    {
        using var pieces = new Pieces(send);
        // The time of the proxy counts more than the last percent.
        Stream coder = coding == "br"
            ? new BrotliStream(pieces, CompressionLevel.Fastest, leaveOpen: true)
            : new GZipStream(pieces, CompressionLevel.Fastest, leaveOpen: true);
        await using (coder.ConfigureAwait(false)) await body(piece => coder.WriteAsync(piece, stop), stop).ConfigureAwait(false);
    };

    private static double Weight(string[] parts)
    {
        foreach (var part in parts.AsSpan(1))
        {
            if (part.StartsWith("q=", StringComparison.OrdinalIgnoreCase))
                return double.TryParse(part.AsSpan(2), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var weight) ? weight : 0;
        }
        return 1;
    }

    /// <summary>What a coder writes, sent.</summary>
    private sealed class Pieces(Func<ReadOnlyMemory<byte>, ValueTask> send) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => send(buffer);

        public override Task WriteAsync(byte[] buffer, int offset, int count,
            CancellationToken cancellationToken) => send(buffer.AsMemory(offset, count)).AsTask();

        public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public override void Flush()
        {
        }

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
