using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks the endpoints of a destination, for a caller with a proxy and for one without.</summary>
internal sealed class EndpointsStep(TraceFacts facts, TraceRecord record, TraceCauses causes, TracedCall call, CandidateFinder finder, WaysStep ways,
    PodStep pods)
{
    /// <summary>Services of one name that are two applications.</summary>
    internal const string TwoOfOneName = "ISM2157";

    /// <summary>What keeps all endpoints from being used when connections to them failed for a reason of their own.</summary>
    internal const string AllEjected = "outlier detection ejected all endpoints";

    public void WalkCluster(OutboundChoice outbound, ClusterView cluster, int percent)
    {
        var (_, port, subset, fqdn) = ProxyTables.Split(cluster.Name);
        record.Ok("cluster", cluster.Name, ("kind", cluster.Kind), (HopFacts.ShareFact, percent < 100 ? $"{percent} %" : ""),
            ("balancing", cluster.Balancing), (HopFacts.ConnectFact, cluster.ConnectTimeout.ToString("g", System.Globalization.CultureInfo.InvariantCulture)),
            (HopFacts.DestinationRuleFact, IstioMetadata.ConfigOf(cluster.Metadata?.FilterMetadata)),
            (HopFacts.UpgradeFact,
                cluster.IsHttp2 && DeclaredPort.Of(call) is { Protocol: Protocol.Http } ? "HTTP/2, by h2UpgradePolicy" : ""));
        if (outbound.View.Refusals.GetValueOrDefault(cluster.Name)?.DescribeRule(IstioMetadata.ConfigOf(cluster.Metadata?.FilterMetadata),
            facts.ConfigOf(facts.Home), facts.Client.ToString(), " of this caller") is { } refused)
            record.Warn("pool", "calls were refused a while ago", refused);
        var host = facts.Host(fqdn) ?? call.Host;
        if (facts.Entry is not null && call.Kind == CallKinds.Grpc && !cluster.IsHttp2 && host is not null && int.TryParse(port, out var of)
            && DeclaredPort.Of(call with { Host = host, Port = of }) is { Protocol: Protocol.Http } declared)
            record.Fail("cluster", "the gateway speaks HTTP/1.1 there", Faults.Of("ISM2093", declared.Object, declared.Field,
                "declares HTTP, so the gateway speaks HTTP/1.1 to it, and the call is gRPC, which needs HTTP/2", declared.Declare("grpc")));
        var candidates = finder.Of(outbound.View, cluster);
        var usable = candidates.Where(candidate => candidate.IsUsable).ToList();
        if (candidates.Count == 0)
        {
            record.Fail("endpoints", "none", Routed(outbound, cluster, Nowhere(cluster, host)));
            return;
        }
        var capacity = new CapacityStep(facts, record, causes);
        var others = capacity.NotReady(host, subset == "-" ? "" : subset, candidates);
        var summary = $"{usable.Count} of {candidates.Count} {(usable.Count == 1 ? "is" : "are")} usable"
            + (others > 0 ? $"; {others} more Pod{(others == 1 ? " is" : "s are")} not ready" : "");
        if (usable.Count == 0)
        {
            var told = record.Count;
            record.Warn("endpoints", summary, Faults.Of("ISM2040", $"cluster {cluster.Name}", "", candidates.Any(candidate => candidate.IsEjected)
                ? $"{AllEjected} "
                    + outbound.View.CountsOf(cluster.Name, candidates.Where(candidate => candidate.IsEjected).Select(candidate => candidate.Endpoint)).Why
                    + Last(outbound.View, cluster.Name) + Detection(host, call.Port, subset == "-" ? "" : subset)
                : "no endpoint is healthy", $"check the Pods behind them: {facts.Client.Show("endpoints")}"
                    + EndpointCandidate.Correct(candidates.Where(candidate => candidate.IsEjected))),
                CandidateFinder.Addresses(candidates));
            ways.Walk(outbound, cluster, candidates, percent);
            // Connections failed for a reason. If that reason is found, it is the cause.
            record.FailUnlessLater(told);
            return;
        }
        var ejected = candidates.Where(candidate => candidate.IsEjected).ToList();
        if (ejected.Count > 0)
        {
            record.Warn("endpoints", summary,
                Faults.Of("ISM2041", $"cluster {cluster.Name}", "",
                    $"outlier detection ejected {string.Join(", ", ejected.Select(candidate => $"{candidate.Endpoint.AddressText}{candidate.Given}"))} "
                        + $"{outbound.View.CountsOf(cluster.Name, ejected.Select(candidate => candidate.Endpoint)).Why}{Last(outbound.View, cluster.Name)}",
                $"check the Pods or the gateway at these addresses{EndpointCandidate.Correct(ejected)}"), CandidateFinder.Addresses(candidates));
        }
        else record.Ok("endpoints", summary, CandidateFinder.Addresses(candidates));
        var at = record.Count - 1;
        if (usable.Count > 1 && host is not null) Alternating(host);
        if (cluster.IsByDestination && causes.Endpoints.Elsewhere(host, call.Port, RuleOf(cluster)) is { } elsewhere)
            record.Fail("endpoints", $"the address that is called, {call.Destination}", elsewhere);
        capacity.Walk(facts.Host(fqdn), int.TryParse(port, out var called) ? called : call.Port, subset == "-" ? "" : subset, cluster, candidates);
        // Why connections there failed says more than that they did.
        if (ways.Walk(outbound, cluster, candidates, percent) && ejected.Count > 0) record.Settle(at);
    }

    /// <summary>The Services of two clusters with the name of the host are two applications.</summary>
    private void Alternating(MeshHost host)
    {
        if (host.Services.Count < 2) return;
        causes.Needs.NeedPods(host.Namespace);
        var first = host.Services[0];
        foreach (var other in host.Services.Skip(1))
            if (TwoApplications.Says((first.Cluster.Context, first.Service, first.Pods), (other.Cluster.Context, other.Service, other.Pods)) is { } says)
            {
                record.Warn("endpoints", "are of two applications",
                    Faults.Of(TwoOfOneName, other.Name, "spec.selector", says, TwoApplications.Remedy(other.Service)));
                return;
            }
    }

    /// <summary>What takes endpoints out, and for how long; empty when no DestinationRule says so.</summary>
    private string Detection(MeshHost? host, int port, string subset)
    {
        if (host is null) return "";
        foreach (var rule in causes.Config.RulesFor(host))
        {
            if (TrafficPolicy.Effective(rule, rule.Subsets.FirstOrDefault(one => one.Name == subset), port).Outlier is not { } outlier) continue;
            var errors = outlier.Consecutive5xx ?? outlier.ConsecutiveGatewayErrors;
            var time = outlier.BaseEjectionTime?.TotalSeconds ?? 30;
            return string.Create(System.Globalization.CultureInfo.InvariantCulture,
                $"; outlierDetection of DestinationRule {rule.Namespace}/{rule.Name} takes each out for {time:0.###} s or longer")
                + (errors is null ? "" : $", after {errors} errors in a row") + $", up to {outlier.MaxEjectionPercent ?? 10} % of them";
        }
        return "";
    }

    /// <summary>Why a cluster has no endpoint; null when it has one.</summary>
    public Problem? Empty(ProxyView view, ClusterView cluster) =>
        finder.Of(view, cluster).Count > 0 ? null : Nowhere(cluster, facts.Host(ProxyTables.Split(cluster.Name).Host));

    /// <summary>A route of the caller leads to what it does not reach: that is what somebody wrote.</summary>
    private Problem Routed(OutboundChoice outbound, ClusterView cluster, Problem lost)
    {
        var (_, _, subset, fqdn) = ProxyTables.Split(cluster.Name);
        return outbound.Rule.Length == 0 || lost.Code != NetworkCauses.GatewayBeyond ? lost : lost with
        {
            Object = causes.Config.Named("VirtualService", outbound.Rule, lost.Object),
            Path = causes.Config.RouteField(outbound.Rule, fqdn, subset == "-" ? "" : subset, "host"),
            Message = $"routes to {fqdn}: {lost.Object} {lost.Message}",
        };
    }

    private Problem Nowhere(ClusterView cluster, MeshHost? host)
    {
        var (_, text, subset, fqdn) = ProxyTables.Split(cluster.Name);
        var port = int.TryParse(text, out var number) ? number : call.Port;
        return Unresolved(cluster, host) ?? causes.Tls.WithoutCa(fqdn, port)
            ?? causes.Endpoints.NoEndpoints(host, port, subset == "-" ? "" : subset, cluster.Name);
    }

    /// <summary>The proxy resolves names itself, and they have no address.</summary>
    private Problem? Unresolved(ClusterView cluster, MeshHost? host)
    {
        return !cluster.IsDns || cluster.Names is not { Count: > 0 } names ? null : causes.Endpoints.Unresolved(host, names);
    }

    private string RuleOf(ClusterView cluster) =>
        IstioMetadata.ConfigOf(cluster.Metadata?.FilterMetadata) is { Length: > 0 } rule ? $"{rule} in {facts.ConfigOf(facts.Home).Context}" : "";

    /// <summary>A connection without a proxy: the kernel's Service rules choose the Pod.</summary>
    /// <param name="unrouted">Why the caller's proxy passes it on, which is the cause where no Pod is there; null: for no reason of its own.</param>
    public void WalkPlain(Problem? unrouted = null)
    {
        var entrance = call.Host is null ? Entrances.At(facts, causes.Needs, call.Destination) : null;
        if ((entrance is null ? PlainPods(unrouted) : BehindEntrance(entrance)) is not { } callees) return;
        foreach (var callee in callees.Take(WaysStep.PodsPerWorkload))
        {
            record.BeginWay(
                $"{callee.Cluster.Context}{TraceRecord.NetworkText(callee.Cluster.NetworkOf(callee.Pod))}: Pod {callee.Pod.Key} at "
                    + $"{callee.Address}{(callees.Count > 1 ? $", one of {callees.Count} alike" : "")}",
                100 / Math.Min(callees.Count, WaysStep.PodsPerWorkload));
            // Behind a load balancer, packets do not come from the caller's Pod.
            if (entrance is null) record.Packets(causes.Packets.ToPod(callee));
            pods.Walk(null, callee, null);
        }
        record.EndWay();
    }

    /// <summary>The Pods of a Service that is called by the address of its load balancer or of a Node, as from outside; null when the call ends here.</summary>
    private List<Callee>? BehindEntrance(ServiceInCluster entrance)
    {
        if (causes.Tls.PlainToEntrance(entrance, call.Destination) is { } strict)
        {
            record.Fail("outside", $"{call.Destination} is an address outside of the clusters, of {entrance.Name}", strict);
            return null;
        }
        var port = entrance.PortAt(call.Destination)!;
        if (entrance.Callees(port) is not { Count: > 0 } found)
        {
            record.Fail("endpoints", "none", causes.Endpoints.NoEndpointsIn(entrance.Cluster,
                facts.Host($"{entrance.Service.Metadata.Name}.{entrance.Service.Metadata.Namespace}"), port.Port, ""));
            return null;
        }
        record.Ok("service", $"{entrance.Name} at {call.Destination} → {Counted.Of(found.Count, "Pod")}", ("by", entrance.By(call.Destination)));
        return found;
    }

    /// <summary>The Pods that may be called; null when the call ends here, and the record says why.</summary>
    private List<Callee>? PlainPods(Problem? unrouted)
    {
        if (facts.PodAt(call.Destination.Address, "", facts.Home, facts.Home.NetworkOf(facts.ClientPod)) is { } direct)
            return [new(direct.Cluster, direct.Pod, call.Destination)];
        if (call.Host?.In(facts.Home) is not { } own)
        {
            if (call.Host is null && causes.Callers.OfOtherCluster(call.Destination) is { } foreign)
                record.Fail("outside", $"{call.Destination} is an address of another cluster", foreign);
            else if (call.Host is null && causes.Networks.OfOtherNetwork(call.Destination) is { } beyond)
                record.Fail("outside", $"{call.Destination} is in another network", beyond);
            else if (call.Host is null && causes.Addresses.Vacant(call.Destination) is { } vacant)
                record.Warn("outside", $"{call.Destination} is of no Pod or Service now", vacant);
            else if (call.Host is null && Entrances.Owner(facts, call.Destination) is { Length: > 0 } owner)
                record.Add("outside", HopStatus.Unknown, $"{call.Destination} is an address outside of the clusters, of {owner}", null);
            else if (call.Host is null || call.Host.Services.Count == 0)
                record.Add("outside", HopStatus.Unknown, $"{call.Destination} is not a Pod or Service in these clusters", null);
            else record.Fail("endpoints", $"{call.Destination} is not reachable without a proxy",
                causes.Hosts.Unrouted(call.Host, call.Port, call.Destination) ?? unrouted
                    ?? Faults.Of("ISM2028", $"Service {call.Host.Namespace}/{call.Host.Name}", "",
                        $"does not exist in {facts.Home.Context}, so its address leads nowhere without the caller's proxy",
                        $"let the caller's proxy take the call, or create the Service in {facts.Home.Context} as well, with Pods of its own"));
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
            record.Fail("endpoints", "none",
                unrouted ?? causes.Callers.BeyondHome(call, port) ?? causes.Endpoints.NoEndpoints(call.Host, call.Port, "", ""));
            return null;
        }
        record.Ok("service", $"{own.Name} → {Counted.Of(found.Count, "Pod")}", ("by", "the kernel's Service rules"));
        new CapacityStep(facts, record, causes).WalkPlain(own);
        return found;
    }

    /// <summary>How the last call failed at an endpoint that is ejected: a count does not tell errors of the application from connections that end.</summary>
    private static string Last(ProxyView view, string cluster) => view.Ejections.FirstOrDefault(one => one.Cluster == cluster) is not { } last ? ""
        : last.Flag is { Length: > 0 } flag and not "-" ? $" (the last one: {$"{flag} {last.Reason}".TrimEnd()})"
        : last.Status > 0 ? FormattableString.Invariant($" (the last one: status {last.Status} of the application)") : "";
}
