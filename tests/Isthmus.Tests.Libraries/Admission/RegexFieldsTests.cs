using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Xunit;

namespace Isthmus.Tests.Libraries.Admission;

/// <summary>Every field that holds a regular expression: those of a VirtualService, and those of other kinds. Label selectors, of Kubernetes and of Istio, have
/// none, and neither have policies, whose patterns know the star only.</summary>
public sealed class RegexFieldsTests
{
    private static readonly string[] Unusable = ["[a", "(a", "a{1000000000}", "(a{1000}){1000}", @"(a+)+\1", "(?=a)b", "(?<!a)b", "(?>a)", "a)|(?:b",
        "(?x)a#b"];

    private static readonly string[] Slow = ["(a+)+$", "(a|aa)+$", "(.*)*x"];

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
        foreach (var regex in (string[])[.. Unusable, new string('a', 1025)])
        {
            var problem = Assert.Single(Check(route, regex), problem => problem.Path == $"spec.http[0].{path}");
            Assert.True(problem.Message.Contains("error parsing regexp", StringComparison.Ordinal)
                || problem.Message.Contains("regex is too big", StringComparison.Ordinal),
                problem.Message);
        }
    }

    /// <summary>Matching takes time in proportion to the text, so that these do no harm.</summary>
    [Theory]
    [MemberData(nameof(Fields))]
    public void Regexes_that_other_engines_take_for_ever_for_are_accepted(string path, string route)
    {
        foreach (var regex in (string[])[.. Slow, new string('a', 1024)])
            Assert.DoesNotContain(Check(route, regex), problem => problem.Path.EndsWith(path, StringComparison.Ordinal));
    }

    /// <summary>CEL is the call of a function of an expression with REGEX as a literal.</summary>
    public static TheoryData<string, string, string> FieldsOfOtherKinds => new()
    {
        {
            "EnvoyFilter", "spec.configPatches[0].match.proxy.proxyVersion",
            "configPatches: [{applyTo: CLUSTER, match: {proxy: {proxyVersion: REGEX}}, patch: {operation: REMOVE}}]"
        },
        { "Telemetry", "spec.accessLogging[0].filter.expression", "accessLogging: [{filter: {expression: CEL}}]" },
        { "Telemetry", "spec.metrics[0].overrides[0].tagOverrides[a].value", "metrics: [{overrides: [{tagOverrides: {a: {value: CEL}}}]}]" },
    };

    [Theory]
    [MemberData(nameof(FieldsOfOtherKinds))]
    public void Other_kinds_refuse_the_same(string kind, string path, string spec)
    {
        foreach (var regex in Unusable)
            Assert.Contains(Found(regex), problem => problem.Path == path && problem.Severity == Isthmus.Core.Problems.Severity.Error);
        foreach (var regex in Slow) Assert.DoesNotContain(Found(regex), problem => problem.Severity == Isthmus.Core.Problems.Severity.Error);

        IEnumerable<Isthmus.Core.Problems.Problem> Found(string regex)
        {
            var literal = JsonValue.Create(regex).ToJsonString();
            var cel = JsonValue.Create($"request.url_path.matches({literal})").ToJsonString();
            return Check(MeshApi.All.First(known => known.Kind == kind),
                spec.Replace("REGEX", literal, StringComparison.Ordinal).Replace("CEL", cel, StringComparison.Ordinal));
        }
    }

    private static IEnumerable<Isthmus.Core.Problems.Problem> Check(string route, string regex) => Check(MeshApi.VirtualService,
        $"hosts: [a.example]\nhttp: [{{route: [{{destination: {{host: a.example}}}}], "
            + $"{route.Replace("REGEX", JsonValue.Create(regex).ToJsonString(), StringComparison.Ordinal)}}}]");

    private static IEnumerable<Isthmus.Core.Problems.Problem> Check(KindDescriptor kind, string spec)
    {
        return Validation.Check(new JsonObject
        {
            ["apiVersion"] = $"{kind.Group}/{kind.ReadVersion}", ["kind"] = kind.Kind, ["metadata"] = new JsonObject { ["name"] = "x", ["namespace"] = "shop" },
            ["spec"] = YamlText.Parse(spec, "test"),
        });
    }
}
