using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.Inventory;
using Isthmus.Operate.Migration;
using Xunit;

namespace Isthmus.Tests.Effects;

/// <summary><c>isthmus migrate check</c> says of each field of docs/api.md what the page says, and what admission says.</summary>
public sealed class MigrationLevelTests
{
    public static TheoryData<string> Kinds => [.. ApiFields.All.Select(known => known.Kind).Distinct()];

    /// <summary>The page has the problems, which are those of admission.</summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public void What_does_not_work_is_reported_as_admission_says_it(string kind)
    {
        foreach (var field in ApiFields.Of(kind))
        {
            if (ApiPage.ProblemOf(field) is not { } problem) continue;
            var found = ApiPage.SpecsWith(field).SelectMany(spec => Check(kind, spec))
                // What is lost has a remedy even where admission names none.
                .Where(finding => finding.What == problem.Message && (finding.Remedy == problem.Remedy || problem.Remedy.Length == 0)).ToList();
            Assert.True(found.Count > 0, $"{kind} {field.Path}: {problem.Message}");
            if (ApiPage.EffectOf(field) == FieldEffect.Refused)
                Assert.All(found, finding => Assert.Equal((field, MigrationLevel.Lost), (field, finding.Level)));
            else
                Assert.Contains(found, finding => finding.Level == MigrationLevels.Of(kind, field.Path, FieldEffect.Warned));
        }
    }

    /// <summary>Samples are what works.</summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public void Of_what_works_nothing_is_lost(string kind)
    {
        if (!ApiPage.Working.Any(field => field.Kind == kind)) return;
        foreach (var sample in ApiSamples.Read(kind)) Assert.DoesNotContain(Check(kind, sample), finding => finding.Level == MigrationLevel.Lost);
    }

    [Fact]
    public void Annotations_are_reported_as_the_injector_takes_them()
    {
        foreach (var known in PodAnnotations.All.Where(known => known.Name != Annotations.ProxyConfig))
        {
            var pod = (JsonObject)YamlText.Parse(
                $"{{apiVersion: v1, kind: Pod, metadata: {{name: web, namespace: shop, annotations: {{{known.Name}: '1'}}}}, spec: {{containers: []}}}}",
                "pod")!;
            var found = Check(pod);
            if (known.Effect == FieldEffect.Works) Assert.Empty(found);
            else Assert.Equal((MigrationLevels.Of(ApiPage.Annotated, known.Name, known.Effect), known.Remedy), (Assert.Single(found).Level, found[0].Remedy));
        }
    }

    [Fact]
    public void Values_are_reported_as_the_installer_takes_them()
    {
        foreach (var field in OperatorFields.All.Where(field => field.Effect != FieldEffect.Works))
        {
            var problem = OperatorMesh.ProblemOf(field)!;
            var found = OperatorMesh.SpecsWith(field).SelectMany(spec => Check(Operator(spec)));
            Assert.Contains(found,
                finding => finding.What == problem.Message && finding.Remedy == problem.Remedy
                    && finding.Level == MigrationLevels.Of(OperatorFields.Kind, field.Path, field.Effect));
        }
    }

    private static JsonObject Operator(JsonNode spec) => new()
    {
        ["apiVersion"] = "install.istio.io/v1alpha1", ["kind"] = "IstioOperator",
        ["metadata"] = new JsonObject { ["name"] = "x", ["namespace"] = WellKnown.SystemNamespace }, ["spec"] = spec.DeepClone(),
    };

    private static IReadOnlyList<MigrationFinding> Check(string kind, JsonNode spec)
    {
        if (!ApiPage.IsDocument(kind)) return Check(ApiMesh.Object(MeshApi.Istio.Single(known => known.Kind == kind), spec));
        var key = kind == ApiFields.MeshConfig ? "mesh" : "meshNetworks";
        return Check(new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["metadata"] = new JsonObject { ["name"] = "istio", ["namespace"] = WellKnown.SystemNamespace },
            ["data"] = new JsonObject { [key] = YamlText.Print(spec) },
        });
    }

    private static IReadOnlyList<MigrationFinding> Check(JsonObject value)
    {
        IReadOnlyList<JsonObject> operators = value["kind"]!.ToString() == "IstioOperator" ? [value] : [];
        return MigrationCheck.Of([new(ClusterInventory.From(ManifestFiles.ClusterName, [value]), [], operators, [], [])]).Findings;
    }
}
