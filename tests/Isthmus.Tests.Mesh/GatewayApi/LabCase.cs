using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.Tests.Mesh.GatewayApi;

/// <summary>Something that is done to the objects of a case, and what must come of it.</summary>
/// <param name="Apply">Objects that are created or changed.</param>
/// <param name="Delete">Those that go, as <c>KIND [NAMESPACE/]NAME</c>.</param>
/// <param name="Status">What objects must say (<see cref="StatusLine"/>).</param>
/// <param name="Calls">Tables of calls (<see cref="CallLine"/>) by the place they are made to (<see cref="CallPlace"/>).</param>
internal sealed record LabStep(
    IReadOnlyList<JsonObject> Apply, IReadOnlyList<ObjectName> Delete, IReadOnlyList<StatusLine> Status,
    IReadOnlyList<(CallPlace Place, IReadOnlyList<CallLine> Lines)> Calls);

/// <summary>
/// Cases of the conformance suite of the Gateway API, stated again as data: a document of a file in <c>cases</c>.
/// <list type="bullet">
/// <item><c>cases</c>: their names in <c>tests/gateway-api-cases.tsv</c>.</item>
/// <item><c>quick</c>: <c>./test</c> runs it.</item>
/// <item><c>elsewhere</c>: it is run again with all backends in the other cluster.</item>
/// <item><c>apply</c>, <c>delete</c>, <c>status</c>, <c>calls</c>: the first step, and <c>then</c> a list of further ones.</item>
/// </list>
/// </summary>
internal sealed record LabCase(IReadOnlyList<string> Names, bool IsQuick, bool IsElsewhere, IReadOnlyList<LabStep> Steps)
{
    private static readonly Lazy<IReadOnlyList<LabCase>> Read = new(() =>
        [.. Directory.EnumerateFiles(Path.Combine(Folder(), "cases"), "*.yaml").Order(StringComparer.Ordinal)
            .SelectMany(file => YamlText.ParseAll(File.ReadAllText(file), Path.GetFileName(file))).Select(one => Of(one.AsObject()))]);

    /// <summary>All of them, in the order of files and documents.</summary>
    internal static IReadOnlyList<LabCase> All => Read.Value;

    /// <summary>The first name stands for all that the document covers.</summary>
    internal string Name => Names[0];

    internal static string Folder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;

    private static LabCase Of(JsonObject text)
    {
        Check(text, "cases", "quick", "elsewhere", "apply", "delete", "status", "calls", "then");
        var names = text["cases"]!.AsArray().Select(name => name!.ToString()).ToList();
        var later = text["then"]?.AsArray().Select(step => step!.AsObject()) ?? [];
        foreach (var step in later) Check(step, "apply", "delete", "status", "calls");
        return new(names, (bool?)text["quick"] == true, (bool?)text["elsewhere"] == true, [.. later.Prepend(text).Select(Step)]);
    }

    private static LabStep Step(JsonObject text) => new(
        [.. text["apply"]?.AsObject().Select(item => ObjectName.Read(item.Key).Build(item.Value)) ?? []],
        [.. text["delete"]?.AsArray().Select(item => ObjectName.Read(item!.ToString())) ?? []],
        [.. Lines(text["status"]).Select(StatusLine.Read)],
        [.. text["calls"]?.AsObject().Select(item =>
            (CallPlace.Read(item.Key), (IReadOnlyList<CallLine>)[.. Lines(item.Value).Select(CallLine.Read)])) ?? []]);

    private static string[] Lines(JsonNode? text) =>
        text?.ToString().Replace("\\\n", "", StringComparison.Ordinal)
            .Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];

    private static void Check(JsonObject text, params string[] known)
    {
        if (text.FirstOrDefault(field => !known.Contains(field.Key)).Key is { } key) throw new FormatException($"a case has no '{key}'");
    }
}
