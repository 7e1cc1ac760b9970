using System.Net;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;

namespace Isthmus.Explain.Tracing;

/// <summary>Checks the inbound side of the callee's proxy: its policies and routes.</summary>
internal sealed class InboundStep(TraceFacts facts, TraceRecord record, Causes causes, TracedCall call)
{
    /// <summary>Where the callee's proxy sends the call; null when the call ends here, and the record says why.</summary>
    public IPEndPoint? Walk(EndpointWay? way, Callee callee, FilterChainSnapshot chain, ProxyView view, ProxyView? client)
    {
        var (name, address) = (callee.Name, callee.Address);
        var caller = way is { IsMeshTls: true } ? client?.Certificate(way.Tls!.Certificate)?.Identity ?? "" : "";
        var (http, tcp) = (chain.Action as HttpAction, chain.Action as TcpAction);
        var request = http is null ? null : call.Request();
        var peer = caller.Length == 0 ? null : new Proxy.Transports.TlsPeer([caller], [], "", "-", "", way!.Tls!.Sni, "");
        var source = way?.Through is { } gateway && IPAddress.TryParse(gateway.Pod.Status.PodIP, out var passed)
            ? new(passed, call.ClientEnd.Port) : call.ClientEnd;
        var policyFacts = new PolicyFacts(request, "http", peer, source, source.Address, address, way?.Tls?.Sni ?? "");
        var access = new AccessStep(facts, record, causes, "inbound", view)
        {
            Through = way?.Through is { } through ? PodRef.Of(through.Cluster, through.Pod).ToString() : "",
        };
        if (!access.Walk(chain, policyFacts, callee)) return null;
        var cluster = tcp?.Targets[0].Cluster;
        if (http is not null)
        {
            var table = http.Routes ?? view.Snapshot.Routes.GetValueOrDefault(http.RouteName);
            var route = table is null ? null : RouteDecision.For(table, request!, "http", new Random(1), access.Learned).Route;
            if (route is not null && http.Unread(route, route.Switches) is { } unread
                && !LackedFilters.Pass(record, "inbound", view, $"{name}", chain.Name, unread))
                return null;
            if (route?.Act is not ForwardAct forward)
            {
                record.Fail("inbound", $"{chain.Name}: no route",
                    Faults.Of("ISM2065", name.ToString(), $"routes {http.RouteName}", "its proxy has no route for the request",
                        $"isthmus proxy-config routes {name.Name}.{name.Namespace} --context={name.Context}"));
                return null;
            }
            cluster = forward.Targets[0].Cluster;
        }
        record.Ok("inbound", $"{chain.Name} → {cluster}", ("pod", name.ToString()), ("proxy", view.Stranger), ("as", http is null ? "TCP" : "HTTP"),
            ("caller", caller), ("allowed by", access.Allowing));
        var inner = view.Snapshot.Clusters.GetValueOrDefault(cluster!);
        return inner?.Config.Inline?.Localities.SelectMany(locality => locality.Endpoints).FirstOrDefault()?.Address as IPEndPoint ?? address;
    }
}
