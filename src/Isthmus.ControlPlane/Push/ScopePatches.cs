using Google.Protobuf;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>The patches of EnvoyFilters on the resources that the proxies of a scope share.</summary>
internal sealed class ScopePatches
{
    private readonly PatchedSet? _listeners, _routes, _clusters;

    /// <param name="patches">The patches.</param>
    /// <param name="hosts">The hosts of the workload that an inbound cluster leads to.</param>
    private ScopePatches(PatchSet patches, Func<string, IReadOnlyCollection<string>> hosts)
    {
        if (patches.TouchesListeners)
            _listeners = new(item => Encode(item, TypeUrls.Listener, patches.Apply(Listener.Parser.ParseFrom(item.Body.Value))),
                [.. patches.AddedListeners.Select(made => EncodedResource.Of(TypeUrls.Listener, made.Name, made))]);
        if (patches.TouchesRoutes)
            _routes = new(item => Encode(item, TypeUrls.Route, patches.Apply(RouteConfiguration.Parser.ParseFrom(item.Body.Value))), []);
        if (patches.TouchesClusters)
            _clusters = new(item => Encode(item, TypeUrls.Cluster, patches.Apply(Cluster.Parser.ParseFrom(item.Body.Value), hosts(item.Name))),
                [.. patches.AddedClusters.Select(made => EncodedResource.Of(TypeUrls.Cluster, made.Name, made))]);
    }

    /// <summary>For calls to other hosts, or for a gateway; null when no EnvoyFilter patches these.</summary>
    public static ScopePatches? Of(ProxyKind kind, ValueList<EnvoyPatch> patches) =>
        PatchSet.Of(patches, kind == ProxyKind.Sidecar ? PatchContext.SidecarOutbound : PatchContext.Gateway) is { } own ? new(own, _ => []) : null;

    /// <summary>Null when no EnvoyFilter patches the scope.</summary>
    public static ScopePatches? Of(InboundScope scope) =>
        PatchSet.Of(scope.Patches, PatchContext.SidecarInbound) is { } patches ? new(patches, cluster => HostsOf(scope, cluster)) : null;

    public ResourceSet Listeners(ResourceSet made) => _listeners?.Of(made) ?? made;

    public ResourceSet Routes(ResourceSet made) => _routes?.Of(made) ?? made;

    public ResourceSet Clusters(ResourceSet made) => _clusters?.Of(made) ?? made;

    private static List<string> HostsOf(InboundScope scope, string cluster) =>
        [.. scope.Ports.Where(port => ResourceNames.Inbound(port.Port) == cluster).SelectMany(port => port.Hosts).Select(host => host.Hostname)];

    private static XdsResource? Encode(XdsResource item, string type, IMessage? message) =>
        message is null ? null : EncodedResource.Of(type, item.Name, message);
}
