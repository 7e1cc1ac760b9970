using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy.Balancing;
using Isthmus.Proxy.Snapshot;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>The endpoints of a destination and the ways to them.</summary>
internal sealed partial class TraceWalk
{
    /// <summary>Pods of one workload are alike: so many of each are looked at.</summary>
    private const int LookedAt = 2, MostWays = 12;

    /// <summary>An endpoint with what is known of its place.</summary>
    private sealed record Candidate(Endpoint Endpoint, LocalityEndpoints Locality, double Share, bool IsEjected, GatewayPlace? Gateway, (ClusterObjects Cluster, Pod Pod)? Pod, ClusterService? Service)
    {
        public bool IsUsable => Endpoint.Health == EndpointHealth.Healthy && !IsEjected;

        public string Kind => Gateway is not null ? $"gateway {Endpoint.AddressText}" : Service is { } service ? service.Name : Pod is { } pod ? $"{pod.Cluster.Context} {Endpoint.Workload.Namespace}/{Endpoint.Workload.Name}" : "other";
    }

    private void WalkCluster(Outbound outbound, ClusterState cluster, int percent)
    {
        var config = cluster.Config;
        var (_, port, subset, fqdn) = ProxyTables.Split(config.Name);
        Ok("cluster", config.Name, ("kind", config.Kind.ToString()), ("share", percent < 100 ? $"{percent} %" : ""), ("balancing", config.Policy.ToString()),
            ("destination rule", ConfigOf(config.Resource.Metadata?.FilterMetadata)));
        var host = facts.Host(fqdn) ?? _host;
        var candidates = Candidates(outbound.View, cluster);
        var usable = candidates.Where(candidate => candidate.IsUsable).ToList();
        if (candidates.Count == 0)
        {
            Fail("endpoints", "none", _causes.NoEndpoints(host, int.TryParse(port, out var number) ? number : _port, subset == "-" ? "" : subset, config.Name));
            return;
        }
        var summary = $"{usable.Count} of {candidates.Count} can be used";
        if (usable.Count == 0)
        {
            var at = _hops.Count;
            Warn("endpoints", summary, Faults.Of("ISM2040", $"cluster {config.Name}", "", candidates.Any(candidate => candidate.IsEjected)
                ? "outlier detection took all endpoints out: connections to them failed again and again"
                : "no endpoint is healthy", "look at them with 'isthmus proxy-config endpoints', and at the Pods behind them"), Addresses(candidates));
            WalkWays(outbound, cluster, candidates, percent);
            // Connections failed for some reason: it is the cause, if it is found.
            if (_hops.Skip(at).All(hop => hop.Status != HopStatus.Failed)) _hops[at] = _hops[at] with { Status = HopStatus.Failed, Problem = _hops[at].Problem! with { Severity = Severity.Error } };
            return;
        }
        var ejected = candidates.Where(candidate => candidate.IsEjected).ToList();
        if (ejected.Count > 0)
        {
            Warn("endpoints", summary, Faults.Of("ISM2041", $"cluster {config.Name}", "", $"outlier detection took out {string.Join(", ", ejected.Select(candidate => candidate.Endpoint.AddressText))}: connections there failed again and again",
                "look at the Pods or the gateway at these addresses"), Addresses(candidates));
        }
        else Ok("endpoints", summary, Addresses(candidates));
        WalkWays(outbound, cluster, candidates, percent);
    }

    private void WalkWays(Outbound outbound, ClusterState cluster, IReadOnlyList<Candidate> candidates, int percent)
    {
        foreach (var group in candidates.GroupBy(candidate => candidate.Kind, StringComparer.Ordinal))
        {
            var share = (int)Math.Round(percent * group.Sum(candidate => candidate.Share));
            var all = group.Count();
            foreach (var candidate in group.OrderByDescending(candidate => candidate.IsUsable).Take(candidates.Count > 1 && group.First().Gateway is null ? LookedAt : 1))
            {
                if (_ways.Count >= MostWays) break;
                BeginWay(Title(candidate, all), share);
                var hops = _hops.Count;
                var socket = cluster.Config.SocketFor(candidate.Endpoint);
                var way = new EndpointWay(outbound, cluster, candidate.Endpoint, socket is null ? cluster.Config.Tls : socket.Tls,
                    ConfigOf(cluster.Config.Resource.Metadata?.FilterMetadata));
                if (candidate.Gateway is { } gateway) WalkGateway(way, gateway);
                else if (candidate.Service is { } service) WalkService(way, service);
                else if (candidate.Pod is { } pod) WalkPod(way, pod.Cluster, pod.Pod, (IPEndPoint)candidate.Endpoint.Address, outbound.View);
                else WalkStranger(candidate.Endpoint.AddressText, candidate.Endpoint.Workload, Home);
                // Nobody is sent there: what is wrong with it matters only when the others fail, too.
                if ((share == 0 || !candidate.IsUsable) && candidates.Any(other => other.IsUsable)) Soften(hops);
            }
        }
        _way = 0;
    }

    /// <summary>Nobody has the address: it belongs to something outside, or to a Pod that is gone and of which the proxy was not told.</summary>
    private void WalkStranger(string address, Workload workload, ClusterObjects near)
    {
        if (workload.Namespace.Length > 0) _causes.NeedPods(workload.Namespace);
        var summary = Unclaimed(address, "Pod");
        if (workload.Namespace.Length > 0 && facts.ById(workload.Cluster, near) is { Error: "" } cluster && cluster.PodNamespaces.Contains(workload.Namespace)) Warn("workload", summary, _causes.Gone(address, workload.Namespace, cluster));
        else Add("workload", HopStatus.Unknown, summary, null);
    }

    /// <summary>An address that no cluster has which can be asked.</summary>
    private string Unclaimed(string address, string what)
    {
        var silent = facts.Clusters.Where(cluster => cluster.Error.Length > 0).ToList();
        return silent.Count == 0 ? $"{address} is no {what} of these clusters"
            : $"{address} may be a {what} of {string.Join(" or ", silent.Select(cluster => cluster.Context))}, which cannot be asked: {silent[0].Error}";
    }

    private void Soften(int from)
    {
        for (var i = from; i < _hops.Count; i++)
            if (_hops[i].Status == HopStatus.Failed) _hops[i] = _hops[i] with { Status = HopStatus.Warning };
    }

    private static string Title(Candidate candidate, int all)
    {
        var more = all > 1 ? $", one of {all} alike" : "";
        if (candidate.Gateway is { } gateway) return $"{gateway.Network} through gateway {candidate.Endpoint.AddressText}";
        if (candidate.Service is { } service) return $"{service.Name} at {candidate.Endpoint.AddressText}";
        var place = candidate.Locality.Text.Length > 0 ? $", {candidate.Locality.Text}" : "";
        return candidate.Pod is { } pod
            ? $"{pod.Cluster.Context}{NetworkText(pod.Cluster.NetworkOf(pod.Pod))}{place}: Pod {pod.Pod.Key} at {candidate.Endpoint.AddressText}{more}"
            : $"{candidate.Endpoint.AddressText}{place}{more}";
    }

    private List<Candidate> Candidates(ProxyView view, ClusterState cluster)
    {
        if (cluster.Config.Kind == ClusterKind.OriginalDst)
            return cluster.Pick(null, null, _destination) is { } host ? [Place(view, cluster, new("", "", "", 0, 0, []), host.Endpoint, 1)] : [];
        var localities = cluster.Assignment.Localities;
        var first = localities.Where(locality => locality.Endpoints.Any(endpoint => endpoint.Health == EndpointHealth.Healthy && !view.IsEjected(cluster.Config.Name, endpoint)))
            .Select(locality => locality.Priority).DefaultIfEmpty(0).Min();
        var total = localities.Where(locality => locality.Priority == first).Sum(locality => WeightOf(cluster, locality));
        return
        [
            .. from locality in localities
               let own = locality.Endpoints.Sum(endpoint => (double)Math.Max(1, endpoint.Weight))
               from endpoint in locality.Endpoints
               select Place(view, cluster, locality, endpoint, locality.Priority == first && total > 0 ? WeightOf(cluster, locality) / total * Math.Max(1, endpoint.Weight) / own : 0),
        ];
    }

    private static double WeightOf(ClusterState cluster, LocalityEndpoints locality) =>
        cluster.Config.WeightLocalities && cluster.Assignment.Localities.Any(other => other.Weight > 0) ? locality.Weight
            : locality.Endpoints.Sum(endpoint => (double)Math.Max(1, endpoint.Weight));

    private Candidate Place(ProxyView view, ClusterState cluster, LocalityEndpoints locality, Endpoint endpoint, double share)
    {
        // An entry may name a Service of the caller's own cluster, as those of the zone global do there.
        var service = endpoint.Address is IPEndPoint virtualIp && Home.Services.FirstOrDefault(candidate => candidate.Spec.ClusterIP == virtualIp.Address.ToString()) is { } own ? new ClusterService(Home, own) : null;
        if (service is not null) return new(endpoint, locality, share, view.IsEjected(cluster.Config.Name, endpoint), null, null, service);
        var gateway = endpoint.Address is IPEndPoint address ? GatewayPlace.Find(facts, address) : null;
        // A gateway is an endpoint of its own Service, too: only mesh traffic for others goes through it.
        if (gateway is not null && !endpoint.IsGateway && ProxyTables.Split(cluster.Config.Name).Host.StartsWith($"{gateway.Service?.Service.Metadata.Name}.", StringComparison.Ordinal)) gateway = null;
        var pod = gateway is null && endpoint.Address is IPEndPoint ip ? facts.PodAt(ip.Address, endpoint.Workload.Cluster, Home, Home.NetworkOf(facts.ClientPod)) : null;
        if (pod is null && gateway is null && endpoint.Workload.Namespace.Length > 0) _causes.NeedPods(endpoint.Workload.Namespace);
        return new(endpoint, locality, share, view.IsEjected(cluster.Config.Name, endpoint),
            gateway ?? (endpoint.IsGateway && endpoint.Address is IPEndPoint unknown ? new GatewayPlace(null, null, unknown, "another network", "known to the control plane only", "") : null), pod, null);
    }

    private static (string, string)[] Addresses(IEnumerable<Candidate> candidates) =>
        [.. candidates.Take(8).Select(candidate => (candidate.Endpoint.AddressText,
            $"{(candidate.IsEjected ? "taken out by outlier detection" : candidate.Endpoint.Health.ToString().ToLowerInvariant())}, {candidate.Share * 100:0} %"
            + (candidate.Locality.Text.Length > 0 ? $", {candidate.Locality.Text}" : "") + (candidate.Locality.Priority > 0 ? $", priority {candidate.Locality.Priority}" : "")
            + (candidate.Gateway is { } gateway ? $", gateway of {gateway.Network}" : candidate.Pod is { } pod ? $", {pod.Cluster.Context}" : "")))];

    /// <summary>A connection without any proxy of ours: the kernel's Service rules choose the Pod.</summary>
    private void WalkPlain()
    {
        var pods = PlainPods();
        if (pods is null) return;
        foreach (var (cluster, pod, address) in pods.Take(LookedAt))
        {
            BeginWay($"{cluster.Context}{NetworkText(cluster.NetworkOf(pod))}: Pod {pod.Key} at {address}{(pods.Count > 1 ? $", one of {pods.Count} alike" : "")}", 100 / Math.Min(pods.Count, LookedAt));
            WalkPod(null, cluster, pod, address, null);
        }
        _way = 0;
    }

    /// <summary>The caller's proxy speaks to a Service's address, and the kernel chooses the Pod.</summary>
    private void WalkService(EndpointWay way, ClusterService service)
    {
        _causes.NeedPods(service.Service.Metadata.Namespace);
        var number = ((IPEndPoint)way.Endpoint.Address).Port;
        if (service.Port(number) is not { } port)
            Fail("service", service.Name, Faults.Of(Causes.NoSuchPort, service.Name, "spec.ports", $"has no port {number}, where a ServiceEntry leads", "mend the ports of the ServiceEntry, or add the port to the Service"));
        else if (PodsBehind(service, port) is not [var (cluster, pod, address), ..] pods)
            Fail("service", service.Name, _causes.NoEndpointsIn(Home, facts.Host($"{service.Service.Metadata.Name}.{service.Service.Metadata.Namespace}"), number, ""));
        else
        {
            Ok("service", $"{service.Name} → {pods.Count} Pods", ("by", "the kernel's Service rules"));
            WalkPod(way, cluster, pod, address, way.Outbound.View);
        }
    }

    private List<(ClusterObjects Cluster, Pod Pod, IPEndPoint Address)> PodsBehind(ClusterService service, Kubernetes.Objects.ServicePort port)
    {
        var found = new List<(ClusterObjects, Pod, IPEndPoint)>();
        foreach (var slice in SlicesOf(service))
        {
            var target = slice.Ports.FirstOrDefault(candidate => candidate.Name == port.Name)?.Port ?? 0;
            foreach (var address in slice.Endpoints.Where(endpoint => endpoint.Conditions.Ready ?? true).SelectMany(endpoint => endpoint.Addresses))
                if (target > 0 && service.Cluster.PodAt(address) is { } pod) found.Add((service.Cluster, pod, new(IPAddress.Parse(address), target)));
        }
        return found;
    }

    /// <summary>Null when the way ends here, which is said.</summary>
    private List<(ClusterObjects Cluster, Pod Pod, IPEndPoint Address)>? PlainPods()
    {
        if (facts.PodAt(_destination.Address, "", Home, Home.NetworkOf(facts.ClientPod)) is { } direct) return [(direct.Cluster, direct.Pod, _destination)];
        if (_host?.In(Home) is not { } own)
        {
            if (_host is null || _host.Services.Count == 0) Add("outside", HopStatus.Unknown, $"{_destination} is no Pod and no Service of these clusters", null);
            else Fail("endpoints", $"{_destination} means nothing without a proxy", _causes.Unrouted(_host, _port, _destination) ?? Faults.Of("ISM2028", $"Service {_host.Namespace}/{_host.Name}", "", $"does not exist in {Home.Context}, so only a sidecar could reach it", $"create it in {Home.Context}, too"));
            return null;
        }
        if (own.Port(_port) is not { } port)
        {
            Fail("service", $"{_destination}", _causes.Unrouted(_host, _port, _destination)!);
            return null;
        }
        var found = PodsBehind(own, port);
        if (found.Count == 0)
        {
            _causes.NeedPods(own.Service.Metadata.Namespace);
            Fail("endpoints", "none", _causes.NoEndpoints(_host, _port, "", ""));
            return null;
        }
        Ok("service", $"{own.Name} → {found.Count} Pods", ("by", "the kernel's Service rules"));
        return found;
    }
}
