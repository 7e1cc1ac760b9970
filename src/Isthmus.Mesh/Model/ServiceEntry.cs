using Isthmus.Core.Collections;
using Isthmus.Core.Net;

namespace Isthmus.Mesh.Model;

public enum EntryResolution { None, Static, Dns, DnsRoundRobin, DynamicDns }

/// <summary>An endpoint of a ServiceEntry, or a WorkloadEntry.</summary>
/// <param name="Ports">Port name → port at the workload.</param>
public sealed record EntryEndpoint(
    EndpointAddress Address,
    ValueMap<int> Ports,
    ValueMap<string> Labels,
    string Network,
    string Locality,
    uint Weight,
    string ServiceAccount);

public sealed record ServiceEntry(
    ObjectRef Source,
    ValueList<string> Hosts,
    ValueList<AddressOrRange> Addresses,
    ValueList<ServicePort> Ports,
    bool External,
    EntryResolution Resolution,
    ValueList<EntryEndpoint> Endpoints,
    ValueMap<string> WorkloadSelector,
    ValueList<string> ExportTo,
    ValueList<string> SubjectAltNames,
    long CreatedAt)
{
    /// <summary>Which endpoints callers prefer; null: as the namespace says.</summary>
    public TrafficDistribution? Distribution { get; init; }

    /// <inheritdoc cref="MeshService.RacesAddresses"/>
    public bool RacesAddresses { get; init; }

    public string Namespace => Source.Namespace;
    public string Name => Source.Name;
}

/// <summary>A workload outside Kubernetes.</summary>
public sealed record WorkloadEntry(ObjectRef Source, EntryEndpoint Endpoint)
{
    /// <summary>It has health checks, and they fail or have not passed yet.</summary>
    public bool IsUnhealthy { get; init; }

    public string Namespace => Source.Namespace;
    public string Name => Source.Name;
}
