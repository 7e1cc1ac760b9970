using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Intake;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Testing;

namespace Isthmus.Tests.ControlPlane.Push;

/// <summary>Something that a mesh is told, in several variants.</summary>
/// <param name="Identity">What it is told about: samples of the same identity replace each other.</param>
/// <param name="Cluster">It goes when this cluster leaves; empty: it stays.</param>
/// <param name="Put">Stages a variant.</param>
/// <param name="Remove">Null: it stays for good.</param>
internal sealed record MeshSample(string Identity, string Cluster, Action<MeshWriter, int> Put, Action<MeshWriter>? Remove)
{
    /// <summary>The kinds that read it, as the table of kinds numbers them.</summary>
    public IReadOnlyList<int> Kinds { get; init; } = [];

    /// <summary>An object with errors has none of its own effect: its last good version stays.</summary>
    public string Problem { get; init; } = "";
}

/// <summary>
/// Objects of every kind that a mesh of three clusters in two networks reads, and what else it is told. In the files, <c>@</c> is the variant, <c>$c</c> the
/// number of the cluster, <c>$n</c> that of its network, <c>%certificate</c> and <c>%key</c> are a pair, and <c>%pem</c> is its certificate as text.
/// </summary>
internal static class MeshSamples
{
    public const int Variants = 3;

    public static readonly string[] Clusters = ["c1", "c2", "c3"];

    private const string Folder = "tests/Isthmus.Tests.ControlPlane/Push/samples", EveryField = "tests/Isthmus.Tests.Effects/samples";

    public static IReadOnlyList<MeshSample> Of(MeshKinds kinds)
    {
        var pairs = Enumerable.Range(1, Variants).Select(n => TestCa.SelfSignedPair($"h{n}.example")).ToList();
        var all = new List<MeshSample>();
        foreach (var cluster in Clusters)
        {
            var contact = cluster == "c1" ? (Action<MeshWriter>?)null : writer => writer.RemoveCluster(cluster);
            all.Add(new($"contact with {cluster}", cluster,
                (writer, variant) => writer.PutContact(new(cluster, cluster == "c1", variant != 2, true, 1)), contact));
            all.AddRange(Read("clusters", cluster, stays: false));
            all.AddRange(Read("gateways", cluster, stays: true));
        }
        all.AddRange(Read("config", "c1", stays: false));
        all.AddRange(Read("fields", "c1", stays: false));
        all.AddRange(Read("kept", "c1", stays: true));
        all.Add(new("resolved gw.example", "", (writer, variant) => writer.PutResolved("gw.example", [Address.Parse($"203.0.113.{variant}")]),
            writer => writer.RemoveResolved("gw.example")));
        var place = new KeyPlace("https://issuer.example", "https://issuer.example/keys", TimeSpan.FromSeconds(5));
        all.Add(new("keys", "", (writer, variant) => writer.PutKeys(place, $$"""{"keys": [{"kid": "{{variant}}"}]}"""), writer => writer.RemoveKeys(place)));
        foreach (var account in (string[])["front", "eastwest", "inner", "aside"])
        {
            var key = new AccountKey("c1", "shop", account);
            all.Add(new($"access of {account}", "", (writer, variant) => writer.PutSecretAccess(key, variant == 2 ? new("denied") : SecretAccess.Granted),
                account == "aside" ? writer => writer.RemoveSecretAccess(key) : null));
        }
        var door = new ObjectKey("c1", "shop", "door");
        all.Add(new("trouble of a gateway", "", (writer, variant) => writer.Mesh.Sources.GatewayTroubles.Put(door,
            new(variant == 2, variant == 1 ? GatewayTrouble.NoAddress : "Invalid", $"trouble {variant}")),
            writer => writer.Mesh.Sources.GatewayTroubles.Remove(door)));
        return all.Find(sample => sample.Problem.Length > 0) is { } wrong
            ? throw new InvalidOperationException($"A sample has errors: {wrong.Problem}") : all;

        IEnumerable<MeshSample> Read(string file, string cluster, bool stays) => Documents(file).Select(text => Object(
            kinds, cluster, [.. Enumerable.Range(1, Variants).Select(variant => Variant(text, cluster, variant, pairs[variant - 1]))], stays));
    }

    /// <summary>Objects that together have every field that works: three of each kind at a time.</summary>
    public static IReadOnlyList<MeshSample> OfFields(MeshKinds kinds)
    {
        var all = new List<MeshSample>();
        foreach (var kind in ((MeshKind[])[.. kinds.Istio, .. kinds.GatewayApi, kinds.Exports, kinds.Imports]).Select(kind => kind.Descriptor))
        {
            foreach (var (index, sample) in Fields(kind.IsIstio ? kind.Kind : $"gateway-api/{kind.Kind}").Index())
            {
                var item = kind.IsIstio ? new() { ["spec"] = sample.DeepClone() } : (JsonObject)sample.DeepClone();
                (item["apiVersion"], item["kind"]) = ($"{kind.Group}/{kind.ReadVersion}", kind.Kind);
                var meta = new JsonObject { ["name"] = item["metadata"]?["name"]?.ToString() ?? $"field-{index % 3}" };
                if (kind.IsNamespaced) meta["namespace"] = item["metadata"]?["namespace"]?.ToString() ?? "shop";
                item["metadata"] = meta;
                all.Add(Object(kinds, "c1", [item.ToJsonString()], stays: false));
            }
        }
        foreach (var file in (string[])["base", "gateway-api/base"])
            all.AddRange(Fields(file).Select(item => Object(kinds, "c1", [item.ToJsonString()], stays: false)));
        foreach (var (field, file) in ((string, string)[])[("mesh", "MeshConfig"), ("meshNetworks", "MeshNetworks")])
        {
            foreach (var sample in Fields(file))
            {
                all.Add(Object(kinds, "c1", [new JsonObject
                {
                    ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["metadata"] = new JsonObject { ["name"] = "istio", ["namespace"] = "istio-system" },
                    ["data"] = new JsonObject { [field] = sample.ToJsonString() },
                }.ToJsonString()], stays: true));
            }
        }
        return [.. all.Where(sample => sample.Problem.Length == 0)];
    }

    private static IEnumerable<JsonNode> Fields(string file) => Repository.At($"{EveryField}/{file}.yaml") is var path && File.Exists(path)
        ? YamlText.ParseAll(File.ReadAllText(path), file) : [];

    private static string[] Documents(string file) =>
        File.ReadAllText(Repository.At($"{Folder}/{file}.yaml")).Split("\n---\n", StringSplitOptions.RemoveEmptyEntries);

    private static string Variant(string text, string cluster, int variant, (string Certificate, string Key) pair) => YamlText.Parse(
        text.Replace("$c", cluster[1..], StringComparison.Ordinal).Replace("$n", cluster == "c3" ? "1" : cluster[1..], StringComparison.Ordinal)
            .Replace("%certificate", Base64(pair.Certificate), StringComparison.Ordinal).Replace("%key", Base64(pair.Key), StringComparison.Ordinal)
            .Replace("%pem", pair.Certificate.Trim().Replace("\n", "\\n", StringComparison.Ordinal), StringComparison.Ordinal)
            .Replace("@", variant.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal), "sample")!.ToJsonString();

    /// <param name="kinds">The table of kinds.</param>
    /// <param name="cluster">Where it is.</param>
    /// <param name="variants">JSON.</param>
    /// <param name="stays">It is never removed.</param>
    private static MeshSample Object(MeshKinds kinds, string cluster, IReadOnlyList<string> variants, bool stays)
    {
        var item = Parse(variants[0]);
        var (version, name) = (item["apiVersion"]!.ToString(), item["kind"]!.ToString());
        var group = version.Contains('/', StringComparison.Ordinal) ? version.Split('/')[0] : "";
        var meta = item["metadata"]!;
        var key = new ObjectKey(cluster, meta["namespace"]?.ToString() ?? "", meta["name"]!.ToString());
        var readers = Enumerable.Range(0, kinds.All.Count)
            .Where(index => kinds.All[index].Descriptor is var known && (known.Group, known.Kind) == (group, name)).ToList();
        if (readers.Count == 0) throw new InvalidOperationException($"No kind reads {variants[0]}");
        var scratch = new MeshWriter(new(), new(), kinds);
        var taken = readers.Where(index => variants.All(variant => kinds.All[index].StageTree(scratch, cluster, Parse(variant)))).ToList();
        scratch.Commit();
        var problem = kinds.All[readers[0]] is RefusedKind ? null
            : scratch.Mesh.Sources.Problems.Items.Values.SelectMany(item => item.Problems).FirstOrDefault(item => item.Severity == Severity.Error);
        return new($"{name}.{group} {key}", cluster,
            (writer, variant) =>
            {
                foreach (var kind in readers.Select(index => writer.Kinds.All[index]))
                {
                    // As a watch has it: what the mesh does not use is not there.
                    if (!kind.StageTree(writer, cluster, Parse(variants[variant % variants.Count]))) kind.Remove(writer.Mesh.Sources, key);
                }
            },
            stays ? null : writer =>
            {
                foreach (var index in readers) writer.Remove(writer.Kinds.All[index], key);
            })
        {
            Kinds = taken, Problem = problem?.ToString() ?? "",
        };
    }

    private static JsonObject Parse(string text) => JsonNode.Parse(text)!.AsObject();

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
