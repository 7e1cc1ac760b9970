using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks the endpoints of a destination, for a caller with a proxy and for one without.</summary>
internal sealed class EndpointsStep(TraceFacts facts, TraceRecord record, TraceCauses causes, TracedCall call, CandidateFinder finder, WaysStep ways,
    PodStep pods)
{
    /// <summary>What keeps all endpoints from being used when connections to them failed for a reason of their own.</summary>
    internal const string AllEjected = "outlier detection ejected all endpoints";

    public void WalkCluster(OutboundChoice outbound, ClusterView cluster, int percent)
    {
        var (_, port, subset, fqdn) = ProxyTables.Split(cluster.Name);
        record.Ok("cluster", cluster.Name, ("kind", cluster.Kind), ("share", percent < 100 ? $"{percent} %" : ""),
            ("balancing", cluster.Balancing),
            ("destination rule", IstioMetadata.ConfigOf(cluster.Metadata?.FilterMetadata)),
            (HopFacts.UpgradeFact,
                cluster.IsHttp2 && DeclaredPort.Of(call) is { Protocol: Protocol.Http } ? "HTTP/2, by h2UpgradePolicy" : ""));
        if (outbound.View.Refusals.GetValueOrDefault(cluster.Name)?.Describe(RuleOf(cluster), facts.Client.ToString()) is { } refused)
            record.Warn("pool", "calls were refused a while ago", refused);
        var host = facts.Host(fqdn) ?? call.Host;
        var candidates = finder.Of(outbound.View, cluster);
        var usable = candidates.Where(candidate => candidate.IsUsable).ToList();
        if (candidates.Count == 0)
        {
            record.Fail("endpoints", "none", Unresolved(cluster, host)
                ?? causes.Endpoints.NoEndpoints(host, int.TryParse(port, out var number) ? number : call.Port, subset == "-" ? "" : subset, cluster.Name));
            return;
        }
        var capacity = new CapacityStep(facts, record, causes);
        var others = capacity.NotReady(host, subset == "-" ? "" : subset, candidates);
        var summary = $"{usable.Count} of {candidates.Count} are usable{(others > 0 ? $"; {others} more Pod{(others == 1 ? " is" : "s are")} not ready" : "")}";
        if (usable.Count == 0)
        {
            var at = record.Count;
            record.Warn("endpoints", summary, Faults.Of("ISM2040", $"cluster {cluster.Name}", "", candidates.Any(candidate => candidate.IsEjected)
                ? $"{AllEjected} {outbound.View.CountsOf(cluster.Name, candidates.Where(candidate => candidate.IsEjected).Select(candidate => candidate.Endpoint)).Why}"
                : "no endpoint is healthy", "check them with 'isthmus proxy-config endpoints', and the Pods behind them"),
                CandidateFinder.Addresses(candidates));
            ways.Walk(outbound, cluster, candidates, percent);
            // Connections failed for a reason. If that reason is found, it is the cause.
            record.FailUnlessLater(at);
            return;
        }
        var ejected = candidates.Where(candidate => candidate.IsEjected).ToList();
        if (ejected.Count > 0)
        {
            record.Warn("endpoints", summary,
                Faults.Of("ISM2041", $"cluster {cluster.Name}", "",
                    $"outlier detection ejected {string.Join(", ", ejected.Select(candidate => candidate.Endpoint.AddressText))} "
                        + $"{outbound.View.CountsOf(cluster.Name, ejected.Select(candidate => candidate.Endpoint)).Why}",
                "check the Pods or the gateway at these addresses"), CandidateFinder.Addresses(candidates));
        }
        else record.Ok("endpoints", summary, CandidateFinder.Addresses(candidates));
        if (cluster.IsByDestination && causes.Endpoints.Elsewhere(host, call.Port, RuleOf(cluster)) is { } elsewhere)
            record.Fail("endpoints", $"the address that is called, {call.Destination}", elsewhere);
        capacity.Walk(facts.Host(fqdn), int.TryParse(port, out var called) ? called : call.Port, subset == "-" ? "" : subset, cluster, candidates);
        ways.Walk(outbound, cluster, candidates, percent);
    }

    /// <summary>The proxy resolves names itself, and they have no address.</summary>
    private Problem? Unresolved(ClusterView cluster, MeshHost? host)
    {
        return !cluster.IsDns || cluster.Names is not { Count: > 0 } names ? null : causes.Endpoints.Unresolved(host, names);
    }

    private string RuleOf(ClusterView cluster) =>
        IstioMetadata.ConfigOf(cluster.Metadata?.FilterMetadata) is { Length: > 0 } rule ? $"{rule} in {facts.ConfigOf(facts.Home).Context}" : "";

    /// <summary>A connection without a proxy: the kernel's Service rules choose the Pod.</summary>
    public void WalkPlain()
    {
        if (PlainPods() is not { } callees) return;
        foreach (var callee in callees.Take(WaysStep.PodsPerWorkload))
        {
            record.BeginWay(
                $"{callee.Cluster.Context}{TraceRecord.NetworkText(callee.Cluster.NetworkOf(callee.Pod))}: Pod {callee.Pod.Key} at "
                    + $"{callee.Address}{(callees.Count > 1 ? $", one of {callees.Count} alike" : "")}",
                100 / Math.Min(callees.Count, WaysStep.PodsPerWorkload));
            record.Packets(causes.Packets.ToPod(callee));
            pods.Walk(null, callee, null);
        }
        record.EndWay();
    }

    /// <summary>The Pods that may be called; null when the call ends here, and the record says why.</summary>
    private List<Callee>? PlainPods()
    {
        if (facts.PodAt(call.Destination.Address, "", facts.Home, facts.Home.NetworkOf(facts.ClientPod)) is { } direct)
            return [new(direct.Cluster, direct.Pod, call.Destination)];
        if (call.Host?.In(facts.Home) is not { } own)
        {
            if (call.Host is null || call.Host.Services.Count == 0)
                record.Add("outside", HopStatus.Unknown, $"{call.Destination} is not a Pod or Service in these clusters", null);
            else record.Fail("endpoints", $"{call.Destination} is not reachable without a proxy",
                causes.Hosts.Unrouted(call.Host, call.Port, call.Destination)
                    ?? Faults.Of("ISM2028", $"Service {call.Host.Namespace}/{call.Host.Name}", "",
                        $"does not exist in {facts.Home.Context}, so only a sidecar could reach it",
                        $"{Sidecarless.Of(facts.Home, facts.ClientPod).Remedy}; or create the Service in {facts.Home.Context} as well, with Pods of its own"));
            return null;
        }
        if (own.Port(call.Port) is not { } port)
        {
            record.Fail("service", $"{call.Destination}", causes.Hosts.Unrouted(call.Host, call.Port, call.Destination)!);
            return null;
        }
        var found = own.Callees(port);
        if (found.Count == 0)
        {
            causes.Needs.NeedPods(own.Service.Metadata.Namespace);
            record.Fail("endpoints", "none", causes.Endpoints.NoEndpoints(call.Host, call.Port, "", ""));
            return null;
        }
        record.Ok("service", $"{own.Name} → {found.Count} Pods", ("by", "the kernel's Service rules"));
        new CapacityStep(facts, record, causes).WalkPlain(own);
        return found;
    }
}
