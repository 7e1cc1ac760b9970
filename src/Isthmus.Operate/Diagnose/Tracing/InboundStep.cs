using System.Net;
using System.Text.RegularExpressions;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>Checks the inbound side of the callee's proxy: its policies and routes.</summary>
internal sealed partial class InboundStep(TraceFacts facts, TraceRecord record, TracedCall call)
{
    /// <summary>Where the callee's proxy sends the call; null when the call ends here, and the record says why.</summary>
    public IPEndPoint? Walk(EndpointWay? way, Callee callee, FilterChainSnapshot chain, ProxyView view, ProxyView? client)
    {
        var (name, address) = (callee.Name, callee.Address);
        var caller = way is { IsMeshTls: true } ? client?.Certificate(way.Tls!.Certificate)?.Identity ?? "" : "";
        var (http, tcp) = (chain.Action as HttpAction, chain.Action as TcpAction);
        var request = http is null ? null : call.Request();
        var peer = caller.Length == 0 ? null : new Proxy.Tcp.TlsPeer([caller], [], "", "-", "", way!.Tls!.Sni, "");
        var policyFacts = new PolicyFacts(request, "http", peer, call.ClientEnd, call.ClientEnd.Address, address, way?.Tls?.Sni ?? "");
        foreach (var filter in chain.Access.Concat(http?.Access ?? []))
        {
            // Only the call itself can tell what an external authorizer decides.
            if (filter is RbacFilter policy && policy.Decide(policyFacts) is { IsAllowed: false } verdict)
            {
                record.Fail("inbound", $"{chain.Name}: denied", Denied(name, facts.ConfigOf(callee.Cluster), verdict.Rule, caller));
                return null;
            }
        }
        var cluster = tcp?.Targets[0].Cluster;
        if (http is not null)
        {
            var table = http.Routes ?? view.Snapshot.Routes.GetValueOrDefault(http.RouteName);
            var route = table is null ? null : RouteDecision.For(table, request!, "http", new Random(1)).Route;
            if (route?.Act is not ForwardAct forward)
            {
                record.Fail("inbound", $"{chain.Name}: no route", Faults.Of("ISM2065", name.ToString(), $"routes {http.RouteName}", "its proxy has no route for the request", $"isthmus proxy-config routes {name.Name}.{name.Namespace} --context={name.Context}"));
                return null;
            }
            cluster = forward.Targets[0].Cluster;
        }
        record.Ok("inbound", $"{chain.Name} → {cluster}", ("pod", name.ToString()), ("as", http is null ? "TCP" : "HTTP"), ("caller", caller));
        var inner = view.Snapshot.Clusters.GetValueOrDefault(cluster!);
        return inner?.Config.Inline?.Localities.SelectMany(locality => locality.Endpoints).FirstOrDefault()?.Address as IPEndPoint ?? address;
    }

    /// <param name="rule">The rule that denies, named after the policy that it was made from; empty when no rule
    /// allows.</param>
    private static Problem Denied(PodRef callee, ClusterObjects config, string rule, string caller)
    {
        var who = caller.Length > 0 ? caller : "callers without identity";
        return PolicyRule().Match(rule) is { Success: true } made
            ? Faults.Of("ISM2064", $"AuthorizationPolicy {made.Groups[1].Value}/{made.Groups[2].Value} in {config.Context}", $"spec.rules[{made.Groups[3].Value}]", $"denies {who} at {callee}: the response is 403", "remove the caller from the rule")
            : Faults.Of("ISM2064", callee.ToString(), "", $"no AuthorizationPolicy that applies to it allows {who}: the response is 403", $"allow the caller in an AuthorizationPolicy of namespace {callee.Namespace} in {config.Context}");
    }

    [GeneratedRegex(@"^(?:istio-ext-authz-)?ns\[([^\]]+)\]-policy\[([^\]]+)\]-rule\[(\d+)\]")]
    private static partial Regex PolicyRule();
}
