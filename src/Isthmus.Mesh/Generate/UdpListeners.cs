using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.MatchInputs;
using Isthmus.Wire.Envoy.UdpFilters;
using Isthmus.Wire.Envoy.XdsMatchers;

namespace Isthmus.Mesh.Generate;

/// <summary>
/// LDS of the UDP servers of gateways: each client's datagrams go to one host, as long as it goes on sending. Envoy has no weights there, so shares are
/// made of the last digits of the client's port, which systems choose at random.
/// </summary>
internal static class UdpListeners
{
    private const int Shares = 1000;

    public static IEnumerable<Listener> Of(GatewayInputs inputs)
    {
        var taken = new HashSet<(Core.Net.Address Bind, int Target)>();
        foreach (var gateway in inputs.Gateway.Gateways)
        {
            foreach (var server in gateway.Servers.Where(server => server.Protocol == Protocol.Udp))
            {
                if (Rule(gateway, inputs) is not { } rule) continue; // nobody wants the datagrams
                var bind = server.Bind ?? ResourceNames.AnyAddress;
                var targets = server.TargetPort > 0
                    ? [server.TargetPort]
                    : inputs.Gateway.DatagramPorts.Where(port => port.Service == server.Port).Select(port => port.Target).Distinct();
                foreach (var target in targets)
                    if (taken.Add((bind, target))) yield return Listener(bind, target, Route(rule, server.Port));
            }
        }
    }

    /// <summary>The first rule of the oldest route.</summary>
    private static L4Rule? Rule(Gateway gateway, GatewayInputs inputs) =>
        inputs.Routings.Where(routing => routing.Parents.Contains(gateway.FullName)).SelectMany(routing => routing.Udp).FirstOrDefault();

    private static Listener Listener(Core.Net.Address bind, int port, UdpProxyConfig route)
    {
        route.StatPrefix = ResourceNames.Listener(bind, port);
        return new()
        {
            Name = $"udp_{ResourceNames.Listener(bind, port)}",
            Address = new() { SocketAddress = new() { Protocol = SocketAddress.Types.Protocol.Udp, Address = bind.ToString(), PortValue = (uint)port } },
            TrafficDirection = TrafficDirection.Outbound,
            UdpListenerConfig = new(),
            ListenerFilters = { OutboundListeners.Inspector("envoy.filters.udp_listener.udp_proxy", route) },
        };
    }

    private static UdpProxyConfig Route(L4Rule rule, int port)
    {
        var used = RouteBackend.Used(rule.Backends);
        var total = used.Sum(backend => (long)Math.Max(1, backend.Weight));
        var list = new Matcher.Types.MatcherList();
        long sum = 0;
        foreach (var backend in used.SkipLast(1))
        {
            sum += Math.Max(1, backend.Weight);
            list.Matchers.Add(new Matcher.Types.MatcherList.Types.FieldMatcher
            {
                Predicate = new()
                {
                    SinglePredicate = new()
                    {
                        Input = new() { Name = "envoy.matching.inputs.source_port", TypedConfig = Parts.Pack(new SourcePortInput()) },
                        ValueMatch = new() { SafeRegex = new() { GoogleRe2 = new(), Regex = EndsBelow((int)(sum * Shares / total)) } },
                    },
                },
                OnMatch = To(backend, port),
            });
        }
        var otherwise = used.Count == 0 ? new(null, 1) : used[^1];
        var matcher = new Matcher { OnNoMatch = To(otherwise, port) };
        if (list.Matchers.Count > 0) matcher.MatcherList = list;
        return new() { Matcher = matcher };
    }

    private static Matcher.Types.OnMatch To(RouteBackend backend, int port) => new()
    {
        Action = new()
        {
            Name = "route",
            TypedConfig = Parts.Pack(new Route
            {
                Cluster = backend.To is { } to ? ResourceNames.Datagrams(to.Port > 0 ? to.Port : port, to.Host) : ResourceNames.Unresolved
            }),
        },
    };

    /// <summary>A pattern for numbers whose last three digits are below a limit.</summary>
    /// <param name="limit">At most 1000.</param>
    internal static string EndsBelow(int limit)
    {
        var ends = new List<string>();
        var digits = $"{Math.Max(1, limit):000}";
        if (limit >= Shares) return "[0-9]+";
        for (var i = 0; i < digits.Length; i++)
        {
            if (digits[i] == '0') continue;
            ends.Add(
                $"{digits[..i]}{(digits[i] == '1' ? "0" : $"[0-{(char)(digits[i] - 1)}]")}{string.Concat(Enumerable.Repeat("[0-9]", digits.Length - 1 - i))}");
        }
        return $"[0-9]*({string.Join('|', ends)})";
    }
}
