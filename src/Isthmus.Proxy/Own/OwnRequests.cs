using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;

namespace Isthmus.Proxy.Own;

/// <summary>Why a request of the proxy itself got no response.</summary>
internal enum OwnFailure
{
    None,
    NoHost,
    Failed,
    TimedOut,

    /// <summary>What came back is not HTTP.</summary>
    Malformed,
}

/// <param name="Trailers">Null when there are none.</param>
internal sealed record OwnAnswer(OwnFailure Failure, ResponseHead Head, ReadOnlyMemory<byte> Body, HeaderBlock? Trailers)
{
    public static OwnAnswer Failed(OwnFailure failure) => new(failure, new(), default, null);
}

/// <summary>Requests that the proxy itself makes through clusters of the mesh: for the keys of issuers, and to external authorizers.</summary>
internal sealed class OwnRequests(SnapshotState state, OwnExchange exchange)
{
    /// <param name="clusterName">The cluster.</param>
    /// <param name="head">The request. Version 2 asks for HTTP/2: without it, the request fails.</param>
    /// <param name="body">Empty: none.</param>
    /// <param name="patience">How long all of it may take.</param>
    public ValueTask<OwnAnswer> SendAsync(string clusterName, RequestHead head, ReadOnlyMemory<byte> body, TimeSpan patience) =>
        state.Current.Clusters.TryGetValue(clusterName, out var cluster)
            ? exchange.SendAsync(cluster, head, body, patience)
            : new(OwnAnswer.Failed(OwnFailure.NoHost));
}
