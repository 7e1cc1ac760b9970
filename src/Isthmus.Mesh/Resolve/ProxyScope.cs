using System.Net.Sockets;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>
/// Everything that a proxy's view of the mesh depends on, and nothing else. No generator sees it: each gets the few of its members that it reads, and
/// proxies for which these are equal share what is made of them.
/// Never all labels (a pod-template-hash would make every view unique), only those that a rule selects by.
/// </summary>
/// <param name="RuleLabels">The labels of the proxy that a VirtualService or failover policy selects by.</param>
/// <param name="Sidecar">The Sidecar resource that applies, or null.</param>
public sealed record ProxyScope(
    ProxyKind Kind, string Cluster, string Network, string Namespace, string Domain, ValueMap<string> RuleLabels, Sidecar? Sidecar)
{
    /// <summary>The networks whose endpoints it may reach; empty: all.</summary>
    public ValueList<string> NetworkView { get; init; }

    public bool DnsCapture { get; init; }

    public bool DnsAutoAllocate { get; init; }

    /// <summary>Unknown unless some policy prefers localities.</summary>
    public Locality Locality { get; init; } = Locality.Unknown;

    /// <summary>How calls to other hosts are traced; null if they are not.</summary>
    public TracePlan? Tracing { get; init; }

    /// <summary>The access logs of calls to other hosts; null: as MeshConfig says.</summary>
    public ValueList<LogPlan>? Logs { get; init; }

    /// <summary>How the metrics of calls to other hosts differ from the standard ones.</summary>
    public MetricChanges Metrics { get; init; } = MetricChanges.None;

    /// <summary>The Node that the proxy is on; empty unless some Service keeps to Nodes.</summary>
    public string Node { get; init; } = "";

    /// <summary>The only family of addresses that the proxy can dial; null for any.</summary>
    public AddressFamily? Family { get; init; }

    /// <summary>The patches of EnvoyFilters for outbound traffic, or for a gateway.</summary>
    public ValueList<EnvoyPatch> Patches { get; init; }

    /// <summary>The WasmPlugins of the workload, for proxies that run them.</summary>
    public ValueList<WasmPlugin> Plugins { get; init; }

    /// <summary>The name under which a gateway gets the certificate that it shows to backends; empty for none.</summary>
    public string ClientCredential { get; init; } = "";

    /// <summary>What the proxy is made of.</summary>
    public ProxySoftware Software { get; init; } = ProxySoftware.Unknown;

    /// <summary>The proxy opens tunnels to workloads that accept them (HBONE).</summary>
    public bool SendsTunnels { get; init; }

    /// <summary>The proxy serves clients of HTTP/1.0.</summary>
    public bool AcceptsHttp10 { get; init; }

    /// <summary>The header fields that the proxy adds.</summary>
    public ProxyHeaders Headers { get; init; } = ProxyHeaders.Default;

    /// <summary>Limits of clients' connections.</summary>
    public ConnectionSettings Connections { get; init; } = ConnectionSettings.Default;

    public Vantage Vantage() => new(Kind, Cluster, Network, NetworkView, Locality, RuleLabels, Node, Family);

    public ClusterCaller ClusterCaller() =>
        new(Vantage(), Software.Has(IstioFilters.ClientExchange), Headers.TellsMeshOnly, Software.IsRecent)
        {
            ClientCredential = ClientCredential,
            IsEnvoy = Software.IsEnvoy,
            SendsTunnels = SendsTunnels,
        };

    public RouteCaller RouteCaller() => new(new(Namespace, RuleLabels), Headers.HasAttemptCount) { CannotAsk = !Software.ComposesFilters };

    public DomainCaller DomainCaller() => new(AddressCaller(), Namespace, Domain);

    public ListenerCaller ListenerCaller() => new(AddressCaller(), Network, new(Namespace, RuleLabels));

    public NameCaller NameCaller() => new(AddressCaller(), Network, Namespace);

    private AddressCaller AddressCaller() => new(Cluster, DnsCapture, DnsAutoAllocate, Family);

    /// <summary>The settings for the outbound traffic of sidecars, or for gateways.</summary>
    public MeshConfig SettingsIn(MeshConfig mesh) => mesh with
    {
        Software = Software, Connections = Connections, AcceptHttp10 = mesh.AcceptHttp10 || AcceptsHttp10, ProxyHeaders = Headers, ChosenLogs = Logs,
        ChosenMetrics = Metrics, Plugins = Plugins,
    };
}
