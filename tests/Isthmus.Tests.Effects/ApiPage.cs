using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install.Operator;
using Isthmus.Testing;
using Isthmus.Tests.Effects.GatewayApi;

namespace Isthmus.Tests.Effects;

/// <summary>What admission says about a field that only its reader refuses or warns of.</summary>
/// <param name="At">Where the problem is reported.</param>
internal sealed record ApiAnswer(string Kind, string Path, FieldEffect Effect, string At, JsonNode Spec);

/// <summary>docs/api.md: every field that the schemas declare, and what it does here.</summary>
internal static class ApiPage
{
    /// <summary>How to read the tables, in one line of the page.</summary>
    private const string Legend =
        "Every field of Istio's kinds, of MeshConfig and MeshNetworks, of IstioOperator with its values, and of the annotations of Pods, as "
        + "Isthmus knows it. In paths, `[]` is any item of a list, and `{}` any key of a mapping. A field *works* if proxies get something else "
        + "without it, or, for IstioOperator, if other objects are installed or Pods are injected differently: a test shows that for each, with the "
        + "samples in `tests/Isthmus.Tests.Effects/samples`. An object with a *refused* field is rejected; the table has the message, with the "
        + "remedy in parentheses. A field that is *warned of* has no effect. One that is *as* another shares its answer: it is below that field, or "
        + "its kind has no effect at all. *here* is about proxies of Isthmus, and *Envoy* about Pods whose proxy is an [Envoy](envoy.md); what is injected "
        + "or installed is the same for both, and has no such column. *moving* is what a mesh of Istio loses of it, as `isthmus migrate check` reports "
        + "it: *lost* changes where calls go, how they are answered or who is allowed; *differs* is about telemetry, limits, times or the installation; *note* changes none "
        + "of these. Fields that are not listed are unknown: policies with one are refused, others are warned of, with the name of the most similar "
        + "field. *since Istio* is the version whose change notes name the field first, or in whose time the field came into the API; `≤ 1.6` stands "
        + "for fields that no notes of a later version add, and `unknown` for newer ones of which the notes do not say when they came. The keys of "
        + "IstioOperator are those of Istio 1.31.";

    /// <summary>What <c>since.tsv</c> says: the kind, a part of the path, and the version of Istio whose change notes name the field first.</summary>
    internal static IReadOnlyList<(string Kind, string Path, string Version)> Since { get; } =
        [.. File.ReadLines(Repository.At(SinceFile)).Where(line => !line.StartsWith('#')).Select(line => line.Split('\t'))
            .Select(cells => (cells[0], cells[1], cells[2]))];

    internal const string SinceFile = "tests/Isthmus.Tests.Effects/since.tsv", Annotated = MigrationLevels.Annotations;

    /// <summary>Of fields of which no change notes since speak.</summary>
    private const string Oldest = "≤ 1.6";

    private const string Idle = "has no effect in Isthmus";

    /// <summary>The injector writes these, and reads them never.</summary>
    private static readonly string[] Written = [Annotations.InjectionStatus, "proxy.istio.io/overrides"];

    internal static IReadOnlyList<ApiAnswer> Answers
    {
        get;
    } = [.. ApiSamples.Read("answers").SelectMany(list => (JsonArray)list).Select(entry => Answer((JsonObject)entry!))];

    internal static IEnumerable<ApiField> Working => ApiFields.All.Where(known => FieldEffect.Works == known.OnEnvoy && AnswerTo(known) is null);

    internal static IEnumerable<string> ReadAnnotations =>
        PodAnnotations.All.Where(known => known.Effect == FieldEffect.Works).Select(known => known.Name).Except(Written);

    internal static string Print()
    {
        var page = new StringBuilder("""
            # Fields of the APIs


            """ + Legend + """


            This page is generated from the schemas. `./test --accept` writes it, and a test fails if it is out of date, or if a field of a schema has no \
            sample. [limits.md](limits.md) says how what works differs from Istio.

            """);
        foreach (var kind in ApiFields.All.GroupBy(field => field.Kind)) Table(page, kind.Key, "field", kind.SelectMany(Rows).Distinct());
        Table(page, OperatorFields.Kind, "field",
            OperatorFields.All.Select(field => new PageRow(field.Path,
                OperatorMesh.ProblemOf(field) is { } problem
                    ? Word(field.Effect, problem.Message.Replace("'x' ", "", StringComparison.Ordinal), problem.Remedy)
                    : "works",
                LevelOf(OperatorFields.Kind, field.Path, field.Effect))));
        Table(page, Annotated, "annotation",
            PodAnnotations.All.OrderBy(known => known.Name, StringComparer.Ordinal)
                .Select(known => new PageRow(known.Name, Word(known.Effect, null, known.Remedy), LevelOf(Annotated, known.Name, known.Effect))
                {
                    Since = SinceOf(Annotated, known.Name),
                }));
        GatewayApiPage.AppendTo(page);
        return LongLines.Joined(page.ToString());
    }

    /// <summary>The row of a field, and those of the fields below it that share its answer.</summary>
    private static IEnumerable<PageRow> Rows(ApiField field)
    {
        var (row, envoy) = (Row(field), Word(AnswerTo(field)?.Effect ?? field.OnEnvoy));
        var first = new PageRow(row, Word(field), LevelOf(field.Kind, field.Path, EffectOf(field))) { OnEnvoy = envoy, Since = SinceOf(field.Kind, row) };
        yield return first;
        if (EffectOf(field) == FieldEffect.Works) yield break;
        foreach (var below in ApiFields.Below(field.Kind, AnswerTo(field)?.Path ?? field.Path))
            yield return first with { Name = below, Effect = $"as `{row}`", Since = SinceOf(field.Kind, below) };
    }

    /// <summary>What a table of fields cannot say of a kind.</summary>
    private static readonly Dictionary<string, string> Notes = new(StringComparer.Ordinal)
    {
        ["EnvoyFilter"] =
            "A patch with configuration that only Envoy knows, such as the filter `envoy.filters.http.ext_proc`, Lua or Wasm, reaches [Envoys](envoy.md) and "
                + "no proxy of Isthmus, which implement none of it: admission warns, with the name of the type. The same holds for filters that discover their "
                + "configuration (`config_discovery`), for patches of `EXTENSION_CONFIG`, which add it, and for patches of `BOOTSTRAP`. `match.waypoint` is "
                + "refused: there are no waypoints.",
        ["WasmPlugin"] =
            "Only Envoys that list Wasm among their extensions get the plugin ([envoy.md](envoy.md#wasmplugins)). For proxies of Isthmus, a field that works "
                + "there is warned of with its object: *" + WasmWarning + "*.",
        ["Telemetry"] =
            "The value of a tag is an expression over attributes of Envoy, as in Istio. A word that is not an attribute (`UPSERT` of `foo` with the value "
                + "`add`) is refused, because every proxy would report `unknown`.",
    };

    private static string WasmWarning =>
        Check("WasmPlugin", ApiSamples.Read("WasmPlugin")[0]).First(problem => problem.Kind == WarningKind.OnlyEnvoys) is var found
            ? $"{found.Message} ({found.Remedy})"
            : "";

    /// <summary>A path without numbers and names of items.</summary>
    internal static string Plain(string path) => ApiFields.WithoutItems(path);

    /// <param name="OnEnvoy">Null: the table has no such column.</param>
    /// <param name="Since">Null: the table has no such column.</param>
    private sealed record PageRow(string Name, string Effect, string Moving, string? OnEnvoy = null, string? Since = null);

    private static void Table(StringBuilder page, string title, string head, IEnumerable<PageRow> rows)
    {
        var all = rows.ToList();
        (string Head, Func<PageRow, string> Cell)[] columns =
        [
            (head, row => $"`{row.Name}`"), ("here", row => row.Effect.Replace("|", "\\|", StringComparison.Ordinal)),
            .. all[0].OnEnvoy is null ? [] : (IEnumerable<(string, Func<PageRow, string>)>)[("Envoy", row => row.OnEnvoy!)],
            ("moving", row => row.Moving),
            .. all[0].Since is null ? [] : (IEnumerable<(string, Func<PageRow, string>)>)[("since Istio", row => row.Since!)],
        ];
        page.Append("\n## ").Append(title).Append(Notes.TryGetValue(title, out var note) ? $"\n\n{note}" : "").Append("\n\n");
        Line(column => column.Head, " ");
        Line(_ => "---", "");
        foreach (var row in all) Line(column => column.Cell(row), " ");

        void Line(Func<(string Head, Func<PageRow, string> Cell), string> cell, string space) =>
            page.Append('|').Append(string.Join('|', columns.Select(column => $"{space}{cell(column)}{space}"))).Append("|\n");
    }

    private static string LevelOf(string kind, string path, FieldEffect effect) =>
        effect == FieldEffect.Works ? "" : MigrationLevels.Of(kind, path, effect).ToString().ToLowerInvariant();

    internal static FieldEffect EffectOf(ApiField field) => AnswerTo(field)?.Effect ?? field.Effect;

    /// <summary>What admission says about a field that does not work: the first problem at its path.</summary>
    internal static Problem? ProblemOf(ApiField field)
    {
        var (at, effect) = AnswerTo(field) is { } answer ? (answer.At, answer.Effect) : (field.NeedsEnvoy ? "" : field.Path, field.Effect);
        if (effect == FieldEffect.Works) return null;
        var path = IsDocument(field.Kind) ? at : at.Length == 0 ? "kind" : $"spec.{at}";
        return ProblemsOf(field).First(problem => Plain(problem.Path) == path.Replace("{}", "[]", StringComparison.Ordinal));
    }

    private static IEnumerable<Problem> ProblemsOf(ApiField field) =>
        SpecsWith(field).SelectMany(spec => Check(field.Kind, spec)).OrderBy(problem => problem.Message == Idle ? 0 : 1);

    /// <summary>Specs with the field, of which one has a value of its type.</summary>
    internal static IEnumerable<JsonNode> SpecsWith(ApiField field) =>
        AnswerTo(field) is { } answer ? [answer.Spec]
        : field.Path.Length == 0 ? [new JsonObject()]
        : field.NeedsEnvoy ? ApiSamples.Read(field.Kind)
        : ((JsonNode[])["x", 1, true, "1s", new JsonObject(), new JsonArray(), "DEFAULT", "STATS"]).Select(value => Nested(field.Path, value));

    /// <summary>Whether it is a document of the ConfigMap, not an object.</summary>
    internal static bool IsDocument(string kind) => kind is ApiFields.MeshConfig or ApiFields.MeshNetworks;

    internal static IReadOnlyList<Problem> Check(string kind, JsonNode spec) => kind == ApiFields.MeshConfig ? MeshConfigReader.ReadMesh(spec).Problems
        : kind == ApiFields.MeshNetworks
        ? MeshConfigReader.ReadNetworks(spec).Problems
        : Validation.Check(ApiMesh.Object(MeshApi.Istio.Single(known => known.Kind == kind), spec));

    private static JsonNode Nested(string path, JsonNode value)
    {
        var dot = path.IndexOf('.', StringComparison.Ordinal);
        var (step, rest) = dot < 0 ? (path, "") : (path[..dot], path[(dot + 1)..]);
        var below = rest.Length == 0 ? value.DeepClone() : Nested(rest, value);
        JsonNode inner = step.EndsWith("[]", StringComparison.Ordinal)
            ? new JsonArray(below)
            : step.EndsWith("{}", StringComparison.Ordinal)
            ? new JsonObject { ["x"] = below }
            : below;
        return new JsonObject { [step.TrimEnd('[', ']', '{', '}')] = inner };
    }

    // What all fields of a kind share, its note says.
    private static string Word(ApiField field) => AnswerTo(field) is null && field.NeedsEnvoy ? Word(field.Effect)
        : ProblemOf(field) is { } problem ? Word(EffectOf(field), problem.Message, problem.Remedy)
        : "works";

    private static string Word(FieldEffect effect) => effect switch
    {
        FieldEffect.Works => "works",
        FieldEffect.Warned => "warned of",
        _ => "refused",
    };

    private static string Word(FieldEffect effect, string? message, string remedy) => effect switch
    {
        FieldEffect.Works => Word(effect),
        // What every such field has in common, the page says once.
        FieldEffect.Warned when message is null or Idle => message is null && remedy.Length > 0 ? $"warned of ({remedy})" : "warned of",
        FieldEffect.Warned => $"warned of: {message}{(remedy.Length > 0 ? $" ({remedy})" : "")}",
        _ => $"refused{(message is null ? "" : ": " + message)} ({remedy})",
    };

    /// <summary>The version of the longest part of the path that is listed.</summary>
    internal static string SinceOf(string kind, string path) =>
        Since.Where(known => Names(known, kind, path)).OrderByDescending(known => known.Path.Length).Select(known => known.Version).FirstOrDefault(Oldest);

    internal static bool Names((string Kind, string Path, string Version) known, string kind, string path) =>
        known.Kind == kind && (known.Path == "*" || path.Contains(known.Path, StringComparison.Ordinal));

    /// <summary>Fields below one that is refused have no row of their own.</summary>
    internal static string Row(ApiField field) => field.Path.Length == 0 ? "(every field)" : AnswerTo(field)?.Path ?? field.Path;

    private static ApiAnswer? AnswerTo(ApiField field) => Answers.FirstOrDefault(answer => answer.Kind == field.Kind
        && field.Path.StartsWith(answer.Path, StringComparison.Ordinal)
        && (field.Path.Length == answer.Path.Length || field.Path[answer.Path.Length] is '.' or '['));

    private static ApiAnswer Answer(JsonObject entry) => new(entry["kind"]!.ToString(), entry["field"]!.ToString(),
        entry["is"]!.ToString() == "refused" ? FieldEffect.Refused : FieldEffect.Warned, entry["at"]?.ToString() ?? entry["field"]!.ToString(), entry["spec"]!);
}
