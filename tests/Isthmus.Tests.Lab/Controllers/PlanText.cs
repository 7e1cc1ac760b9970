using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Tests.Lab.Controllers;

/// <summary>Objects in, plan out, both as YAML: the form of controller tests.</summary>
internal static class PlanText
{
    internal static readonly DateTimeOffset Now = new(2030, 1, 1, 12, 0, 0, TimeSpan.Zero);

    internal static List<T> Read<T>(string yaml, string kind) where T : KubeObject =>
        [.. YamlText.ParseAll(yaml, "test").OfType<JsonObject>().Where(tree => (string?)tree["kind"] == kind)
            .Select(tree => tree.Deserialize(KubeJson.Of<T>())!)];

    internal static List<Pod> Pods(string yaml) => Read<Pod>(yaml, "Pod");

    internal static string Print(Plan plan)
    {
        var documents = plan.Writes.Select(write =>
        {
            var target = write.Name.Length == 0 ? write.Kind.Kind : $"{write.Kind.Kind} {write.Name}";
            var verb = write.Subresource is null ? write.Verb.ToString() : $"{write.Verb} {write.Subresource} of";
            return $"# {verb} {target}\n{(write.Body is null ? "" : YamlText.Print(write.Body))}";
        }).Concat(plan.Notes.Select(note => $"# {note.Type} {note.Reason}: {note.Message}\n"));
        var again = plan.Again is { } wait ? $"# again in {wait.TotalSeconds} s\n" : "";
        return string.Concat(documents) + again;
    }
}
