using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Explain.Tracing;

/// <summary>Why a Gateway of the Gateway API does not route a call from outside: its listeners, and the routes that name it.</summary>
internal sealed class ApiEntryCauses(TraceFacts facts, CallerConfig config)
{
    /// <summary>Null when the Pod at which the call enters serves no such Gateway, or objects do not show why.</summary>
    /// <param name="ports">The port of the Service, and that of the Pod.</param>
    public Problem? Unrouted(string host, params IReadOnlyList<int> ports)
    {
        if (config.At.ApiGateways.FirstOrDefault(one => ApiGatewayCauses.Serves(one, facts.Home, facts.ClientPod)) is not { } gateway) return null;
        var owner = $"Gateway {gateway.Namespace}/{gateway.Name} in {config.At.Context}";
        var opening = gateway.Listeners.Where(listener => ports.Contains(listener.Port)).ToList();
        var having = opening.Where(listener => Covers(listener.Hostname, host)).ToList();
        if (opening.Count > 0 && having.Count == 0)
        {
            return Faults.Of("ISM2055", owner, "spec.listeners[*].hostname",
                $"has {string.Join(", ", opening.Select(listener => listener.Hostname).Distinct())}, but not {host}: the response is 404",
                "change the hostname of a listener, or call a host that it has");
        }
        var routing = config.At.ApiRoutes.Where(route => route.Hostnames.IsEmpty || route.Hostnames.Any(name => Hosts.Covers(name, host))).ToList();
        var naming = routing.Where(route => Parents(route, gateway).Any()).ToList();
        if (naming.Count > 0 && naming.TrueForAll(route => !having.Exists(listener => Fits(listener, route.Source.Kind))))
        {
            return Faults.Of("ISM2085", NameOf(naming[0]), "kind",
                $"has routes for {(naming[0].Source.Kind == "TCPRoute" ? "connections" : "TLS")}, and listener {having[0].Name} of {owner} has protocol "
                    + $"{having[0].Protocol}, to which it cannot attach: the response is 404",
                $"write an HTTPRoute, or give the listener the protocol {(naming[0].Source.Kind == "TCPRoute" ? "TCP" : "TLS")}");
        }
        if (naming.Count == 0)
        {
            return routing.Find(route => !route.Hostnames.IsEmpty) is { } other
                ? Faults.Of("ISM2085", NameOf(other), "spec.parentRefs", $"has {host} and does not name {owner}, which accepts the call: the response is 404",
                    $"add {{name: {gateway.Name}, namespace: {gateway.Namespace}}} to its parentRefs")
                : Faults.Of("ISM2085", owner, "", $"no HTTPRoute that names it has {host}: the response is 404",
                    $"create an HTTPRoute with hostname {host} and parentRef {gateway.Name}");
        }
        foreach (var route in naming)
        {
            var sections = Parents(route, gateway).Select(parent => (parent.Section, parent.Port)).ToList();
            var meant = having.Where(listener => sections.Any(one => (one.Section.Length == 0 || one.Section == listener.Name)
                && (one.Port == 0 || one.Port == listener.Port))).ToList();
            if (meant.Count == 0)
            {
                var named = string.Join(", ", sections.Select(one => one.Section.Length > 0 ? one.Section : $"{one.Port}"));
                return Faults.Of("ISM2085", NameOf(route), "spec.parentRefs", $"names listener {named} of {owner}, and the call "
                        + $"arrives at {string.Join(", ", having.Select(listener => listener.Name))}: the response is 404",
                    "correct sectionName or port, or remove it");
            }
            if (meant.TrueForAll(listener => !NamespaceRules.Allow(listener.Routes.Namespaces, gateway.Namespace, route.Namespace, LabelsOf)))
            {
                var from = meant[0].Routes.Namespaces.From;
                return Faults.Of("ISM2085", owner, $"spec.listeners[{gateway.Listeners.ToList().IndexOf(meant[0])}].allowedRoutes.namespaces",
                    $"takes routes of {Allowed(from, gateway.Namespace)} only, and {NameOf(route)}, which has {host}, is not there: the response is 404",
                    "set from: All, or from: Selector with a label of the route's namespace; or move the route");
            }
        }
        return null;
    }

    private static bool Fits(ApiListener listener, string route) => listener.Protocol switch
    {
        "HTTP" or "HTTPS" => route is "HTTPRoute" or "GRPCRoute",
        "TLS" => route is "TLSRoute" or "TCPRoute",
        "TCP" => route is "TCPRoute",
        _ => true,
    };

    private ValueMap<string> LabelsOf(string ns) => config.At.LabelsOf(ns).ToValueMap();

    private static bool Covers(string pattern, string host) => pattern.Length == 0 || Hosts.Covers(pattern, host);

    private static IEnumerable<ApiReference> Parents(ApiRoute route, ApiGateway gateway) =>
        route.Parents.Where(parent => parent.Kind == "Gateway" && parent.Namespace == gateway.Namespace && parent.Name == gateway.Name);

    private static string Allowed(NamespacesFrom from, string own) => from switch
    {
        NamespacesFrom.Same => $"namespace {own}",
        NamespacesFrom.Selector => "namespaces that its selector matches",
        _ => "no namespace",
    };

    private string NameOf(ApiRoute route) => $"{route.Source.Kind} {route.Namespace}/{route.Name} in {config.At.Context}";
}
