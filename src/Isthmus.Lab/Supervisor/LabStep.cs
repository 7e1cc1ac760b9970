using System.Text.Json.Nodes;

namespace Isthmus.Lab.Supervisor;

/// <summary>One step towards a running lab, done or awaited.</summary>
/// <param name="Cluster">Empty for the lab as a whole.</param>
/// <param name="Milliseconds">How long it took; 0 while <paramref name="IsDone"/> is false.</param>
public sealed record LabStep(string Cluster, string Text, double Milliseconds, bool IsDone)
{
    internal JsonObject ToJson() => new() { ["cluster"] = Cluster, ["text"] = Text, ["ms"] = Milliseconds, ["done"] = IsDone };

    internal static LabStep FromJson(JsonNode json) =>
        new((string?)json["cluster"] ?? "", (string?)json["text"] ?? "", (double?)json["ms"] ?? 0, (bool?)json["done"] ?? true);
}
