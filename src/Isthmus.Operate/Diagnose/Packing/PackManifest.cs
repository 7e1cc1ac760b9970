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
public sealed record PackManifest(DateTimeOffset TakenAt, string MadeBy = "", string Context = "", string IstioNamespace = "",
    IReadOnlyList<PackedClusterEntry>? Clusters = null, int Files = 0)
{
    public int Version { get; init; } = PackLayout.Version;

    public IReadOnlyList<PackedClusterEntry> Clusters { get; init; } = Clusters ?? [];

    internal JsonNode Tree() => JsonSerializer.SerializeToNode(this, PackJson.Default.PackManifest)!;

    /// <exception cref="ProblemException">It is not one that this program reads.</exception>
    internal static PackManifest Read(string text, string file)
    {
        var known = PackLayout.Version.ToString(CultureInfo.InvariantCulture);
        try
        {
            var version = (StrictJson.Parse(text) as JsonObject)?["version"]?.ToString() ?? "unknown";
            if (version != known)
                throw new ProblemException($"--snapshot {file}", $"has a manifest of version {version}, and this program reads version {known}",
                    "use the version of isthmus that made it");
            var manifest = StrictJson.Parse(text, PackJson.Default.PackManifest);
            if (manifest.TakenAt == default) throw new JsonException("takenAt is missing");
            return manifest.Clusters.Contains(null!) ? throw new JsonException("a cluster is null") : manifest;
        }
        catch (JsonException e)
        {
            throw new ProblemException($"--snapshot {file}", $"has a manifest that cannot be read: {e.Message}", "make the snapshot again", e);
        }
    }
}

/// <summary>One cluster in a manifest.</summary>
/// <param name="Server">The address of its API server.</param>
/// <param name="Namespace">The namespace of its context.</param>
/// <param name="Error">Why nothing of it could be read; empty when something could.</param>
public sealed record PackedClusterEntry(string Context = "", string Server = "", string Namespace = "", string Error = "", int Objects = 0,
    int ControlPlanes = 0, int Proxies = 0)
{
    /// <summary>Where its files are.</summary>
    public string Folder => PackLayout.Cluster(Context);

    /// <summary>What is missing of it, and why.</summary>
    public IReadOnlyList<string> Missing { get => field ?? []; init; }
}
