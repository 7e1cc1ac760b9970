using Isthmus.Core.Collections;
using Isthmus.Core.Names;

namespace Isthmus.Mesh.Model;

/// <summary>Region, zone and subzone; empty parts are unknown. Ordered by its text, as endpoints are grouped.</summary>
public readonly record struct Locality(string Region, string Zone, string Subzone) : IComparable<Locality>
{
    public static readonly Locality Unknown = new("", "", "");

    public bool IsUnknown => string.IsNullOrEmpty(Region) && string.IsNullOrEmpty(Zone) && string.IsNullOrEmpty(Subzone);

    /// <summary>Parses <c>region/zone/subzone</c>; dots stand for slashes when there are none (labels cannot hold slashes).</summary>
    public static Locality Parse(string? text)
    {
        if (string.IsNullOrEmpty(text)) return Unknown;
        var parts = text.Split(text.Contains('/', StringComparison.Ordinal) ? '/' : '.', 3);
        return new(parts[0], parts.Length > 1 ? parts[1] : "", parts.Length > 2 ? parts[2] : "");
    }

    /// <summary>The locality that a workload's labels give it; null when they give none.</summary>
    public static Locality? OfLabels(ValueMap<string> labels) =>
        labels.TryGetValue(Labels.Locality, out var own) || labels.TryGetValue(Labels.OldLocality, out own) ? Parse(own) : null;

    /// <summary>Whether it is in what a pattern names: <c>*</c>, <c>region/*</c>, <c>region/zone/*</c> or the exact locality.</summary>
    public bool IsIn(string pattern)
    {
        var parts = pattern.Split('/');
        string[] own = [Region ?? "", Zone ?? "", Subzone ?? ""];
        for (var i = 0; i < parts.Length && i < own.Length; i++)
        {
            if (parts[i] == "*") return true;
            if (parts[i] != own[i]) return false;
        }
        return true;
    }

    public int CompareTo(Locality other) => string.CompareOrdinal(ToString(), other.ToString());

    public override string ToString() =>
        !string.IsNullOrEmpty(Subzone) ? $"{Region}/{Zone}/{Subzone}" : !string.IsNullOrEmpty(Zone) ? $"{Region}/{Zone}" : Region ?? "";
}

/// <param name="Service">The service's port number, by which endpoints are joined across clusters.</param>
/// <param name="Target">The port at the workload.</param>
/// <param name="Mtls">The workload accepts mesh TLS on the port, taking PeerAuthentication into account.</param>
public readonly record struct EndpointPort(int Service, int Target, bool Mtls)
{
    /// <summary>For datagrams.</summary>
    public bool IsUdp { get; init; }
}

/// <summary>The workload behind an address.</summary>
public sealed record WorkloadName(string Name, string Namespace, string CanonicalName, string CanonicalRevision);

public enum EndpointHealth { Ready, NotReady, Draining }

/// <summary>One address that serves a host.</summary>
/// <param name="Address">A host name only for DNS services; none: reachable through a gateway only.</param>
/// <param name="Network">The network it is in; empty when there are none.</param>
/// <param name="Labels">The workload's labels with cluster, network and locality added, as subsets select by them.</param>
/// <param name="PodHostname">spec.hostname of a Pod with a subdomain, for its own DNS name; empty otherwise.</param>
/// <param name="Source">The EndpointSlice or ServiceEntry that names it.</param>
public sealed record MeshEndpoint(
    string Hostname,
    string Cluster,
    EndpointAddress Address,
    ValueList<EndpointPort> Ports,
    string Network,
    Locality Locality,
    ValueMap<string> Labels,
    WorkloadName Workload,
    string ServiceAccount,
    uint Weight,
    EndpointHealth Health,
    string PodHostname,
    ObjectRef Source)
{
    /// <summary>The Pod's own name; empty when there is no Pod.</summary>
    public string PodName { get; init; } = "";

    /// <summary>The Node that the address is on; empty when it is on none.</summary>
    public string Node { get; init; } = "";

    /// <summary>The address is that of a Pod of another namespace, or of a Service: what is dialled there is not dialled because of this host.</summary>
    public bool IsBorrowed { get; init; }

    /// <summary>Only for callers in its own cluster, which does not export the service.</summary>
    public bool Withheld { get; init; }

    /// <summary>Its workload accepts HBONE.</summary>
    public bool AcceptsTunnels => Model.Workload.AcceptsTunnels(Labels);

    /// <summary>Its workload has a proxy that accepts mesh TLS, whatever policies say of single ports.</summary>
    public bool HasMeshTls => Labels.TryGetValue(Core.Names.Labels.TlsMode, out var mode) && mode == "istio";

    public EndpointPort? Port(int servicePort) => Port(servicePort, isUdp: false);

    /// <summary>As <see cref="Port(int)"/>, for datagrams.</summary>
    public EndpointPort? UdpPort(int servicePort) => Port(servicePort, isUdp: true);

    private EndpointPort? Port(int servicePort, bool isUdp)
    {
        foreach (var port in Ports)
        {
            if (port.Service == servicePort && port.IsUdp == isUdp) return port;
        }
        return null;
    }
}

/// <summary>The address of a gateway into a network. It is used only while <see cref="Ready"/>.</summary>
/// <param name="Cluster">The cluster of its Service; empty for addresses from meshNetworks.</param>
/// <param name="Address">An IP address; or a host name that still has to be resolved (it has no <see cref="Family"/>).</param>
/// <param name="Ready">The gateway's Service has a ready endpoint in its cluster; always true for addresses from meshNetworks.</param>
public sealed record NetworkGateway(string Network, string Cluster, EndpointAddress Address, int Port, bool Ready, ObjectRef Source)
{
    /// <summary>Its share among the gateways of its network; 0 takes it out.</summary>
    public uint Weight { get; init; } = 1;

    /// <summary>Of its address; null for a host name.</summary>
    public System.Net.Sockets.AddressFamily? Family => Address.Ip?.Family;
}

/// <summary>Everything behind a host.</summary>
/// <param name="Identities">SPIFFE IDs that may answer for it, sorted.</param>
/// <param name="AllMtls">There is at least one endpoint, and all accept mesh TLS on all their ports.</param>
public sealed record HostEndpoints(ValueList<MeshEndpoint> Endpoints, ValueList<string> Identities, bool AllMtls)
{
    public static readonly HostEndpoints None = new(default, default, false);
}
