using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Isthmus.Dns.Config;
using Isthmus.Dns.Zones;
using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Cluster;

/// <summary>The cluster's result for a name. Without answers the name exists but has no such record.</summary>
public sealed record ClusterAnswer(IReadOnlyList<DnsRecord> Answers)
{
    public static readonly ClusterAnswer NoData = new([]);

    /// <summary>Addresses of names in the answer, which save clients another query.</summary>
    public IReadOnlyList<DnsRecord> Additionals { get; init; } = [];

    /// <summary>The target of an ExternalName; the caller resolves it.</summary>
    public string? Alias { get; init; }
}

/// <summary>Names of Services, endpoints and Pods ("Kubernetes DNS-Based Service Discovery", version 1.1.0).</summary>
public sealed class ClusterNames(ClusterDirectory directory, KubernetesPlan plan)
{
    private const string SpecificationVersion = "1.1.0";

    /// <summary>Null when the name does not exist.</summary>
    /// <param name="zone">The zone of <see cref="KubernetesPlan.Zones"/> that the name lies in.</param>
    /// <param name="name">Lower case.</param>
    /// <param name="asked">The name as spelt in the query.</param>
    public ClusterAnswer? Find(string zone, string name, string asked, DnsType type)
    {
        if (ReverseName.IsReverse(zone)) return Reverse(name, asked, type);
        if (name.Length == zone.Length) return Apex(zone, asked, type);
        var labels = (zone.Length == 0 ? name : name[..^(zone.Length + 1)]).Split('.');
        return labels switch
        {
            ["dns-version"] => type == DnsType.TXT ? One(asked, new TextContent([SpecificationVersion])) : ClusterAnswer.NoData,
            ["svc"] or ["pod"] => ClusterAnswer.NoData,
            ["ns", "dns"] => NameServer(asked, type),
            [var ns, "svc" or "pod"] => Serves(ns) ? ClusterAnswer.NoData : null,
            [var address, var ns, "pod"] => Pod(ns, address, asked, type),
            [var service, var ns, "svc"] => Service(zone, ns, service, asked, type),
            [['_', .. var port], ['_', .. var protocol], var service, var ns, "svc"] => Ports(zone, ns, service, port, protocol, asked, type),
            [['_', .. var protocol], var service, var ns, "svc"] => Ports(zone, ns, service, null, protocol, asked, type) is null ? null : ClusterAnswer.NoData,
            [var host, var service, var ns, "svc"] => Endpoint(ns, service, host, asked, type),
            _ => null,
        };
    }

    private bool Serves(string ns) => directory.HasNamespace(ns) && (plan.Namespaces.IsEmpty || plan.Namespaces.Contains(ns));

    private ServiceEntry? Look(string ns, string name)
    {
        if (!Serves(ns) || directory.Service(ns, name) is not { } service) return null;
        return plan.IgnoreEmptyService && service is { Headless: false, ExternalName: "" } && !directory.Endpoints(service).Any() ? null : service;
    }

    private ClusterAnswer Apex(string zone, string asked, DnsType type) => type switch
    {
        DnsType.SOA => new([Zone.Authority(asked, plan.Ttl)]),
        DnsType.NS => new([Record(asked, new NameContent(DnsType.NS, $"ns.dns.{zone}"))]) { Additionals = NameServer($"ns.dns.{zone}", DnsType.A).Answers },
        _ => ClusterAnswer.NoData,
    };

    /// <summary>The address of the cluster's DNS itself: the Service that users and kubelets know.</summary>
    private ClusterAnswer NameServer(string asked, DnsType type) =>
        directory.Service("kube-system", "kube-dns") is { } service ? Addresses(asked, service.Addresses, type) : ClusterAnswer.NoData;

    private ClusterAnswer? Service(string zone, string ns, string name, string asked, DnsType type)
    {
        if (Look(ns, name) is not { } service) return null;
        if (service.ExternalName.Length > 0)
        {
            var alias = Record(asked, new NameContent(DnsType.CNAME, service.ExternalName));
            return type is DnsType.A or DnsType.AAAA or DnsType.CNAME or DnsType.ANY
                ? new([alias]) { Alias = type == DnsType.CNAME ? null : service.ExternalName } : ClusterAnswer.NoData;
        }
        if (type == DnsType.SRV) return Ports(zone, ns, name, null, null, asked, type);
        if (!service.Headless) return Addresses(asked, service.Addresses, type);
        if (plan.NoEndpoints) return ClusterAnswer.NoData;
        var endpoints = directory.Endpoints(service).Select(endpoint => endpoint.Address).Distinct().ToList();
        // A headless Service without endpoints has no name (CoreDNS answers so).
        return endpoints.Count == 0 ? null : Addresses(asked, endpoints, type);
    }

    private ClusterAnswer? Endpoint(string ns, string name, string host, string asked, DnsType type)
    {
        if (plan.NoEndpoints || Look(ns, name) is not { } service) return null;
        var found = directory.Endpoints(service).Where(endpoint => endpoint.Host == host || ClusterDirectory.Dashed(endpoint.Address) == host)
            .Select(endpoint => endpoint.Address).Distinct().ToList();
        return found.Count == 0 ? null : Addresses(asked, found, type);
    }

    private ClusterAnswer? Ports(string zone, string ns, string name, string? port, string? protocol, string asked, DnsType type)
    {
        if (Look(ns, name) is not { ExternalName: "" } service) return null;
        bool Fits(PortEntry entry) => (port is null || entry.Name == port) && (protocol is null || entry.Protocol == protocol);
        var (answers, additionals) = (new List<DnsRecord>(), new List<DnsRecord>());
        void Add(PortEntry entry, string target, IEnumerable<IPAddress> addresses)
        {
            answers.Add(Record(asked, new ServiceContent(0, 100, entry.Number, target)));
            foreach (var address in addresses) additionals.Add(Record(target, new AddressContent(address)));
        }
        if (!service.Headless)
            foreach (var entry in service.Ports.Where(Fits)) Add(entry, $"{name}.{ns}.svc.{zone}", service.Addresses);
        else if (!plan.NoEndpoints)
            foreach (var endpoint in directory.Endpoints(service))
                foreach (var entry in endpoint.Ports.Where(Fits)) Add(entry, $"{endpoint.Host}.{name}.{ns}.svc.{zone}", [endpoint.Address]);
        if (answers.Count == 0) return null;
        return type is DnsType.SRV or DnsType.ANY ? new(answers) { Additionals = [.. additionals.Distinct()] } : ClusterAnswer.NoData;
    }

    private ClusterAnswer? Pod(string ns, string dashed, string asked, DnsType type)
    {
        if (plan.Pods == PodMode.Disabled || !Serves(ns)) return null;
        var text = dashed.Count(c => c == '-') == 3 && !dashed.Contains("--", StringComparison.Ordinal) ? dashed.Replace('-', '.') : dashed.Replace('-', ':');
        if (!IPAddress.TryParse(text, out var address)) return null;
        return plan.Pods == PodMode.Verified && !directory.HasPod(ns, address) ? null : Addresses(asked, [address], type);
    }

    private ClusterAnswer? Reverse(string name, string asked, DnsType type)
    {
        if (ReverseName.Address(name) is not { } address) return null;
        var zone = plan.Zones.FirstOrDefault(candidate => !ReverseName.IsReverse(candidate));
        if (zone is null) return null;
        var targets = directory.ServiceAt(address) is { } service && Serves(service.Namespace)
            ? [$"{service.Name}.{service.Namespace}.svc.{zone}"]
            : directory.EndpointsAt(address).Where(found => Serves(found.Service.Namespace))
                .Select(found => $"{found.Host}.{found.Service.Name}.{found.Service.Namespace}.svc.{zone}").ToArray();
        if (targets.Length == 0) return null;
        return type is DnsType.PTR or DnsType.ANY
            ? new([.. targets.Select(target => Record(asked, new NameContent(DnsType.PTR, target)))])
            : ClusterAnswer.NoData;
    }

    private ClusterAnswer Addresses(string asked, IEnumerable<IPAddress> addresses, DnsType type)
    {
        var family = type switch { DnsType.A => AddressFamily.InterNetwork, DnsType.AAAA => AddressFamily.InterNetworkV6, _ => AddressFamily.Unspecified };
        if (family == AddressFamily.Unspecified && type != DnsType.ANY) return ClusterAnswer.NoData;
        return new([.. addresses.Where(address => type == DnsType.ANY || address.AddressFamily == family)
            .Select(address => Record(asked, new AddressContent(address)))]);
    }

    private ClusterAnswer One(string asked, DnsContent content) => new([Record(asked, content)]);

    private DnsRecord Record(string name, DnsContent content) => new(name, plan.Ttl, content);
}

/// <summary>Names below in-addr.arpa and ip6.arpa.</summary>
public static class ReverseName
{
    private const string V4 = "in-addr.arpa";
    private const string V6 = "ip6.arpa";

    public static bool IsReverse(string zone) => DnsName.IsWithin(zone, V4) || DnsName.IsWithin(zone, V6);

    /// <summary>The address of a complete reverse name; null when the name is incomplete or not a reverse name.</summary>
    public static IPAddress? Address(string name)
    {
        if (name.EndsWith("." + V4, StringComparison.Ordinal))
        {
            var parts = name[..^(V4.Length + 1)].Split('.');
            return parts.Length == 4 && parts.All(part => byte.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out _))
                ? new IPAddress(parts.Reverse().Select(part => byte.Parse(part, CultureInfo.InvariantCulture)).ToArray()) : null;
        }
        if (!name.EndsWith("." + V6, StringComparison.Ordinal)) return null;
        var nibbles = name[..^(V6.Length + 1)].Split('.');
        if (nibbles.Length != 32 || nibbles.Any(nibble => nibble.Length != 1 || !char.IsAsciiHexDigit(nibble[0]))) return null;
        return new IPAddress(Convert.FromHexString(string.Concat(nibbles.Reverse())));
    }
}
