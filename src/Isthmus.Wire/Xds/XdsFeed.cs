using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Reports;

namespace Isthmus.Wire.Xds;

/// <summary>Where a discovery server gets its resources: one feed for each stream.</summary>
public interface IXdsFeeds
{
    /// <summary>Called before anything is read of a stream.</summary>
    /// <returns>Who opened it, for the count of what it holds.</returns>
    /// <exception cref="GrpcException">The client does not prove who it is.</exception>
    ValueTask<XdsSource> IdentifyAsync(GrpcCall call, CancellationToken stop) => new(default(XdsSource));

    /// <summary>Called with the first request of a stream.</summary>
    /// <exception cref="GrpcException">The client is not authorized for this view, or there are too many clients at the moment.</exception>
    ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop);
}

/// <summary>The client that opened a stream.</summary>
/// <param name="Delta">Whether it uses the delta protocol.</param>
public sealed record XdsClientHello(Node Node, GrpcCall Call, bool Delta);

/// <summary>What one client should have, as it changes.</summary>
public interface IXdsFeed : IAsyncDisposable
{
    /// <summary>The stream has begun, and asks for <see cref="Newer"/> whenever it is told that there is a snapshot. From any thread; at once if there
    /// is one.</summary>
    void Follow(Action offered);

    /// <summary>The newest snapshot, if it is another one than <paramref name="last"/> (null: none seen yet). Intermediate ones are skipped.</summary>
    XdsSnapshot? Newer(XdsSnapshot? last);

    /// <summary>Whatever the client subscribes to of a snapshot has been sent to it. Intermediate snapshots may be skipped.</summary>
    void Took(XdsSnapshot snapshot)
    {
    }

    /// <summary>Notified synchronously of everything that was sent, accepted or rejected.</summary>
    void Observe(XdsEvent happened);

    /// <summary>A response has been written, in the order in which <see cref="Observe"/> was told that they are sent.</summary>
    /// <param name="making">The time to make the responses that go out together.</param>
    /// <param name="writing">The time to write this one.</param>
    void Written(TimeSpan making, TimeSpan writing)
    {
    }

    /// <summary>The client tells what telemetry it loses at present.</summary>
    void Reported(TelemetryReport report)
    {
    }
}

/// <remarks><c>Withdrawn</c>: the client does not ask any more for what it rejected.</remarks>
public enum XdsEventKind { Subscribed, Sent, Acknowledged, Rejected, Withdrawn }

/// <summary>One step of the exchange for one type.</summary>
/// <param name="Count">How many resources were sent or are subscribed by name.</param>
/// <param name="Detail">What the client rejects at present, in its words.</param>
public readonly record struct XdsEvent(XdsEventKind Kind, string TypeUrl, string Nonce, string Version, int Count, string Detail);
