using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>What is wrong with the gateway of a network that is a Gateway of the Gateway API.</summary>
internal sealed class ApiGatewayCauses(TraceFacts facts)
{
    /// <summary>Why no Service leads to a network although a Gateway has its label; null when none has.</summary>
    public Problem? WithoutService(string network, ClusterObjects cluster)
    {
        if (cluster.ApiGateways.FirstOrDefault(candidate => candidate.Labels.GetValueOrDefault(Labels.Network) == network) is not { } gateway) return null;
        var name = NameOf(gateway, cluster);
        if (GatewayNaming.BoundService(gateway) is (var ns, { Length: > 0 } service))
        {
            return Faults.Of("ISM1014", name, "spec.addresses",
                $"is for network {network}, but the Service that it names lacks the label {Labels.Network}={network}, by which control planes find it",
                $"kubectl --context={cluster.Context} -n {ns} label service {service} {Labels.Network}={network} --overwrite");
        }
        // They take the place of the Gateway's own labels.
        var asked = gateway.Infrastructure.Labels;
        if (asked.Count > 0 && asked.GetValueOrDefault(Labels.Network) != network)
        {
            return Faults.Of("ISM1014", name, $"spec.infrastructure.labels[{Labels.Network}]",
                $"is not {network}: the Gateway's Service gets these labels instead of the Gateway's own, so no Service leads to network {network}",
                $"set it to {network}");
        }
        return Faults.Of("ISM1014", name, "status", $"is for network {network}, but no Service with this label was made for it", Look(gateway, cluster));
    }

    /// <summary>Why the proxy of a Gateway opens no port to pass connections on; null when the Pod serves no Gateway of the Gateway API.</summary>
    public Problem? WithoutListener(ClusterObjects cluster, Pod pod, int port)
    {
        var reference = PodRef.Of(cluster, pod);
        if (Served(cluster, pod) is not var (gateway, at))
        {
            return pod.Metadata.Labels.GetValueOrDefault(GatewayNaming.GatewayLabel) is not { Length: > 0 } label ? null
                : Faults.Of("ISM1015", $"Gateway {pod.Metadata.Namespace}/{label} in {cluster.Context}", "",
                    $"does not exist, or you may not read it, so it is not known why its {reference} opens no port {port}",
                    $"kubectl --context={cluster.Context} -n {pod.Metadata.Namespace} get {MeshApi.ApiGateway}");
        }
        var name = NameOf(gateway, at);
        var passing = gateway.Listeners.Where(gateway.PassesByName).ToList();
        if (passing.Count == 0)
        {
            var label = gateway.Labels.ContainsKey(Labels.Network) ? "" : $", and give the Gateway the label {Labels.Network}={Network(cluster, pod)}";
            return Faults.Of("ISM1015", name, "spec.listeners",
                $"has no listener that passes connections on to the service that their SNI names, so {reference} does not do it at port {port}",
                $"add a listener with port {gateway.PassingPort}, protocol TLS and tls.mode Passthrough{label}");
        }
        return passing.Exists(listener => listener.Port == port)
            ? SwitchedOff(facts, cluster, pod, name) ?? Faults.Of("ISM2054", reference.ToString(), "", $"its proxy has not received {name}",
                $"isthmus proxy-status --context={cluster.Context}; {Look(gateway, at)}")
            : Faults.Of("ISM2053", name, "spec.listeners[*].port",
                $"passes connections on at {string.Join(", ", passing.Select(listener => listener.Port))}, but calls arrive at {port}",
                $"add a listener with port {port}, protocol TLS, tls.mode Passthrough and the option {ApiGateway.PassOption}: {ApiGateway.PassValue}");
    }

    /// <summary>Why such a Gateway does not lead to a control plane; null when a route is attached to a listener of the port, or nothing is known of the
    /// Gateway.</summary>
    public Problem? WithoutWay(ClusterObjects cluster, Pod pod, int port, string to)
    {
        if (Served(cluster, pod) is not var (gateway, at)) return null;
        var listeners = gateway.Listeners.Where(listener => listener.Port == port).ToList();
        if (listeners.Exists(listener => at.IsRouted(gateway, listener.Name))) return null;
        const string route = "a TLSRoute to the Service of the control plane (docs/guides/gateway-api-primary-remote.md)";
        return listeners.Count == 0
            ? Faults.Of("ISM1019", NameOf(gateway, at), "spec.listeners", $"has no listener at port {port}, so proxies in other clusters do not reach the {to}",
                $"add a listener with port {port}, protocol TLS and tls.mode Passthrough, and {route}")
            : Faults.Of("ISM1019", NameOf(gateway, at), $"spec.listeners[{listeners[0].Name}]",
                $"has no route that is attached to it, so proxies in other clusters do not reach the {to}", $"attach {route}; {Look(gateway, at)}");
    }

    /// <summary>Whether a Pod serves such a Gateway with a listener that passes connections on.</summary>
    public bool Passes(ClusterObjects cluster, Pod pod) => Served(cluster, pod) is var (gateway, _) && gateway.Listeners.Any(gateway.PassesByName);

    /// <summary>Why such a Gateway does not pass on calls of a host; null when its listeners allow it.</summary>
    public Problem? WithoutHost(ClusterObjects cluster, Pod pod, string host)
    {
        if (Served(cluster, pod) is not var (gateway, at)) return null;
        var allowed = gateway.Listeners.Where(gateway.PassesByName).Select(listener => listener.Hostname).ToList();
        return allowed.Exists(name => name.Length == 0 || Hosts.Covers(name, host)) ? null
            : Faults.Of("ISM2055", NameOf(gateway, at), "spec.listeners[*].hostname", $"allows {string.Join(", ", allowed)}, but not {host}",
                host.EndsWith(".local", StringComparison.Ordinal) ? "set it to *.local, or remove it" : $"remove it, or add such a listener for {host}");
    }

    /// <summary>The Gateway that a Pod serves, of the cluster itself or of its primaries; null for none.</summary>
    private (ApiGateway Gateway, ClusterObjects At)? Served(ClusterObjects cluster, Pod pod)
    {
        foreach (var at in facts.ControlPlanesOf(cluster).Select(plane => plane.Config).Distinct())
            if (at.ApiGateways.FirstOrDefault(gateway => Serves(gateway, cluster, pod)) is { } found) return (found, at);
        return null;
    }

    /// <summary>The Service at which calls of a Gateway enter; null when there is none.</summary>
    public static Service? ServiceOf(string ns, string name, ClusterObjects cluster)
    {
        if (cluster.ApiGateways.FirstOrDefault(gateway => gateway.Namespace == ns && gateway.Name == name) is not { } known) return null;
        return GatewayNaming.BoundService(known) is var (at, bound) ? cluster.Service(at, bound)
            : cluster.Services.FirstOrDefault(service => service.Metadata.Namespace == ns
                && service.Metadata.Labels.GetValueOrDefault(GatewayNaming.GatewayLabel) == GatewayNaming.LabelOf(name));
    }

    /// <summary>Why a Gateway has no Service at which calls enter; null when there is no such Gateway.</summary>
    public static Problem? WithoutService(string ns, string name, ClusterObjects cluster)
    {
        if (cluster.ApiGateways.FirstOrDefault(gateway => gateway.Namespace == ns && gateway.Name == name) is not { } known) return null;
        if (!cluster.Knows(MeshApi.GatewayClass) || GatewayClasses.ControllerOf(known, cluster.ClassOf(known)) is not null)
            return Faults.Of("ISM1037", NameOf(known, cluster), "status", "has no Service, so that no call from outside enters there", Look(known, cluster));
        var ours = string.Join(", ", GatewayClasses.BuiltIn.Where(built => GatewayClasses.Deploys(built.Controller)).Select(built => built.Name));
        return Faults.Of("ISM1037", NameOf(known, cluster), "spec.gatewayClassName",
            cluster.ClassOf(known) is { } other ? $"is {known.Class}, a class of {other.Controller}: the mesh does not serve the Gateway"
                : $"is {known.Class}, and there is no GatewayClass with this name: nobody serves the Gateway",
            $"write one of {ours}");
    }

    /// <summary>A variable keeps the control planes of a gateway from the Gateway API; null when none does, or they do what it needs.</summary>
    public static Problem? SwitchedOff(TraceFacts facts, ClusterObjects cluster, Pod pod, string gateway)
    {
        var all = facts.ControlPlanesOf(cluster).SelectMany(plane => plane.Deployments.Select(one => (plane.At, Deployment: one))).ToList();
        var revision = ClusterObjects.RevisionOf(pod);
        var own = all.FindAll(one => revision.Length > 0 && one.Deployment.Metadata.Labels.GetValueOrDefault(Labels.Revision) == revision);
        if (ControlPlaneDeployment.WithoutGatewayApi([.. (own.Count > 0 ? own : all).Select(one => one.Deployment)]) is not var (deployment, variable, lack))
            return null;
        var at = all.Find(one => one.Deployment == deployment).At;
        return Faults.Of("ISM2159", $"Deployment {deployment.Key} in {at.Context}", $"spec.template.spec.containers[*].env[{variable}]",
            $"is false: this control plane {lack}, and {gateway} is not served", $"kubectl --context={at.Context} -n {deployment.Metadata.Namespace} set env "
                + $"deployment/{deployment.Metadata.Name} {variable}-; and remove it from the values of the installation (pilot.env)");
    }

    public static bool Serves(ApiGateway gateway, ClusterObjects cluster, Pod pod) => GatewayNaming.BoundService(gateway) is var (ns, name)
        ? cluster.Service(ns, name) is { } bound && cluster.Behind(bound).Contains(pod)
        : gateway.Namespace == pod.Metadata.Namespace
            && pod.Metadata.Labels.GetValueOrDefault(GatewayNaming.GatewayLabel) == GatewayNaming.LabelOf(gateway.Name);

    private static string Network(ClusterObjects cluster, Pod pod) => cluster.NetworkOf(pod) is { Length: > 0 } network ? network : "NAME";

    private static string NameOf(ApiGateway gateway, ClusterObjects at) => $"Gateway {gateway.Namespace}/{gateway.Name} in {at.Context}";

    /// <summary>Its conditions say what keeps it from being served.</summary>
    private static string Look(ApiGateway gateway, ClusterObjects at) =>
        $"its conditions say why: kubectl --context={at.Context} -n {gateway.Namespace} get {MeshApi.ApiGateway} {gateway.Name} -o yaml";
}
