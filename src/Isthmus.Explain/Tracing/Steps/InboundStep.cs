using System.Net;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Checks the inbound side of the callee's proxy: its policies and routes.</summary>
internal sealed class InboundStep(TraceFacts facts, TraceRecord record, TraceCauses causes, TracedCall call)
{
    /// <summary>Where the callee's proxy sends the call; null when the call ends here, and the record says why.</summary>
    public IPEndPoint? Walk(EndpointWay? way, Callee callee, ChainView chain, ProxyView view, ProxyView? client)
    {
        var (name, address) = (callee.Name, callee.Address);
        var caller = way is { IsMeshTls: true } ? client?.Certificate(way.Tls!.Certificate)?.Identity ?? "" : "";
        var asked = chain.IsHttp ? call.Request() : null;
        var request = asked is not null && way?.Outbound.Route is { } chosen ? chosen.Sent(asked, way.Cluster.Name) : asked;
        var source = way?.Through is { } gateway && IPAddress.TryParse(gateway.Pod.Status.PodIP, out var passed)
            ? new(passed, call.ClientEnd.Port) : call.ClientEnd;
        var access = new AccessStep(facts, record, causes, "inbound", view)
        {
            Through = way?.Through is { } through ? PodRef.Of(through.Cluster, through.Pod).ToString() : "",
            Changes = asked is null ? null : new(asked, call.Admitted, way?.Outbound.Rule ?? "", way?.Outbound.Route?.Name ?? ""),
        };
        if (!access.Walk(chain, new(request, "http", caller, source, address, way?.Tls?.Sni ?? "")
        {
            IsTunnelled = way is { IsTunnelled: true },
        }, callee)) return null;
        var cluster = chain.IsTcp ? chain.Targets[0].Cluster : null;
        if (request is not null)
        {
            var route = chain.Route(request, "http", access.Learned)?.Route;
            if (route?.Unread is { } unread
                && !LackedFilters.Pass(record, "inbound", view, $"{name}", chain.Name, unread))
                return null;
            if (route?.Act is not ForwardView forward)
            {
                record.Fail("inbound", $"{chain.Name}: no route",
                    Faults.Of("ISM2065", name.ToString(), $"routes {chain.RouteName}", "its proxy has no route for the request",
                        name.Show("routes")));
                return null;
            }
            cluster = forward.Targets[0].Cluster;
        }
        record.Ok("inbound", $"{chain.Name} → {cluster}", ("pod", name.ToString()), ("proxy", view.Stranger), ("as", chain.IsHttp ? "HTTP" : "TCP"),
            ("caller", caller), ("allowed by", access.Allowing), HopFacts.Idle(chain.Idle),
            (HopFacts.IdleOwnerFact, chain.Idle is { } idle
                ? new IdleCauses(facts, causes.Config).AtCallee(callee, call.Port, view.Decisions.Cluster(cluster!), idle) : ""));
        var local = view.Decisions.Cluster(cluster!);
        if (view.Refusals.GetValueOrDefault(cluster!) is { } refusals
            && Refused(refusals, callee, IstioMetadata.ConfigOf(local?.Metadata?.FilterMetadata)) is { } refused)
            record.Warn("pool", "calls were refused a while ago", refused);
        return local?.Own as IPEndPoint ?? address;
    }

    /// <summary>The limits of connections to the application are those of its Sidecar, or else of the DestinationRule of the Service.</summary>
    private Problem? Refused(PoolRefusals refusals, Callee callee, string rule)
    {
        var at = facts.ConfigOf(callee.Cluster);
        if (causes.Config.SidecarOf(callee.Cluster, callee.Pod) is not { } sidecar) return refusals.DescribeRule(rule, at, callee.Name.ToString(), "");
        var index = sidecar.Ingress.ToList().FindIndex(one => one.Port == callee.Address.Port && one.Pool is not null);
        return index < 0 && sidecar.InboundPool is null ? refusals.DescribeRule(rule, at, callee.Name.ToString(), "")
            : refusals.Describe($"Sidecar {sidecar.Namespace}/{sidecar.Name} in {at.Context}",
                index < 0 ? "spec.inboundConnectionPool" : $"spec.ingress[{index}].connectionPool", "");
    }
}
