using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>The names of cookies that nobody names: clients must find theirs again.</summary>
public sealed class SessionNameTests
{
    private const string Named = "{name: kept, matches: [{path: {value: /a}}], sessionPersistence: {type: Cookie}}",
        Renamed = "{name: kept, matches: [{path: {value: /b}}], sessionPersistence: {type: Cookie}}",
        Matching = "{matches: [{path: {value: /c}}], sessionPersistence: {type: Cookie}}", All = "{sessionPersistence: {type: Cookie}}";

    [Fact]
    public void A_rule_that_comes_before_others_renames_no_cookies()
    {
        var names = NamesOf("r", Named, Matching, All);
        Assert.Equal(3, names.Distinct().Count());
        Assert.Equal(names, NamesOf("r", "{name: new, sessionPersistence: {type: Cookie}}", Named, Matching, All).Skip(1));
        Assert.Equal(names, NamesOf("r", Renamed, Matching, All));
        Assert.Empty(names.Intersect(NamesOf("other", Named, Matching, All)));
    }

    private static List<string> NamesOf(string route, params string[] rules) => [.. ApiRouteReader.Read(MeshApi.HttpRoute, "c1", YamlText.Parse(
        $"{{metadata: {{name: {route}, namespace: shop}}, spec: {{rules: [{string.Join(", ", rules)}]}}}}", "test")!.AsObject())
        .Rules.Select(rule => rule.Filters.Session!.Name)];
}
