using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why Gateways of the Gateway API do not route a call from outside: their listeners, and the routes that name them.</summary>
internal sealed class ApiEntryCauses(TraceFacts facts, CallerConfig config)
{
    /// <summary>Several Gateways may share one Service.</summary>
    private readonly IReadOnlyList<ApiGateway> _serving =
        [.. config.At.ApiGateways.Where(one => ApiGatewayCauses.Serves(one, facts.Home, facts.ClientPod))];

    /// <summary>Whether the Pod at which the call enters serves such a Gateway.</summary>
    public bool Apply => _serving.Count > 0;

    /// <summary>Why the proxy does not open a port: no listener has it, or what has it was not accepted or not received.</summary>
    public Problem WithoutListener(int port, int target)
    {
        var owner = NameOf(_serving[0]);
        if (Opening(port, target).Count == 0 && _serving.FirstOrDefault(config.At.HasListenerSets) is { } extended)
            return InListenerSets(extended, "ISM2053", "spec.listeners[*].port", $"does not open port {port} itself");
        return Opening(port, target) is [var (gateway, _), ..]
            ? Faults.Of("ISM2054", facts.Client.ToString(), "", $"its proxy has not received {NameOf(gateway)}",
                $"isthmus proxy-status --context={facts.Home.Context}; the conditions of its listeners say what keeps them from being served")
            : Faults.Of("ISM2053", owner, "spec.listeners[*].port",
                $"opens {string.Join(", ", _serving.SelectMany(one => one.Listeners).Select(listener => listener.Port).Distinct().Order())}, but the call "
                    + $"arrives at {port}",
                $"add a listener for port {port}");
    }

    /// <summary>Why no chain of a port takes the connection; null when no listener that is known has the port.</summary>
    /// <param name="isTls">Whether the call begins with TLS.</param>
    /// <param name="hasTls">Whether some chain of the port ends TLS.</param>
    public Problem? WithoutChain(bool isTls, bool hasTls, string host, params IReadOnlyList<int> ports)
    {
        if (Opening(ports) is not [var (gateway, _), ..] opening) return null;
        var having = opening.Where(open => Covers(open.Listener.Hostname, host)).ToList();
        // What passes connections on has a chain for the hosts of its routes only.
        if (isTls && having.Find(open => open.Listener.Tls is { IsPassthrough: true } || open.Listener.Protocol == "TCP") is { } passing)
        {
            var kind = passing.Listener.Protocol == "TCP" ? "TCPRoute" : "TLSRoute";
            return Faults.Of("ISM2085", NameOf(passing.Gateway), "", $"no {kind} that it takes has {host}, so that the connection is closed",
                $"create a {kind} with {(kind == "TLSRoute" ? $"hostname {host} and " : "")}parentRef {passing.Gateway.Name}, or see the conditions of the one "
                    + "that has it");
        }
        if (having.Count == 0 && _serving.FirstOrDefault(config.At.HasListenerSets) is { } extended)
            return InListenerSets(extended, "ISM2055", "spec.listeners[*].hostname", $"does not have {host} itself");
        // The chains of what passes TLS on end none.
        if (isTls == (hasTls || opening.Exists(open => open.Listener.Tls is not null)))
            return having is [var (owner, _), ..]
                ? Faults.Of("ISM2054", facts.Client.ToString(), "", $"its proxy has not received the listener of {NameOf(owner)} that has {host}",
                    "the conditions of the listener say what keeps it from being served, such as a certificate")
                : WithoutHost([.. opening.Where(open => open.Gateway == gateway)], host, "TLS is refused");
        return Faults.Of("ISM2084", NameOf(gateway), "spec.listeners[*].protocol",
            hasTls ? $"accepts only TLS at port {ports[0]}, and the call is plain text" : $"accepts no TLS at port {ports[0]}, and the call begins with it",
            hasTls ? $"call https://{host}:{ports[0]}" : $"call http://{host}:{ports[0]}, or give the listener the protocol HTTPS, with tls");
    }

    /// <summary>The listener that ends TLS for a host, as its Gateway and a field; null when none that is known does.</summary>
    /// <param name="field">The field below <c>tls</c>; empty for <c>tls</c> itself.</param>
    public (string Owner, string Field)? Ending(string field, string host, params IReadOnlyList<int> ports)
    {
        var ending = Opening(ports).Where(open => open.Listener.Tls is { IsPassthrough: false } && Covers(open.Listener.Hostname, host))
            .OrderByDescending(open => open.Listener.Hostname.TrimStart('*').Length).FirstOrDefault();
        return ending is not var (gateway, listener) ? null
            : (NameOf(gateway), $"spec.listeners[{gateway.Listeners.ToList().IndexOf(listener)}].tls{(field.Length > 0 ? $".{field}" : "")}");
    }

    /// <summary>The listeners that ListenerSets add are not known here.</summary>
    private Problem InListenerSets(ApiGateway gateway, string code, string field, string lacks) => Faults.Of(code, NameOf(gateway), field,
        $"{lacks}, and no ListenerSet that has it is served",
        $"kubectl --context={facts.Home.Context} get listenersets -A: their conditions say what keeps one from being served; if none has it, add a listener");

    private List<Open> Opening(params IReadOnlyList<int> ports) =>
        [.. _serving.SelectMany(gateway => gateway.Listeners.Where(listener => ports.Contains(listener.Port)).Select(listener => new Open(gateway, listener)))];

    /// <param name="opening">Listeners of one Gateway.</param>
    private Problem WithoutHost(List<Open> opening, string host, string then) => Faults.Of("ISM2055", NameOf(opening[0].Gateway), "spec.listeners[*].hostname",
        $"has {string.Join(", ", opening.Select(open => open.Listener.Hostname).Distinct())}, but not {host}: {then}",
        "change the hostname of a listener, or call a host that it has");

    /// <summary>Null when objects do not show why. Listeners that ListenerSets add are not known here.</summary>
    /// <param name="ports">The port of the Service, and that of the Pod.</param>
    public Problem? Unrouted(string host, params IReadOnlyList<int> ports)
    {
        var routing = config.At.ApiRoutes.Where(route => route.Hostnames.IsEmpty || route.Hostnames.Any(name => Hosts.Covers(name, host))).ToList();
        var opening = Opening(ports);
        if (opening.Count == 0 || _serving.Any(gateway => MayHaveMore(gateway, routing))) return null;
        var having = opening.Where(open => Covers(open.Listener.Hostname, host)).ToList();
        if (having.Count == 0)
            return WithoutHost([.. opening.Where(open => open.Gateway == opening[0].Gateway)], host, "the response is 404");
        var (first, owner) = (having[0].Gateway, NameOf(having[0].Gateway));
        var naming = routing.Where(route => having.Exists(open => Parents(route, open.Gateway).Any())).ToList();
        if (naming.Count > 0 && naming.TrueForAll(route => !having.Exists(open => Fits(open.Listener, route.Source.Kind))))
        {
            return Faults.Of("ISM2085", NameOf(naming[0]), "kind",
                $"has routes for {(naming[0].Source.Kind == "TCPRoute" ? "connections" : "TLS")}, and listener {having[0].Listener.Name} of {owner} has "
                    + $"protocol {having[0].Listener.Protocol}, to which it cannot attach: the response is 404",
                $"write an HTTPRoute, or give the listener the protocol {(naming[0].Source.Kind == "TCPRoute" ? "TCP" : "TLS")}");
        }
        if (naming.Count == 0)
        {
            return routing.Find(route => !route.Hostnames.IsEmpty) is { } other
                ? Faults.Of("ISM2085", NameOf(other), "spec.parentRefs", $"has {host} and does not name {owner}, which accepts the call: the response is 404",
                    $"add {{name: {first.Name}, namespace: {first.Namespace}}} to its parentRefs")
                : Faults.Of("ISM2085", owner, "", $"no HTTPRoute that names it has {host}: the response is 404",
                    $"create an HTTPRoute with hostname {host} and parentRef {first.Name}");
        }
        return naming.Select(route => Unattached(route, having, host)).FirstOrDefault(problem => problem is not null);
    }

    /// <summary>Why a route that names a Gateway is attached to none of its listeners that have the call; null when it is.</summary>
    private Problem? Unattached(ApiRoute route, List<Open> having, string host)
    {
        var named = having.Where(open => Parents(route, open.Gateway).Any()).ToList();
        var gateway = named[0].Gateway;
        var meant = named.Where(open => Parents(route, open.Gateway).Any(parent => (parent.Section.Length == 0 || parent.Section == open.Listener.Name)
            && (parent.Port == 0 || parent.Port == open.Listener.Port))).ToList();
        if (meant.Count == 0)
        {
            var sections = string.Join(", ", Parents(route, gateway).Select(parent => parent.Section.Length > 0 ? parent.Section : $"{parent.Port}"));
            return Faults.Of("ISM2085", NameOf(route), "spec.parentRefs", $"names listener {sections} of {NameOf(gateway)}, and the call "
                    + $"arrives at {string.Join(", ", named.Where(open => open.Gateway == gateway).Select(open => open.Listener.Name))}: the response is 404",
                "correct sectionName or port, or remove it");
        }
        if (meant.Exists(open => NamespaceRules.Allow(open.Listener.Routes.Namespaces, open.Gateway.Namespace, route.Namespace, LabelsOf))) return null;
        var (refusing, listener) = meant[0];
        return Faults.Of("ISM2085", NameOf(refusing), $"spec.listeners[{refusing.Listeners.ToList().IndexOf(listener)}].allowedRoutes.namespaces",
            $"takes routes of {Allowed(listener.Routes.Namespaces.From, refusing.Namespace)} only, and {NameOf(route)}, which has {host}, is not there: "
                + "the response is 404",
            "set from: All, or from: Selector with a label of the route's namespace; or move the route");
    }

    /// <summary>A listener at the port of the call.</summary>
    private sealed record Open(ApiGateway Gateway, ApiListener Listener);

    /// <summary>Whether a ListenerSet adds listeners, by the Gateway's status, or because a route for the call names one.</summary>
    private bool MayHaveMore(ApiGateway gateway, List<ApiRoute> routing) => config.At.HasListenerSets(gateway)
        || (gateway.AllowedListeners.From != NamespacesFrom.None && routing.Exists(route => route.Parents.Any(parent => parent.Kind == "ListenerSet")));

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

    private string NameOf(ApiGateway gateway) => $"Gateway {gateway.Namespace}/{gateway.Name} in {config.At.Context}";

    private string NameOf(ApiRoute route) => $"{route.Source.Kind} {route.Namespace}/{route.Name} in {config.At.Context}";
}
