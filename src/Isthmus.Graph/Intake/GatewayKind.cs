using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>Gateways: the servers of gateway proxies.</summary>
public sealed class GatewayKind() : IstioObjectKind<Gateway>(MeshApi.Gateway)
{
    internal override Source<ObjectKey, Gateway> SourceIn(MeshSources sources) => sources.Gateways;

    internal override Reach ReachOf(Gateway value) =>
        Reach.OfHosts(value.Servers.SelectMany(server => server.HostNames)) with { IsAtGateways = true };
}
