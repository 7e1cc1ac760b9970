using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>What a pack holds.</summary>
/// <param name="MadeBy">The version of the program.</param>
/// <param name="Context">The current context of whoever made it: where callers are looked for, unless told otherwise.</param>
/// <param name="Files">How many files there are, besides the manifest.</param>
public sealed record PackManifest(DateTimeOffset TakenAt, string MadeBy, string Context, string IstioNamespace, IReadOnlyList<PackedClusterEntry> Clusters,
    int Files)
{
    internal JsonObject Tree() => new()
    {
        ["version"] = PackLayout.Version, ["takenAt"] = TakenAt.ToString("O", CultureInfo.InvariantCulture), ["madeBy"] = MadeBy, ["context"] = Context,
        ["istioNamespace"] = IstioNamespace, ["files"] = Files,
        ["clusters"] = new JsonArray([.. Clusters.Select(cluster => (JsonNode)cluster.Tree())]),
    };

    /// <exception cref="ProblemException">It is not one that this program reads.</exception>
    internal static PackManifest Read(string text, string file)
    {
        JsonNode? tree = null;
        try { tree = StrictJson.Parse(text); }
        catch (JsonException) { /* reported below */ }
        if (tree?["version"]?.ToString() != PackLayout.Version.ToString(CultureInfo.InvariantCulture)
            || !DateTimeOffset.TryParse(tree["takenAt"]?.ToString(), CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out var taken))
            throw new ProblemException($"--snapshot {file}",
                $"has a manifest of version {tree?["version"]?.ToString() ?? "unknown"}, and this program reads version {PackLayout.Version}",
                "use the version of isthmus that made it");
        return new(taken, tree["madeBy"]?.ToString() ?? "", tree["context"]?.ToString() ?? "", tree["istioNamespace"]?.ToString() ?? "",
            [.. (tree["clusters"] as JsonArray ?? []).OfType<JsonObject>().Select(PackedClusterEntry.Read)],
            int.TryParse(tree["files"]?.ToString(), CultureInfo.InvariantCulture, out var files) ? files : 0);
    }
}

/// <summary>One cluster in a manifest.</summary>
/// <param name="Server">The address of its API server.</param>
/// <param name="Namespace">The namespace of its context.</param>
/// <param name="Error">Why nothing of it could be read; empty when something could.</param>
public sealed record PackedClusterEntry(string Context, string Server, string Namespace, string Error, int Objects, int ControlPlanes, int Proxies)
{
    /// <summary>What is missing of it, and why.</summary>
    public IReadOnlyList<string> Missing { get; init; } = [];

    internal JsonObject Tree() => new()
    {
        ["context"] = Context, ["folder"] = PackLayout.Cluster(Context), ["server"] = Server, ["namespace"] = Namespace, ["error"] = Error,
        ["objects"] = Objects, ["controlPlanes"] = ControlPlanes, ["proxies"] = Proxies,
        ["missing"] = new JsonArray([.. Missing.Select(line => (JsonNode)JsonValue.Create(line)!)]),
    };

    internal static PackedClusterEntry Read(JsonObject tree)
    {
        string Text(string field) => tree[field]?.ToString() ?? "";
        int Number(string field) => int.TryParse(Text(field), CultureInfo.InvariantCulture, out var number) ? number : 0;
        return new(Text("context"), Text("server"), Text("namespace"), Text("error"), Number("objects"), Number("controlPlanes"), Number("proxies"))
        {
            Missing = [.. (tree["missing"] as JsonArray ?? []).Select(line => line?.ToString() ?? "")],
        };
    }
}
