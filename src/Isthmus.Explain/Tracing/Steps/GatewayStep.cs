using System.Globalization;
using System.Net;
using Isthmus.Core.Names;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks the gateway of another network, which sees only the server name.</summary>
internal sealed class GatewayStep(TraceFacts facts, TraceRecord record, TraceCauses causes, TracedCall call, TracedProxies proxies, PodStep pods,
    StrangerStep strangers)
{
    /// <summary>How many Pods behind a gateway are asked whether they got the call.</summary>
    private const int MostCallees = 8;

    /// <summary>The hop of a policy that may deny what an ejected gateway is to pass on.</summary>
    internal const string PolicyHop = "gateway policy";

    public void Walk(EndpointWay way, GatewayPlace place)
    {
        if (place.Service is not { } service || place.Cluster is not { } cluster)
        {
            record.Add("gateway", HopStatus.Unknown, strangers.Unclaimed($"{place.Address}", "gateway")
                + (place.Label.Length > 0 ? $"; {place.Label} names it" : ""), null, ("known by", place.How));
            return;
        }
        causes.Needs.NeedPods(service.Service.Metadata.Namespace);
        // Pods that are not gateways get calls as well, and a hop of their own.
        var ready = service.Pods.Where(pod => pod.Status.IsReady).OrderBy(pod => !GatewayStrangers.IsGateway(pod)).ToList();
        var summary = $"{service.Name}, entry point of {place.Network}";
        if (ready.Count == 0)
        {
            record.Fail("gateway", summary, causes.Availability.GatewayWithoutPods(service), ("address from", place.How), ("network from", place.Label));
            return;
        }
        if (GatewayCauses.WithoutPort(service, place.Address.Port) is { } closed)
        {
            record.Fail("gateway", summary, closed, ("address from", place.How), ("network from", place.Label));
            return;
        }
        record.Ok("gateway", summary, ("address from", place.How), ("network from", place.Label), ("pods", $"{ready.Count} ready"));
        record.Strangers(service);
        if (way.IsEjected && IsUnanswered(way) && causes.Policies.AtPassing(service, "connections through it fail") is { } policy)
            record.Warn(PolicyHop, $"{service.Name} is subject to one", policy);
        if (way.Tls is not { } tls)
        {
            record.Fail("TLS", "plain text", causes.Tls.PlainToGateway(way.DestinationRule, place), (HopFacts.DestinationRuleFact, way.DestinationRule));
            return;
        }
        record.Packets(causes.Packets.ToAddress(place.Address));
        record.Ok("SNI", tls.Sni, ("offers", string.Join(", ", way.Alpn)));
        var pod = PodRef.Of(cluster, ready[0]);
        if (proxies.View(pod, "gateway proxy") is not { } view)
        {
            foreach (var callee in CalleesIn(cluster, way)) proxies.View(callee, "");
            return;
        }
        WalkGatewayChain(way, tls, service, cluster, ready[0], view);
    }

    /// <summary>Whether connections failed there, and no application answered with errors.</summary>
    private bool IsUnanswered(EndpointWay way) =>
        call.Sidecar?.Ejections.FirstOrDefault(one => one.Address == way.Endpoint.AddressText) is not { Status: > 0, Flag: "" or "-" };

    private void WalkGatewayChain(EndpointWay way, TlsView tls, ServiceInCluster service, ClusterObjects cluster, Pod pod, ProxyView view)
    {
        var asked = ((IPEndPoint)way.Endpoint.Address).Port;
        var port = service.Service.Spec.Ports.FirstOrDefault(candidate => candidate.Port == asked || candidate.NodePort == asked);
        var target = ServiceInCluster.TargetOf(port, pod);
        var listener = view.Decisions.Bound(target).FirstOrDefault();
        if (target > 0) record.Packets(causes.Packets.ToGateway(cluster, pod, target));
        if (listener is null)
        {
            record.Fail("gateway listener", $"nothing accepts port {target}", causes.Gateways.GatewayWithoutListener(cluster, pod, target));
            return;
        }
        if (!HeaderStep.Pass(record, causes, call, way, listener, cluster, pod)) return;
        var own = IPAddress.TryParse(pod.Status.PodIP, out var address) ? address : IPAddress.Any;
        var at = PodRef.Of(cluster, pod).ToString();
        var chain = listener.Choose(new(own, target), call.ClientEnd, tls.Sni.ToLowerInvariant(), way.Alpn);
        if (!LackedFilters.Pass(record, "gateway listener", view, at, listener, target)
            || (chain is not null && !LackedFilters.Pass(record, "gateway chain", view, at, chain, null))) return;
        if (chain is not { IsTcp: true })
        {
            record.Fail("gateway chain", $"{listener.Name}: none for this SNI", causes.Tls.OfPolicyThrough(way.TlsBy, cluster)
                ?? causes.Gateways.GatewayWithoutChain(cluster, pod, tls.Sni, way.DestinationRule));
            return;
        }
        var name = chain.ClusterOf(tls.Sni);
        record.Ok("gateway chain", $"{listener.Name} → {name}", ("pod", at), ("chain", chain.Name), HopFacts.Idle(chain.Idle),
            (HopFacts.IdleOwnerFact, chain.Idle is null ? "" : $"{at}: {IdleCauses.Unknown}"));
        if (view.Decisions.Cluster(name) is not { } local)
        {
            record.Fail("gateway endpoints", $"{name} does not exist",
                chain.IsBySni ? causes.Gateways.NameWithoutCluster(service, pod, tls.Sni, name)
                    : causes.Gateways.GatewayWithoutChain(cluster, pod, tls.Sni, way.DestinationRule));
            return;
        }
        WalkGatewayEndpoints(way, cluster, pod, view, local);
    }

    private void WalkGatewayEndpoints(EndpointWay way, ClusterObjects cluster, Pod gateway, ProxyView view, ClusterView local)
    {
        var endpoints = local.Healthy;
        var usable = endpoints.Where(endpoint => !view.IsEjected(local.Name, endpoint)).ToList();
        var (_, port, subset, fqdn) = ProxyTables.Split(local.Name);
        if (endpoints.Count == 0)
        {
            var (host, number) = (facts.Host(fqdn), int.Parse(port, CultureInfo.InvariantCulture));
            record.Fail("gateway endpoints", "none", causes.Gateways.Unseeing(cluster, gateway, host, number)
                ?? causes.Endpoints.NoEndpointsIn(cluster, host, number, subset == "-" ? "" : subset));
            return;
        }
        var list = endpoints.Take(8).Select(endpoint => (endpoint.AddressText, endpoint.Health)).ToArray();
        if (usable.Count == 0)
        {
            record.Fail("gateway endpoints", $"0 of {endpoints.Count} {(usable.Count == 1 ? "is" : "are")} usable",
                Faults.Of("ISM2040", $"cluster {local.Name} of {PodRef.Of(cluster, gateway)}", "", "no endpoint is healthy",
                    "check the Pods behind them"),
                list);
            return;
        }
        record.Ok("gateway endpoints", $"{usable.Count} of {endpoints.Count} {(usable.Count == 1 ? "is" : "are")} usable", list);
        if (view.Refusals.GetValueOrDefault(local.Name)?.DescribeRule(IstioMetadata.ConfigOf(local.Metadata?.FilterMetadata), facts.ConfigOf(cluster),
            PodRef.Of(cluster, gateway).ToString(), "") is { } refused)
            record.Warn("pool", "the gateway refused calls a while ago", refused);
        // A gateway may lead to any cluster in its network.
        var placed = usable.Take(MostCallees).Select(endpoint => (Endpoint: endpoint, At: (IPEndPoint)endpoint.Address,
            Found: facts.PodAt(((IPEndPoint)endpoint.Address).Address, endpoint.Workload.Cluster, cluster, cluster.NetworkOf(gateway)))).ToList();
        // Each may get the call, and only its proxy tells.
        foreach (var (_, _, pod) in placed)
            if (pod is { } callable && ClusterObjects.Sidecar(callable.Pod) is not null && PodRef.Of(callable.Cluster, callable.Pod) is var proxy
                && !facts.Proxies.ContainsKey(proxy) && !facts.Silent.ContainsKey(proxy)) causes.Needs.Proxies.Add(proxy);
        var seen = facts.Sightings.Last(facts.IsGateway)?.Proxy;
        var (to, next, reached) = placed.Find(one => one.Found is { } pod && PodRef.Of(pod.Cluster, pod.Pod) == seen) is { Found: not null } sighted
            ? sighted : placed[0];
        if (reached is not { } found)
        {
            strangers.Walk($"{next}", to.Workload, cluster);
            return;
        }
        var callee = new Callee(found.Cluster, found.Pod, next);
        record.Packets(causes.Packets.Between(cluster, gateway, callee));
        var begin = record.Count;
        pods.Walk(way with { Through = (cluster, gateway) }, callee, way.Outbound.View);
        if (record.HasProblem(begin)) return;
        foreach (var other in placed.Where(one => one.Found is { } pod && pod.Pod != found.Pod))
            record.Beside(PodRef.Of(other.Found!.Value.Cluster, other.Found.Value.Pod).ToString(), () => pods.Walk(way with { Through = (cluster, gateway) },
                new(other.Found.Value.Cluster, other.Found.Value.Pod, other.At), way.Outbound.View));
    }

    /// <summary>The proxy that the gateway most likely leads to. Fetching both together saves a round.</summary>
    private IEnumerable<PodRef> CalleesIn(ClusterObjects cluster, EndpointWay way)
    {
        var host = facts.Host(ProxyTables.Split(way.Cluster.Name).Host) ?? call.Host;
        return host?.In(cluster) is { } service
            ? service.Pods.Where(pod => pod.Status.IsReady && ClusterObjects.Sidecar(pod) is not null).OrderBy(pod => pod.Metadata.Name, StringComparer.Ordinal)
                .Take(1).Select(pod => PodRef.Of(cluster, pod))
            : [];
    }
}
