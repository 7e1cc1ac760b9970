using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.Operate.Install.Render;

/// <summary>
/// IstioOperator's <c>k8s.overlays</c>: patches of the objects of one component. A path is <c>spec.template.spec.containers.[name:discovery].args.[0]</c>,
/// where <c>[key:value]</c> selects an item of a list by a field, <c>[:value]</c> by its text, <c>[0]</c> by its number and <c>[-1]</c> appends.
/// A patch without a value deletes.
/// </summary>
internal static class ObjectPatches
{
    internal static void Apply(IReadOnlyList<JsonObject> objects, JsonNode? overlays, string place)
    {
        var number = 0;
        foreach (var overlay in (overlays as JsonArray ?? []).OfType<JsonObject>())
        {
            var at = $"{place}[{number++}]";
            var (kind, name) = (overlay["kind"]?.ToString() ?? "", overlay["name"]?.ToString() ?? "");
            var target = objects.FirstOrDefault(value => value["kind"]?.ToString() == kind && value["metadata"]?["name"]?.ToString() == name)
                ?? throw Wrong(at, $"the component has no {kind} '{name}'",
                    $"it has {string.Join(", ", objects.Select(value => $"{value["kind"]} {value["metadata"]?["name"]}"))}");
            var patches = overlay["patches"] as JsonArray ?? throw Wrong($"{at}.patches", "is required", "list patches with path and value");
            for (var i = 0; i < patches.Count; i++) Patch(target, patches[i] as JsonObject ?? [], $"{at}.patches[{i}]");
        }
    }

    private static void Patch(JsonObject target, JsonObject patch, string at)
    {
        var steps = Steps(patch["path"]?.ToString() ?? "");
        if (steps.Count == 0) throw Wrong($"{at}.path", "is required", "for example spec.replicas");
        JsonNode node = target;
        for (var i = 0; i + 1 < steps.Count; i++) node = Step(node, steps[i], steps[i + 1], at);
        Write(node, steps[^1], patch["value"], at);
    }

    /// <summary>Dots separate steps, except escaped ones and those within brackets.</summary>
    private static List<string> Steps(string path)
    {
        var (steps, step, depth) = (new List<string>(), new System.Text.StringBuilder(), 0);
        for (var i = 0; i < path.Length; i++)
        {
            var c = path[i];
            if (c == '\\' && i + 1 < path.Length) step.Append(path[++i]);
            else if ((c == '.' || c == '[') && depth == 0)
            {
                if (step.Length > 0) steps.Add(step.ToString());
                step.Clear();
                if (c == '[') (depth, _) = (1, step.Append(c));
            }
            else
            {
                step.Append(c);
                if (c == '[') depth++;
                if (c == ']') depth--;
            }
        }
        if (step.Length > 0) steps.Add(step.ToString());
        return steps;
    }

    private static JsonNode Step(JsonNode node, string step, string next, string at)
    {
        if (!step.StartsWith('['))
        {
            if (node is not JsonObject map) throw Missing(step, at);
            return map[step] ?? (map[step] = next.StartsWith('[') ? new JsonArray() : new JsonObject())!;
        }
        return node is JsonArray list && Index(list, step, at) is >= 0 and var index && index < list.Count && list[index] is { } item
            ? item
            : throw Missing(step, at);
    }

    private static void Write(JsonNode node, string step, JsonNode? value, string at)
    {
        switch (node)
        {
            case JsonObject map when !step.StartsWith('['):
                if (value is null) map.Remove(step);
                else map[step] = Typed(value, map[step]);
                break;
            case JsonArray list when step == "[-1]" && value is not null:
                list.Add(Typed(value, null));
                break;
            case JsonArray list when step.StartsWith('[') && Index(list, step, at) is >= 0 and var index && index < list.Count:
                if (value is null) list.RemoveAt(index);
                else list[index] = Typed(value, list[index]);
                break;
            default: throw Missing(step, at);
        }
    }

    private static int Index(JsonArray list, string step, string at)
    {
        var inside = step.TrimStart('[').TrimEnd(']');
        if (inside == "-1") return list.Count - 1;
        if (int.TryParse(inside, NumberStyles.None, CultureInfo.InvariantCulture, out var index)) return index;
        var colon = inside.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0) throw Wrong($"{at}.path", $"'{step}' is not [key:value], [:value] or a number", "for example [name:discovery]");
        var (key, wanted) = (inside[..colon], inside[(colon + 1)..]);
        for (var i = 0; i < list.Count; i++)
            if ((key.Length == 0 ? list[i] : (list[i] as JsonObject)?[key])?.ToString() == wanted) return i;
        return -1;
    }

    /// <summary>Values may be text that holds YAML; what replaces text stays text.</summary>
    private static JsonNode Typed(JsonNode value, JsonNode? replaced)
    {
        if (value is not JsonValue text || !text.TryGetValue<string>(out var yaml)) return value.DeepClone();
        var isYaml = yaml.Contains('\n', StringComparison.Ordinal) || yaml.TrimStart().StartsWith('{') || yaml.TrimStart().StartsWith('[')
            || replaced?.GetValueKind() is JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False or JsonValueKind.Object or JsonValueKind.Array;
        return isYaml && YamlText.Parse(yaml, "value") is { } parsed ? parsed.DeepClone() : value.DeepClone();
    }

    private static ProblemException Missing(string step, string at) =>
        Wrong($"{at}.path", $"'{step}' does not exist in the object", "compare it with the output of 'isthmus manifest generate'");

    private static ProblemException Wrong(string path, string message, string remedy) => new(new Problem("ISM0209", "", path, message, remedy));
}
