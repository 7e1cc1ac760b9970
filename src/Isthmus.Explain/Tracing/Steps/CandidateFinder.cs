using System.Net;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Finds the endpoints of a destination, with what is known about where each one is.</summary>
internal sealed class CandidateFinder(TraceFacts facts, TraceCauses causes, TracedCall call)
{
    /// <summary>Endpoints that are not ready are left out: their Pods tell why.</summary>
    public List<EndpointCandidate> Of(ProxyView view, ClusterView cluster) =>
        [.. cluster.Shares(call.Destination, endpoint => view.IsEjected(cluster.Name, endpoint)).Select(one => Place(view, cluster, one.Endpoint, one.Share))];

    private EndpointCandidate Place(ProxyView view, ClusterView cluster, EndpointView endpoint, double share)
    {
        // An entry may name a Service of the caller's own cluster, as entries of the zone global do there.
        var service = endpoint.Address is IPEndPoint virtualIp
            && facts.Home.Services.FirstOrDefault(candidate => candidate.Spec.ClusterIP == virtualIp.Address.ToString()) is { } own
            ? new ServiceInCluster(facts.Home, own)
            : null;
        if (service is not null) return new(endpoint, share, view.IsEjected(cluster.Name, endpoint), null, null, service);
        var gateway = endpoint.Address is IPEndPoint address ? GatewayPlace.Find(facts, address) : null;
        // A gateway is also an endpoint of its own Service: only mesh traffic for others goes through it.
        if (gateway is not null && !endpoint.IsGateway
            && ProxyTables.Split(cluster.Name).Host.StartsWith($"{gateway.Service?.Service.Metadata.Name}.", StringComparison.Ordinal))
            gateway = null;
        var pod = gateway is null && endpoint.Address is IPEndPoint ip
            ? facts.PodAt(ip.Address, endpoint.Workload.Cluster, facts.Home, facts.Home.NetworkOf(facts.ClientPod))
            : null;
        var host = ProxyTables.Split(cluster.Name).Host;
        var entry = pod is null && gateway is null ? facts.EntryOf(endpoint.Address, host) ?? WrittenEndpoint.Of(facts, endpoint.Address, host) : null;
        if (pod is null && gateway is null && endpoint.Workload.Namespace.Length > 0) causes.Needs.NeedPods(endpoint.Workload.Namespace);
        if (pod is null && gateway is null && endpoint.Address is IPEndPoint outer && Entrances.At(facts, causes.Needs, outer) is { } entrance)
            return new(endpoint, share, view.IsEjected(cluster.Name, endpoint), null, null, entrance) { Entry = entry };
        return new(endpoint, share, view.IsEjected(cluster.Name, endpoint),
            gateway
                ?? (endpoint.IsGateway && entry is null && pod is null && MayBeElsewhere(host)
                    && endpoint.Address is IPEndPoint unknown
                    ? new GatewayPlace(null, null, unknown, "another network", "known to the control plane only", "")
                    : null),
            pod, null) { Entry = entry };
    }

    /// <summary>Whether endpoints of a host can be in another network: those of ServiceEntries are where these say.</summary>
    private bool MayBeElsewhere(string host) => facts.Host(host) is not { Services.Count: 0, Entries: [_, ..] entries }
        || entries.Any(entry => entry.WorkloadSelector.Count > 0 || entry.Endpoints.Any(endpoint => endpoint.Network.Length > 0));

    /// <summary>The first candidates, with their state, as details of a hop.</summary>
    public static (string, string)[] Addresses(IEnumerable<EndpointCandidate> candidates) =>
        [.. candidates.Take(8).Select(candidate => (candidate.Endpoint.AddressText,
            $"{(candidate.IsEjected ? "ejected by outlier detection" : candidate.Endpoint.Health)}, {candidate.Share * 100:0} %"
            + (candidate.Endpoint.Locality.Length > 0 ? $", {candidate.Endpoint.Locality}" : "")
            + (candidate.Endpoint.Priority > 0 ? $", priority {candidate.Endpoint.Priority}" : "")
            + (candidate.Gateway is { } gateway ? $", gateway of {gateway.Network}" : candidate.Pod is { } pod ? $", {pod.Cluster.Context}" : "")))];
}
