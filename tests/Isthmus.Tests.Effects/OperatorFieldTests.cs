using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install.Operator;
using Xunit;

namespace Isthmus.Tests.Effects;

/// <summary>Each field of an IstioOperator: without it, other objects are installed or Pods are injected differently, or the answer names it.</summary>
public sealed class OperatorFieldTests
{
    public static TheoryData<string> Working => [.. OperatorFields.All.Where(known => known.Effect == FieldEffect.Works).Select(known => known.Path)];

    [Theory]
    [MemberData(nameof(Working))]
    public void A_field_changes_what_is_installed_or_injected(string path)
    {
        var found = false;
        foreach (var sample in ApiSamples.Read(OperatorFields.Kind))
        {
            if (ApiSamples.Without(sample, path) is not { } without) continue;
            found = true;
            if (OperatorMesh.AreDifferent(sample, without)) return;
            // Without a field that is required, nothing is installed.
            if (OperatorMesh.TryInstall(without) is null && OperatorMesh.Changed(sample, path) is { } changed && OperatorMesh.AreDifferent(sample, changed))
                return;
        }
        Assert.Fail(found
            ? $"Nothing that is installed depends on {path} in {ApiSamples.FileOf(OperatorFields.Kind)}."
            : $"No sample in {ApiSamples.FileOf(OperatorFields.Kind)} has {path}: add it, or declare that it has no effect.");
    }

    [Fact]
    public void Samples_are_without_warnings() =>
        Assert.All(ApiSamples.Read(OperatorFields.Kind), sample => Assert.Empty(OperatorFields.Check(sample.AsObject())));

    /// <summary>The page has the messages, so that each is compared.</summary>
    [Fact]
    public void Fields_without_effect_are_refused_or_warned_of_with_a_message_and_a_remedy()
    {
        foreach (var field in OperatorFields.All)
        {
            if (OperatorMesh.ProblemOf(field) is not { } problem) continue;
            Assert.Equal((field, field.Effect == FieldEffect.Refused ? Severity.Error : Severity.Warning), (field, problem.Severity));
            Assert.NotEmpty(problem.Message);
            Assert.True(problem.Remedy.Length > 0, $"{field.Path}: {problem.Message}");
        }
    }
}
