using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Envoy;

namespace Isthmus.Proxy.Agent;

/// <summary>How this proxy introduces itself: to the control plane as a node, to its peers as an identity.</summary>
internal static class AgentNode
{
    public static Node Build(AgentSettings settings, IReadOnlyDictionary<string, string> labels, IReadOnlyDictionary<string, string> annotations)
    {
        var metadata = new JsonObject();
        foreach (var (name, value) in settings.Metadata) metadata[name] = value;
        foreach (var (name, value) in settings.JsonMetadata) metadata[name] = Parse(name, value);
        metadata["NAME"] = settings.PodName;
        metadata["NAMESPACE"] = settings.Namespace;
        metadata["INSTANCE_IPS"] = settings.Address;
        metadata["SERVICE_ACCOUNT"] = settings.ServiceAccount;
        metadata["CLUSTER_ID"] = settings.ClusterId;
        metadata["ISTIO_VERSION"] = AgentSettings.CompatibleRelease;
        if (settings.BinaryPath.Length == 0)
        {
            metadata["ISTHMUS_VERSION"] = OwnVersion;
            metadata[WellKnown.FeaturesOfProxy] = new JsonArray((JsonNode)WellKnown.PeerExchange);
        }
        metadata["ENVOY_PROMETHEUS_PORT"] = Ports.ProxyMetrics;
        metadata["ENVOY_STATUS_PORT"] = Ports.ProxyReady;
        if (settings.SecureMetricsPort > 0) metadata["ENVOY_SECURE_METRICS_PORT"] = settings.SecureMetricsPort;
        if (settings.SecureMergedMetricsPort > 0) metadata["ENVOY_SECURE_MERGED_METRICS_PORT"] = settings.SecureMergedMetricsPort;
        metadata["PILOT_SAN"] = new JsonArray((JsonNode)(settings.ServerName.Length > 0 ? settings.ServerName : settings.Discovery.Host));
        metadata["PROXY_CONFIG"] = StrictJson.Parse(settings.ProxyConfig);
        metadata["LABELS"] = Map(labels);
        metadata["ANNOTATIONS"] = Map(annotations);
        var version = OwnVersion.Split('.').Select(part => uint.TryParse(part, out var n) ? n : 0).Concat([0u, 0u, 0u]).Take(3).ToArray();
        return new()
        {
            Id = $"{settings.Role}~{settings.Address}~{settings.PodName}.{settings.Namespace}~{settings.Domain}",
            Cluster = $"{CanonicalName(settings, labels)}.{settings.Namespace}",
            Metadata = ToStruct(metadata),
            UserAgentName = "isthmus",
            UserAgentBuildVersion = new() { Version = new() { MajorNumber = version[0], MinorNumber = version[1], Patch = version[2] } },
            Extensions = { ProxyExtensions.All },
        };
    }

    public static ProxyIdentity Identity(AgentSettings settings, Node node, IReadOnlyDictionary<string, string> labels)
    {
        string Label(string name, string otherwise = "") => labels.GetValueOrDefault(name, otherwise);
        var identity = new ProxyIdentity(
            node.Id, settings.Metadata.TryGetValue("WORKLOAD_NAME", out var workload) ? workload : settings.PodName, settings.Namespace,
            Label("app"), Label("version"), CanonicalName(settings, labels), Label(Labels.CanonicalRevision, "latest"),
            settings.ClusterId, settings.ServiceAccount, "") { TrustDomain = settings.TrustDomain };
        return identity with { PeerMetadata = PeerMetadataText.Write(identity) };
    }

    // Not with protojson: building its type registry costs a fifth of a second of CPU time.
    private static Struct ToStruct(JsonObject values)
    {
        var result = new Struct();
        foreach (var (name, value) in values) result.Fields[name] = ToValue(value);
        return result;
    }

    private static Value ToValue(JsonNode? node) => node switch
    {
        null => Value.ForNull(),
        JsonObject values => Value.ForStruct(ToStruct(values)),
        JsonArray items => Value.ForList([.. items.Select(ToValue)]),
        _ => node.GetValueKind() switch
        {
            JsonValueKind.Number => Value.ForNumber(double.Parse(node.ToJsonString(), CultureInfo.InvariantCulture)),
            JsonValueKind.True or JsonValueKind.False => Value.ForBool(node.GetValue<bool>()),
            _ => Value.ForString(node.GetValue<string>()),
        },
    };

    private static string OwnVersion => typeof(AgentNode).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";

    private static string CanonicalName(AgentSettings settings, IReadOnlyDictionary<string, string> labels) =>
        labels.GetValueOrDefault(Labels.CanonicalName) ?? labels.GetValueOrDefault("app")
        ?? (settings.Metadata.TryGetValue("WORKLOAD_NAME", out var workload) ? workload : settings.PodName);

    private static JsonObject Map(IReadOnlyDictionary<string, string> values) =>
        new(values.Select(v => KeyValuePair.Create<string, JsonNode?>(v.Key, JsonValue.Create(v.Value))));

    private static JsonNode? Parse(string name, string text)
    {
        try
        {
            return StrictJson.Parse(text);
        }
        catch (JsonException e)
        {
            throw new ProblemException($"ISTIO_METAJSON_{name}", $"is not JSON: {e.Message}", "", e);
        }
    }
}
