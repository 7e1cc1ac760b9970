using System.Text.Json.Nodes;
using Isthmus.Graph.Derive;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.ControlPlane.Mcs;

/// <summary>A ServiceImport as it should be, with the fields of the API's newest version.</summary>
/// <param name="Labels">Those of the exports, and the one that says who manages it.</param>
/// <param name="Known">What the cluster has.</param>
public sealed record WantedImport(
    string Namespace, string Name, JsonObject Labels, JsonObject Annotations, JsonObject Spec, JsonArray Clusters, ServiceImport? Known)
{
    /// <summary>The fields of <c>spec</c> that older versions of the API lack.</summary>
    private static readonly string[] NewFields = ["ipFamilies", "internalTrafficPolicy", "trafficDistribution"];

    /// <summary>Null while the host has no address yet.</summary>
    /// <param name="exported">What the host is made of, the oldest export first.</param>
    internal static WantedImport? Of(MeshService host, IReadOnlyList<ExportedService> exported, string cluster, ServiceImport? known)
    {
        if (exported.Count == 0) return null;
        var (first, offer) = (exported[0], exported[0].Offer);
        var spec = new JsonObject
        {
            ["type"] = host.Headless ? "Headless" : "ClusterSetIP",
            ["ports"] = new JsonArray([.. ExportedServices.Ports(exported).Select(port => (JsonNode)Port(port))]),
        };
        if (host.Headless) spec["ipFamilies"] = Texts(exported.SelectMany(one => one.Offer.IpFamilies).Distinct());
        else if (!AddAddress(spec, host, cluster)) return null;
        else AddAffinity(spec, offer);
        if (offer.InternalTrafficPolicy.Length > 0) spec["internalTrafficPolicy"] = offer.InternalTrafficPolicy;
        if (offer.TrafficDistribution.Length > 0) spec["trafficDistribution"] = offer.TrafficDistribution;
        var labels = new JsonObject(first.Export.Labels.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value)))
        {
            [Core.Names.Labels.ManagedImport] = "true"
        };
        return new(host.Namespace, host.Name, labels,
            new(first.Export.Annotations.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value))), spec,
            new([.. host.Clusters.Order(StringComparer.Ordinal).Select(id => (JsonNode)new JsonObject { ["cluster"] = id })]), known);
    }

    /// <summary>Whether the cluster has it, as far as the version in which it is read has fields for it.</summary>
    internal bool IsKnown => Known is not null && Known.Content == Content(Known.Version);

    /// <summary>Whether the cluster has as much of it as the definition allows.</summary>
    /// <param name="mostIps">How many addresses it allows.</param>
    internal bool IsKnownWith(int mostIps) => Known is not null && Known.Content == Content(Known.Version, mostIps);

    /// <summary>All of it in a version of the API, as <see cref="ServiceImport.Content"/> says what the cluster has.</summary>
    internal string Content(string version, int mostIps = int.MaxValue) => MultiClusterFacts.ContentOf(
        new()
        {
            ["metadata"] = new JsonObject { ["labels"] = Labels.DeepClone(), ["annotations"] = Annotations.DeepClone() }, ["spec"] = SpecIn(version, mostIps),
            ["status"] = StatusIn(version)
        },
        version);

    /// <summary>Labels and annotations, with null for those that have to go.</summary>
    internal JsonObject Metadata()
    {
        var (labels, annotations) = ((JsonObject)Labels.DeepClone(), (JsonObject)Annotations.DeepClone());
        foreach (var gone in (Known?.Labels ?? default).Where(label => !Labels.ContainsKey(label))) labels[gone] = null;
        foreach (var gone in (Known?.Annotations ?? default).Where(annotation => !Annotations.ContainsKey(annotation))) annotations[gone] = null;
        return new() { ["name"] = Name, ["namespace"] = Namespace, ["labels"] = labels, ["annotations"] = annotations };
    }

    /// <param name="version">Of the API.</param>
    /// <param name="mostIps">How many addresses the definition allows: older ones, only that of the first family.</param>
    internal JsonObject SpecIn(string version, int mostIps = int.MaxValue)
    {
        var spec = (JsonObject)Spec.DeepClone();
        if (spec["ips"] is JsonArray ips && ips.Count > mostIps)
        {
            foreach (var field in (string[])["ips", "ipFamilies"])
                spec[field] = new JsonArray([.. (spec[field] as JsonArray ?? []).Take(mostIps).Select(one => one?.DeepClone())]);
        }
        if (version == MultiClusterFacts.Newest) return spec;
        foreach (var field in NewFields) spec.Remove(field);
        return spec;
    }

    /// <summary>The status as it should be on top of what is there.</summary>
    /// <param name="now">Since when conditions say what they have not said before.</param>
    internal JsonObject StatusIn(string version, string now = "", JsonObject? found = null)
    {
        var status = new JsonObject { ["clusters"] = Clusters.DeepClone() };
        if (version == MultiClusterFacts.Newest && OwnConditions.OfImports.Changed(found ?? [], [new("Ready", true, "Ready", "")], now) is { } conditions)
            status["conditions"] = conditions;
        return status;
    }

    private static bool AddAddress(JsonObject spec, MeshService host, string cluster)
    {
        if (!host.Allocated.TryGetValue(cluster, out var addresses)) return false;
        spec["ips"] = Texts(addresses.Select(address => address.ToString()));
        spec["ipFamilies"] = Texts(addresses.Select(address => address.IsV4 ? "IPv4" : "IPv6"));
        return true;
    }

    private static void AddAffinity(JsonObject spec, ServiceOffer offer)
    {
        if (offer.SessionAffinity.Length > 0) spec["sessionAffinity"] = offer.SessionAffinity;
        if (offer.AffinitySeconds > 0)
            spec["sessionAffinityConfig"] = new JsonObject { ["clientIP"] = new JsonObject { ["timeoutSeconds"] = offer.AffinitySeconds } };
    }

    private static JsonObject Port(OfferedPort port)
    {
        var written = new JsonObject { ["port"] = port.Number, ["protocol"] = port.Protocol };
        if (port.Name.Length > 0) written["name"] = port.Name;
        if (port.AppProtocol.Length > 0) written["appProtocol"] = port.AppProtocol;
        return written;
    }

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode)text)]);
}
