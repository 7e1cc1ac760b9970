using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing;

/// <summary>Why a gateway does not accept or route a call from outside: the Gateways that its Pods serve, and the VirtualServices bound to them.</summary>
internal sealed class EntryCauses(TraceFacts facts, CallerConfig config)
{
    /// <summary>Why the gateway's proxy does not open a port.</summary>
    /// <param name="port">The port of the Service.</param>
    /// <param name="target">The port of the Pod.</param>
    public Problem WithoutListener(int port, int target)
    {
        var all = Serving().ToList();
        if (all.Count == 0)
        {
            return Faults.Of("ISM2052", facts.Client.ToString(), "metadata.labels", $"no Gateway in {config.At.Context} selects it, so its proxy opens no port",
                "create a Gateway whose selector has labels of this Pod");
        }
        if (Opening(port, target).ToList() is not [var opening, ..])
            return Faults.Of("ISM2053", Named(all[0]), "spec.servers[*].port.number", $"opens {string.Join(", ", all.SelectMany(gateway => gateway.Servers).Select(server => server.Port).Distinct().Order())}, but the call arrives at {port}", $"add a server for port {port}");
        return Faults.Of("ISM2054", facts.Client.ToString(), "", $"its proxy has not received {Named(opening.Gateway)}", $"isthmus proxy-status --context={facts.Home.Context}");
    }

    /// <summary>Why no chain accepts the connection.</summary>
    /// <param name="hasTls">Whether some chain of the port ends TLS.</param>
    public Problem WithoutChain(TracedCall call, bool hasTls)
    {
        var opening = Opening(call.Port, call.Destination.Port).ToList();
        var owner = opening.Count > 0 ? Named(opening[0].Gateway) : facts.Client.ToString();
        if (call.Kind == CallKinds.Tls != hasTls)
        {
            return Faults.Of("ISM2084", owner, "spec.servers[*].tls", hasTls ? $"accepts only TLS at port {call.Port}, and the call is plain text" : $"accepts no TLS at port {call.Port}, and the call begins with it",
                hasTls ? $"call https://{facts.Target.Host}" : $"call http://{facts.Target.Host}, or add a server with tls");
        }
        return Faults.Of("ISM2055", owner, "spec.servers[*].hosts", $"has {HostsOf(opening)}, but not {facts.Target.Host}", "add the host to the server, or call one that it has");
    }

    /// <summary>Why a gateway has no route for a host; null for calls that do not come from outside, and when a VirtualService routes the host.</summary>
    public Problem? Unrouted(TracedCall call)
    {
        if (facts.Entry is null) return null;
        var host = call.Authority.Split(':')[0];
        var opening = Opening(call.Port, call.Destination.Port).ToList();
        var having = opening.Where(server => server.Server.Hosts.Any(pattern => Hosts.Covers(Bare(pattern), host))).ToList();
        if (having.Count == 0)
        {
            return Faults.Of("ISM2055", opening.Count > 0 ? Named(opening[0].Gateway) : facts.Client.ToString(), "spec.servers[*].hosts", $"has {HostsOf(opening)}, but not {host}: the response is 404",
                "add the host to the server, or call one that it has");
        }
        var routing = config.At.Istio<VirtualService>().Where(service => service.Hosts.Any(pattern => Hosts.Covers(pattern, host))).ToList();
        if (routing.Exists(service => having.Exists(server => IsBound(service, server.Gateway)))) return null;
        return routing.Count > 0
            ? Faults.Of("ISM2085", $"VirtualService {routing[0].Namespace}/{routing[0].Name} in {config.At.Context}", "spec.gateways", $"routes {host} for {string.Join(", ", routing[0].Gateways)}, but not for {Named(having[0].Gateway)}, which accepts the call: the response is 404",
                $"add {having[0].Gateway.FullName} to spec.gateways")
            : Faults.Of("ISM2085", Named(having[0].Gateway), "", $"no VirtualService with this Gateway routes {host}: the response is 404", $"create a VirtualService with host {host} and gateway {having[0].Gateway.FullName}");
    }

    private static bool IsBound(VirtualService service, Gateway gateway) =>
        service.Gateways.Contains(gateway.FullName) || (service.Namespace == gateway.Namespace && service.Gateways.Contains(gateway.Name));

    /// <summary>Gateways that select the gateway's Pod.</summary>
    private IEnumerable<Gateway> Serving()
    {
        var labels = facts.ClientPod.Metadata.Labels.ToValueMap();
        return config.At.Istio<Gateway>().Where(gateway => Selectors.Matches(gateway.Selector, labels)).OrderBy(gateway => gateway.CreatedAt);
    }

    private IEnumerable<(Gateway Gateway, GatewayServer Server)> Opening(int port, int target) =>
        from gateway in Serving()
        from server in gateway.Servers
        where server.Port == port || server.Port == target
        select (gateway, server);

    private static string HostsOf(IEnumerable<(Gateway Gateway, GatewayServer Server)> servers) => string.Join(", ", servers.SelectMany(server => server.Server.Hosts).Distinct());

    private static string Bare(string host) => host[(host.IndexOf('/', StringComparison.Ordinal) + 1)..];

    private string Named(Gateway gateway) => $"Gateway {gateway.FullName} in {config.At.Context}";
}
