using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Migration;

/// <summary>What the fields of objects, settings and annotations lose: exactly what admission, the control plane and the injector say of them. Pure.</summary>
internal static class FieldFindings
{
    private const int Longest = 60;

    /// <summary>What admission says of an Istio object.</summary>
    internal static IEnumerable<MigrationFinding> OfObject(string cluster, JsonObject value)
    {
        var (kind, name) = (value["kind"]!.ToString(), ClusterInventory.NameOf(value));
        return from problem in Validation.Check(value)
               let field = problem.Path.StartsWith("spec.", StringComparison.Ordinal) ? problem.Path["spec.".Length..] : ""
               select MigrationFinding.Of(LevelOf(kind, field, problem), cluster, name, problem.Path, ValueAt(value, problem.Path), problem);
    }

    /// <summary>What the control plane says of the settings of a mesh.</summary>
    /// <param name="map">A ConfigMap with the keys <c>mesh</c> and <c>meshNetworks</c>.</param>
    internal static IEnumerable<MigrationFinding> OfSettings(string cluster, JsonObject map)
    {
        foreach (var (key, kind) in ((string, string)[])[("mesh", ApiFields.MeshConfig), ("meshNetworks", ApiFields.MeshNetworks)])
        {
            if (map["data"]?[key]?.ToString() is not { Length: > 0 } text) continue;
            foreach (var finding in OfDocument(cluster, ClusterInventory.NameOf(map), $"data[{key}]", kind, text)) yield return finding;
        }
    }

    /// <summary>What the injector says of the annotations of Pods.</summary>
    /// <param name="name">The object that has them: a Pod, or what makes Pods.</param>
    internal static IEnumerable<MigrationFinding> OfAnnotations(string cluster, string name, IReadOnlyDictionary<string, string> annotations)
    {
        foreach (var (key, value) in annotations)
        {
            if (key == Annotations.ProxyConfig)
            {
                foreach (var finding in OfProxyConfig(cluster, name, value)) yield return finding;
            }
            else if (PodAnnotations.All.FirstOrDefault(known => known.Name == key && known.Effect != FieldEffect.Works) is { } idle)
            {
                yield return new(MigrationLevels.Of(MigrationLevels.Annotations, key, idle.Effect), cluster, name, $"metadata.annotations[{key}]", Shown(value),
                    idle.Effect == FieldEffect.Refused ? "is not supported: Pods with it are refused" : "has no effect", idle.Remedy);
            }
        }
    }

    /// <summary>The annotation has what MeshConfig has in <c>defaultConfig</c>.</summary>
    private static IEnumerable<MigrationFinding> OfProxyConfig(string cluster, string name, string text)
    {
        var field = $"metadata.annotations[{Annotations.ProxyConfig}]";
        if (Parse(text, out var document) is { } error) return [MigrationFinding.Of(MigrationLevel.Lost, cluster, name, field, Shown(text), error)];
        var mesh = new JsonObject { ["defaultConfig"] = document };
        return MeshConfigReader.ReadMesh(mesh).Problems.Select(problem => MigrationFinding.Of(LevelOf(ApiFields.MeshConfig, problem.Path, problem),
            cluster, name, field + problem.Path["defaultConfig".Length..], ValueAt(mesh, problem.Path), problem));
    }

    private static IEnumerable<MigrationFinding> OfDocument(string cluster, string name, string at, string kind, string text)
    {
        if (Parse(text, out var document) is { } error) return [MigrationFinding.Of(MigrationLevel.Lost, cluster, name, at, "", error)];
        var problems = kind == ApiFields.MeshConfig ? MeshConfigReader.ReadMesh(document).Problems : MeshConfigReader.ReadNetworks(document).Problems;
        return problems.Select(problem => MigrationFinding.Of(LevelOf(kind, problem.Path, problem), cluster, name, $"{at}.{problem.Path}",
            ValueAt(document, problem.Path), problem));
    }

    /// <summary>An unknown field of a policy is refused; elsewhere API servers of Istio drop it, too.</summary>
    internal static MigrationLevel LevelOf(string kind, string path, Problem problem) =>
        problem.Severity == Severity.Error ? MigrationLevels.Of(kind, path, FieldEffect.Refused)
        : problem.Kind switch
        {
            WarningKind.UnknownField or WarningKind.IdleAnywhere => MigrationLevel.Note,
            WarningKind.NoEffect or WarningKind.OnlyEnvoys => MigrationLevels.Of(kind, path, FieldEffect.Warned),
            _ => MigrationLevel.Differs,
        };

    private static Problem? Parse(string text, out JsonNode? document)
    {
        try
        {
            document = YamlText.Parse(text, "");
            return null;
        }
        catch (ProblemException e)
        {
            document = null;
            return e.Problem;
        }
    }

    /// <summary>The value at a path such as <c>spec.http[0].headers[x-a].exact</c>; empty where it is not a scalar, or somewhere else.</summary>
    internal static string ValueAt(JsonNode? node, string path)
    {
        foreach (var step in path.Replace("[", ".[", StringComparison.Ordinal).Split('.', StringSplitOptions.RemoveEmptyEntries))
        {
            var name = step.Trim('[', ']');
            node = node switch
            {
                JsonArray list when int.TryParse(name, out var index) && index >= 0 && index < list.Count => list[index],
                JsonObject fields => fields[name],
                _ => null,
            };
        }
        return node is JsonValue value && value.GetValueKind() is not JsonValueKind.Null ? Shown(value.ToString()) : "";
    }

    internal static string Shown(string value)
    {
        var line = value.ReplaceLineEndings(" ");
        return Visible.Text(line.Length <= Longest ? line : line[..(Longest - 1)] + "…");
    }
}
