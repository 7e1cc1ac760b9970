using Isthmus.Core.Collections;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;

namespace Isthmus.Proxy.Snapshot;

/// <param name="Host">The host that is asked for; empty: the name of the cluster.</param>
/// <param name="Expected">The statuses of healthy hosts.</param>
/// <param name="Retriable">Statuses that fail a check, but count as often as the threshold says.</param>
internal sealed record HttpProbe(string Host, string Path, string Method, HeaderEdits Edits, ValueList<StatusRange> Expected, ValueList<StatusRange> Retriable)
    : HealthProbe
{
    public bool IsHttp2 { get; init; }

    public ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>What the body of the response must contain, in this order.</summary>
    public ByteSequence Receive { get; init; } = ByteSequence.Empty;

    /// <summary>How much of the body is searched; 0: all of it.</summary>
    public int SearchedBytes { get; init; }

    /// <summary>What the service behind the host must be called; null: anything.</summary>
    public TextMatch? ServiceName { get; init; }
}

/// <param name="Send">What is sent; empty: the check only connects.</param>
/// <param name="Receive">What the host must answer; empty: nothing.</param>
internal sealed record TcpProbe(ReadOnlyMemory<byte> Send, ByteSequence Receive) : HealthProbe;

/// <param name="Service">The service that is asked about; empty: the server.</param>
/// <param name="Authority">The host that is asked for; empty: the name of the cluster.</param>
internal sealed record GrpcProbe(string Service, string Authority, HeaderEdits Metadata) : HealthProbe;

/// <summary>Statuses from the first up to, but without, the second.</summary>
internal readonly record struct StatusRange(long Start, long End)
{
    public bool Contains(int status) => status >= Start && status < End;
}

/// <summary>Pieces that must occur in some bytes, one after another; others may be between them.</summary>
internal sealed record ByteSequence(IReadOnlyList<byte[]> Pieces)
{
    public static readonly ByteSequence Empty = new([]);

    public bool IsEmpty => Pieces.Count == 0;

    public bool IsIn(ReadOnlySpan<byte> bytes)
    {
        foreach (var piece in Pieces)
        {
            var at = bytes.IndexOf(piece);
            if (at < 0) return false;
            bytes = bytes[(at + piece.Length)..];
        }
        return true;
    }
}
