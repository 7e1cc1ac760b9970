using System.Net;

namespace Isthmus.Proxy.Transports;

/// <summary>A listener of this proxy that only its own clusters connect to (Envoy's <c>EnvoyInternalAddress</c>).</summary>
/// <param name="listener">Its name.</param>
/// <param name="id">What tells apart the hosts of a cluster that are behind the same listener; empty for nothing.</param>
internal sealed class InternalEndPoint(string listener, string id) : EndPoint, IEquatable<InternalEndPoint>
{
    /// <summary>The end of such a connection that has opened it, as Envoy names it.</summary>
    public static readonly InternalEndPoint Client = new("internal_client_address", "");

    public string Listener => listener;

    public string Id => id;

    public bool Equals(InternalEndPoint? other) => other is not null && other.Listener == listener && other.Id == id;

    public override bool Equals(object? obj) => Equals(obj as InternalEndPoint);

    public override int GetHashCode() => HashCode.Combine(listener, id);

    public override string ToString() => $"envoy://{listener}/{id}";
}
