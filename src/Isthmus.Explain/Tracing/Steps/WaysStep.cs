using System.Net;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Walks the paths to the endpoints of a destination.</summary>
internal sealed class WaysStep(TraceFacts facts, TraceRecord record, TraceCauses causes, GatewayStep gateways, ServiceStep services, PodStep pods,
    StrangerStep strangers)
{
    /// <summary>How many Pods of one workload to walk to: they are alike.</summary>
    public const int PodsPerWorkload = 2;

    private const int MostWays = 12;

    public void Walk(OutboundChoice outbound, ClusterView cluster, IReadOnlyList<EndpointCandidate> candidates, int percent)
    {
        foreach (var group in candidates.GroupBy(candidate => candidate.Kind, StringComparer.Ordinal))
        {
            var share = (int)Math.Round(percent * group.Sum(candidate => candidate.Share));
            var all = group.Count();
            foreach (var candidate in group.OrderByDescending(candidate => candidate.IsUsable)
                .Take(candidates.Count > 1 && group.First().Gateway is null ? PodsPerWorkload : 1))
            {
                if (record.Ways >= MostWays) break;
                record.BeginWay(candidate.Title(all), share);
                var hops = record.Count;
                var way = new EndpointWay(outbound, cluster, candidate.Endpoint, candidate.Endpoint.Tls,
                    IstioMetadata.ConfigOf(cluster.Metadata?.FilterMetadata));
                if (candidate.Gateway is { } gateway) gateways.Walk(way, gateway);
                else if (candidate.Service is { } service) services.Walk(way, service);
                else if (candidate.Pod is { } pod)
                {
                    var callee = new Callee(pod.Cluster, pod.Pod, (IPEndPoint)candidate.Endpoint.Address);
                    record.Packets(causes.Packets.ToPod(callee));
                    pods.Walk(way, callee, outbound.View);
                }
                else
                {
                    strangers.Walk(candidate.Endpoint.AddressText, candidate.Endpoint.Workload, facts.Home, candidate.Entry);
                    if (way.IsMeshTls && candidate.Endpoint.HasOwnSocket && candidate.Entry is { } entry)
                        record.Add("TLS", HopStatus.Unknown, "mutual TLS of the mesh", null, (HopFacts.SealedFact, entry));
                    if (way is { Tls: not null, IsMeshTls: false }) record.Ok("TLS", TlsStep.Originated(way), (HopFacts.OriginFact, way.DestinationRule));
                }
                // The proxy sends no call there: its problems matter only when the other endpoints fail too.
                if ((share == 0 || !candidate.IsUsable) && candidates.Any(other => other.IsUsable)) record.Soften(hops);
            }
        }
        record.EndWay();
    }
}
