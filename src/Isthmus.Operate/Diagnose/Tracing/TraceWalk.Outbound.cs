using System.Globalization;
using System.Net;
using System.Text;
using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Generate;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Snapshot;
using Isthmus.Wire.Envoy;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>The caller's proxy: listener, filter chain and route, decided by its own tables.</summary>
internal sealed partial class TraceWalk
{
    private static readonly string[] PlainHttp = ["http/1.1"];

    /// <summary>What the caller's proxy does with the connection before it chooses an endpoint.</summary>
    /// <param name="Rule">The VirtualService that routes it; empty when none does.</param>
    /// <param name="Alpn">The protocols offered to endpoints in place of the cluster's own.</param>
    private sealed record Outbound(ProxyView View, IReadOnlyList<(string Cluster, int Weight)> Targets, string Rule, ValueMap<ValueList<string>> Alpn, bool IsHttp);

    private IPEndPoint ClientEnd => new(IPAddress.TryParse(facts.ClientPod.Status.PodIP, out var own) ? own : IPAddress.Loopback, 40000);

    private RequestHead Request()
    {
        var head = new RequestHead { Method = "GET", Version = HttpVersions.Http11, Authority = Authority };
        head.SetTarget(Encoding.UTF8.GetBytes(Path));
        head.Headers.Add("user-agent"u8, "isthmus-trace");
        head.Headers.Add("accept"u8, "*/*");
        return head;
    }

    private void WalkOutbound(ProxyView view)
    {
        var specific = view.Index.Find(_destination);
        if ((specific ?? view.Outbound) is not { } listener)
        {
            Fail("listener", $"none for {_destination}", _causes.Unconfigured(facts.Client, "its proxy has no outbound listener"));
            return;
        }
        Ok("listener", specific is null ? $"{listener.Name}: no other takes {_destination}" : listener.Name);
        var looks = listener.Chains.NeedsBytes(_destination.Port);
        var isTls = looks && _kind == "tls" && (listener.InspectTls?.Contains(_destination.Port) ?? false);
        var isHttp = looks && _kind == "http" && (listener.InspectHttp?.Contains(_destination.Port) ?? false);
        var connection = new ConnectionFacts(_destination, ClientEnd, isTls ? facts.Target.Host : "", isTls ? "tls" : "raw_buffer", isHttp ? PlainHttp : []);
        if (listener.Chains.Find(connection) is not { } chain)
        {
            Fail("filter chain", $"none of {listener.Name}", Faults.Of("ISM2021", facts.Client.ToString(), $"listener {listener.Name}", $"no filter chain takes a connection of kind {_kind}", "look at it with 'isthmus proxy-config listeners'"));
            return;
        }
        var rule = RuleOf(chain, listener);
        switch (chain.Action)
        {
            case TcpAction tcp:
                Ok("filter chain", $"{ChainName(chain)} → TCP to {string.Join(", ", tcp.Targets.Select(target => target.Cluster))}", ("virtual service", rule));
                WalkTargets(new(view, [.. tcp.Targets.Select(target => (target.Cluster, target.Weight))], rule, default, false));
                break;
            case HttpAction http:
                Ok("filter chain", $"{ChainName(chain)} → HTTP, routes {http.RouteName}");
                WalkRoute(view, http);
                break;
        }
    }

    private void WalkRoute(ProxyView view, HttpAction http)
    {
        var table = http.Routes ?? view.Snapshot.Routes.GetValueOrDefault(http.RouteName);
        if (table is null)
        {
            Fail("route", $"routes {http.RouteName} are missing", Faults.Of("ISM2022", facts.Client.ToString(), $"routes {http.RouteName}", "the proxy waits for these routes", $"isthmus proxy-status --context={facts.Client.Context}"));
            return;
        }
        var request = Request();
        var decision = RouteDecision.For(table, request, "http", new Random(1));
        if (decision.Host is not { } host)
        {
            Fail("route", $"no virtual host for {Authority}", _causes.Unrouted(_host, _port, _destination)
                ?? Faults.Of("ISM2023", $"host {Authority}", "", $"no virtual host of routes {table.Name} takes it: the answer is 404", "look at them with 'isthmus proxy-config routes'"));
            return;
        }
        var rule = RuleOf(table, host, decision.Route);
        if (decision.Route is not { } route)
        {
            var owner = RuleOf(table, host, host.Routes.FirstOrDefault());
            Fail("route", $"{host.Name}: no route for {Path}", Faults.Of("ISM2024", _causes.Named("VirtualService", owner, $"virtual host {host.Name}"), "spec.http[*].match",
                $"none of its routes matches GET {Path}: the answer is 404", "add a route that matches it, or one without match at the end"));
            return;
        }
        WalkAct(view, http, host, route, rule);
    }

    private void WalkAct(ProxyView view, HttpAction http, VirtualHostSnapshot host, RouteSnapshot route, string rule)
    {
        var owner = _causes.Named("VirtualService", rule, $"virtual host {host.Name}");
        var summary = $"{host.Name}, route {route.Name}";
        switch (route.Act)
        {
            case RedirectAct redirect:
                Ok("route", $"{summary}: answers with a redirection, {redirect.Status}", ("virtual service", rule));
                return;
            case DirectAct { Status: >= 500 } direct:
                Fail("route", summary, Faults.Of("ISM2025", owner, "spec.http[*].directResponse", $"answers {direct.Status} itself", "route to a destination instead"), ("virtual service", rule));
                return;
            case DirectAct direct:
                Ok("route", $"{summary}: answers {direct.Status} itself", ("virtual service", rule));
                return;
        }
        var act = (ForwardAct)route.Act;
        if ((route.Fault ?? http.Fault) is { AbortStatus: >= 500, AbortShare.PerMillion: > 0 } fault && fault.Headers.All(header => header.IsMatch(Request(), "http")))
        {
            var problem = Faults.Of("ISM2026", owner, "spec.http[*].fault.abort", $"answers {fault.AbortStatus} to {fault.AbortShare.PerMillion / 10000.0:0.##} % of the requests on purpose", "take the fault out");
            if (fault.AbortShare.PerMillion >= 1_000_000)
            {
                Fail("route", summary, problem, ("virtual service", rule));
                return;
            }
            Warn("route", summary, problem, ("virtual service", rule));
        }
        else
        {
            Ok("route", summary, ("virtual service", rule), ("timeout", act.Timeout > TimeSpan.Zero ? act.Timeout.ToString("g", CultureInfo.InvariantCulture) : ""),
                ("retries", act.Retry is { } retry ? $"{retry.Retries} more" : ""));
        }
        WalkTargets(new(view, [.. act.Targets.Select(target => (target.Cluster, target.Weight))], rule, http.AlpnOverride, true));
    }

    private void WalkTargets(Outbound outbound)
    {
        var total = outbound.Targets.Sum(target => target.Weight);
        foreach (var (name, weight) in outbound.Targets.Where(target => target.Weight > 0 || outbound.Targets.Count == 1))
        {
            _way = 0;
            var percent = total > 0 ? (int)Math.Round(100.0 * weight / total) : 100;
            if (name is ResourceNames.Passthrough or ResourceNames.BlackHole || name.StartsWith("InboundPassthrough", StringComparison.Ordinal)) WalkUnrouted(name);
            else if (outbound.View.Snapshot.Clusters.TryGetValue(name, out var cluster)) WalkCluster(outbound, cluster, percent);
            else Fail("cluster", $"{name} does not exist", _causes.MissingCluster(name, outbound.Rule), ("share", percent < 100 ? $"{percent} %" : ""));
        }
        _way = 0;
    }

    /// <summary>The proxy knows no service at this address: it lets the connection through as it is, or not at all.</summary>
    private void WalkUnrouted(string cluster)
    {
        var problem = _causes.Unrouted(_host, _port, _destination);
        if (cluster == ResourceNames.BlackHole)
        {
            Fail("cluster", "BlackHoleCluster: the connection is closed", problem ?? Faults.Of("ISM2027", $"host {facts.Target.Host}", "", "is no service of the mesh, and outboundTrafficPolicy is REGISTRY_ONLY",
                "add a ServiceEntry for it, or allow other destinations (meshConfig.outboundTrafficPolicy.mode: ALLOW_ANY)"));
            return;
        }
        if (problem is { Code: Causes.NoSuchPort })
        {
            Fail("cluster", $"{cluster}: no service has {_destination}", problem);
            return;
        }
        if (problem is not null) Warn("cluster", $"{cluster}: the proxy does not know {_host?.Fqdn ?? facts.Target.Host}, so the call leaves in plain text", problem);
        else Ok("cluster", $"{cluster}: goes on as it is, outside the mesh");
        WalkPlain();
    }

    private static string ChainName(FilterChainSnapshot chain) => chain.Name.Length > 0 ? chain.Name
        : !chain.Match.ApplicationProtocols.IsEmpty ? string.Join(",", chain.Match.ApplicationProtocols) : !chain.Match.ServerNames.IsEmpty ? string.Join(",", chain.Match.ServerNames) : "the only one";

    private static string RuleOf(FilterChainSnapshot chain, ListenerSnapshot listener)
    {
        var index = listener.Chains.All.ToList().IndexOf(chain);
        return index >= 0 && index < listener.Resource.FilterChains.Count ? ConfigOf(listener.Resource.FilterChains[index].Metadata?.FilterMetadata) : "";
    }

    private static string RuleOf(RouteTable table, VirtualHostSnapshot host, RouteSnapshot? route)
    {
        if (route is null) return "";
        var index = host.Routes.ToList().IndexOf(route);
        var resource = table.Resource.VirtualHosts.FirstOrDefault(candidate => candidate.Name == host.Name);
        return resource is not null && index >= 0 && index < resource.Routes.Count ? ConfigOf(resource.Routes[index].Metadata?.FilterMetadata) : "";
    }

    /// <summary>The Istio object that a resource was made from, as <c>namespace/name</c>.</summary>
    internal static string ConfigOf(MapField<string, Struct>? metadata)
    {
        if (metadata is null || !metadata.TryGetValue("istio", out var istio) || !istio.Fields.TryGetValue("config", out var config)) return "";
        var parts = config.StringValue.Split('/');
        var at = Array.IndexOf(parts, "namespaces");
        return at >= 0 && at + 3 < parts.Length ? $"{parts[at + 1]}/{parts[at + 3]}" : "";
    }
}
