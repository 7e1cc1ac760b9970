using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;

namespace Isthmus.Tests.Effects;

/// <summary>What a spec of an IstioOperator installs: the objects, and Pods as its injector changes them.</summary>
internal static class OperatorMesh
{
    private const string InjectorMap = "istio-sidecar-injector";

    private static readonly JsonObject Pod = (JsonObject)YamlText.Parse("""
        metadata: {name: web-1, labels: {app: web}}
        spec: {containers: [{name: web, image: any, readinessProbe: {httpGet: {path: /r, port: 8080}}}]}
        """, "pod")!;

    private static readonly NativeSidecars Kubelets = new(NativeSidecarMode.Disabled, new Dictionary<string, string> { ["node"] = "v1.32.0" }.ToValueMap());

    /// <summary>Whether both can be installed, and differ.</summary>
    internal static bool AreDifferent(JsonNode one, JsonNode other) => TryInstall(other) is { } installed && installed != Installed(one);

    /// <summary>Null for a spec that is refused.</summary>
    internal static string? TryInstall(JsonNode spec)
    {
        try
        {
            return Installed(spec);
        }
        catch (ProblemException)
        {
            return null;
        }
    }

    /// <summary>The settings of injection are a copy of the values: only what the injector makes of them counts.</summary>
    private static string Installed(JsonNode spec)
    {
        var built = OperatorSpec.Build([("sample", YamlText.Print(Document(spec)))], [], null);
        List<JsonObject> objects = [.. Manifests.Render(built).SelectMany(component => component.Objects)];
        var map = objects.Find(value => value["kind"]!.ToString() == "ConfigMap"
            && value["metadata"]!["name"]!.ToString().StartsWith(InjectorMap, StringComparison.Ordinal));
        var values = InjectorValues.Empty.WithValues(map is null ? [] : (JsonObject)JsonNode.Parse(map["data"]!["values"]!.ToString())!);
        values = values.WithMesh(built.MeshConfig);
        if (map is not null) map["data"]!.AsObject().Remove("values");
        foreach (var template in objects.Select(value => value["spec"]?["template"])
            .Where(template => template?["metadata"]?["labels"]?["sidecar.istio.io/inject"]?.ToString() == "true"))
        {
            // What injection replaces does not count.
            var gateway = new JsonObject { ["metadata"] = template!["metadata"]!.DeepClone(), ["spec"] = template["spec"]!.DeepClone() };
            var injected = Injected(gateway, values);
            (template["metadata"], template["spec"]) = (null, injected);
        }
        return string.Join('\n', objects.Select(value => value.ToJsonString())) + Injected((JsonObject)Pod.DeepClone(), values) + InjectedBy("own", values);
    }

    /// <summary>What is said about a field that does not work: the first problem at its path.</summary>
    internal static Problem? ProblemOf(ApiField field)
    {
        if (field.Effect == FieldEffect.Works) return null;
        var path = field.Path.Replace("{}", ".istio-ingressgateway", StringComparison.Ordinal).Replace("[]", "", StringComparison.Ordinal);
        return SpecsWith(field).SelectMany(OperatorFields.Check)
            .First(problem => problem.Path.Replace("[0]", "", StringComparison.Ordinal) is var at && (at == path || at == $"spec.{path}"));
    }

    /// <summary>Specs with the field, of which one has a value of its type.</summary>
    internal static IEnumerable<JsonObject> SpecsWith(ApiField field) =>
        ((JsonNode[])["x", false, new JsonObject()]).Select(value => Nested(field.Path, value));

    /// <summary>The same spec with another text at a path; null if there is none.</summary>
    internal static JsonNode? Changed(JsonNode sample, string path)
    {
        var copy = sample.DeepClone();
        var node = path.Replace("[]", "", StringComparison.Ordinal).Split('.')[..^1]
            .Aggregate((JsonNode?)copy, (at, step) => at?[step] is JsonArray list ? list[0] : at?[step]);
        if (node?[path.Split('.')[^1]] is not JsonValue value) return null;
        node[path.Split('.')[^1]] = $"{value}x";
        return copy;
    }

    private static JsonObject Document(JsonNode spec) =>
        new() { ["apiVersion"] = "install.istio.io/v1alpha1", ["kind"] = "IstioOperator", ["spec"] = spec.DeepClone() };

    private static string Injected(JsonObject pod, InjectorValues values) =>
        PodInjector.Inject(pod, "shop", values.With([]), InjectionPath.Parse("/inject"), Kubelets)?.ToJsonString() ?? "";

    /// <summary>What a template that the sample may add makes of a Pod.</summary>
    private static string InjectedBy(string template, InjectorValues values)
    {
        var pod = (JsonObject)Pod.DeepClone();
        pod["metadata"]!["annotations"] = new JsonObject { ["inject.istio.io/templates"] = template };
        try { return Injected(pod, values); }
        catch (ProblemException e) { return e.Problem.Path; }
    }

    private static JsonObject Nested(string path, JsonNode value) =>
        Nested(path.Replace("{}", ".istio-ingressgateway", StringComparison.Ordinal).Split('.'), value);

    private static JsonObject Nested(ReadOnlySpan<string> steps, JsonNode value)
    {
        var below = steps.Length == 1 ? value.DeepClone() : Nested(steps[1..], value);
        if (steps[0].EndsWith("[]", StringComparison.Ordinal) && below is JsonObject item) item["name"] ??= "istio-ingressgateway";
        return new JsonObject
        {
            [steps[0].Replace("[]", "", StringComparison.Ordinal)] = steps[0].EndsWith("[]", StringComparison.Ordinal) ? new JsonArray(below) : below
        };
    }
}
