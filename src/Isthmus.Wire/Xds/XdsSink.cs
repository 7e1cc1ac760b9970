using System.Collections.Frozen;

namespace Isthmus.Wire.Xds;

/// <summary>Changes of one type that arrived together.</summary>
/// <param name="Version">The server's version of the push.</param>
public sealed record XdsBatch(string TypeUrl, string Version, IReadOnlyList<XdsResource> Changed, IReadOnlyList<string> Removed);

/// <summary>A resource that cannot be used; the rest of its batch is not affected.</summary>
public sealed record XdsRejection(string Name, string Reason);

/// <summary>The result of applying a batch.</summary>
/// <param name="Wanted">By type: the names needed from now on, replacing the earlier ones.</param>
public sealed record XdsVerdict(
    IReadOnlyList<XdsRejection> Rejected, IReadOnlyDictionary<string, IReadOnlySet<string>> Wanted);

/// <summary>Takes what a discovery client receives. Never called twice at the same time.</summary>
public interface IXdsSink
{
    /// <summary>Applies the batch at once, keeping the last good version of what it rejects.</summary>
    XdsVerdict Apply(XdsBatch batch);
}

/// <summary>What a client knows about one type.</summary>
/// <param name="Rejected">Why the last response was rejected; empty when it was accepted.</param>
public sealed record XdsTypeStatus(string TypeUrl, string Version, string Nonce, int Resources, string Rejected, DateTimeOffset Received);

/// <summary>The state of a discovery client.</summary>
/// <param name="Since">When it was connected, or lost its connection.</param>
/// <param name="LastError">Why the last attempt or stream ended; empty before that.</param>
public sealed record XdsClientStatus(bool Connected, DateTimeOffset Since, string LastError, IReadOnlyList<XdsTypeStatus> Types);
