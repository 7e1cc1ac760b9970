using Isthmus.ControlPlane.Ca;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>Opens a feed of the engine for each proxy that connects, with what its caller has proven.</summary>
public sealed class MeshFeeds(PushEngine engine) : IXdsFeeds
{
    public ValueTask<IXdsFeed> OpenAsync(XdsClientHello client, CancellationToken stop)
    {
        var locality = client.Node.Locality is { } given ? new Locality(given.Region, given.Zone, given.SubZone) : Locality.Unknown;
        return ProxyIdentity.TryRead(client.Node.Id, client.Node.Metadata, locality, out var error) is { } proxy
            ? ValueTask.FromResult<IXdsFeed>(engine.Connect(proxy with { Proof = (client.Call.Caller as Caller)?.Proof }))
            : throw new GrpcException(GrpcCode.InvalidArgument, error);
    }
}
