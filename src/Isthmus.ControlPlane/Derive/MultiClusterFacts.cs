using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Settings;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Derive;

/// <summary>Reads the objects of Kubernetes' multi-cluster services API.</summary>
public static class MultiClusterFacts
{
    public const string Export = "ServiceExport";
    public const string Import = "ServiceImport";

    /// <summary>Marks objects that the Isthmus controller created, so that it never touches others.</summary>
    public const string ManagedLabel = "multicluster." + WellKnown.OwnDomain + "/managed";

    public static ResourceKind ExportKind(MultiClusterSettings settings) => Described(MeshApi.ServiceExport, settings).Resource;

    public static ResourceKind ImportKind(MultiClusterSettings settings) => Described(MeshApi.ServiceImport, settings).Resource;

    /// <summary>One of the two kinds in the group and version that the settings say.</summary>
    internal static KindDescriptor Described(KindDescriptor kind, MultiClusterSettings settings) =>
        kind with { Group = settings.ApiGroup, Versions = [settings.ApiVersion] };

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
        if (kind == Export)
        {
            var created = DateTimeOffset.TryParse(Text(meta?["creationTimestamp"]), CultureInfo.InvariantCulture, out var time) ? time.ToUnixTimeSeconds() : 0;
            var conditions = Items(@object["status"]?["conditions"]).OfType<JsonObject>()
                .Select(item => new ExportCondition(Text(item["type"]), Text(item["status"]) == "True", Text(item["reason"]), Text(item["message"]))).ToValueList();
            return (new(source, created, conditions), null);
        }
        var ips = Items(@object["spec"]?["ips"]).Select(Text).Where(ip => System.Net.IPAddress.TryParse(ip, out _)).ToValueList();
        var managed = Text(meta?["labels"]?[ManagedLabel]) == "true";
        return (null, new(source, ips, managed, managed ? ContentOf(@object) : ""));
    }

    /// <summary>What the Isthmus controller writes into an import, in a fixed order, to detect whether it has to write again.</summary>
    public static string ContentOf(JsonObject import)
    {
        var spec = import["spec"];
        var ports = Items(spec?["ports"]).Select(port => $"{Text(port?["name"])}:{Text(port?["port"])}/{Text(port?["protocol"])}");
        return $"{Text(spec?["type"])} {string.Join(',', Items(spec?["ips"]).Select(Text))} {string.Join(',', ports)} {string.Join(',', Items(import["status"]?["clusters"]).Select(item => Text(item?["cluster"])))}";
    }

    private static IEnumerable<JsonNode?> Items(JsonNode? node) => node as JsonArray ?? [];

    private static string Text(JsonNode? node) => node?.ToString() ?? "";
}
