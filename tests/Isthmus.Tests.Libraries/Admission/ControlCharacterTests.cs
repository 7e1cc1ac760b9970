using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Xunit;

namespace Isthmus.Tests.Libraries.Admission;

/// <summary>Names and values that would write to a terminal, or a second line of a log, are refused at admission.</summary>
public sealed class ControlCharacterTests
{
    [Theory]
    [InlineData("VirtualService", """{hosts: [a], http: [{name: "a\e[2J", route: [{destination: {host: a}}]}]}""", "spec.http[0].name", "a\\x1b[2J")]
    [InlineData("VirtualService", """{hosts: [a], http: [{route: [{destination: {host: a, subset: "v1\nError: all is lost"}}]}]}""",
        "spec.http[0].route[0].destination.subset", "v1\\nError: all is lost")]
    [InlineData("VirtualService", """{hosts: [a], http: [{match: [{uri: {prefix: "/a\x9b31m"}}], route: [{destination: {host: a}}]}]}""",
        "spec.http[0].match[0].uri.prefix", "/a\\x9b31m")]
    [InlineData("VirtualService", """{hosts: [a], http: [{match: [{queryParams: {"a\rb": {exact: c}}}], route: [{destination: {host: a}}]}]}""",
        "spec.http[0].match[0].queryParams.a\rb", "a\\rb")]
    [InlineData("DestinationRule", """{host: a, trafficPolicy: {tls: {mode: SIMPLE, sni: "a\x7f"}}}""", "spec.trafficPolicy.tls.sni", "a\\x7f")]
    [InlineData("AuthorizationPolicy", """{action: DENY, rules: [{to: [{operation: {paths: ["/a\u2028b"]}}]}]}""", "spec.rules[0].to[0].operation.paths[0]",
        "/a\\u2028b")]
    [InlineData("EnvoyFilter", """{configPatches: [{applyTo: CLUSTER, match: {cluster: {name: "a\e"}}, patch: {operation: REMOVE}}]}""",
        "spec.configPatches[0].match.cluster.name", "a\\x1b")]
    public void A_name_with_a_control_character_is_refused(string kind, string spec, string path, string shown)
    {
        var problem = Assert.Single(IstioConfig.Read(Object(kind, spec), "c1").Problems, problem => problem.Severity == Severity.Error);
        Assert.Equal((path, $"\"{shown}\" contains a control character"), (problem.Path, problem.Message));
        Assert.True(Visible.IsWhole(problem.ToString()));
    }

    /// <summary>What is put into heads of messages: a second line there would be another field, or another request.</summary>
    [Theory]
    [InlineData("""headers: {request: {set: {x-a: "b\r\nx-admin: yes"}}}""", "spec.http[0].headers.request.set")]
    [InlineData("""headers: {request: {add: {"x-a\r\nx-admin": b}}}""", "spec.http[0].headers.request.add")]
    [InlineData("""headers: {response: {set: {x-a: "b\nset-cookie: c"}}}""", "spec.http[0].headers.response.set")]
    [InlineData("""headers: {request: {remove: ["x-a\r\n"]}}""", "spec.http[0].headers.request.remove")]
    [InlineData("""rewrite: {uri: "/a HTTP/1.1\r\nx: y"}""", "spec.http[0].rewrite.uri")]
    [InlineData("""rewrite: {authority: "a\r\nx-admin: yes"}""", "spec.http[0].rewrite.authority")]
    [InlineData("""rewrite: {uriRegexRewrite: {match: a, rewrite: "/b\r\nx: y"}}""", "spec.http[0].rewrite.uriRegexRewrite.rewrite")]
    [InlineData("""redirect: {uri: "/a\r\nset-cookie: c"}""", "spec.http[0].redirect.uri", true)]
    [InlineData("""redirect: {authority: "a\r\nset-cookie: c"}""", "spec.http[0].redirect.authority", true)]
    [InlineData("""redirect: {scheme: "http\r\nset-cookie: c"}""", "spec.http[0].redirect.scheme", true)]
    [InlineData("""redirect: {prefixRewrite: "/a\r\nset-cookie: c"}""", "spec.http[0].redirect.prefixRewrite", true)]
    [InlineData("""name: a""", "spec.hosts[0]", false, "\"a\\r\\nb\"")]
    public void A_line_in_what_goes_into_a_head_is_refused(string rule, string path, bool isRedirect = false, string host = "a")
    {
        var route = isRedirect ? "" : ", route: [{destination: {host: a}}]";
        var read = IstioConfig.Read(Object("VirtualService", $$"""{hosts: [{{host}}], http: [{ {{rule}}{{route}} }]}"""), "c1");
        Assert.False(read.IsValid);
        Assert.Contains(read.Problems, problem => problem.Severity == Severity.Error && problem.Path.StartsWith(path, StringComparison.Ordinal));
        Assert.All(read.Problems, problem => Assert.True(Visible.IsWhole(problem.ToString())));
    }

    [Theory]
    [InlineData("VirtualService", """{hosts: [a], http: [{directResponse: {status: 200, body: {string: "one\ntwo\e[m"}}}]}""")]
    [InlineData("VirtualService", """{hosts: [a], http: [{match: [{headers: {a: {exact: "b\tc"}}}], route: [{destination: {host: a}}]}]}""")]
    [InlineData("RequestAuthentication", """{jwtRules: [{issuer: a, jwks: "{\n\"keys\": []\n}\n"}]}""")]
    [InlineData("Telemetry", """{accessLogging: [{filter: {expression: "response.code >= 400\n|| true"}}]}""")]
    [InlineData("EnvoyFilter", """{configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {lb_subset_config: "a\nb"}}}]}""")]
    [InlineData("VirtualService", """{hosts: [a], http: [{name: "größe 価格", route: [{destination: {host: a}}]}]}""")]
    public void Texts_of_several_lines_and_other_scripts_are_not(string kind, string spec) =>
        Assert.DoesNotContain(Validation.Check(Object(kind, spec)), problem => problem.Message.Contains("control character", StringComparison.Ordinal));

    [Theory]
    [InlineData("""{host: a, subsets: [{name: "v1\0", labels: {a: b}}]}""", "spec.subsets[0].name")]
    [InlineData("""{host: a, subsets: [{name: v1, labels: {a: "b\x7f"}}]}""", "spec.subsets[0].labels[a]")]
    public void What_its_reader_refuses_is_refused_once(string spec, string path) =>
        Assert.Equal(path, Assert.Single(Validation.Check(Object("DestinationRule", spec))).Path);

    /// <summary>One that was stored before must not lose its effect: it may be a policy.</summary>
    [Fact]
    public void A_stored_object_still_applies()
    {
        var read = IstioConfig.Read(Object("AuthorizationPolicy", """{action: DENY, rules: [{to: [{operation: {paths: ["/a", "/b\e"]}}]}]}"""), "c1");
        Assert.False(read.IsValid);
        Assert.IsType<AuthorizationPolicy>(read.Value);
    }

    private static JsonObject Object(string kind, string spec)
    {
        var known = MeshApi.Istio.First(known => known.Kind == kind);
        return (JsonObject)YamlText.Parse(
            $"{{apiVersion: {known.Group}/{known.StoredVersion}, kind: {kind}, metadata: {{name: x, namespace: shop}}, spec: {spec}}}",
            "test")!;
    }
}
