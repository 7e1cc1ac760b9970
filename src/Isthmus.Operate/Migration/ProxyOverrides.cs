using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Migration;

/// <summary>What a container <c>istio-proxy</c> in the template of a workload changes of the proxy that is injected. Injection keeps each field of it, under
/// Isthmus as under Istio: what it says of Istio's image, and of the programs in it, does not fit another one. Pure.</summary>
internal static class ProxyOverrides
{
    private const string Container = "istio-proxy", Auto = "auto";

    internal static IEnumerable<MigrationFinding> Of(ClusterInventory cluster) =>
        from template in cluster.Templates
        let whole = cluster.Find(template.FullName)
        from list in (string[])["containers", "initContainers"]
        from container in (whole?["spec"]?["template"]?["spec"]?[list] as JsonArray ?? []).OfType<JsonObject>()
        where container["name"]?.ToString() == Container
        from finding in Of(cluster.Context, template.FullName, $"spec.template.spec.{list}[{Container}]", container)
        select finding;

    private static IEnumerable<MigrationFinding> Of(string cluster, string name, string at, JsonObject container)
    {
        if (container["image"]?.ToString() is { Length: > 0 } image && image != Auto)
            yield return new(MigrationLevel.Differs, cluster, name, $"{at}.image", FieldFindings.Shown(image), "Pods keep this image under Isthmus, too",
                "set image: auto when the workload moves, so that it gets the proxy of Isthmus");
        foreach (var field in (string[])["command", "args"])
        {
            if (container[field] is JsonArray { Count: > 0 } words)
                yield return new(MigrationLevel.Lost, cluster, name, $"{at}.{field}",
                    FieldFindings.Shown(string.Join(' ', words.Select(word => word?.ToString()))),
                    "replaces what injection starts, with flags of Istio's agent",
                    "remove the field; the settings of the proxy are in the annotation proxy.istio.io/config");
        }
        foreach (var path in (string[])["lifecycle.postStart.exec", "lifecycle.preStop.exec", "readinessProbe.exec", "startupProbe.exec", "livenessProbe.exec"])
        {
            if (At(container, path)?["command"] is JsonArray { Count: > 0 } command)
                yield return new(MigrationLevel.Differs, cluster, name, $"{at}.{path}",
                    FieldFindings.Shown(string.Join(' ', command.Select(word => word?.ToString()))),
                    "runs a program of the proxy's image: that of Isthmus has neither a shell nor curl nor pilot-agent wait",
                    $"use an httpGet of port {Ports.ProxyReady} or {Ports.AgentStatus}, holdApplicationUntilProxyStarts or terminationDrainDuration");
        }
        if (container["securityContext"]?["runAsUser"]?.ToString() is { } user
            && user != ProxyUser.Id.ToString(System.Globalization.CultureInfo.InvariantCulture))
            yield return new(MigrationLevel.Lost, cluster, name, $"{at}.securityContext.runAsUser", user,
                "the calls of the proxy itself would be captured again", $"remove the field: the proxy runs as user {ProxyUser.Id}");
    }

    private static JsonNode? At(JsonNode? node, string path) => path.Split('.').Aggregate(node, (inner, field) => inner?[field]);
}
