using System.Collections.Concurrent;

namespace Isthmus.Proxy.Telemetry;

/// <summary>What peers tell of themselves, as far as their certificates bear it out. A peer chooses the rest, and could tell something new with each
/// request: of one identity, only so many tales make series of their own.</summary>
internal sealed class PeerClaims
{
    /// <summary>An account has seldom more workloads in as many versions.</summary>
    internal const int MostOfIdentity = 200;

    /// <summary>In place of what is too much to tell apart.</summary>
    internal const string Overflow = "overflow";

    private readonly ConcurrentDictionary<string, ConcurrentDictionary<MeshMetrics.Party, bool>> _known = new(StringComparer.Ordinal);

    /// <summary>What the peer tells; null: nothing that counts.</summary>
    /// <param name="identity">What its certificate proves; empty: nothing.</param>
    /// <param name="isOverflow">It is one too many.</param>
    public MeshMetrics.Party? Read(string metadata, string identity, out bool isOverflow)
    {
        isOverflow = false;
        if (PeerMetadataText.Read(metadata, identity) is not { } told) return null;
        var ofIdentity = _known.GetOrAdd(identity, static _ => new());
        if (ofIdentity.ContainsKey(told) || (ofIdentity.Count < MostOfIdentity && ofIdentity.TryAdd(told, true))) return told;
        isOverflow = true;
        return Unknown(told);
    }

    /// <summary>The proven part of what a peer tells.</summary>
    public static MeshMetrics.Party Unknown(MeshMetrics.Party told) =>
        new(Overflow, told.Namespace, told.Principal, Overflow, Overflow, Overflow, Overflow, Overflow);
}
