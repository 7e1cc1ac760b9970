using Isthmus.Mesh.Model;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Ca;

/// <summary>Gives a proxy only the view that its credential allows: the proxy must prove the namespace, account and cluster
/// that it claims.</summary>
/// <param name="plainPort">The port without authentication.</param>
public sealed class AuthorizedFeeds(IXdsFeeds inner, CallerCheck callers, int plainPort) : IXdsFeeds
{
    public async ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop)
    {
        // The plain port listens only on the loopback of our own Pod.
        if (client.Call.Http.Connection.LocalPort == plainPort) return await inner.OpenAsync(client, stop);
        var proven = await callers.RequireAsync(client.Call, stop);
        var caller = proven.Identity;
        if (ProxyIdentity.TryRead(client.Node.Id, client.Node.Metadata, Locality.Unknown, out var error) is not { } claim)
            throw new GrpcException(GrpcCode.InvalidArgument, error);
        if (claim.Namespace != caller.Namespace)
            throw new GrpcException(GrpcCode.PermissionDenied, $"proxy claims namespace '{claim.Namespace}' but its credential belongs to '{caller.Namespace}'");
        if (claim.ServiceAccount.Length > 0 && claim.ServiceAccount != caller.ServiceAccount)
            throw new GrpcException(GrpcCode.PermissionDenied, $"proxy claims service account '{claim.ServiceAccount}' but its credential belongs to '{caller.ServiceAccount}'");
        if (claim.Cluster.Length > 0)
        {
            var cluster = await callers.ClusterOfAsync(proven, client.Call, stop)
                ?? throw new GrpcException(GrpcCode.PermissionDenied,
                    $"proxy claims cluster '{claim.Cluster}' with a certificate, which does not name its owner's cluster: send the service account token of that cluster, too");
            if (claim.Cluster != cluster)
                throw new GrpcException(GrpcCode.PermissionDenied, $"proxy claims cluster '{claim.Cluster}' but its token was reviewed by '{cluster}'");
        }
        return await inner.OpenAsync(client, stop);
    }
}
