using System.Net;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Walks the paths to the endpoints of a destination.</summary>
internal sealed class WaysStep(TraceFacts facts, TraceRecord record, TraceCauses causes, GatewayStep gateways, ServiceStep services, PodStep pods,
    StrangerStep strangers)
{
    /// <summary>How many Pods of one workload to walk to: they are alike.</summary>
    public const int PodsPerWorkload = 2;

    private const int MostWays = 12;

    /// <returns>Whether the fault was found on the way to an endpoint that outlier detection ejected.</returns>
    public bool Walk(OutboundChoice outbound, ClusterView cluster, IReadOnlyList<EndpointCandidate> candidates, int percent)
    {
        var explains = false;
        var (_, port, _, fqdn) = ProxyTables.Split(cluster.Name);
        var policy = causes.Config.BackendTls(fqdn, int.TryParse(port, out var number) ? number : 0);
        var host = facts.Host(fqdn);
        var rule = IstioMetadata.ConfigOf(cluster.Metadata?.FilterMetadata);
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
                var way = new EndpointWay(outbound, cluster, candidate.Endpoint, candidate.Endpoint.TunnelTls ?? candidate.Endpoint.Tls, rule)
                {
                    IsEjected = candidate.IsEjected,
                    TlsBy = candidate.Endpoint.Tls is null ? ""
                        : policy is not null ? $"{policy.Source.Kind} {policy.Namespace}/{policy.Source.Name}"
                        : rule.Length > 0 ? $"DestinationRule {rule}" : "",
                };
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
                    if (candidate is { Endpoint.Address: IPEndPoint dialled } && (candidate.Entry is null || WrittenEndpoint.Is(candidate.Entry))
                        && causes.Networks.WrittenElsewhere(host, dialled.Address) is { } beyond)
                        record.Warn("workload", $"{dialled} is an address of another network", beyond);
                    else strangers.Walk(candidate.Endpoint.AddressText, candidate.Endpoint.Workload, facts.Home, candidate.Entry);
                    if (way.IsMeshTls && candidate.Endpoint.HasOwnSocket && candidate.Entry is { } entry)
                        record.Add("TLS", HopStatus.Unknown, "mutual TLS of the mesh", null, (HopFacts.SealedFact, entry));
                    else if (way is { IsMeshTls: true, DestinationRule.Length: > 0 })
                        record.Add("TLS", HopStatus.Unknown, "mutual TLS of the mesh", null, (HopFacts.SealedFact, $"DestinationRule {way.DestinationRule}"));
                    if (way is { Tls: not null, IsMeshTls: false }) pods.Originate(way);
                    else pods.InPlainText(way, facts.Home);
                }
                // The proxy sends no call there: its problems matter only when the other endpoints fail too.
                if ((share == 0 || !candidate.IsUsable) && candidates.Any(other => other.IsUsable)) record.Soften(hops);
                if (candidate.IsEjected && IsUnconnected(outbound.View, cluster, candidate.Endpoint)) record.Unreach(hops);
                explains |= candidate.IsEjected && record.HasProblem(hops);
            }
        }
        record.EndWay();
        return explains;
    }

    /// <summary>Whether connections to an endpoint fail, and no application there answers with errors.</summary>
    private static bool IsUnconnected(ProxyView view, ClusterView cluster, EndpointView endpoint) =>
        view.Ejections.FirstOrDefault(one => one.Address == endpoint.AddressText) is { } last ? last.Status == 0 && last.Flag.Length > 0
            : view.CountsOf(cluster.Name, [endpoint]).Unconnected > 0;
}
