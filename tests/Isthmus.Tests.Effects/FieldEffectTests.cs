using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Mesh.Config;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Effects;

/// <summary>Each field of each API: without it, proxies get something else, or the answer at admission names it.</summary>
public sealed class FieldEffectTests
{
    public static TheoryData<string, string> Fields => [.. ApiPage.Working.Select(known => (known.Kind, known.Path))];

    public static TheoryData<string, string> FieldsForEnvoys =>
        [.. ApiPage.Working.Where(known => known.NeedsEnvoy).Select(known => (known.Kind, known.Path))];

    public static TheoryData<string> Kinds => [.. ApiPage.Working.Select(known => known.Kind).Distinct()];

    public static TheoryData<string> WorkingAnnotations => [.. ApiPage.ReadAnnotations];

    [Theory]
    [MemberData(nameof(Fields))]
    public void A_field_changes_what_proxies_get(string kind, string path)
    {
        var field = ApiFields.All.Single(known => (known.Kind, known.Path) == (kind, path));
        if (field.Effect == FieldEffect.Works) Changes(Plane.Isthmus, kind, path);
        if (field.OnEnvoy == FieldEffect.Works) Changes(Plane.Envoy, kind, path);
    }

    /// <summary>Otherwise the page would say too little of proxies of Isthmus.</summary>
    [Theory]
    [MemberData(nameof(FieldsForEnvoys))]
    public void A_field_for_Envoys_changes_nothing_for_other_proxies(string kind, string path) =>
        Assert.All(ApiSamples.Read(kind), sample =>
        {
            if (ApiSamples.Without(sample, path) is { } without) Assert.False(ApiMesh.AreDifferent(Plane.Isthmus, kind, sample, without));
        });

    private static void Changes(Plane plane, string kind, string path)
    {
        var samples = ApiSamples.Read(kind);
        var found = false;
        foreach (var sample in samples)
        {
            if (ApiSamples.Without(sample, path) is not { } without) continue;
            found = true;
            if (ApiMesh.AreDifferent(plane, kind, sample, without)) return;
        }
        Assert.Fail(found
            ? $"No proxy of {plane} notices {kind} {path} in {ApiSamples.FileOf(kind)}."
            : $"No sample in {ApiSamples.FileOf(kind)} has {path}: add it, or declare the field Idle or Refused.");
    }

    /// <summary>Live edits: objects that came and went before leave no trace.</summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_sample_on_a_mesh_that_lived_is_as_on_a_new_one(string kind)
    {
        foreach (var (sample, plane) in ApiSamples.Read(kind).SelectMany(sample => Enum.GetValues<Plane>().Select(plane => (sample, plane))))
        {
            var (fresh, lived) = (ApiMesh.WithNew(plane, kind, sample), ApiMesh.With(plane, kind, sample));
            Assert.Empty(fresh.Except(lived).Select(pair => $"new: {pair}").Concat(lived.Except(fresh).Select(pair => $"lived: {pair}")));
        }
    }

    [Theory]
    [MemberData(nameof(WorkingAnnotations))]
    public void An_annotation_changes_what_is_injected(string name)
    {
        foreach (var sample in ApiSamples.Read("Annotations").Cast<JsonObject>().Where(sample => sample.ContainsKey(name)))
        {
            var without = (JsonObject)sample.DeepClone();
            without.Remove(name);
            if (ApiMesh.Annotated(sample) != ApiMesh.Annotated(without)) return;
        }
        Assert.Fail($"No sample in {ApiSamples.FileOf("Annotations")} shows what {name} does.");
    }

    /// <summary>A sample that is refused would show nothing.</summary>
    [Fact]
    public void Samples_are_valid()
    {
        foreach (var kind in Kinds.Select(row => row.Data))
        {
            foreach (var sample in ApiSamples.Read(kind))
            {
                Assert.DoesNotContain(ApiPage.Check(kind, sample), problem => problem.Severity == Severity.Error);
            }
        }
    }

    /// <summary>The page has the messages, so that each is compared.</summary>
    [Fact]
    public void Fields_without_effect_are_refused_or_warned_of_with_a_message_and_a_remedy()
    {
        foreach (var field in ApiFields.All)
        {
            if (ApiPage.ProblemOf(field) is not { } problem) continue;
            Assert.Equal((field, ApiPage.EffectOf(field) == FieldEffect.Refused ? Severity.Error : Severity.Warning), (field, problem.Severity));
            Assert.NotEmpty(problem.Message);
            if (field.Path.Length > 0 || problem.Severity == Severity.Error)
                Assert.True(problem.Remedy.Length > 0, $"{field.Kind} {field.Path}: {problem.Message}");
        }
    }

    [Fact]
    public void Each_version_is_that_of_a_field() => Assert.All(ApiPage.Since, known => Assert.Contains(Rows, row => ApiPage.Names(known, row.Kind, row.Path)));

    [Fact]
    public void Of_nearly_all_fields_the_version_is_known() =>
        Assert.InRange(Rows.Count(row => ApiPage.SinceOf(row.Kind, row.Path) == "unknown"), 0, Rows.Count / 20);

    private static IReadOnlyList<(string Kind, string Path)> Rows { get; } =
        [.. ApiFields.All.Select(field => (field.Kind, ApiPage.Row(field))).Concat(PodAnnotations.All.Select(known => (ApiPage.Annotated, known.Name)))
            .Distinct()];

    /// <summary>Generated: <c>./test --accept</c> writes it.</summary>
    [Fact]
    public void The_page_lists_every_field() => Golden.VerifyFile(ApiPage.Print(), Repository.At("docs/api.md"));
}
