using Isthmus.Mesh.Model;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Ca;

/// <summary>Gives a proxy only the view that its credential allows: the proxy must prove the namespace, account and cluster
/// that it claims.</summary>
/// <param name="plainPort">The port without authentication.</param>
public sealed class AuthorizedFeeds(IXdsFeeds inner, CallerCheck callers, int plainPort) : IXdsFeeds
{
    /// <summary>Before a byte of a request is read. The plain port listens only on the loopback of our own Pod.</summary>
    public async ValueTask<XdsSource> IdentifyAsync(GrpcCall call, CancellationToken stop)
    {
        if (call.Http.Connection.LocalPort == plainPort) return default;
        var caller = await callers.RequireAsync(call, stop);
        call.Caller = caller;
        return new(caller.Identity.ToString(), caller.Pod.Length == 0 ? "" : $"{caller.Cluster}/{caller.Identity.Namespace}/{caller.Pod}");
    }

    public async ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop)
    {
        if (client.Call.Http.Connection.LocalPort == plainPort) return await inner.OpenAsync(client, stop);
        if (client.Call.Caller is not Caller proven) throw new GrpcException(GrpcCode.Unauthenticated, "request authenticate failure");
        var caller = proven.Identity;
        if (ProxyIdentity.TryRead(client.Node.Id, client.Node.Metadata, Locality.Unknown, out var error) is not { } claim)
            throw new GrpcException(GrpcCode.InvalidArgument, error);
        if (claim.Namespace != caller.Namespace)
            throw new GrpcException(GrpcCode.PermissionDenied,
                $"proxy claims namespace '{claim.Namespace}' but its credential belongs to '{caller.Namespace}'");
        if (claim.ServiceAccount.Length > 0 && claim.ServiceAccount != caller.ServiceAccount)
            throw new GrpcException(GrpcCode.PermissionDenied,
                $"proxy claims service account '{claim.ServiceAccount}' but its credential belongs to '{caller.ServiceAccount}'");
        if (claim.Cluster.Length > 0)
        {
            proven = await callers.WithClusterAsync(proven, client.Call, stop)
                ?? throw new GrpcException(GrpcCode.PermissionDenied,
                    $"proxy claims cluster '{claim.Cluster}' with a certificate, which does not name its owner's cluster: send the service account token of "
                        + $"that cluster, too");
            if (claim.Cluster != proven.Cluster)
                throw new GrpcException(GrpcCode.PermissionDenied, $"proxy claims cluster '{claim.Cluster}' but its token was reviewed by '{proven.Cluster}'");
            client.Call.Caller = proven;
        }
        return await inner.OpenAsync(client, stop);
    }
}
