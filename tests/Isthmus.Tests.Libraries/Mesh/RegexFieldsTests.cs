using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Xunit;

namespace Isthmus.Tests.Libraries.Mesh;

/// <summary>Every field of a VirtualService that holds a regular expression.</summary>
public sealed class RegexFieldsTests
{
    public static TheoryData<string, string> Fields => new()
    {
        { "match[0].uri.regex", "match: [{uri: {regex: REGEX}}]" },
        { "match[0].scheme.regex", "match: [{scheme: {regex: REGEX}}]" },
        { "match[0].method.regex", "match: [{method: {regex: REGEX}}]" },
        { "match[0].authority.regex", "match: [{authority: {regex: REGEX}}]" },
        { "match[0].headers[x].regex", "match: [{headers: {x: {regex: REGEX}}}]" },
        { "match[0].withoutHeaders[x].regex", "match: [{withoutHeaders: {x: {regex: REGEX}}}]" },
        { "match[0].queryParams[q].regex", "match: [{queryParams: {q: {regex: REGEX}}}]" },
        { "corsPolicy.allowOrigins[0].regex", "corsPolicy: {allowOrigins: [{regex: REGEX}]}" },
        { "rewrite.uriRegexRewrite.match", "rewrite: {uriRegexRewrite: {match: REGEX, rewrite: /}}" },
    };

    [Theory]
    [MemberData(nameof(Fields))]
    public void A_regex_that_RE2_cannot_read_or_that_is_too_large_is_refused_with_its_field(string path, string route)
    {
        foreach (var regex in (string[])["[a", "(a", "a{1000000000}", "(a{1000}){1000}", @"(a+)+\1", "(?=a)b", "(?<!a)b", "(?>a)", new string('a', 1025)])
        {
            var problem = Assert.Single(Check(route, regex), problem => problem.Path == $"spec.http[0].{path}");
            Assert.True(problem.Message.Contains("error parsing regexp", StringComparison.Ordinal) || problem.Message.Contains("regex is too big", StringComparison.Ordinal), problem.Message);
        }
    }

    /// <summary>Matching takes time in proportion to the text, so that these do no harm.</summary>
    [Theory]
    [MemberData(nameof(Fields))]
    public void Regexes_that_other_engines_take_for_ever_for_are_accepted(string path, string route)
    {
        foreach (var regex in (string[])["(a+)+$", "(a|aa)+$", "(.*)*x", new string('a', 1024)]) Assert.DoesNotContain(Check(route, regex), problem => problem.Path.EndsWith(path, StringComparison.Ordinal));
    }

    private static IEnumerable<Isthmus.Core.Problems.Problem> Check(string route, string regex)
    {
        var spec = $"hosts: [a.example]\nhttp: [{{route: [{{destination: {{host: a.example}}}}], {route.Replace("REGEX", JsonValue.Create(regex).ToJsonString(), StringComparison.Ordinal)}}}]";
        var kind = MeshApi.VirtualService;
        return Validation.Check(new JsonObject
        {
            ["apiVersion"] = $"{kind.Group}/{kind.ReadVersion}", ["kind"] = kind.Kind, ["metadata"] = new JsonObject { ["name"] = "x", ["namespace"] = "shop" }, ["spec"] = YamlText.Parse(spec, "test"),
        });
    }
}
