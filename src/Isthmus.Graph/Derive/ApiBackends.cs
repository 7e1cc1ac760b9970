using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Graph.Derive;

/// <summary>Finds the hosts that references to backends mean.</summary>
/// <param name="services">The hosts of the mesh.</param>
/// <param name="aliases">Names that stand for other hosts.</param>
/// <param name="grants">The permissions to refer to objects of a namespace, by its cluster and name.</param>
/// <param name="multiCluster">Says whether imports have hosts.</param>
internal sealed class ApiBackends(Live<string, MeshService> services, Live<string, HostAlias> aliases,
    Live<(string Cluster, string Namespace), ValueList<ReferenceGrant>> grants, MultiClusterSettings multiCluster)
{
    private const string Istio = "networking.istio.io", MultiCluster = "multicluster.x-k8s.io";

    /// <param name="read">Reads the graph.</param>
    /// <param name="route">Has the reference.</param>
    /// <param name="to">The reference.</param>
    /// <param name="needsGrant">Whether references to other namespaces need a grant.</param>
    public BackendTarget TargetOf(Reader read, ApiRoute route, ApiReference to, bool needsGrant)
    {
        if (needsGrant && !ReferenceGrants.Permit(route.Source, to, read.Get(grants, (route.Source.Cluster, to.Namespace))))
            return BackendTarget.Missing("RefNotPermitted",
                $"{Name(to)} may not be used from namespace {route.Namespace}: no ReferenceGrant of {to.Namespace} permits it"
                    + GrantMiss.After(ReferenceGrants.Nearest(route.Source, to, read.Get(grants, (route.Source.Cluster, to.Namespace))
                        .Concat(read.Get(grants, (route.Source.Cluster, route.Namespace))))));
        return (to.Group, to.Kind) switch
        {
            ("", "Service") => Host(read, route, to, $"{to.Name}.{to.Namespace}.svc.{WellKnown.DefaultDomainSuffix}"),
            (Istio, "Hostname") when to.Namespace != route.Namespace => BackendTarget.Missing("InvalidKind", $"{Name(to)}: a Hostname has no namespace"),
            (Istio, "Hostname") => Host(read, route, to, to.Name, route.Namespace),
            // Without hosts of imports, those of Services span the clusters.
            (MultiCluster, "ServiceImport") => Host(read, route, to, multiCluster.Host ? MultiClusterSettings.HostOf(to.Name, to.Namespace)
                : $"{to.Name}.{to.Namespace}.svc.{WellKnown.DefaultDomainSuffix}"),
            _ => BackendTarget.Missing("InvalidKind", $"{Name(to)}: backends of kind {(to.Group.Length > 0 ? $"{to.Group}/" : "")}{to.Kind} are not supported"),
        };
    }

    private BackendTarget Host(Reader read, ApiRoute route, ApiReference to, string host, string? caller = null)
    {
        var service = read.Get(services, read.Get(aliases, host)?.Target ?? host);
        if (service is null && read.Get(aliases, host) is null) return BackendTarget.Missing("BackendNotFound", IsImport(to) && multiCluster.Host
                ? $"{Name(to)} does not exist: no cluster exports the Service" : $"{Name(to)} does not exist");
        if (service is not null && caller is not null && !service.VisibleTo(caller))
            return BackendTarget.Missing("BackendNotFound", $"{Name(to)} is not exported to namespace {caller}");
        if (to.Port == 0) return BackendTarget.Missing("BackendNotFound", $"{Name(to)}: port is required");
        if (service is not null && service.Ports.All(port => port.Number != to.Port))
            return BackendTarget.Missing("BackendNotFound", $"{Name(to)} has no port {to.Port}");
        var isUdp = route.Source.Kind == "UDPRoute";
        if (service is not null && service.Ports.Where(port => port.Number == to.Port).All(port => (port.Protocol == Protocol.Udp) != isUdp))
            return BackendTarget.Missing("UnsupportedProtocol",
                $"{Name(to)}: port {to.Port} is {(isUdp ? "not of" : "of")} protocol UDP, and a {route.Source.Kind} needs "
                    + $"{(isUdp ? "one that is" : "another one")}");
        return new(new(host, "", to.Port), null);
    }

    private static bool IsImport(ApiReference to) => to is { Group: MultiCluster, Kind: "ServiceImport" };

    private static string Name(ApiReference to) => $"{to.Kind} {to.Namespace}/{to.Name}";
}
