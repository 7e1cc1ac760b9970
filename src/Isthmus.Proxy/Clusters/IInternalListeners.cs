using System.Net;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Clusters;

/// <summary>Where a connection to an internal listener goes on (the metadata of Envoy's <c>original_dst</c> listener filter).</summary>
/// <param name="Local">Where the client wanted to go; null: unknown.</param>
/// <param name="Remote">The client; null: unknown.</param>
/// <param name="Waypoint">The proxy to ask for a tunnel; null: the one at <paramref name="Local"/>.</param>
internal sealed record TunnelTarget(IPEndPoint? Local, IPEndPoint? Remote, IPEndPoint? Waypoint);

/// <summary>What a connection to an internal listener takes along.</summary>
/// <param name="Target">Where it goes on; null: unknown.</param>
/// <param name="State">What filters said of the request or connection that it is for.</param>
internal readonly record struct TakenAlong(TunnelTarget? Target, FilterState State);

/// <summary>The listeners of this proxy that only its own clusters connect to.</summary>
internal interface IInternalListeners
{
    /// <param name="to">The listener.</param>
    /// <param name="along">What the connection takes along.</param>
    /// <param name="patience">How long it may take until the bytes of the connection have somewhere to go.</param>
    /// <exception cref="TransportException">There is no such listener, or it could not pass the connection on.</exception>
    ValueTask<SocketTransport> ConnectAsync(InternalEndPoint to, TakenAlong along, TimeSpan patience);
}
