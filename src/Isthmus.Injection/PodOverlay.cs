using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Injection.Templates;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.Injection;

/// <summary>Applies the installation's templates to a Pod before it gets its proxy: what they say of the container <c>istio-proxy</c> counts as if the
/// Pod said it, and what the Pod says of a container wins over a template.</summary>
internal static class PodOverlay
{
    /// <summary>The Pod with what its templates add, and the names of the containers and volumes that they have.</summary>
    internal static (JsonObject Pod, IReadOnlyList<string> Containers, IReadOnlyList<string> Volumes) Apply(JsonObject pod, InjectionInputs inputs)
    {
        var (merged, containers, volumes) = ((JsonObject)pod.DeepClone(), new List<string>(), new List<string>());
        var data = Data(pod, inputs);
        foreach (var (name, template) in inputs.CustomTemplates)
        {
            var overlay = Render(name, template, data, inputs.Warnings);
            PodMerge.Over(merged, overlay);
            containers.AddRange(Items(overlay, "containers").Concat(Items(overlay, "initContainers")));
            volumes.AddRange(Items(overlay, "volumes"));
        }
        foreach (var list in (string[])["containers", "initContainers"])
        {
            var own = (pod["spec"]?[list] as JsonArray ?? []).Where(container => containers.Contains(container?["name"]?.ToString() ?? ""))
                .Select(container => container?.DeepClone()).ToArray();
            if (own.Length > 0) PodMerge.Over((JsonObject)merged["spec"]!, new JsonObject { [list] = new JsonArray(own) });
        }
        return (merged, [.. containers.Distinct()], [.. volumes.Distinct()]);
    }

    private static IEnumerable<string> Items(JsonObject overlay, string list) =>
        (overlay["spec"]?[list] as JsonArray ?? []).Select(item => item?["name"]?.ToString() ?? "").Where(name => name.Length > 0);

    /// <summary>Labels, annotations and the spec; what else a template makes has no effect, and is named.</summary>
    private static JsonObject Render(string name, GoTemplate template, JsonObject data, List<string> warnings)
    {
        var text = template.Render(data);
        var made = YamlText.Parse(text, $"template {name}") switch
        {
            null => [],
            JsonObject map => map,
            var other => throw new ProblemException($"template {name}", $"makes '{other.ToJsonString()}' (expected a part of a Pod: metadata and spec)",
                "correct the template"),
        };
        var overlay = new JsonObject();
        foreach (var (field, value) in made)
        {
            if (field is not ("metadata" or "spec")) Unused(field);
            else if (value is null) continue;
            else if (value is not JsonObject part)
                throw new ProblemException($"template {name}", $"makes the field {field} a {value.GetValueKind()} (expected an object)",
                    "correct the template");
            else overlay[field] = part.DeepClone();
        }
        if (overlay["metadata"] is JsonObject metadata)
        {
            foreach (var field in metadata.Select(entry => entry.Key).Where(field => field is not ("labels" or "annotations")).ToList())
            {
                Unused($"metadata.{field}");
                metadata.Remove(field);
            }
        }
        return overlay;

        void Unused(string field) => warnings.Add($"template {name}: {field}: has no effect (a template sets metadata.labels, metadata.annotations and spec)");
    }

    /// <summary>What templates of Istio read (SidecarTemplateData), under its names.</summary>
    private static JsonObject Data(JsonObject pod, InjectionInputs inputs)
    {
        var values = inputs.Values;
        var metadata = (JsonObject)(pod["metadata"]?.DeepClone() ?? new JsonObject());
        foreach (var map in (string[])["labels", "annotations"]) metadata[map] ??= new JsonObject();
        var config = (JsonObject)inputs.ProxyConfig.DeepClone();
        config["interceptionMode"] = inputs.InterceptionMode;
        config["statusPort"] = inputs.StatusPort;
        config["proxyMetadata"] ??= new JsonObject();
        return new JsonObject
        {
            ["TypeMeta"] = new JsonObject { ["APIVersion"] = inputs.Workload.ApiVersion, ["Kind"] = inputs.Workload.Kind },
            ["DeploymentMeta"] = new JsonObject { ["Name"] = inputs.Workload.Name, ["Namespace"] = inputs.Namespace },
            ["ObjectMeta"] = metadata,
            ["Spec"] = pod["spec"]?.DeepClone() ?? new JsonObject(),
            ["ProxyConfig"] = config,
            ["MeshConfig"] = values.Mesh.DeepClone(),
            ["Values"] = values.Values.DeepClone(),
            ["Revision"] = values.Revision,
            ["NativeSidecars"] = inputs.IsNative,
            ["ProxyImage"] = values.ProxyImage,
            ["ProxyInitImage"] = values.InitImage,
            ["ProxyUID"] = Core.Names.ProxyUser.Id,
            ["ProxyGID"] = Core.Names.ProxyUser.Id,
            ["InboundTrafficPolicyMode"] = values.Mesh["inboundTrafficPolicy"]?["mode"]?.ToString() == "LOCALHOST" ? "localhost" : "passthrough",
            ["CompliancePolicy"] = "",
        };
    }
}
