using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>One definition of a host. Either is set.</summary>
public sealed record KnownHost(ClusterInventory Cluster, Service? Service, ServiceEntry? Entry)
{
    public string Namespace => Service?.Metadata.Namespace ?? Entry!.Namespace;

    /// <summary>The numbers of its ports.</summary>
    public IEnumerable<int> Ports => Service is not null ? Service.Spec.Ports.Select(port => port.Port) : Entry!.Ports.Select(port => port.Number);

    /// <summary>What its ports declare, without those for datagrams.</summary>
    public IEnumerable<(int Number, Protocol Protocol)> Protocols => Service is not null
        ? Service.Spec.Ports.Where(port => port.Protocol != "UDP")
            .Select(port => (port.Port, Mesh.Model.Protocols.Of(port.Protocol, port.AppProtocol, port.Name, port.Port)))
        : Entry!.Ports.Select(port => (port.Number, port.Protocol));

    public bool IsVisibleTo(string ns) => Service is not null
        ? Visibility.Allows([.. Service.Metadata.Annotations.GetValueOrDefault(Annotations.ExportTo, "")
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)],
            Namespace, ns)
        : Visibility.Allows(Entry!.ExportTo, Namespace, ns);
}

/// <summary>The hosts that Services and ServiceEntries of all clusters define.</summary>
public sealed class HostTable
{
    private const string Suffix = $".svc.{WellKnown.DefaultDomainSuffix}", ClusterSet = ".svc.clusterset.local";

    private readonly ILookup<string, KnownHost> _exact;
    private readonly IReadOnlyList<(string Pattern, KnownHost Host)> _wildcards;
    private readonly ILookup<string, (string Name, KnownHost Host)> _byNamespace;

    internal HostTable(IReadOnlyList<ClusterInventory> clusters)
    {
        var services = clusters.SelectMany(cluster => cluster.Services.Select(service => (Name: NameOf(service), Host: new KnownHost(cluster, service, null))))
            .ToList();
        var entries = clusters.SelectMany(cluster => cluster.Istio<ServiceEntry>()
            .SelectMany(entry => entry.Hosts.Select(host => (Name: host, Host: new KnownHost(cluster, null, entry)))))
            .ToList();
        _exact = services.Concat(entries.Where(entry => !entry.Name.StartsWith('*'))).ToLookup(item => item.Name, item => item.Host, StringComparer.Ordinal);
        _wildcards = [.. entries.Where(entry => entry.Name.StartsWith('*'))];
        _byNamespace = services.Concat(entries).ToLookup(item => item.Host.Namespace, StringComparer.Ordinal);
    }

    public static string NameOf(Service service) => $"{service.Metadata.Name}.{service.Metadata.Namespace}{Suffix}";

    /// <summary>Whether some host has a port of this number.</summary>
    public bool HasPort(int number) =>
        _exact.Any(hosts => hosts.Any(host => host.Ports.Contains(number))) || _wildcards.Any(known => known.Host.Ports.Contains(number));

    /// <summary>The definitions of a host; for a name with a wildcard, those of every host that it covers.</summary>
    public IReadOnlyList<KnownHost> Find(string host)
    {
        if (host.StartsWith('*'))
            return [.. _exact.Where(known => Hosts.Covers(host, known.Key)).SelectMany(known => known),
                .. _wildcards.Where(known => Hosts.Covers(host, known.Pattern)).Select(known => known.Host)];
        var exact = _exact[host.EndsWith(ClusterSet, StringComparison.Ordinal) ? host[..^ClusterSet.Length] + Suffix : host].ToList();
        return exact.Count > 0 ? exact : [.. _wildcards.Where(known => Hosts.Covers(known.Pattern, host)).Select(known => known.Host)];
    }

    /// <summary>The same in one namespace; empty: in all. What is not asked for is not looked up.</summary>
    public IEnumerable<KnownHost> FindIn(string ns, string host) =>
        !host.StartsWith('*') ? Find(host).Where(known => ns.Length == 0 || known.Namespace == ns)
            : (ns.Length == 0 ? _byNamespace.SelectMany(known => known) : _byNamespace[ns])
                .Where(known => Hosts.Covers(host, known.Name)).Select(known => known.Host);
}
