using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;

namespace Isthmus.Wire.Xds;

/// <summary>Where a discovery server gets its resources: one feed for each stream.</summary>
public interface IXdsFeeds
{
    /// <summary>Called with the first request of a stream.</summary>
    /// <exception cref="GrpcException">The client may not have this view, or there are too many at the moment.</exception>
    ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop);
}

/// <summary>Who opened a stream.</summary>
/// <param name="Delta">Which of the two protocols it speaks.</param>
public sealed record XdsClientHello(Node Node, GrpcCall Call, bool Delta);

/// <summary>What one client should have, as it changes.</summary>
public interface IXdsFeed : IAsyncDisposable
{
    /// <summary>Waits until there is a snapshot other than <paramref name="last"/> (null: none seen yet) and returns the newest; those between are skipped.</summary>
    ValueTask<XdsSnapshot> NextAsync(XdsSnapshot? last, CancellationToken stop);

    /// <summary>Told synchronously about everything that was sent, accepted or rejected.</summary>
    void Observe(XdsEvent happened);
}

public enum XdsEventKind { Subscribed, Sent, Acknowledged, Rejected }

/// <summary>One step of the exchange about one type.</summary>
/// <param name="Count">How many resources were sent or are subscribed by name.</param>
/// <param name="Detail">The client's words when it rejected.</param>
public sealed record XdsEvent(XdsEventKind Kind, string TypeUrl, string Nonce, string Version, int Count, string Detail);
