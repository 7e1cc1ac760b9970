using System.Net;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Balancing;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>The ways to the endpoints of a destination.</summary>
internal sealed class WaysStep(TraceFacts facts, TraceRecord record, GatewayStep gateways, ServiceStep services, PodStep pods, StrangerStep strangers)
{
    /// <summary>Pods of one workload are alike: so many of each are walked to.</summary>
    public const int LookedAt = 2;

    private const int MostWays = 12;

    public void Walk(OutboundChoice outbound, ClusterState cluster, IReadOnlyList<EndpointCandidate> candidates, int percent)
    {
        foreach (var group in candidates.GroupBy(candidate => candidate.Kind, StringComparer.Ordinal))
        {
            var share = (int)Math.Round(percent * group.Sum(candidate => candidate.Share));
            var all = group.Count();
            foreach (var candidate in group.OrderByDescending(candidate => candidate.IsUsable).Take(candidates.Count > 1 && group.First().Gateway is null ? LookedAt : 1))
            {
                if (record.Ways >= MostWays) break;
                record.BeginWay(candidate.Title(all), share);
                var hops = record.Count;
                var socket = cluster.Config.SocketFor(candidate.Endpoint);
                var way = new EndpointWay(outbound, cluster, candidate.Endpoint, socket is null ? cluster.Config.Tls : socket.Tls,
                    IstioMetadata.ConfigOf(cluster.Config.Resource.Metadata?.FilterMetadata));
                if (candidate.Gateway is { } gateway) gateways.Walk(way, gateway);
                else if (candidate.Service is { } service) services.Walk(way, service);
                else if (candidate.Pod is { } pod) pods.Walk(way, new(pod.Cluster, pod.Pod, (IPEndPoint)candidate.Endpoint.Address), outbound.View);
                else strangers.Walk(candidate.Endpoint.AddressText, candidate.Endpoint.Workload, facts.Home);
                // No call is sent there: its problems matter only when the others fail as well.
                if ((share == 0 || !candidate.IsUsable) && candidates.Any(other => other.IsUsable)) record.Soften(hops);
            }
        }
        record.EndWay();
    }
}
