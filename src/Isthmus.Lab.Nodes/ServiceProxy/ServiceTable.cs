using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Nodes.ServiceProxy;

/// <summary>Derives the packet filter's rules from Services and EndpointSlices, in a stable order.</summary>
internal static class ServiceTable
{
    private const string ServiceName = "kubernetes.io/service-name";
    private const string OtherProxy = "service.kubernetes.io/service-proxy-name";

    /// <summary>Selects IPv4 Services with a ClusterIP. Services that name another proxy are left to that proxy.</summary>
    internal static ValueList<ServicePortRule> Build(IEnumerable<Service> services, IEnumerable<EndpointSlice> slices, string nodeName)
    {
        var slicesOf = slices
            .Where(slice => slice.AddressType == "IPv4")
            .ToLookup(slice => (slice.Metadata.Namespace, slice.Metadata.Labels.GetValueOrDefault(ServiceName, "")));
        var rules = new List<ServicePortRule>();
        foreach (var service in services.OrderBy(service => service.Key, StringComparer.Ordinal))
        {
            if (service.Spec.Type == "ExternalName" || service.Metadata.Labels.ContainsKey(OtherProxy)) continue;
            var addresses = ClusterAddresses(service);
            if (addresses.Count == 0) continue;
            var own = slicesOf[(service.Metadata.Namespace, service.Metadata.Name)].ToList();
            foreach (var port in service.Spec.Ports)
            {
                if (Rule(service, port, addresses, own, nodeName) is { } rule) rules.Add(rule);
            }
        }
        return rules.ToValueList();
    }

    private static ServicePortRule? Rule(Service service, ServicePort port, List<IPAddress> addresses, List<EndpointSlice> slices, string nodeName)
    {
        var protocol = port.Protocol switch { "TCP" => "tcp", "UDP" => "udp", _ => null };
        if (protocol is null || !IsPort(port.Port)) return null;
        var all = Endpoints(slices, port).ToList();
        return new ServicePortRule(
            Identifier($"{service.Metadata.Namespace}.{service.Metadata.Name}.{protocol}.{port.Port}"),
            protocol,
            port.Port,
            addresses.ToValueList(),
            OuterAddresses(service).ToValueList(),
            service.Spec.Type is "NodePort" or "LoadBalancer" && IsPort(port.NodePort) ? port.NodePort : 0,
            service.Spec.SessionAffinity == "ClientIP",
            Usable(all),
            Usable([.. all.Where(endpoint => endpoint.Node == nodeName)]),
            service.Spec.InternalTrafficPolicy == "Local",
            service.Spec.ExternalTrafficPolicy == "Local");
    }

    private static List<IPAddress> ClusterAddresses(Service service)
    {
        var given = service.Spec.ClusterIPs.Count > 0 ? service.Spec.ClusterIPs : [service.Spec.ClusterIP];
        return [.. given.Select(Parse).OfType<IPAddress>()];
    }

    private static IEnumerable<IPAddress> OuterAddresses(Service service)
    {
        var balancer = service.Spec.Type == "LoadBalancer" ? service.Status.LoadBalancer.Ingress.Select(ingress => ingress.Ip) : [];
        return balancer.Concat(service.Spec.ExternalIPs).Select(Parse).OfType<IPAddress>().Distinct();
    }

    /// <summary>Ready endpoints; while none is ready, terminating endpoints that still serve.</summary>
    private static ValueList<ServiceTarget> Usable(List<Candidate> candidates)
    {
        var chosen = candidates.Where(candidate => candidate.Ready).ToList();
        if (chosen.Count == 0) chosen = [.. candidates.Where(candidate => candidate.ServesWhileTerminating)];
        return chosen.Select(candidate => candidate.Target)
            .Distinct()
            .OrderBy(target => target.Address.ToString(), StringComparer.Ordinal).ThenBy(target => target.Port)
            .ToValueList();
    }

    private static IEnumerable<Candidate> Endpoints(List<EndpointSlice> slices, ServicePort port)
    {
        foreach (var slice in slices)
        {
            foreach (var offered in slice.Ports.Where(offered => offered.Name == port.Name && offered.Protocol == port.Protocol))
            {
                if (offered.Port is not { } number || !IsPort(number)) continue;
                foreach (var endpoint in slice.Endpoints)
                {
                    // In the API, null means ready, and an absent serving condition follows ready.
                    var ready = endpoint.Conditions.Ready ?? true;
                    var serving = (endpoint.Conditions.Serving ?? ready) && (endpoint.Conditions.Terminating ?? false);
                    foreach (var address in endpoint.Addresses.Select(Parse).OfType<IPAddress>())
                    {
                        yield return new(new ServiceTarget(address, number), endpoint.NodeName, ready, serving);
                    }
                }
            }
        }
    }

    // Text from objects becomes part of the rules, so only IPv4 addresses may pass.
    private static IPAddress? Parse(string text) =>
        IPAddress.TryParse(text, out var address) && address.AddressFamily == AddressFamily.InterNetwork ? address : null;

    private static bool IsPort(int number) => number is > 0 and < 65536;

    private static string Identifier(string text)
    {
        var identifier = new StringBuilder("s.");
        foreach (var letter in text) identifier.Append(char.IsAsciiLetterOrDigit(letter) || letter is '.' or '-' ? letter : '_');
        return identifier.ToString();
    }

    private sealed record Candidate(ServiceTarget Target, string Node, bool Ready, bool ServesWhileTerminating);
}
