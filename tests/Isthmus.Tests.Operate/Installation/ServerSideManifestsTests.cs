using System.Text.Json.Nodes;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>Two field managers can apply what is rendered, one after the other, as when Helm hands a mesh over to Argo CD.</summary>
public sealed class ServerSideManifestsTests
{
    /// <summary>An API server compares such a reference as a whole, with the default that it has put into what is stored: a second manager that leaves
    /// it out meets a conflict about a field on which both agree.</summary>
    [Theory]
    [InlineData("profile=default")]
    [InlineData("profile=remote,values.global.remotePilotAddress=10.0.0.1")]
    [InlineData("profile=minimal,components.cni.enabled=true,values.global.networkPolicy.enabled=true")]
    public void References_that_are_compared_whole_are_written_whole(string settings)
    {
        var objects = Manifests.Render(OperatorSpec.Build([], settings.Split(','), null)).SelectMany(component => component.Objects).ToList();
        Assert.NotEmpty(objects);
        Assert.All(objects.SelectMany(FieldReferences), reference => Assert.Equal("v1", reference["apiVersion"]?.ToString()));
        if (!settings.Contains("remote", StringComparison.Ordinal)) Assert.NotEmpty(objects.SelectMany(FieldReferences));
    }

    private static IEnumerable<JsonObject> FieldReferences(JsonNode? node) => node switch
    {
        JsonObject value => value.SelectMany(field => field is { Key: "fieldRef", Value: JsonObject reference } ? [reference] : FieldReferences(field.Value)),
        JsonArray list => list.SelectMany(FieldReferences),
        _ => [],
    };
}
