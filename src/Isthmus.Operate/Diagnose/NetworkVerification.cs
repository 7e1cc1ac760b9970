using System.Net;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using static Isthmus.Operate.Diagnose.MeshVerification;

namespace Isthmus.Operate.Diagnose;

/// <summary>Checks of networks: their names, the gateways between them, and their address ranges.</summary>
internal static class NetworkVerification
{
    /// <summary>What clusters that are one mesh say of their networks.</summary>
    internal static IEnumerable<Check> Of(List<ClusterFacts> installed) => Entries(installed).Concat(NetworkNames(installed)).Concat(Ranges(installed));

    /// <summary>An east-west gateway by itself.</summary>
    internal static Check Gateway(ClusterFacts cluster, GatewayFacts gateway) => new(cluster.Context, "gateway",
        $"{gateway.Name} of {gateway.Network} at "
            + $"{(gateway.Addresses.IsEmpty ? gateway.OnNodes ? "its nodes" : "no address" : string.Join(",", gateway.Addresses))}",
        (Fault(cluster.Context, gateway, cluster.Gateways) ?? gateway.Stranger) is not { } problem ? null
            : problem with { Object = $"{problem.Object} in {cluster.Context}" });

    /// <summary>Why no other network enters by a gateway; null where one can, as far as the gateway itself tells.</summary>
    /// <param name="context">Of its cluster.</param>
    /// <param name="gateway">The gateway.</param>
    /// <param name="all">The gateways of the cluster.</param>
    internal static Problem? Fault(string context, GatewayFacts gateway, IEnumerable<GatewayFacts> all)
    {
        var (service, ns, name) = ($"Service {gateway.Name}", gateway.Name.Split('/')[0], gateway.Name.Split('/')[1]);
        if (gateway.Addresses.IsEmpty && !gateway.OnNodes)
            return gateway.Type == "LoadBalancer"
                ? new("ISM1005", service, "", "has no external address, so other networks cannot reach this one",
                    "give the cluster a load balancer, or set spec.externalIPs")
                : new("ISM1005", service, "", $"spec.type is {gateway.Type}, so it has no external address, and other networks cannot reach this one",
                    $"kubectl --context={context} -n {ns} patch service {name} -p '{{\"spec\":{{\"type\":\"LoadBalancer\"}}}}', or set spec.externalIPs");
        if (gateway.ReadyEndpoints == 0)
            return Replaced(context, gateway, all, gateway.ScaledToZero.Split('/') is [var zeroNs, var zero]
                ? new("ISM1006", $"Deployment {gateway.ScaledToZero}", "", $"spec.replicas is 0, so Service {gateway.Name} has no Pods",
                    $"kubectl --context={context} -n {zeroNs} scale deployment {zero} --replicas=1")
                : gateway.Refused is { } refused
                ? new("ISM1006", $"Deployment {refused.Deployment}", "", $"has no Pods for Service {gateway.Name}: {refused.Why}", refused.Remedy)
                : gateway.SelectsNothing.Length > 0
                ? new("ISM1006", service, "", $"spec.selector {gateway.SelectsNothing} matches no Pod",
                    $"compare it with the labels of the gateway's Pods: kubectl --context={context} -n {ns} get pods --show-labels")
                : new("ISM1006", service, "", "has no ready Pods", $"kubectl --context={context} -n {ns} get deployments,pods"));
        if (gateway.HasPort) return null;
        return gateway.Port == Ports.EastWest
            ? new("ISM1007", service, "", $"has no port {Ports.EastWest}", $"add the port, or specify another with the label {Labels.GatewayPort}")
            : new("ISM1007", service, "", $"has no port {gateway.Port}, which its label {Labels.GatewayPort} names",
                $"kubectl --context={context} -n {ns} label service {name} {Labels.GatewayPort}-; or name a port that it has: {Ports.EastWest} is the default");
    }

    /// <summary>A gateway without Pods, which callers leave out, stops none of them while another one leads to its network.</summary>
    private static Problem Replaced(string context, GatewayFacts gateway, IEnumerable<GatewayFacts> all, Problem problem)
    {
        if (all.FirstOrDefault(other => other != gateway && other is { ReadyEndpoints: > 0, HasPort: true, Workload: "", Astray: null }
            && other.Network == gateway.Network && (other.OnNodes || !other.Addresses.IsEmpty)) is not { } working) return problem;
        var (ns, name) = (gateway.Name.Split('/')[0], gateway.Name.Split('/')[1]);
        return problem with
        {
            Severity = Severity.Warning,
            Message = $"{problem.Message}; calls of other networks come by Service {working.Name}",
            Remedy = gateway.SelectsNothing.Length == 0 ? problem.Remedy
                : $"if it is left over: kubectl --context={context} -n {ns} delete service {name}; otherwise {problem.Remedy}",
        };
    }

    /// <summary>Whether each network has a name, and others can enter it.</summary>
    private static IEnumerable<Check> Entries(List<ClusterFacts> installed)
    {
        var networks = installed.Select(cluster => cluster.NetworkLabel).Distinct().ToList();
        foreach (var cluster in installed)
        {
            if (networks.Count > 1 && cluster.NetworkLabel.Length == 0)
            {
                yield return new(cluster.Context, "network", "not named",
                    Wrong("ISM1013", cluster, $"Namespace {cluster.SystemNamespace}", $"lacks the label {Labels.Network} while other clusters have it",
                    LabelNamespace(cluster, Meant(cluster) ?? "NAME")));
                continue;
            }
            yield return new(cluster.Context, "network",
                cluster.IsJoinedByNames ? "its own, joined by names" : cluster.NetworkLabel.Length == 0 ? "one for all" : cluster.NetworkLabel, null);
            if (networks.Count < 2) continue;
            if (cluster.WithoutAutoMtls.Length > 0 && !cluster.IsJoinedByNames)
                yield return new(cluster.Context, "network", "plain text",
                    Wrong(AutomaticTls.Code, cluster, cluster.WithoutAutoMtls,
                        "is false, so that proxies send plain text, and gateways of other networks pass mutual TLS of the mesh only",
                        AutomaticTls.Remedy) with
                    {
                        Path = AutomaticTls.Field, Severity = Severity.Warning,
                    });
            foreach (var gateway in cluster.Gateways.Where(gateway => gateway.Workload.Length > 0)) yield return Mislabelled(cluster, gateway);
            foreach (var gateway in cluster.Gateways.Where(gateway => gateway.SeesAllNetworks.Length > 0 && !cluster.IsJoinedByNames))
                yield return Wandering(cluster, gateway);
            if (Meant(cluster) is null && installed.All(other => other.Gateways.All(gateway => gateway.Network != cluster.NetworkLabel)))
                yield return Unlabelled(cluster, installed) ?? new(cluster.Context, "gateway", "none", OfOthers(cluster) ?? Wrong("ISM1014", cluster, "",
                    $"network {cluster.NetworkLabel} has no east-west gateway, so other networks cannot call it{Unnamed(cluster, installed)}",
                    $"samples/multicluster/gen-eastwest-gateway.sh --network {cluster.NetworkLabel} | isthmus install -y -f - --context={cluster.Context}; "
                    + $"or, with the Gateway API, create a Gateway of class istio-east-west with the label {Labels.Network}={cluster.NetworkLabel} "
                    + "(docs/guides/gateway-api-multi-network.md)"));
            if (cluster.ControlPlanes.Count > 0 && !cluster.ExposesServices) yield return new(cluster.Context, "exposed services", "none", Hidden(cluster));
        }
    }

    /// <summary>No Service has the label of the network, and all others know its gateways by meshNetworks; null where one does not.</summary>
    private static Check? Unlabelled(ClusterFacts cluster, List<ClusterFacts> installed)
    {
        var callers = Callers(cluster, installed);
        return callers.Count == 0 || !callers.TrueForAll(other => other.GivenGateways.ContainsKey(cluster.NetworkLabel)) ? null
            : new(cluster.Context, "gateway", $"of {cluster.NetworkLabel} at {callers[0].GivenGateways[cluster.NetworkLabel]}, by meshNetworks of "
                + string.Join(", ", callers.Select(other => other.Context)), null);
    }

    /// <summary>Which clusters do not name it in meshNetworks, where others do.</summary>
    private static string Unnamed(ClusterFacts cluster, List<ClusterFacts> installed) =>
        Callers(cluster, installed).ToLookup(other => other.GivenGateways.ContainsKey(cluster.NetworkLabel)) is var named && named.Contains(true)
            ? $"; meshNetworks of {string.Join(", ", named[true].Select(other => other.Context))} names one, and of "
                + $"{string.Join(", ", named[false].Select(other => other.Context))} none" : "";

    /// <summary>The clusters of other networks whose control planes tell callers of gateways.</summary>
    private static List<ClusterFacts> Callers(ClusterFacts cluster, List<ClusterFacts> installed) =>
        [.. installed.Where(other => other.NetworkLabel != cluster.NetworkLabel && other.ControlPlanes.Count > 0 && !other.IsJoinedByNames)];

    /// <summary>No Gateway passes calls of other networks on to the services of a cluster.</summary>
    private static Problem Hidden(ClusterFacts cluster)
    {
        var problem = Hidden(cluster.Context, cluster.NetworkLabel, cluster.NearlyExposing);
        return problem with { Object = problem.Object.Length == 0 ? $"cluster {cluster.Context}" : $"{problem.Object} in {cluster.Context}" };
    }

    /// <summary>The same, with an object only where one comes near.</summary>
    internal static Problem Hidden(string context, string network, NearServer? near)
    {
        const string none = "none of Istio's has AUTO_PASSTHROUGH, and none of the Gateway API passes connections on by SNI";
        var remedy = $"kubectl --context={context} apply -n istio-system -f samples/multicluster/expose-services.yaml; "
            + $"or, if its gateway is of class istio-east-west, give that the label {Labels.Network}={network} "
            + $"and a listener with port {Ports.EastWest}, protocol TLS and tls.mode Passthrough";
        if (near is null) return new("ISM1015", "", "", $"no Gateway exposes its services to other networks: {none}", remedy);
        remedy = $"set {near.Field} of {near.Gateway} to AUTO_PASSTHROUGH, if it is meant for that; or: {remedy}";
        return near.IsOfPort
            ? new("ISM1015", near.Gateway, near.Field, $"is {near.Mode}, and no Gateway exposes services of {context} to other networks: {none}", remedy)
            : new("ISM1015", "", "", $"no Gateway exposes its services to other networks: {none}; the nearest is {near.Gateway}, whose {near.Field} is "
                + near.Mode, remedy);
    }

    /// <summary>The cluster has a gateway with the label of another's network, as one of a file that was copied; null for none.</summary>
    private static Problem? OfOthers(ClusterFacts cluster) => cluster.Gateways.FirstOrDefault(gateway => gateway.Workload.Length == 0) is not { } gateway ? null
        : Wrong("ISM1014", cluster, $"Service {gateway.Name}",
            $"its label {Labels.Network} is {gateway.Network}, and no gateway has {cluster.NetworkLabel}, the network of the cluster: "
                + "other networks cannot call it",
            $"kubectl --context={cluster.Context} -n {gateway.Name.Split('/')[0]} label service {gateway.Name.Split('/')[^1]} "
                + $"{Labels.Network}={cluster.NetworkLabel} --overwrite");

    /// <summary>Other networks send their calls to workloads that pass nothing on.</summary>
    private static Check Mislabelled(ClusterFacts cluster, GatewayFacts gateway) =>
        new(cluster.Context, "gateway", $"{gateway.Name} is none", Wrong("ISM1041", cluster, $"Service {gateway.Name}",
            $"its label {Labels.Network} makes it an entry point of network {gateway.Network}, and its Pods are workloads, not gateways: calls of other "
                + "networks that it gets fail",
            $"kubectl --context={cluster.Context} -n {gateway.Name.Split('/')[0]} label service {gateway.Name.Split('/')[^1]} {Labels.Network}-"));

    /// <summary>Its calls may go back to the network that they came from, from gateway to gateway.</summary>
    private static Check Wandering(ClusterFacts cluster, GatewayFacts gateway) =>
        new(cluster.Context, "gateway", $"{gateway.Name} leads to other networks, too",
        Wrong("ISM1039", cluster, $"Pod {gateway.Name.Split('/')[0]}/{gateway.SeesAllNetworks}",
            $"calls that enter network {gateway.Network} here may go on to another network, and back",
            $"set {NetworkGatewayReader.NetworkView}={gateway.Network} in its env; for a Gateway that the mesh deploys, give it the label "
                + $"{Labels.Network}={gateway.Network}")
        with { Severity = Severity.Warning });

    /// <summary>Gateways and proxies must have the same network as the cluster that they are in.</summary>
    private static IEnumerable<Check> NetworkNames(List<ClusterFacts> installed)
    {
        foreach (var cluster in installed.Where(cluster => cluster.NetworkLabel.Length > 0 && !cluster.IsJoinedByNames))
        {
            if (Meant(cluster) is { } meant)
            {
                yield return new(cluster.Context, "network", cluster.NetworkLabel, Wrong("ISM1017", cluster, $"Namespace {cluster.SystemNamespace}",
                    $"its label {Labels.Network} is {cluster.NetworkLabel}, but gateways and proxies of the cluster use {meant}, so Pods are assigned to a "
                        + $"network without a gateway",
                    LabelNamespace(cluster, meant)));
                continue;
            }
            foreach (var gateway in cluster.Gateways.Where(gateway => gateway.Network != cluster.NetworkLabel
                && installed.All(other => other.NetworkLabel != gateway.Network)))
            {
                yield return new(cluster.Context, "gateway", $"{gateway.Name} of {gateway.Network}", Wrong("ISM1016", cluster, $"Service {gateway.Name}",
                    $"its label {Labels.Network} is {gateway.Network}, but no cluster is in that network; the namespace of its control plane has "
                        + $"{cluster.NetworkLabel}",
                    $"kubectl --context={cluster.Context} -n {gateway.Name.Split('/')[0]} label service {gateway.Name.Split('/')[^1]} "
                        + $"{Labels.Network}={cluster.NetworkLabel} --overwrite"));
            }
            foreach (var network in cluster.ProxyNetworks.Where(network => network.Length > 0 && network != cluster.NetworkLabel))
            {
                // Where other proxies are in the network of the namespace, that is not what is wrong.
                yield return new(cluster.Context, "network", network, cluster.ProxyNetworks.Contains(cluster.NetworkLabel)
                    ? Wrong("ISM1017", cluster, "", $"some proxies of namespace {cluster.SystemNamespace} were started with network {network}, others with "
                        + $"{cluster.NetworkLabel}, the network of the cluster: a label {Labels.Network} of their Pods says so, or an older installation",
                        "'isthmus analyze' names the Pods (ISM1481): remove the label from their template, or restart them")
                    : Wrong("ISM1017", cluster, $"Namespace {cluster.SystemNamespace}",
                        $"its label {Labels.Network} is {cluster.NetworkLabel}, but proxies were started with {network} (values.global.network)",
                        "set both to the same value, then restart the workloads"));
            }
        }
    }

    /// <summary>The network that all gateways and proxies of a cluster use when its label names another network or is
    /// missing.</summary>
    private static string? Meant(ClusterFacts cluster)
    {
        var said = cluster.Gateways.Select(gateway => gateway.Network).Concat(cluster.ProxyNetworks).Where(network => network.Length > 0).Distinct().ToList();
        return said is [var one] && one != cluster.NetworkLabel && !cluster.IsJoinedByNames ? one : null;
    }

    private static string LabelNamespace(ClusterFacts cluster, string network) =>
        $"kubectl --context={cluster.Context} label namespace {cluster.SystemNamespace} {Labels.Network}={network} --overwrite";

    /// <summary>Within one network, an address may belong to only one Pod.</summary>
    private static IEnumerable<Check> Ranges(List<ClusterFacts> installed)
    {
        foreach (var network in installed.Where(cluster => !cluster.IsJoinedByNames).GroupBy(cluster => cluster.NetworkLabel, StringComparer.Ordinal)
            .Where(group => group.Count() > 1))
        {
            var ranges = network.SelectMany(cluster => cluster.PodRanges.Select(text => (Cluster: cluster,
                Range: Cidr.TryParse(text, out var range) ? range : (Cidr?)null)))
                .Where(entry => entry.Range is not null).ToList();
            foreach (var cluster in network)
            {
                var clash = ranges.Where(entry => entry.Cluster == cluster).SelectMany(own => ranges.TakeWhile(entry => entry.Cluster != cluster)
                    .Where(entry => entry.Range!.Value.Contains(own.Range!.Value.Base) || own.Range.Value.Contains(entry.Range.Value.Base))
                    .Select(entry => (Own: own.Range, Other: entry)))
                    .FirstOrDefault();
                if (clash.Own is null) continue;
                yield return new(cluster.Context, "address ranges", $"{clash.Own}",
                    Wrong("ISM1030", cluster, "",
                        $"its Pods have addresses of {clash.Own}, and those of {clash.Other.Cluster.Context} of {clash.Other.Range}, although both are in "
                            + $"{(network.Key.Length == 0 ? "one network" : $"network {network.Key}")}",
                    $"give the clusters ranges that do not overlap, or put them in different networks (label {Labels.Network}) with gateways between"));
            }
        }
    }
}
