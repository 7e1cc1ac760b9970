using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Derive;

/// <summary>Reads the objects of Kubernetes' multi-cluster services API.</summary>
public static partial class MultiClusterFacts
{
    public const string Export = "ServiceExport";
    public const string Import = "ServiceImport";

    /// <summary>The version of the API whose imports have all fields.</summary>
    public const string Newest = "v1beta1";

    private const int MostText = 256 * 1024;

    /// <summary>One of the two kinds in the group and versions that the settings say.</summary>
    internal static KindDescriptor Described(KindDescriptor kind, MultiClusterSettings settings) =>
        kind with { Group = settings.ApiGroup, Versions = settings.ApiVersion.Length > 0 ? [settings.ApiVersion] : kind.Versions };

    public static ObjectKey Key(ObjectRef source) => new(source.Cluster, source.Namespace, source.Name);

    /// <summary>The hosts that the export or import of a Service concerns.</summary>
    public static string[] HostsOf(ObjectRef source) =>
        [$"{source.Name}.{source.Namespace}.svc.{WellKnown.DefaultDomainSuffix}", MultiClusterSettings.HostOf(source.Name, source.Namespace)];

    /// <summary>One of the two is null.</summary>
    public static (ServiceExport? Export, ServiceImport? Import) Of(string cluster, JsonObject @object)
    {
        var meta = @object["metadata"];
        var kind = Text(@object["kind"]);
        var source = new ObjectRef(cluster, kind, Text(meta?["namespace"]), Text(meta?["name"]));
        return kind == Export ? (ExportOf(source, @object), null) : (null, ImportOf(source, @object));
    }

    private static ServiceExport ExportOf(ObjectRef source, JsonObject @object)
    {
        var created = DateTimeOffset.TryParse(Text(@object["metadata"]?["creationTimestamp"]), CultureInfo.InvariantCulture, out var time)
            ? time.ToUnixTimeSeconds()
            : 0;
        var conditions = Items(@object["status"]?["conditions"]).OfType<JsonObject>().Select(ConditionOf);
        var (labels, annotations) = (Map(@object["spec"]?["exportedLabels"]), Map(@object["spec"]?["exportedAnnotations"]));
        return new(source, created, conditions.ToValueList()) { Labels = labels, Annotations = annotations, Problem = ProblemOf(labels, annotations) };
    }

    /// <summary>What a condition says, but not since when.</summary>
    internal static ExportCondition ConditionOf(JsonObject item) =>
        new(Text(item["type"]), Text(item["status"]) == "True", Text(item["reason"]), Text(item["message"]));

    /// <summary>API servers take any text for these fields, but refuse it as a label of the import.</summary>
    private static string ProblemOf(ValueMap<string> labels, ValueMap<string> annotations)
    {
        foreach (var (field, map) in ((string, ValueMap<string>)[])[("exportedLabels", labels), ("exportedAnnotations", annotations)])
        {
            foreach (var (key, value) in map)
            {
                if (!LabelKey().IsMatch(key)) return $"spec.{field}: '{key}' cannot be a name of one";
                if (field == "exportedLabels" && !LabelValue().IsMatch(value)) return $"spec.{field}[{key}]: '{value}' cannot be the value of a label";
            }
        }
        return annotations.Sum(pair => pair.Key.Length + pair.Value.Length) > MostText ? "spec.exportedAnnotations: is larger than 256 KiB" : "";
    }

    private static ServiceImport ImportOf(ObjectRef source, JsonObject @object)
    {
        var meta = @object["metadata"];
        var ips = Items(@object["spec"]?["ips"]).Select(Text)
            .Select(text => Address.TryParse(text, out var address) ? address : (Address?)null).OfType<Address>().ToValueList();
        var managed = Text(meta?["labels"]?[Labels.ManagedImport]) == "true";
        var version = Text(@object["apiVersion"]);
        version = version[(version.IndexOf('/', StringComparison.Ordinal) + 1)..];
        return new(source, ips, managed, managed ? ContentOf(@object, version) : "")
        {
            Version = version,
            Uid = Text(meta?["uid"]),
            Labels = managed ? Map(meta?["labels"]).Keys.Where(key => key != Labels.ManagedImport).ToValueList() : default,
            Annotations = managed ? Map(meta?["annotations"]).Keys.ToValueList() : default,
        };
    }

    /// <summary>What the Isthmus controller writes into an import, in a fixed order, to detect whether it has to write again: as far as the
    /// version of the API has fields for it.</summary>
    public static string ContentOf(JsonObject import, string version)
    {
        var (spec, status, meta) = (import["spec"], import["status"], import["metadata"]);
        var ports = Items(spec?["ports"]).Select(port => $"{Text(port?["name"])}:{Text(port?["port"])}/{Text(port?["protocol"])}/{Text(port?["appProtocol"])}");
        List<string> parts =
        [
            Text(spec?["type"]), Joined(spec?["ips"]), string.Join(',', ports), Text(spec?["sessionAffinity"]),
            Text(spec?["sessionAffinityConfig"]?["clientIP"]?["timeoutSeconds"]),
            string.Join(',', Items(status?["clusters"]).Select(item => Text(item?["cluster"]))), Pairs(meta?["labels"]), Pairs(meta?["annotations"]),
        ];
        if (version == Newest)
        {
            parts.AddRange([Joined(spec?["ipFamilies"]), Text(spec?["internalTrafficPolicy"]), Text(spec?["trafficDistribution"])]);
            // Other controllers may write other conditions.
            parts.Add(string.Join(',', Items(status?["conditions"]).Where(item => Text(item?["type"]) == "Ready").Select(item => Text(item?["status"]))));
        }
        return string.Join(' ', parts);
    }

    private static string Joined(JsonNode? list) => string.Join(',', Items(list).Select(Text));

    private static string Pairs(JsonNode? map) =>
        string.Join(',', Map(map).OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"));

    private static ValueMap<string> Map(JsonNode? node) =>
        (node as JsonObject ?? []).Where(pair => pair.Value is not null).Select(pair => KeyValuePair.Create(pair.Key, Text(pair.Value))).ToValueMap();

    private static IEnumerable<JsonNode?> Items(JsonNode? node) => node as JsonArray ?? [];

    private static string Text(JsonNode? node) => node?.ToString() ?? "";

    [GeneratedRegex("^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")]
    private static partial Regex LabelKey();

    [GeneratedRegex("^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")]
    private static partial Regex LabelValue();
}
