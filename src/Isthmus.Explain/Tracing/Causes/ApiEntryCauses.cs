using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why Gateways of the Gateway API do not take or route a call from outside: their listeners, and the routes that name them.</summary>
internal sealed class ApiEntryCauses(TraceFacts facts, CallerConfig config, CredentialCauses credentials)
{
    private readonly EntryListeners _listeners = new(facts, config);

    /// <summary>Whether the Pod at which the call enters serves such a Gateway.</summary>
    public bool Apply => _listeners.Serving.Count > 0;

    /// <summary>The Gateway asks for addresses that it did not get; null when it asks for none.</summary>
    public Problem? WithoutAddress(ServiceInCluster entry) => _listeners.Serving.FirstOrDefault(one => !one.Addresses.IsEmpty) is not { } asking ? null
        : Faults.Of("ISM1005", NameOf(asking), "spec.addresses",
            $"asks for {string.Join(", ", asking.Addresses.Select(address => address.Value))}, and no load balancer has given that to {entry.Name}, so clients "
                + $"outside {(entry.IsOnNodes ? "reach it at ports of Nodes only" : "do not reach it")}",
            "ask for an address that the load balancer has, or remove addresses: it gets any then");

    /// <summary>A Gateway asks for a Service that only the cluster reaches; null when none does.</summary>
    public Problem? Inside(ServiceInCluster entry)
    {
        const string type = "networking.istio.io/service-type";
        var asking = _listeners.Serving.FirstOrDefault(one => one.Annotations.TryGetValue(type, out var wanted) && wanted == entry.Service.Spec.Type);
        return asking is null ? null
            : Faults.Of("ISM1005", NameOf(asking), $"metadata.annotations[{type}]",
                $"is {entry.Service.Spec.Type}, so that {entry.Name}, which is made for it, has no address outside: only Pods of the cluster reach it",
                "remove the annotation, or write LoadBalancer or NodePort, if clients outside are to come there");
    }

    /// <summary>Why the Service that was made for a Gateway lacks a port; null when somebody else has made it.</summary>
    public Problem? WithoutPort(int port) => !Apply || _listeners.Serving.Any(gateway => GatewayNaming.BoundService(gateway) is not null) ? null
        : WithoutListener(port, port);

    /// <summary>Why the proxy does not open a port: no listener has it, or what has it was not accepted or not received.</summary>
    public Problem WithoutListener(int port, int target)
    {
        var opening = _listeners.At(port, target);
        if (opening.Count == 0 && OfSet("ISM2053", port, target) is { } set) return set;
        if (opening.Count == 0 && _listeners.Serving.FirstOrDefault(_listeners.HasUnread) is { } extended)
            return InListenerSets(extended, "ISM2053", "spec.listeners[*].port", $"does not open port {port} itself");
        if ((Uncertified(opening) ?? Refused(opening)) is { } refused) return refused;
        return opening is [var first, ..]
            ? ApiGatewayCauses.SwitchedOff(facts, facts.Home, facts.ClientPod, first.OwnerName)
                ?? Faults.Of("ISM2054", facts.Client.ToString(), "", $"its proxy has not received {first.OwnerName}",
                $"isthmus proxy-status --context={facts.Home.Context}; the conditions of its listeners say what keeps them from being served")
            : Faults.Of("ISM2053", NameOf(_listeners.Serving[0]), "spec.listeners[*].port",
                $"opens {string.Join(", ", _listeners.All.Select(one => one.Listener.Port).Distinct().Order())}, but the call arrives at {port}",
                $"add a listener for port {port}");
    }

    /// <summary>Why no chain of a port takes the connection, or one closes it; null when no listener that is known has the port.</summary>
    /// <param name="isTls">Whether the call begins with TLS.</param>
    /// <param name="hasTls">Whether some chain of the port ends TLS.</param>
    public Problem? WithoutChain(bool isTls, bool hasTls, string host, params IReadOnlyList<int> ports)
    {
        if (_listeners.At(ports) is not [var first, ..] opening) return null;
        var having = Nearest(opening, host);
        // What passes connections on has a chain for the hosts of its routes only.
        if (having.FindAll(one => one.PassesOn && (isTls || one.Listener.Protocol == "TCP")) is { Count: > 0 } passing)
            return Refused(passing) ?? new UnattachedRoutes(facts, config, _listeners, passing, host).Find()
                ?? Faults.Of("ISM2054", facts.Client.ToString(), "",
                $"its proxy has not received the routes of listener {passing[0].Listener.Name} of {passing[0].OwnerName}",
                $"isthmus proxy-status --context={facts.Home.Context}");
        if (having.Count == 0 && OfSet("ISM2055", ports) is { } set) return set;
        if (having.Count == 0 && _listeners.Serving.FirstOrDefault(_listeners.HasUnread) is { } extended)
            return InListenerSets(extended, "ISM2055", "spec.listeners[*].hostname", $"does not have {host} itself");
        // Chains that pass TLS on do not end it.
        if (isTls == (hasTls || opening.Exists(one => one.Listener.Tls is not null)))
            return having is [var owner, ..]
                ? Uncertified(having) ?? Refused(having) ?? Faults.Of("ISM2054", facts.Client.ToString(), "",
                    $"its proxy has not received the listener of {owner.OwnerName} that has {host}",
                    "the conditions of the listener say what keeps it from being served, such as a certificate")
                : NamelessTls.Refused(host, first.OwnerName, "spec.listeners[*].hostname", [.. opening.Select(one => one.Listener.Hostname).Distinct()])
                    ?? WithoutHost(opening, host, "TLS is refused");
        return Faults.Of("ISM2084", first.OwnerName, "spec.listeners[*].protocol",
            hasTls ? $"accepts only TLS at port {ports[0]}, and the call is plain text" : $"accepts no TLS at port {ports[0]}, and the call begins with it",
            hasTls ? $"call https://{host}:{ports[0]}" : $"call http://{host}:{ports[0]}, or give the listener the protocol HTTPS, with tls");
    }

    /// <summary>The listener that ends TLS for a host, as its owner and a field; null when none that is known does.</summary>
    /// <param name="field">The field below <c>tls</c>; empty for <c>tls</c> itself.</param>
    public (string Owner, string Field)? Ending(string field, string host, params IReadOnlyList<int> ports)
    {
        var ending = _listeners.At(ports).Where(one => one.Listener.Tls is { IsPassthrough: false } && one.Covers(host))
            .OrderByDescending(one => one.Listener.Hostname.TrimStart('*').Length).FirstOrDefault();
        return ending is null ? null : (ending.OwnerName, $"{ending.Field}.tls{(field.Length > 0 ? $".{field}" : "")}");
    }

    /// <summary>That no listener takes TLS for a host at a port; null when one does, or nobody knows.</summary>
    public string? TakesTls(string host, params IReadOnlyList<int> ports) =>
        _listeners.Serving.Any(_listeners.HasUnread) || _listeners.At(ports).Exists(one => one.Listener.Tls is not null && one.Covers(host)) ? null
            : $"no listener of {string.Join(", ", _listeners.Serving.Select(NameOf))} takes TLS";

    /// <summary>Why no route takes a request for a host; null when objects do not show it.</summary>
    /// <param name="ports">The port of the Service, and that of the Pod.</param>
    public Problem? Unrouted(string host, params IReadOnlyList<int> ports)
    {
        var opening = _listeners.At(ports);
        if (opening.Count == 0 || _listeners.Serving.Any(_listeners.HasUnread) || NamesUnreadSet(host)) return null;
        var having = Nearest(opening, host);
        return having.Count > 0 ? new UnattachedRoutes(facts, config, _listeners, having, host).Find()
            : OfSet("ISM2055", ports) ?? WithoutHost(opening, host, "the response is 404");
    }

    /// <summary>Of the listeners of a port that have a host, the one with the nearest hostname takes its calls.</summary>
    private static List<EntryListener> Nearest(List<EntryListener> opening, string host) =>
        opening.Where(one => one.Covers(host)).GroupBy(one => one.Listener.Hostname.Length).MaxBy(group => group.Key)?.ToList() ?? [];

    /// <summary>Whether a route for the host names a ListenerSet that nobody has read.</summary>
    private bool NamesUnreadSet(string host) => _listeners.Serving.Any(gateway => gateway.AllowedListeners.From != NamespacesFrom.None)
        && config.At.ApiRoutes.Where(route => route.Hostnames.IsEmpty || route.Hostnames.Any(name => Hosts.Covers(name, host)))
            .SelectMany(route => route.Parents).Any(parent => parent.Kind == "ListenerSet"
                && !config.At.ListenerSets.Any(set => set.Namespace == parent.Namespace && set.Name == parent.Name));

    /// <summary>Why listeners that end TLS are not served: one of their certificates; null when it is not that.</summary>
    private Problem? Uncertified(List<EntryListener> listeners) =>
        listeners.Select(credentials.OfListener).FirstOrDefault(problem => problem is not null);

    /// <summary>Why listeners are not served, as their control plane has written; null when it has not.</summary>
    private Problem? Refused(List<EntryListener> listeners) =>
        (from one in listeners
         let why = config.At.Refusal(one.Owner, one.Listener.Name)
         where why.Length > 0
         select Faults.Of("ISM2053", one.OwnerName, one.Field, $"listener {one.Listener.Name} is not served ({why})",
             why.StartsWith("HostnameConflict", StringComparison.Ordinal) || why.StartsWith("ProtocolConflict", StringComparison.Ordinal)
                ? "give listeners of one port different hostnames and one protocol, or remove one of them" : "correct the listener")).FirstOrDefault();

    /// <summary>A ListenerSet of these Gateways that has the host at a port, and that they do not take; null when none is known.</summary>
    private Problem? OfSet(string code, params IReadOnlyList<int> ports) =>
        (from gateway in _listeners.Serving
         from set in _listeners.SetsOf(gateway)
         where !_listeners.Takes(gateway, set)
            && set.Listeners.Any(listener => ports.Contains(listener.Port)
                && (listener.Hostname.Length == 0 || Hosts.Covers(listener.Hostname, facts.Target.Host)))
         let why = config.At.Refusal(set)
         select Faults.Of(code, $"ListenerSet {set.Namespace}/{set.Name} in {config.At.Context}", "spec.parentRef",
             $"is not taken{(why.Length > 0 ? $" ({why})" : "")}, so {NameOf(gateway)} does not have its listener for {facts.Target.Host} at port {ports[0]}",
             why.Length == 0 || why.StartsWith("NotAllowed", StringComparison.Ordinal)
                ? $"allow namespace {set.Namespace} in spec.allowedListeners.namespaces of {NameOf(gateway)} (from: All, or Same for its own namespace)"
                : "correct its listeners: the conditions in its status say more"))
        .FirstOrDefault();

    /// <summary>Nobody has read what the ListenerSets of a Gateway add.</summary>
    private Problem InListenerSets(ApiGateway gateway, string code, string field, string lacks) => Faults.Of(code, NameOf(gateway), field,
        $"{lacks}, and no ListenerSet that has it is served",
        $"add a listener; or, if a ListenerSet has it, its conditions say what keeps it from being served: kubectl --context={facts.Home.Context} get "
            + "listenersets -A -o yaml");

    /// <param name="opening">Listeners at the port of the call, none of which has the host.</param>
    private Problem WithoutHost(List<EntryListener> opening, string host, string then)
    {
        var own = opening.FindAll(one => one.Owner == opening[0].Owner);
        var naming = config.At.ApiRoutes.FirstOrDefault(route => route.Hostnames.Any(name => Hosts.Covers(name, host)) && route.Parents.Any(own[0].IsNamedBy)
            && own.Exists(one => one.Fits(route.Source.Kind)));
        return Faults.Of("ISM2055", own[0].OwnerName, own is [var only] ? $"{only.Field}.hostname" : "spec.listeners[*].hostname",
            $"has {string.Join(", ", own.Select(one => one.Listener.Hostname).Distinct())} at port {own[0].Listener.Port}, but not {host}"
                + $"{(naming is null ? "" : $", for which {naming.Source.Kind} {naming.Namespace}/{naming.Name} is")}: {then}",
            own[0].Listener.Tls is { IsPassthrough: false } ? $"add a listener with hostname {host} and a certificate for it, or call a host that it has"
                : $"add a listener with hostname {host}, or change that of listener {own[0].Listener.Name}, or call a host that it has");
    }

    private string NameOf(ApiGateway gateway) => $"Gateway {gateway.Namespace}/{gateway.Name} in {config.At.Context}";
}
