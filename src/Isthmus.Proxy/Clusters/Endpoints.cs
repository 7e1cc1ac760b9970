using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Clusters;

/// <summary>The workload behind an endpoint, as the control plane describes it (<c>istio.workload</c> metadata; empty parts
/// are unknown).</summary>
internal sealed record Workload(string Name, string Namespace, string CanonicalName, string CanonicalRevision, string Cluster)
{
    public static readonly Workload Unknown = new("", "", "", "", "");

    public static Workload Parse(string text)
    {
        var parts = text.Split(';');
        string Part(int i) => i < parts.Length ? parts[i] : "";
        return new(Part(0), Part(1), Part(2), Part(3), Part(4));
    }
}

internal enum EndpointHealth { Healthy, Unhealthy, Draining }

/// <summary>One address that traffic may be sent to, as the control plane describes it.</summary>
/// <param name="Address">An IP end point, a Unix socket or an internal listener.</param>
/// <param name="TransportMatch">Labels that choose the transport socket (<c>envoy.transport_socket_match</c>).</param>
/// <param name="IsGateway">It represents workloads of another network: its failures are those of the path, not of a workload.</param>
internal sealed record Endpoint(
    EndPoint Address, int Weight, EndpointHealth Health, ValueMap<string> TransportMatch, Workload Workload, bool IsGateway)
{
    public string AddressText => Text(Address);

    /// <summary>Where the workload is: also if it is behind an internal listener that is told so.</summary>
    public EndPoint Place => Address is InternalEndPoint && Target?.Local is { } local ? local : Address;

    /// <summary>Further addresses, tried one after another while those before do not answer; the first that does is used.</summary>
    public ValueList<EndPoint> MoreAddresses { get; init; }

    /// <summary>The host that it is, by name; empty when it has none.</summary>
    public string Hostname { get; init; } = "";

    /// <summary>The forward proxy in front of it, where it names one.</summary>
    public EndPoint? ForwardProxy { get; init; }

    /// <summary>Where connections to it go on, if it is behind an internal listener; null: unknown.</summary>
    public TunnelTarget? Target { get; init; }

    /// <summary>The end of a tunnel to it, as CONNECT has it.</summary>
    public string TunnelEnd => Hostname.Length > 0 && Address is IPEndPoint point ? $"{Hostname}:{point.Port}" : AddressText;

    /// <summary>How it is checked, where that differs from the cluster's other endpoints.</summary>
    public EndpointCheck? Check { get; init; }

    public static string Text(EndPoint? address) => address switch
    {
        null => "",
        IPEndPoint ip => ip.ToString(),
        UnixDomainSocketEndPoint unix => unix.ToString(),
        _ => address.ToString() ?? "",
    };
}

/// <summary>How an endpoint is checked (Envoy's <c>HealthCheckConfig</c>).</summary>
/// <param name="Address">Where; null: where requests go.</param>
/// <param name="Port">The port there; 0: that of the address.</param>
/// <param name="Hostname">The host that is asked for; empty: that of the cluster's checks.</param>
internal sealed record EndpointCheck(EndPoint? Address, int Port, string Hostname, bool IsDisabled)
{
    public EndPoint AddressOf(EndPoint endpoint) => (Address ?? endpoint) switch
    {
        IPEndPoint ip when Port > 0 => new IPEndPoint(ip.Address, Port),
        var address => address,
    };
}

/// <summary>A locality with its endpoints; lower priorities are used first.</summary>
internal sealed record LocalityEndpoints(string Region, string Zone, string Subzone, int Priority, int Weight, ValueList<Endpoint> Endpoints)
{
    public string Text => Subzone.Length > 0 ? $"{Region}/{Zone}/{Subzone}" : Zone.Length > 0 ? $"{Region}/{Zone}" : Region;
}

/// <summary>All endpoints of a cluster.</summary>
internal sealed record LoadAssignment(string Cluster, ValueList<LocalityEndpoints> Localities)
{
    public static readonly LoadAssignment Empty = new("", []);
}
