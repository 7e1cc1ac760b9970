using Isthmus.ControlPlane.Settings;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Ca;

/// <summary>Gives a proxy only the view that its credential allows: the proxy must prove the namespace, account and cluster
/// that it claims.</summary>
public sealed class AuthorizedFeeds(IXdsFeeds inner, CallerCheck callers, DiscoverySettings settings) : IXdsFeeds
{
    public async ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop)
    {
        // The plain port listens only on the loopback of our own Pod.
        if (client.Call.Http.Connection.LocalPort == Ports.DiscoveryPlain) return await inner.OpenAsync(client, stop);
        var caller = await callers.RequireAsync(client.Call, stop);
        if (ProxyIdentity.TryRead(client.Node.Id, client.Node.Metadata, Locality.Unknown, out var error) is not { } claim)
            throw new GrpcException(GrpcCode.InvalidArgument, error);
        if (claim.Namespace != caller.Namespace)
            throw new GrpcException(GrpcCode.PermissionDenied, $"proxy claims namespace '{claim.Namespace}' but its credential belongs to '{caller.Namespace}'");
        if (claim.ServiceAccount.Length > 0 && claim.ServiceAccount != caller.ServiceAccount)
            throw new GrpcException(GrpcCode.PermissionDenied, $"proxy claims service account '{claim.ServiceAccount}' but its credential belongs to '{caller.ServiceAccount}'");
        // A certificate does not name its owner's cluster. The cluster in this header reviewed a token.
        if (client.Call.ClientCertificate is null)
        {
            var proven = client.Call.Header("clusterid") is { Length: > 0 } named ? named : settings.ClusterId;
            if (claim.Cluster.Length > 0 && claim.Cluster != proven)
                throw new GrpcException(GrpcCode.PermissionDenied, $"proxy claims cluster '{claim.Cluster}' but its token was reviewed by '{proven}'");
        }
        return await inner.OpenAsync(client, stop);
    }
}
