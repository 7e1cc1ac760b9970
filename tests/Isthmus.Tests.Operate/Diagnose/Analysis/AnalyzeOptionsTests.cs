using System.Text.Json.Nodes;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

public sealed class AnalyzeOptionsTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-analyze-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("IST0103=Pod web.shop", "IST0103", "Pod shop/web", true)]
    [InlineData("IST0103=Pod *.shop", "IST0103", "Pod shop/web", true)]
    [InlineData("IST0103=* web.*", "IST0103", "Pod shop/web", true)]
    [InlineData("IST0102=Namespace shop", "IST0102", "Namespace shop", true)]
    [InlineData("IST0103=Pod we.shop", "IST0103", "Pod shop/web", false)]
    [InlineData("IST0103=Pod web.shop", "IST0102", "Pod shop/web", false)]
    [InlineData("IST0103=Service web.shop", "IST0103", "Pod shop/web", false)]
    [InlineData("IST0103=Pod w.b.shop", "IST0103", "Pod shop/web", false)]
    public void A_suppression_covers_one_code_of_the_objects_that_it_names(string text, string code, string name, bool covered) =>
        Assert.Equal(covered, Suppression.Parse(text, "--suppress").Covers(new("c1", new(code, name, "", "wrong"))));

    [Theory]
    [InlineData("IST0103")]
    [InlineData("=Pod web.shop")]
    [InlineData("IST0103=")]
    [InlineData("IST0103=a=b")]
    public void A_suppression_of_another_form_is_refused(string text) =>
        Assert.StartsWith($"--suppress: '{text}' is not of the form CODE=KIND NAME.NAMESPACE",
            Assert.Throws<WrongUseException>(() => Suppression.Parse(text, "--suppress")).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("ISM1411", 0)]
    [InlineData("IST0101, ISM1411", 0)]
    [InlineData("*", 0)]
    [InlineData("IST0101", 1)]
    public void An_object_declares_what_is_intended(string codes, int findings) =>
        Assert.Equal(findings,
            Isthmus.Operate.Diagnose.Analysis.Analysis.Run(
                [Cluster(
                    $$"""
                    {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop, annotations: {galley.istio.io/analyze-suppress: "{{codes}}" } },
                     spec: {sessionAffinity: ClientIP} }
                    """)])
                .Count(finding => finding.Problem.Code == "ISM1411"));

    [Fact]
    public void Files_are_read_with_the_places_of_their_objects()
    {
        Write("a.yaml",
            "# first\n\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n---\nkind: nothing\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: "
                + "shop}\n");
        Write("b.json",
            """{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "other"}}]}""");
        Write("notes.txt", "kind: Service");
        Write("below/c.yml", "{");
        Write("below/d.yml", "apiVersion: v1\nkind: Service\nmetadata: {name: deep, namespace: far}");

        var flat = ManifestFiles.Read([_directory], recursive: false, "shop", TextReader.Null);
        Assert.Equal(["Service shop/web", "Namespace shop", "Pod other/p"], flat.Objects.Select(ClusterInventory.NameOf));
        Assert.Equal(($"{At("a.yaml")}:3", $"{At("a.yaml")}:9", $"{At("b.json")}:1"),
            (flat.Origins["Service shop/web"], flat.Origins["Namespace shop"], flat.Origins["Pod other/p"]));
        Assert.Equal($"{At("a.yaml")}:7: is not a Kubernetes object: it lacks apiVersion or kind", Assert.Single(flat.Problems).ToString());
        Assert.Equal([At("notes.txt")], flat.Skipped);

        var deep = ManifestFiles.Read([_directory], recursive: true, "shop", TextReader.Null);
        Assert.Contains("Service far/deep", deep.Origins.Keys);
        Assert.Contains(deep.Problems, problem => problem.Object.StartsWith(At("below/c.yml"), StringComparison.Ordinal));

        Assert.Equal(["Service in/put"],
            ManifestFiles.Read(["-"], recursive: false, "shop",
                new StringReader("{apiVersion: v1, kind: Service, metadata: {name: put, namespace: in}}")).Origins.Keys);
        Assert.Equal($"{At("none.yaml")}: does not exist (check the file's name)",
            Assert.Throws<ProblemException>(() => ManifestFiles.Read([At("none.yaml")], recursive: false, "shop", TextReader.Null)).Message);
    }

    [Fact]
    public void Of_files_alone_only_what_they_have_is_analyzed()
    {
        Write("gateway.yaml",
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: front, namespace: shop}\nspec: {selector: {a: b}, servers: [{port: {number: "
                + "99999, name: http, protocol: HTTP}, hosts: [\"*\"]}]}");
        var files = ManifestFiles.Read([_directory], recursive: false, "default", TextReader.Null);
        var result = Isthmus.Operate.Diagnose.Analysis.Analysis.Examine([files.Alone("istio-system")]);
        Assert.Contains(result.Skipped, analyzer => analyzer.Name == "gateway.SecretAnalyzer"); // Its Pods are elsewhere.
        Assert.Contains(result.Executed, analyzer => analyzer.Name == "schema.ValidationAnalyzer");
        Assert.All(files.Located(result.Findings, "files"),
            finding => Assert.Equal(("IST0106", $"{At("gateway.yaml")}:1"), (finding.Problem.Code, finding.Reference)));
        Assert.NotEmpty(result.Findings);
    }

    [Fact]
    public void Files_replace_the_objects_of_a_cluster_as_if_they_were_applied()
    {
        const string service = "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {sessionAffinity: $}}";
        var before = Cluster(service.Replace("$", "ClientIP", StringComparison.Ordinal));
        var after = before.With(Objects(service.Replace("$", "None", StringComparison.Ordinal)));
        Assert.Contains(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([before]), finding => finding.Problem.Code == "ISM1411");
        Assert.DoesNotContain(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([after]), finding => finding.Problem.Code == "ISM1411");
        Assert.Single(after.Services);
    }

    [Fact]
    public void A_MeshConfig_of_a_file_replaces_that_of_the_cluster()
    {
        var cluster = Cluster("{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-canary, namespace: istio-system}, data: {mesh: 'trustDomain: old'}}");
        Assert.Equal(("old", "new"), (cluster.Mesh!.TrustDomain, cluster.WithMesh("trustDomain: new").Mesh!.TrustDomain));
    }

    [Fact]
    public void Sarif_names_rules_levels_and_places()
    {
        var log = SarifLog.Of([new("files",
            new("IST0106", "Gateway shop/front", "spec.unknown", "unknown field", "remove it")) { Reference = "a/gateway.yaml:7" },
            new("c1", new("ISM1411", "Service shop/web", "", "has no effect", "", Severity.Warning))],
            "1.2");
        Assert.Equal(("2.1.0", "https://json.schemastore.org/sarif-2.1.0.json"), ((string?)log["version"], (string?)log["$schema"]));
        var run = Assert.Single((JsonArray)log["runs"]!)!;
        Assert.Equal(["ISM1411", "IST0106"], ((JsonArray)run["tool"]!["driver"]!["rules"]!).Select(rule => (string?)rule!["id"]));
        var results = (JsonArray)run["results"]!;
        Assert.Equal(("IST0106", 1, "error", "Gateway shop/front: spec.unknown: unknown field (remove it)"),
            ((string?)results[0]!["ruleId"], (int)results[0]!["ruleIndex"]!, (string?)results[0]!["level"], (string?)results[0]!["message"]!["text"]));
        var place = results[0]!["locations"]![0]!["physicalLocation"]!;
        Assert.Equal(("a/gateway.yaml", 7), ((string?)place["artifactLocation"]!["uri"], (int)place["region"]!["startLine"]!));
        Assert.Equal("c1/Service shop/web", (string?)results[1]!["locations"]![0]!["logicalLocations"]![0]!["fullyQualifiedName"]);
        Assert.Null(results[1]!["locations"]![0]!["physicalLocation"]);
    }

    /// <summary>What the schema of SARIF 2.1.0 says of the objects that are written: it allows no other properties. Required ones have an exclamation
    /// mark.</summary>
    private static readonly Dictionary<string, string> SarifSchema = new(StringComparer.Ordinal)
    {
        ["log"] = "$schema:uri version!:2.1.0 runs!:[run]", ["run"] = "tool!:tool results:[result]", ["tool"] = "driver!:component",
        ["component"] = "name!:text version:text rules:[rule]",
        ["rule"] = "id!:text name:text shortDescription:words help:words defaultConfiguration:configuration", ["words"] = "text!:text",
        ["configuration"] = "level:level",
        ["result"] = "ruleId:text ruleIndex:index level:level message!:words locations:[location]",
        ["location"] = "physicalLocation:physical logicalLocations:[logical]",
        ["physical"] = "artifactLocation!:artifact region:region", ["artifact"] = "uri:uri", ["region"] = "startLine:line",
        ["logical"] = "fullyQualifiedName:text kind:text",
    };

    [Fact]
    public void Sarif_is_as_its_schema_says()
    {
        Finding[] findings =
        [
            new("files", new("IST0106", "Gateway shop/front", "spec.unknown", "unknown field", "remove it")) { Reference = "my files/a#b 100%.yaml:7" },
            new("files", new("IST0133", "Service shop/web", "", "is odd", "", Severity.Info)) { Reference = @"a\b.yaml:1" },
            new("c1", new("ISM1411", "Service shop/web", "", "has no effect", "", Severity.Warning)),
            new("c1", new("ISM9999", "Service shop/web", "", "is known to a newer control plane", "")),
        ];
        Assert.Empty(Faults("log", SarifLog.Of(findings, "1.2"), "$"));
        Assert.Empty(Faults("log", SarifLog.Of([], "1.2"), "$"));
        Assert.Equal("my%20files/a%23b%20100%25.yaml",
            SarifLog.Of(findings, "1.2")["runs"]![0]!["results"]![0]!["locations"]![0]!["physicalLocation"]!["artifactLocation"]!["uri"]!.ToString());
    }

    private static IEnumerable<string> Faults(string type, JsonNode? value, string path)
    {
        if (type.StartsWith('['))
            return value is JsonArray list ? list.SelectMany((item, index) => Faults(type[1..^1], item, $"{path}[{index}]")) : [$"{path} is not a list"];
        if (!SarifSchema.TryGetValue(type, out var text)) return IsOf(type, value) ? [] : [$"{path}: {value?.ToJsonString()} is not {type}"];
        if (value is not JsonObject fields) return [$"{path} is not an object"];
        var known = text.Split(' ').Select(field => field.Split(':'))
            .ToDictionary(field => field[0].TrimEnd('!'), field => (Type: field[1], IsRequired: field[0].EndsWith('!')), StringComparer.Ordinal);
        return fields.Where(field => !known.ContainsKey(field.Key)).Select(field => $"{path}.{field.Key} is not known")
            .Concat(known.Where(field => field.Value.IsRequired && !fields.ContainsKey(field.Key)).Select(field => $"{path}.{field.Key} is missing"))
            .Concat(fields.Where(field => known.ContainsKey(field.Key)).SelectMany(field => Faults(known[field.Key].Type, field.Value, $"{path}.{field.Key}")));
    }

    private static bool IsOf(string type, JsonNode? value) => type switch
    {
        "text" => value?.GetValueKind() == System.Text.Json.JsonValueKind.String,
        "uri" => value?.ToString() is { } text && Uri.IsWellFormedUriString(text, UriKind.RelativeOrAbsolute),
        "level" => value?.ToString() is "none" or "note" or "warning" or "error",
        "index" => (int?)value >= -1,
        "line" => (int?)value >= 1,
        _ => value?.ToString() == type,
    };

    private string At(string file) => Path.Combine(_directory, file);

    private void Write(string file, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(At(file))!);
        File.WriteAllText(At(file), text);
    }

    private static ClusterInventory Cluster(string objects) => ClusterInventory.From("c1", Objects(objects));

    private static IEnumerable<JsonObject> Objects(string text) => YamlText.ParseAll(text, "test").OfType<JsonObject>();
}
