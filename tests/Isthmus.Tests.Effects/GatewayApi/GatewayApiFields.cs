using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Testing;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>A field of the Gateway API, or of multi-cluster services.</summary>
/// <param name="Path">The path below <c>spec</c>, as in <see cref="Mesh.Config.ApiField"/>. Empty for a kind as a whole.</param>
/// <param name="Channel">Which definitions have it.</param>
/// <param name="Answer">What it does: <c>works</c>, <c>refused</c>, <c>idle</c> or <c>written</c>.</param>
/// <param name="Words">What the status says, or the page.</param>
internal sealed record GatewayApiField(string Kind, string Path, string Channel, string Answer, string Words)
{
    /// <summary>The path of the field whose answer it shares: its own one, or that of one above it.</summary>
    public string Answered { get; init; } = Path;
}

/// <summary>Every field of the definitions: those that an installation brings, and those that <c>gateway-api-fields.tsv</c> names.</summary>
internal static class GatewayApiFields
{
    internal const string Works = "works", Refused = "refused", Idle = "idle", Written = "written";

    private const string Standard = "standard", Newest = "v1beta1", File = "tests/Isthmus.Tests.Effects/gateway-api-fields.tsv";

    private static readonly GatewayApiField[] Named =
        [.. System.IO.File.ReadLines(Repository.At(File)).Where(line => !line.StartsWith('#')).Select(line => line.Split('\t'))
            .Select(cells => new GatewayApiField(cells[0], cells[1], cells[2], cells[3], cells.ElementAtOrDefault(4) ?? ""))];

    internal static IReadOnlyList<GatewayApiField> All { get; } = [.. Kinds().SelectMany(kind => Of(kind.Name, kind.Paths, kind.Channel))];

    private static IEnumerable<(string Name, List<string> Paths, string Channel)> Kinds()
    {
        var services = YamlText.ParseAll(System.IO.File.ReadAllText(Repository.At("samples/multicluster/mcs-crds.yaml")), "CRDs").OfType<JsonObject>();
        foreach (var definition in GatewayApiCrds.All) yield return (NameOf(definition), PathsOf(definition), Standard);
        foreach (var kind in Named.Select(field => field.Kind).Where(kind => kind[0] == 'X').Distinct()) yield return (kind, [], "");
        foreach (var definition in services) yield return (NameOf(definition), PathsOf(definition), Newest);
    }

    private static IEnumerable<GatewayApiField> Of(string kind, List<string> paths, string channel)
    {
        var named = Named.Where(field => field.Kind == kind).ToList();
        // What a definition has answers for itself, or as what is above it.
        var known = paths.Select(path => named.Find(field => Covers(field.Path, path)) is not { } above
            ? new GatewayApiField(kind, path, channel, kind == "ServiceImport" ? Written : Works, "")
            : above with { Path = path, Answered = above.Path });
        return known.Concat(named.Where(field => !paths.Exists(path => Covers(field.Path, path)))).OrderBy(field => field.Path, StringComparer.Ordinal);
    }

    private static bool Covers(string above, string path) =>
        path.StartsWith(above, StringComparison.Ordinal) && (path.Length == above.Length || path[above.Length] is '.' or '[' or '{');

    private static string NameOf(JsonObject definition) => definition["spec"]!["names"]!["kind"]!.ToString();

    private static List<string> PathsOf(JsonObject definition) =>
        [.. definition["spec"]!["versions"]!.AsArray().Where(version => (bool)version!["served"]!)
            .SelectMany(version => Leaves(version!["schema"]!["openAPIV3Schema"]!["properties"]!["spec"]!, "")).Distinct()];

    private static IEnumerable<string> Leaves(JsonNode schema, string path) =>
        schema["properties"] is JsonObject { Count: > 0 } fields
            ? fields.SelectMany(field => Leaves(field.Value!, path.Length == 0 ? field.Key : $"{path}.{field.Key}"))
        : schema["items"] is { } item ? Leaves(item, path + "[]")
        : schema["additionalProperties"] is JsonObject value ? Leaves(value, path + "{}")
        : [path];
}
