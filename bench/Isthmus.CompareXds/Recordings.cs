using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Xds;

namespace Isthmus.CompareXds;

/// <summary>The resources that a real istiod sent to one proxy.</summary>
/// <param name="Name">The folder below <c>xds</c>.</param>
/// <param name="Variant">The part of the name between scenario and proxy; empty for the unchanged scenario.</param>
internal sealed record RecordedCase(string Name, string Scenario, string Variant, ProxyIdentity Node, string Folder, JsonObject? Counts)
{
    public static readonly string[] Types = ["cds", "eds", "lds", "rds", "nds"];

    public static string TypeUrl(string type) => type switch
    {
        "cds" => TypeUrls.Cluster,
        "eds" => TypeUrls.Endpoints,
        "lds" => TypeUrls.Listener,
        "rds" => TypeUrls.Route,
        _ => TypeUrls.NameTable,
    };

    /// <summary>The resources by name; null when the type was not recorded.</summary>
    public SortedDictionary<string, JsonNode>? Resources(string type)
    {
        var file = Path.Combine(Folder, type + ".json");
        if (!File.Exists(file)) return null;
        var all = new SortedDictionary<string, JsonNode>(StringComparer.Ordinal);
        foreach (var resource in Recordings.ReadJson(file).AsArray().OfType<JsonObject>())
            all[(string?)resource["name"] ?? (string?)resource["cluster_name"] ?? ""] = resource;
        return all;
    }

    /// <summary>Whether the recording omits some of the resources that the proxy received.</summary>
    public bool IsPartial(string type) => Counts?[type] is JsonArray { Count: 2 } counts && (int)counts[0]! != (int)counts[1]!;
}

/// <summary>A folder of recordings.</summary>
internal sealed class Recordings
{
    private const string Remedy = "specify the folder that contains inputs, nodes and xds";

    /// <summary>Resources that EnvoyFilters and WasmPlugins change: docs/limits.md says that those have no
    /// effect.</summary>
    private static readonly string[] Skipped = ["s1-single/with-default-envoyfilters", "s6i-wasm-ecds"];

    private readonly string _folder;

    private Recordings(string folder, IReadOnlyList<RecordedCase> cases) => (_folder, Cases) = (folder, cases);

    public IReadOnlyList<RecordedCase> Cases { get; }

    public static Recordings Open(string folder)
    {
        foreach (var part in (string[])["inputs", "nodes", "xds"])
        {
            if (!Directory.Exists(Path.Combine(folder, part))) throw new ProblemException(folder, $"has no folder {part}", Remedy);
        }
        var xds = Path.Combine(folder, "xds");
        var counts = File.Exists(Path.Combine(xds, "counts.json"))
            ? ReadJson(Path.Combine(xds, "counts.json")).AsArray().OfType<JsonObject>()
                .ToDictionary(item => (string)item["proxy"]!, item => item["kept_of_total"] as JsonObject, StringComparer.Ordinal)
            : [];
        var cases = new List<RecordedCase>();
        foreach (var file in Directory.EnumerateFiles(xds, "cds.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            var name = Path.GetRelativePath(xds, Path.GetDirectoryName(file)!);
            if (Skipped.Any(skipped => name.StartsWith(skipped, StringComparison.Ordinal))) continue;
            var parts = name.Split('/');
            var isProxy = File.Exists(Path.Combine(folder, "nodes", parts[0], ProxyOf(parts[^1]) + ".json"));
            // A variant without a proxy's name was recorded by the first client of the first cluster.
            var proxy = isProxy ? ProxyOf(parts[^1]) : "sleep-c1";
            var variant = string.Join('/', parts[1..(isProxy ? ^1 : ^0)]);
            if (parts[^1].Contains("-on-", StringComparison.Ordinal)) variant += "/" + parts[^1][(parts[^1].IndexOf("-on-", StringComparison.Ordinal) + 1)..];
            cases.Add(new(name, parts[0], variant, ReadNode(Path.Combine(folder, "nodes", parts[0], proxy + ".json")), Path.GetDirectoryName(file)!,
                counts.GetValueOrDefault(name)));
        }
        return cases.Count > 0 ? new(folder, cases) : throw new ProblemException(folder, "has no xds/SCENARIO/PROXY/cds.json", Remedy);
    }

    public string Input(string scenario, string file)
    {
        var path = Path.Combine(_folder, "inputs", scenario, file);
        // To kubectl and to us, a bare n is false. The recorder's YAML reader read it as text.
        return File.Exists(path)
            ? File.ReadAllText(path).Replace("[n]", "['n']", StringComparison.Ordinal)
            : throw new ProblemException(path, "does not exist", Remedy);
    }

    public bool HasInput(string scenario, string file) => File.Exists(Path.Combine(_folder, "inputs", scenario, file));

    public static JsonNode ReadJson(string file)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllText(file)) ?? throw new ProblemException(file, "is empty", Remedy);
        }
        catch (JsonException e)
        {
            throw new ProblemException(file, $"is no JSON: {e.Message}", Remedy, e);
        }
    }

    private static string ProxyOf(string folder)
    {
        var on = folder.IndexOf("-on-", StringComparison.Ordinal);
        var name = on < 0 ? folder : folder[..on];
        return name.EndsWith("-delta", StringComparison.Ordinal) ? name[..^"-delta".Length] : name;
    }

    private static ProxyIdentity ReadNode(string file)
    {
        if (!File.Exists(file)) throw new ProblemException(file, "does not exist", Remedy);
        var node = WireTypes.Lenient.Parse<Node>(File.ReadAllText(file));
        var locality = node.Locality is { } given ? new Mesh.Model.Locality(given.Region, given.Zone, given.SubZone) : Mesh.Model.Locality.Unknown;
        return ProxyIdentity.TryRead(node.Id, node.Metadata, locality, out var error) ?? throw new ProblemException(file, error);
    }
}
