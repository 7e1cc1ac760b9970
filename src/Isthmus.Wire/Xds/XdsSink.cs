using System.Collections.Frozen;

namespace Isthmus.Wire.Xds;

/// <summary>Changes of one type that arrived together.</summary>
/// <param name="Version">The server's version of the push.</param>
public sealed record XdsBatch(string TypeUrl, string Version, IReadOnlyList<XdsResource> Changed, IReadOnlyList<string> Removed);

/// <summary>A resource that cannot be used; the others of its batch can.</summary>
public sealed record XdsRejection(string Name, string Reason);

/// <summary>What became of a batch.</summary>
/// <param name="Wanted">For some types: the names that are needed from now on, in place of those before.</param>
public sealed record XdsVerdict(
    IReadOnlyList<XdsRejection> Rejected, IReadOnlyDictionary<string, IReadOnlySet<string>> Wanted)
{
    public static XdsVerdict Accepted { get; } = new([], FrozenDictionary<string, IReadOnlySet<string>>.Empty);
}

/// <summary>Takes what a discovery client receives. Never called twice at the same time.</summary>
public interface IXdsSink
{
    /// <summary>Uses the batch at once, keeping the last good version of what it rejects.</summary>
    XdsVerdict Apply(XdsBatch batch);
}

/// <summary>What a client knows about one type.</summary>
/// <param name="Rejected">The reasons of the last response when it was rejected; empty when it was accepted.</param>
public sealed record XdsTypeStatus(string TypeUrl, string Version, string Nonce, int Resources, string Rejected, DateTimeOffset Received);

/// <summary>How a discovery client is doing.</summary>
/// <param name="Since">When it was connected, or lost its connection.</param>
/// <param name="LastError">Why the last attempt or stream ended; empty before that.</param>
public sealed record XdsClientStatus(bool Connected, DateTimeOffset Since, string LastError, IReadOnlyList<XdsTypeStatus> Types);
