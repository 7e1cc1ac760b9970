using System.Net;
using System.Net.Sockets;
using Isthmus.Dns.Zones;
using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Cluster;

/// <summary>Names of the Services of a cluster set ("Multicluster DNS", KEP-1645).</summary>
public sealed class ClusterSetNames(ImportDirectory directory, uint ttl)
{
    /// <summary>Null when the name does not exist.</summary>
    /// <param name="name">Lower case, in the zone.</param>
    /// <param name="asked">The name as spelt in the query.</param>
    public ClusterAnswer? Find(string zone, string name, string asked, DnsType type)
    {
        if (name.Length == zone.Length) return type == DnsType.SOA ? new([Zone.Authority(asked, ttl)]) : ClusterAnswer.NoData;
        var labels = (zone.Length == 0 ? name : name[..^(zone.Length + 1)]).Split('.');
        return labels switch
        {
            ["svc"] => ClusterAnswer.NoData,
            [var ns, "svc"] => directory.HasNamespace(ns) ? ClusterAnswer.NoData : null,
            [var service, var ns, "svc"] => Service(zone, ns, service, asked, type),
            [['_', .. var port], ['_', .. var protocol], var service, var ns, "svc"] => Ports(zone, ns, service, port, protocol, asked, type),
            [['_', .. var protocol], var service, var ns, "svc"] => Ports(zone, ns, service, null, protocol, asked, type) is null ? null : ClusterAnswer.NoData,
            [var cluster, var service, var ns, "svc"] => Endpoints(ns, service, endpoint => endpoint.Cluster == cluster).Any() ? ClusterAnswer.NoData : null,
            [var host, var cluster, var service, var ns, "svc"] => Endpoint(ns, service, host, cluster, asked, type),
            _ => null,
        };
    }

    private ClusterAnswer? Service(string zone, string ns, string name, string asked, DnsType type)
    {
        if (directory.Find(ns, name) is not { } import) return null;
        if (type == DnsType.SRV) return Ports(zone, ns, name, null, null, asked, type) ?? ClusterAnswer.NoData;
        if (!import.Headless) return Addresses(asked, import.Addresses, type);
        var endpoints = directory.Endpoints(import).Select(endpoint => endpoint.Address).Distinct().ToList();
        return endpoints.Count == 0 ? null : Addresses(asked, endpoints, type);
    }

    private ClusterAnswer? Endpoint(string ns, string name, string host, string cluster, string asked, DnsType type)
    {
        var found = Endpoints(ns, name, endpoint => endpoint.Cluster == cluster && (endpoint.Host == host || ClusterDirectory.Dashed(endpoint.Address) == host))
            .Select(endpoint => endpoint.Address).Distinct().ToList();
        return found.Count == 0 ? null : Addresses(asked, found, type);
    }

    private IEnumerable<ImportedEndpoint> Endpoints(string ns, string name, Func<ImportedEndpoint, bool> wanted) =>
        directory.Find(ns, name) is { Headless: true } import ? directory.Endpoints(import).Where(wanted) : [];

    private ClusterAnswer? Ports(string zone, string ns, string name, string? port, string? protocol, string asked, DnsType type)
    {
        if (directory.Find(ns, name) is not { } import) return null;
        bool Fits(PortEntry entry) => (port is null || entry.Name == port) && (protocol is null || entry.Protocol == protocol);
        var found = new List<(ushort Number, string Target, IPAddress Address)>();
        if (!import.Headless)
            found.AddRange(import.Ports.Where(Fits)
                .SelectMany(entry => import.Addresses.Select(address => (entry.Number, $"{name}.{ns}.svc.{zone}", address))));
        else
            found.AddRange(directory.Endpoints(import)
                .SelectMany(endpoint => endpoint.Ports.Where(Fits)
                    .Select(entry => (entry.Number, $"{endpoint.Host}.{endpoint.Cluster}.{name}.{ns}.svc.{zone}", endpoint.Address))));
        if (found.Count == 0) return null;
        if (type is not (DnsType.SRV or DnsType.ANY)) return ClusterAnswer.NoData;
        // A port of two protocols is one record.
        return new([.. found.Select(one => (one.Number, one.Target)).Distinct()
            .Select(one => new DnsRecord(asked, ttl, new ServiceContent(0, 100, one.Number, one.Target)))])
        {
            Additionals = [.. found.Select(one => (one.Target, one.Address)).Distinct()
                .Select(one => new DnsRecord(one.Target, ttl, new AddressContent(one.Address)))],
        };
    }

    private ClusterAnswer Addresses(string asked, IEnumerable<IPAddress> addresses, DnsType type)
    {
        var family = type switch { DnsType.A => AddressFamily.InterNetwork, DnsType.AAAA => AddressFamily.InterNetworkV6, _ => AddressFamily.Unspecified };
        return new([.. addresses.Where(address => type == DnsType.ANY || address.AddressFamily == family)
            .Select(address => new DnsRecord(asked, ttl, new AddressContent(address)))]);
    }
}
