using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.Options;

/// <summary>The file of <c>bug-report --filename</c>: settings that flags can override.</summary>
internal sealed record ReportSettings
{
    private static readonly string[] Fields = ["include", "exclude", "duration", "timeout"];

    internal IReadOnlyList<string> Include { get; private init; } = [];

    /// <summary>Null: not given.</summary>
    internal IReadOnlyList<string>? Exclude { get; private init; }

    internal string? Duration { get; private init; }

    internal string? Timeout { get; private init; }

    /// <exception cref="ProblemException">The file cannot be read, or has other fields.</exception>
    internal static ReportSettings Read(string file)
    {
        var tree = YamlText.Parse(InputFile.Read("--filename", file), file) as JsonObject
            ?? throw new ProblemException($"file {file}", "is not a YAML map", $"use the fields {string.Join(", ", Fields)}");
        foreach (var (name, _) in tree)
            if (!Fields.Contains(name))
                throw new ProblemException($"file {file}", $"has field {name}, which is not known", $"use the fields {string.Join(", ", Fields)}");
        return new()
        {
            Include = Texts(file, "include", tree["include"]) ?? [], Exclude = Texts(file, "exclude", tree["exclude"]),
            Duration = tree["duration"]?.ToString(), Timeout = tree["timeout"]?.ToString(),
        };
    }

    private static IReadOnlyList<string>? Texts(string file, string field, JsonNode? node) => node switch
    {
        null => null,
        JsonArray list => [.. list.Select(item => item?.ToString() ?? "")],
        _ => throw new ProblemException($"file {file}", $"{field} is not a list", "write a list of selections, as for the flag"),
    };
}
