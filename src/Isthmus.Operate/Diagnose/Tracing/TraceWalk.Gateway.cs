using System.Globalization;
using System.Net;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy.Balancing;
using Isthmus.Proxy.Snapshot;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>The gateway of another network, which sees the server name and nothing else.</summary>
internal sealed partial class TraceWalk
{
    /// <summary>A chosen endpoint and how it is spoken to.</summary>
    private sealed record EndpointWay(Outbound Outbound, ClusterState Cluster, Endpoint Endpoint, TlsSettings? Tls, string DestinationRule)
    {
        public bool IsMeshTls => Tls is { Certificate.Length: > 0 } && (Tls.Alpn.IsEmpty || Tls.Alpn.Any(protocol => protocol.StartsWith("istio", StringComparison.Ordinal)));

        /// <summary>What the caller offers: HTTP tells its version, so that the callee's proxy need not look.</summary>
        public IReadOnlyList<string> Alpn => Outbound.IsHttp && Outbound.Alpn.TryGetValue("HTTP11", out var list) ? list : Tls?.Alpn ?? [];
    }

    private void WalkGateway(EndpointWay way, GatewayPlace place)
    {
        if (place.Service is not { } service || place.Cluster is not { } cluster)
        {
            Add("gateway", HopStatus.Unknown, Unclaimed($"{place.Address}", "gateway"), null, ("known by", place.How));
            return;
        }
        _causes.NeedPods(service.Service.Metadata.Namespace);
        var pods = service.Pods.Where(pod => pod.Status.IsReady).ToList();
        var summary = $"{service.Name}, entry of {place.Network}";
        if (pods.Count == 0)
        {
            Fail("gateway", summary, _causes.GatewayWithoutPods(service), ("address from", place.How), ("network from", place.Label));
            return;
        }
        Ok("gateway", summary, ("address from", place.How), ("network from", place.Label), ("pods", $"{pods.Count} ready"));
        if (way.Tls is not { } tls)
        {
            Fail("TLS", "plain text", _causes.PlainToGateway(way.DestinationRule, place), ("destination rule", way.DestinationRule));
            return;
        }
        Ok("SNI", tls.Sni, ("offers", string.Join(", ", way.Alpn)));
        var pod = PodRef.Of(cluster, pods[0]);
        if (View(pod, "gateway proxy") is not { } view)
        {
            foreach (var callee in CalleesIn(cluster, way)) View(callee, "");
            return;
        }
        WalkGatewayChain(way, tls, service, cluster, pods[0], view);
    }

    private void WalkGatewayChain(EndpointWay way, TlsSettings tls, ClusterService service, ClusterObjects cluster, Pod pod, ProxyView view)
    {
        var asked = ((IPEndPoint)way.Endpoint.Address).Port;
        var port = service.Service.Spec.Ports.FirstOrDefault(candidate => candidate.Port == asked || candidate.NodePort == asked);
        var target = TargetOf(port, pod);
        var listener = view.Snapshot.Listeners.Values.FirstOrDefault(candidate => candidate.BindToPort && candidate.Address.Port == target);
        if (listener is null)
        {
            Fail("gateway listener", $"nothing accepts port {target}", _causes.GatewayWithoutListener(cluster, pod, target));
            return;
        }
        var own = IPAddress.TryParse(pod.Status.PodIP, out var address) ? address : IPAddress.Any;
        if (listener.Chains.Find(new(new(own, target), ClientEnd, tls.Sni.ToLowerInvariant(), "tls", way.Alpn)) is not { Action: TcpAction action } chain)
        {
            Fail("gateway chain", $"{listener.Name}: none for this SNI", _causes.GatewayWithoutChain(cluster, pod, tls.Sni));
            return;
        }
        var name = action.BySni?.Cluster(tls.Sni) ?? action.Targets[0].Cluster;
        Ok("gateway chain", $"{listener.Name} → {name}", ("pod", PodRef.Of(cluster, pod).ToString()), ("chain", chain.Name));
        if (!view.Snapshot.Clusters.TryGetValue(name, out var local))
        {
            Fail("gateway endpoints", $"{name} does not exist", action.BySni is null ? _causes.GatewayWithoutChain(cluster, pod, tls.Sni) : _causes.NameWithoutCluster(service, pod, tls.Sni, name));
            return;
        }
        WalkGatewayEndpoints(way, cluster, pod, view, local);
    }

    private void WalkGatewayEndpoints(EndpointWay way, ClusterObjects cluster, Pod gateway, ProxyView view, ClusterState local)
    {
        var endpoints = local.Assignment.Localities.SelectMany(locality => locality.Endpoints).ToList();
        var usable = endpoints.Where(endpoint => endpoint.Health == EndpointHealth.Healthy && !view.IsEjected(local.Config.Name, endpoint)).ToList();
        var (_, port, subset, fqdn) = ProxyTables.Split(local.Config.Name);
        if (endpoints.Count == 0)
        {
            Fail("gateway endpoints", "none", _causes.NoEndpointsIn(cluster, facts.Host(fqdn), int.Parse(port, CultureInfo.InvariantCulture), subset == "-" ? "" : subset));
            return;
        }
        var list = endpoints.Take(8).Select(endpoint => (endpoint.AddressText, endpoint.Health.ToString().ToLowerInvariant())).ToArray();
        if (usable.Count == 0)
        {
            Fail("gateway endpoints", $"0 of {endpoints.Count} can be used", Faults.Of("ISM2040", $"cluster {local.Config.Name} of {PodRef.Of(cluster, gateway)}", "", "no endpoint is healthy", "look at the Pods behind them"), list);
            return;
        }
        Ok("gateway endpoints", $"{usable.Count} of {endpoints.Count} can be used", list);
        var next = (IPEndPoint)usable[0].Address;
        // A gateway of the same network may lead to any cluster in it.
        if (facts.PodAt(next.Address, usable[0].Workload.Cluster, cluster, cluster.NetworkOf(gateway)) is { } found) WalkPod(way, found.Cluster, found.Pod, next, way.Outbound.View);
        else WalkStranger($"{next}", usable[0].Workload, cluster);
    }

    /// <summary>Whom the gateway will lead to, in all likelihood: asked together with it, that saves a round.</summary>
    private IEnumerable<PodRef> CalleesIn(ClusterObjects cluster, EndpointWay way)
    {
        var host = facts.Host(ProxyTables.Split(way.Cluster.Config.Name).Host) ?? _host;
        return host?.In(cluster) is { } service
            ? service.Pods.Where(pod => pod.Status.IsReady && ClusterObjects.Sidecar(pod) is not null).OrderBy(pod => pod.Metadata.Name, StringComparer.Ordinal).Take(1).Select(pod => PodRef.Of(cluster, pod)) : [];
    }

    private static int TargetOf(ServicePort? port, Pod pod)
    {
        if (port is null) return 0;
        var text = port.TargetPort?.ToString() ?? "";
        if (text.Length == 0) return port.Port;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
            : pod.Spec.Containers.Concat(pod.Spec.InitContainers).SelectMany(container => container.Ports).FirstOrDefault(candidate => candidate.Name == text)?.Number ?? 0;
    }
}
