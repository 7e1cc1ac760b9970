namespace Isthmus.Proxy.Upstreams;

/// <summary>The protocol of a kept connection, as its host is told it.</summary>
internal enum PoolKind { Http10, Http11, Http2 }

/// <summary>What a kept connection may serve.</summary>
/// <param name="Turn">From 0 to <see cref="MostTurns"/> - 1: connections to a gateway take turns.</param>
/// <param name="Purpose">The one host name that the connection serves, or the client's connection that it carries, and what filters said of it;
/// empty: any.</param>
internal readonly record struct PoolKey(PoolKind Kind, int Turn, string Purpose)
{
    internal const int MostTurns = 8;

    /// <summary>It serves one host name, or one client, only. Clients choose these names, so that there may be very many keys of this kind.</summary>
    internal bool IsNamed => Purpose.Length > 0;

    /// <summary>The name of the protocol in Istio's filter that overrides ALPN.</summary>
    internal static string NameOf(PoolKind kind) => kind switch { PoolKind.Http2 => "HTTP2", PoolKind.Http10 => "HTTP10", _ => "HTTP11" };

    /// <summary>Those that differ only in the turn.</summary>
    internal IEnumerable<PoolKey> AllTurns()
    {
        for (var turn = 0; turn < MostTurns; turn++) yield return this with { Turn = turn };
    }
}
