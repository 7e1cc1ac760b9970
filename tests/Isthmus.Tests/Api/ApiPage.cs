using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.ControlPlane.Injection;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;

namespace Isthmus.Tests.Api;

/// <summary>What admission says about a field that only its reader refuses or warns of.</summary>
/// <param name="At">Where the problem is reported.</param>
internal sealed record ApiAnswer(string Kind, string Path, FieldEffect Effect, string At, JsonNode Spec);

/// <summary>docs/api.md: every field that the schemas declare, and what it does here.</summary>
internal static partial class ApiPage
{
    /// <summary>The version of Istio whose API has a field first, where that was read in Istio's own sources. Nothing is known of the others.</summary>
    internal static readonly (string Kind, string Path, string Version)[] Since =
    [
        ("DestinationRule", "trafficPolicy.proxyProtocol", "1.24"), ("DestinationRule", "trafficPolicy.retryBudget", "1.27"),
        ("VirtualService", "http[].retries.backoff", "1.26"), ("VirtualService", "http[].retries.retryIgnorePreviousHosts", "1.26"),
    ];

    private const string Idle = "has no effect in Isthmus";

    /// <summary>The injector writes these, and reads them never.</summary>
    private static readonly string[] Written = [Annotations.InjectionStatus, "proxy.istio.io/overrides"];

    internal static IReadOnlyList<ApiAnswer> Answers { get; } = [.. ApiSamples.Read("answers").SelectMany(list => (JsonArray)list).Select(entry => Answer((JsonObject)entry!))];

    internal static IEnumerable<ApiField> Working => ApiFields.All.Where(known => known.Effect == FieldEffect.Works && AnswerTo(known) is null);

    internal static IEnumerable<string> ReadAnnotations => PodAnnotations.All.Where(known => known.Effect == FieldEffect.Works).Select(known => known.Name).Except(Written);

    internal static string Print()
    {
        var page = new StringBuilder("""
            # Fields of the APIs

            Every field of Istio's kinds, of MeshConfig and of the annotations of Pods, as Isthmus knows it. In paths, `[]` is any item of a list, and `{}` any key of a mapping. A field *works* if proxies get something else without it: a test shows that for each, with the samples in `tests/Isthmus.Tests/Api/samples`. An object with a *refused* field is rejected; the table has the message, with the remedy in parentheses. A field that is *warned of* has no effect. Fields that are not listed are unknown: policies with one are refused, others are warned of, with the name of the most similar field. *since Istio* is the version whose API has the field first, where we know it; an empty cell says nothing about the version.

            This page is generated from the schemas. `./test --accept` writes it, and a test fails if it is out of date, or if a field of a schema has no sample. [limits.md](limits.md) says how what works differs from Istio.

            """);
        foreach (var kind in ApiFields.All.GroupBy(field => field.Kind)) Table(page, kind.Key, "field", kind.Select(field => (Row(field), Word(field), SinceOf(field))).Distinct());
        Table(page, "Annotations of Pods", "annotation", PodAnnotations.All.OrderBy(known => known.Name, StringComparer.Ordinal).Select(known => (known.Name, Word(known.Effect, null, known.Remedy), "")));
        return page.ToString();
    }

    /// <summary>A path without numbers and names of items.</summary>
    internal static string Plain(string path) => Item().Replace(path, "[]");

    private static void Table(StringBuilder page, string title, string head, IEnumerable<(string Name, string Effect, string Since)> rows)
    {
        page.Append("\n## ").Append(title).Append("\n\n| ").Append(head).Append(" | here | since Istio |\n|---|---|---|\n");
        foreach (var (name, effect, since) in rows) page.Append("| `").Append(name).Append("` | ").Append(effect.Replace("|", "\\|", StringComparison.Ordinal)).Append(" | ").Append(since).Append(" |\n");
    }

    internal static FieldEffect EffectOf(ApiField field) => AnswerTo(field)?.Effect ?? field.Effect;

    /// <summary>What admission says about a field that does not work: the first problem at its path.</summary>
    internal static Problem? ProblemOf(ApiField field)
    {
        var (at, effect) = AnswerTo(field) is { } answer ? (answer.At, answer.Effect) : (field.Path, field.Effect);
        if (effect == FieldEffect.Works) return null;
        var path = field.Kind == ApiFields.MeshConfig ? at : at.Length == 0 ? "kind" : $"spec.{at}";
        return ProblemsOf(field).First(problem => Plain(problem.Path) == path);
    }

    private static IEnumerable<Problem> ProblemsOf(ApiField field)
    {
        if (AnswerTo(field) is { } answer) return Check(answer.Kind, answer.Spec);
        if (field.Path.Length == 0) return Check(field.Kind, new JsonObject());
        // One of these has the type of the field.
        return ((JsonNode[])["x", 1, true, "1s", new JsonObject(), new JsonArray(), "DEFAULT", "STATS"]).SelectMany(value => Check(field.Kind, Nested(field.Path, value))).OrderBy(problem => problem.Message == Idle ? 0 : 1);
    }

    private static IReadOnlyList<Problem> Check(string kind, JsonNode spec) =>
        kind == ApiFields.MeshConfig ? MeshConfigReader.ReadMesh(spec).Problems : Validation.Check(ApiMesh.Object(IstioKind.All.Single(known => known.Kind == kind), spec));

    private static JsonNode Nested(string path, JsonNode value)
    {
        var dot = path.IndexOf('.', StringComparison.Ordinal);
        var (step, rest) = dot < 0 ? (path, "") : (path[..dot], path[(dot + 1)..]);
        var below = rest.Length == 0 ? value.DeepClone() : Nested(rest, value);
        return new JsonObject { [step.Replace("[]", "", StringComparison.Ordinal)] = step.EndsWith("[]", StringComparison.Ordinal) ? new JsonArray(below) : below };
    }

    private static string Word(ApiField field) => ProblemOf(field) is { } problem ? Word(EffectOf(field), problem.Message, problem.Remedy) : "works";

    private static string Word(FieldEffect effect, string? message, string remedy) => effect switch
    {
        FieldEffect.Works => "works",
        // What every such field has in common, the page says once.
        FieldEffect.Warned when message is null or Idle => message is null && remedy.Length > 0 ? $"warned of ({remedy})" : "warned of",
        FieldEffect.Warned => $"warned of: {message}{(remedy.Length > 0 ? $" ({remedy})" : "")}",
        _ => $"refused{(message is null ? "" : ": " + message)} ({remedy})",
    };

    private static string SinceOf(ApiField field) =>
        Since.Where(known => known.Kind == field.Kind && field.Path.Contains(known.Path, StringComparison.Ordinal)).Select(known => known.Version).FirstOrDefault("");

    /// <summary>Fields below one that is refused have no row of their own.</summary>
    private static string Row(ApiField field) => field.Path.Length == 0 ? "(every field)" : AnswerTo(field)?.Path ?? field.Path;

    private static ApiAnswer? AnswerTo(ApiField field) => Answers.FirstOrDefault(answer => answer.Kind == field.Kind
        && field.Path.StartsWith(answer.Path, StringComparison.Ordinal) && (field.Path.Length == answer.Path.Length || field.Path[answer.Path.Length] is '.' or '['));

    private static ApiAnswer Answer(JsonObject entry) => new(entry["kind"]!.ToString(), entry["field"]!.ToString(),
        entry["is"]!.ToString() == "refused" ? FieldEffect.Refused : FieldEffect.Warned, entry["at"]?.ToString() ?? entry["field"]!.ToString(), entry["spec"]!);

    [GeneratedRegex(@"\[[^\]]*\]")]
    private static partial Regex Item();
}
