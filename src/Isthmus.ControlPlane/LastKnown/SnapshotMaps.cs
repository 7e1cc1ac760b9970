using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.ControlPlane.LastKnown;

/// <summary>A snapshot as found in the cluster.</summary>
/// <param name="Confirmed">When the cluster last confirmed this state.</param>
/// <param name="Maps">The ConfigMaps that hold it, the index first.</param>
public sealed record StoredSnapshot(string Cluster, DateTimeOffset Confirmed, EncodedSnapshot Encoded, IReadOnlyList<string> Maps);

/// <summary>
/// Snapshots as ConfigMaps: one for each part, named by its content, and an index for each cluster that lists its parts. Parts are
/// written first and the index last, so a reader finds the old snapshot or the new one, never a mixture.
/// </summary>
public static class SnapshotMaps
{
    public const string Label = WellKnown.OwnDomain + "/last-known";
    private const string Index = "index";
    private const string Part = "part";
    private const string PartKey = "snapshot.json.gz";

    /// <summary>Cluster IDs may contain characters that object names must not.</summary>
    public static string NameOf(string cluster) => $"isthmus-last-known-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(cluster)))[..12]}";

    public static IReadOnlyList<JsonObject> Parts(string ns, string cluster, EncodedSnapshot encoded) => [.. encoded.Chunks.Select((chunk, index) =>
    {
        var map = Map(ns, PartName(cluster, encoded.Generation, index), Part);
        map["binaryData"] = new JsonObject { [PartKey] = Convert.ToBase64String(chunk) };
        return map;
    })];

    public static JsonObject IndexOf(string ns, string cluster, EncodedSnapshot encoded, DateTimeOffset confirmed)
    {
        var map = Map(ns, NameOf(cluster), Index);
        map["data"] = new JsonObject
        {
            ["cluster"] = cluster, ["generation"] = encoded.Generation, ["parts"] = encoded.Chunks.Count.ToString(CultureInfo.InvariantCulture),
            ["confirmed"] = Time(confirmed),
        };
        return map;
    }

    /// <summary>A merge patch that only confirms that the snapshot is still valid.</summary>
    public static JsonObject Confirmation(DateTimeOffset confirmed) => new() { ["data"] = new JsonObject { ["confirmed"] = Time(confirmed) } };

    /// <summary>The complete snapshots, the problems of others, and the parts that no index lists.</summary>
    public static (IReadOnlyList<StoredSnapshot> Found, IReadOnlyList<(string Cluster, Problem Problem)> Problems,
        IReadOnlyList<ConfigMap> Loose) Read(IEnumerable<ConfigMap> maps)
    {
        var byName = maps.DistinctBy(map => map.Metadata.Name).ToDictionary(map => map.Metadata.Name, StringComparer.Ordinal);
        var (found, problems, used) = (new List<StoredSnapshot>(), new List<(string, Problem)>(), new HashSet<string>(StringComparer.Ordinal));
        foreach (var index in byName.Values.Where(map => map.Metadata.Labels.GetValueOrDefault(Label) == Index))
        {
            used.Add(index.Metadata.Name);
            var cluster = index.Data.GetValueOrDefault("cluster", "");
            try
            {
                var snapshot = ReadOne(index, cluster, byName);
                used.UnionWith(snapshot.Maps);
                found.Add(snapshot);
            }
            catch (ProblemException e)
            {
                problems.Add((cluster, Ignored(index.Key, e)));
            }
        }
        return (found, problems, [.. byName.Values.Where(map => !used.Contains(map.Metadata.Name))]);
    }

    /// <summary>Why a snapshot is ignored, and what to do about it.</summary>
    public static Problem Ignored(string map, ProblemException why) => new(
        "ISM0302", $"ConfigMap {map}", "", $"the snapshot {why.Problem.Message}; it is ignored",
        "no action is needed while the cluster's API server responds, because the snapshot is written again; otherwise its endpoints are unknown until it "
            + "responds",
        Severity.Warning);

    private static StoredSnapshot ReadOne(ConfigMap index, string cluster, Dictionary<string, ConfigMap> byName)
    {
        // Found by name later on: an index under another name would never be overwritten.
        if (cluster.Length == 0 || NameOf(cluster) != index.Metadata.Name)
            throw new ProblemException("", $"has an index for cluster '{cluster}' under a name that is not its own");
        if (!int.TryParse(index.Data.GetValueOrDefault("parts"), NumberStyles.None, CultureInfo.InvariantCulture, out var count)
            || count is 0 or > SnapshotCodec.MostChunks)
            throw new ProblemException("", $"has '{index.Data.GetValueOrDefault("parts")}' parts; 1 to {SnapshotCodec.MostChunks} are possible");
        if (!DateTimeOffset.TryParseExact(index.Data.GetValueOrDefault("confirmed"), "O", CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind,
            out var confirmed))
            throw new ProblemException("", "does not contain when it was confirmed");
        var generation = index.Data.GetValueOrDefault("generation", "");
        var names = Enumerable.Range(0, count).Select(part => PartName(cluster, generation, part)).ToList();
        var chunks = names.Select(name => Chunk(name, byName.GetValueOrDefault(name))).ToList();
        return new(cluster, confirmed, new(generation, chunks), [index.Metadata.Name, .. names]);
    }

    private static byte[] Chunk(string name, ConfigMap? map)
    {
        var text = map?.BinaryData.GetValueOrDefault(PartKey) ?? throw new ProblemException("", $"lacks its part {name}");
        var bytes = new byte[text.Length / 4 * 3 + 3];
        return Convert.TryFromBase64String(text, bytes, out var length)
            ? bytes[..length]
            : throw new ProblemException("", $"has a part {name} that is not base64");
    }

    private static string PartName(string cluster, string generation, int index) => $"{NameOf(cluster)}-{generation}-{index}";

    private static string Time(DateTimeOffset time) => time.ToUniversalTime().ToString("O", CultureInfo.InvariantCulture);

    private static JsonObject Map(string ns, string name, string role) => new()
    {
        ["apiVersion"] = "v1",
        ["kind"] = "ConfigMap",
        ["metadata"] = new JsonObject
        {
            ["name"] = name, ["namespace"] = ns,
            // An uninstall finds it by this label.
            ["labels"] = new JsonObject { [Label] = role, [$"{WellKnown.OwnDomain}/made-by"] = "discovery" },
        },
    };
}
