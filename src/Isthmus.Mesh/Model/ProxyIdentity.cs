using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;

namespace Isthmus.Mesh.Model;

public enum ProxyKind { Sidecar, Router }

/// <summary>A ServiceAccount of one cluster.</summary>
public readonly record struct AccountKey(string Cluster, string Namespace, string Name)
{
    public override string ToString() => $"{Namespace}/{Name}";
}

/// <summary>What a proxy's credential proves, whatever the proxy claims.</summary>
/// <param name="Pod">The Pod that its token is bound to; empty: unknown.</param>
public sealed record ProxyProof(AccountKey Account, string Pod);

/// <summary>The identity that a proxy claims: its node ID <c>type~ip~name.namespace~domain</c> and Istio's node metadata.</summary>
/// <param name="Domain">The DNS domain of its namespace, <c>NAMESPACE.svc.cluster.local</c>.</param>
/// <param name="Network">Empty: unknown.</param>
/// <param name="NetworkView">Networks whose endpoints it requests; empty: all.</param>
public sealed record ProxyIdentity(
    ProxyKind Kind,
    string Name,
    string Namespace,
    string Domain,
    string Cluster,
    string Network,
    ValueList<string> NetworkView,
    ValueList<Address> Addresses,
    ValueMap<string> Labels,
    string ServiceAccount,
    string WorkloadName,
    string NodeName,
    string InterceptionMode,
    bool DnsCapture,
    bool DnsAutoAllocate,
    string MeshId,
    string Version,
    Locality Locality)
{
    private const int MaxLabels = 512;
    private const int LongestMetadata = 1024;

    /// <summary>A gateway of replicated control planes: AUTO_PASSTHROUGH in the form of Istio up to 1.10 (ROUTER_MODE).</summary>
    public bool SniDnat { get; init; }

    /// <summary>What stands in front of it, as its ProxyConfig says; null: as the mesh's default says.</summary>
    public GatewayTopology? Topology { get; init; }

    /// <summary>How it traces, as its ProxyConfig says; null: as the mesh's default says.</summary>
    public ProxyTracing? Tracing { get; init; }

    /// <summary>The header fields that it adds, as its ProxyConfig says; null: as the mesh's default says.</summary>
    public ProxyHeaders? Headers { get; init; }

    /// <summary>Limits of clients' connections; null: those of the mesh.</summary>
    public ConnectionSettings? Connections { get; init; }

    /// <summary>What it is made of. Before they listed their extensions, proxies of Isthmus said in their metadata if they speak
    /// <c>istio-peer-exchange</c>.</summary>
    public ProxySoftware Software { get; init; } = ProxySoftware.Unknown;

    /// <summary>The program that it says it is, with its version: <c>isthmus 0.1.0</c>, <c>envoy 1.40.0</c>; empty if it does not say.</summary>
    public string Program { get; init; } = "";

    /// <summary>It serves clients of HTTP/1.0 (HTTP10 in its metadata).</summary>
    public bool AcceptsHttp10 { get; init; }

    /// <summary>It accepts tunnels where the mesh does (ENABLE_HBONE in its metadata).</summary>
    public bool AcceptsTunnels { get; init; }

    /// <summary>It opens no tunnels (DISABLE_HBONE_SEND in its metadata).</summary>
    public bool SendsNoTunnels { get; init; }

    /// <summary>The texts, numbers and truth values of its node metadata: EnvoyFilters select proxies by them.</summary>
    public ValueMap<string> Metadata { get; init; }

    /// <summary>What it has proven of this; null for nothing.</summary>
    public ProxyProof? Proof { get; init; }

    /// <summary>Its name on debug pages and in the CLI.</summary>
    public string Id => $"{Name}.{Namespace}";

    /// <summary>Reads a node message. On failure <paramref name="error"/> says what is wrong with it.</summary>
    /// <param name="software">What its list of extensions says; null if it has none.</param>
    public static ProxyIdentity? TryRead(string nodeId, Struct? metadata, Locality locality, out string error, ProxySoftware? software = null)
    {
        software ??= ProxySoftware.Unknown;
        var parts = nodeId.Split('~');
        if (parts.Length != 4)
        {
            error = $"node ID '{Shorten(nodeId)}' must have 4 parts: type~ip~name.namespace~domain";
            return null;
        }
        ProxyKind? kind = parts[0] switch { "sidecar" => ProxyKind.Sidecar, "router" => ProxyKind.Router, _ => null };
        if (kind is not { } known)
        {
            error = $"node type '{Shorten(parts[0])}' is neither sidecar nor router";
            return null;
        }
        var fields = metadata?.Fields ?? new();
        var texts = List(fields, "INSTANCE_IPS");
        var addresses = AddressesIn(texts.IsEmpty ? [parts[1]] : texts);
        if (addresses.IsEmpty)
        {
            error = $"node '{Shorten(nodeId)}' names no valid IP address";
            return null;
        }
        var dot = parts[2].LastIndexOf('.');
        var ns = Text(fields, "NAMESPACE") is { Length: > 0 } named ? named : dot < 0 ? "" : parts[2][(dot + 1)..];
        var name = Text(fields, "NAME") is { Length: > 0 } ownName ? ownName : dot < 0 ? parts[2] : parts[2][..dot];
        error = "";
        return new(
            known, name, ns, parts[3],
            Text(fields, "CLUSTER_ID"),
            Text(fields, "NETWORK"),
            List(fields, "REQUESTED_NETWORK_VIEW"),
            addresses,
            Map(fields, "LABELS"),
            Text(fields, "SERVICE_ACCOUNT"),
            Text(fields, "WORKLOAD_NAME"),
            Text(fields, "NODE_NAME"),
            Text(fields, "INTERCEPTION_MODE"),
            Flag(fields, "DNS_CAPTURE"),
            // On unless it says otherwise: Istio 1.31 allocates addresses without being asked.
            Text(fields, "DNS_AUTO_ALLOCATE").Length == 0 || Flag(fields, "DNS_AUTO_ALLOCATE"),
            Text(fields, "MESH_ID"),
            Text(fields, "ISTIO_VERSION"),
            locality)
        {
            Software = !software.Declares && Text(fields, "ISTHMUS_VERSION").Length > 0
                && !List(fields, WellKnown.FeaturesOfProxy).Contains(WellKnown.PeerExchange)
                ? software with { Filters = software.Filters & ~(IstioFilters.ServerExchange | IstioFilters.ClientExchange) } : software,
            AcceptsHttp10 = Text(fields, "HTTP10") == "1",
            AcceptsTunnels = Flag(fields, "ENABLE_HBONE"),
            SendsNoTunnels = Flag(fields, "DISABLE_HBONE_SEND"),
            SniDnat = known == ProxyKind.Router && Text(fields, "ROUTER_MODE") == "sni-dnat",
            Metadata = fields.Keys.Select(key => KeyValuePair.Create(key, Text(fields, key))).Where(field => field.Value.Length is > 0 and <= LongestMetadata)
                .ToValueMap(),
            Tracing = ProxyTracing.Of(fields.TryGetValue("PROXY_CONFIG", out var ownConfig) ? ownConfig : null),
            Headers = ProxyHeaders.Of(ownConfig),
            Connections = ConnectionSettings.Of(ownConfig),
            Topology = known == ProxyKind.Router ? GatewayTopology.Of(ownConfig) : null,
        };
    }

    private static string Shorten(string text) => text.Length <= 80 ? text : text[..80] + "…";

    private static string Text(IDictionary<string, Value> fields, string key) => fields.TryGetValue(key, out var value)
        ? value.KindCase switch
        {
            Value.KindOneofCase.StringValue => value.StringValue,
            Value.KindOneofCase.BoolValue => value.BoolValue ? "true" : "false",
            Value.KindOneofCase.NumberValue => value.NumberValue.ToString(System.Globalization.CultureInfo.InvariantCulture),
            _ => "",
        }
        : "";

    private static ValueList<Address> AddressesIn(ValueList<string> texts)
    {
        var addresses = new List<Address>(texts.Count);
        foreach (var text in texts)
        {
            if (Address.TryParse(text, out var address)) addresses.Add(address);
        }
        return addresses.ToValueList();
    }

    private static bool Flag(IDictionary<string, Value> fields, string key) =>
        Text(fields, key) is { } text && (text == "1" || string.Equals(text, "true", StringComparison.OrdinalIgnoreCase));

    /// <summary>String lists may come as lists or as comma-separated text.</summary>
    private static ValueList<string> List(IDictionary<string, Value> fields, string key)
    {
        if (!fields.TryGetValue(key, out var value)) return default;
        var items = value.KindCase == Value.KindOneofCase.ListValue
            ? value.ListValue.Values.Select(item => item.StringValue)
            : Text(fields, key).Split(',', StringSplitOptions.TrimEntries);
        return items.Where(item => item.Length > 0).ToValueList();
    }

    private static ValueMap<string> Map(IDictionary<string, Value> fields, string key)
    {
        if (!fields.TryGetValue(key, out var value) || value.KindCase != Value.KindOneofCase.StructValue) return default;
        return value.StructValue.Fields.Take(MaxLabels)
            .Where(field => field.Value.KindCase == Value.KindOneofCase.StringValue)
            .Select(field => KeyValuePair.Create(field.Key, field.Value.StringValue))
            .ToValueMap();
    }
}
