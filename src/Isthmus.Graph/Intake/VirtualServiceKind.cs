using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Live;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>VirtualServices: the routes to hosts.</summary>
public sealed class VirtualServiceKind() : IstioObjectKind<VirtualService>(MeshApi.VirtualService)
{
    /// <summary>VirtualServices with their delegates merged in, and all else that declares routes: they are one collection.</summary>
    internal override Source<ObjectKey, VirtualService> SourceIn(MeshSources sources) => sources.VirtualServices;

    internal override Reach ReachOf(VirtualService value) =>
        Reach.OfHosts(value.Hosts.Count > 0 ? value.Hosts : Destinations(value)) with { IsAtGateways = !value.ForSidecars && value.Hosts.Count > 0 };

    /// <summary>A delegate has no hosts.</summary>
    private static IEnumerable<string> Destinations(VirtualService value) =>
        value.Http.SelectMany(route => route.Destinations).Select(to => to.Destination.Host);
}
