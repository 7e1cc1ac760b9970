using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Xunit;

namespace Isthmus.Tests.Libraries.Security;

public sealed class ExternalAuthorizerTests
{
    [Theory]
    [InlineData(
        "envoyExtAuthzHttp: {service: a.example, port: 8000, timeout: 1s, pathPrefix: /a, failOpen: true, statusOnError: '503', includeRequestHeadersInCheck: "
            + "[x-a, 'x-*', '*-b', '*']}",
        "", "")]
    [InlineData("envoyExtAuthzGrpc: {service: ns/a.example, port: 9000, includeRequestBodyInCheck: {maxRequestBytes: 10, packAsBytes: true}}", "", "")]
    [InlineData("lightstep: {service: a, port: 1}", ".lightstep", "has no effect in Isthmus")]
    [InlineData("envoyExtAuthzTcp: {}", ".envoyExtAuthzTcp", "unknown field \"envoyExtAuthzTcp\"")]
    [InlineData("envoyExtAuthzHttp: {service: '*.example', port: 8000}", ".envoyExtAuthzHttp.service", "domain name \"*.example\" invalid")]
    [InlineData("envoyExtAuthzHttp: {service: a.example}", ".envoyExtAuthzHttp.port", "must be in the range 1..65535")]
    [InlineData("envoyExtAuthzHttp: {service: a.example, port: 80, pathPrefix: check}", ".envoyExtAuthzHttp.pathPrefix", "\"check\" is not a path")]
    [InlineData("envoyExtAuthzHttp: {service: a.example, port: 80, statusOnError: '99'}", ".envoyExtAuthzHttp.statusOnError", "\"99\" is not an HTTP status")]
    [InlineData("envoyExtAuthzHttp: {service: a.example, port: 80, timeout: soon}", ".envoyExtAuthzHttp.timeout", "\"soon\" is not a duration")]
    [InlineData("envoyExtAuthzHttp: {service: a.example, port: 80, failOpen: maybe}", ".envoyExtAuthzHttp.failOpen", "must be a boolean, not a string")]
    [InlineData("envoyExtAuthzHttp: {service: a.example, port: 80, failsOpen: true}", ".envoyExtAuthzHttp.failsOpen", "unknown field \"failsOpen\"")]
    [InlineData("envoyExtAuthzHttp: {service: a.example, port: 80, headersToUpstreamOnAllow: ['a b']}", ".envoyExtAuthzHttp.headersToUpstreamOnAllow[0]",
        "\"a b\" is not the name of a header")]
    [InlineData("envoyExtAuthzHttp: {service: a.example, port: 80, includeAdditionalHeadersInCheck: {a: \"b\\nc\"}}",
        ".envoyExtAuthzHttp.includeAdditionalHeadersInCheck[a]", "contains control characters")]
    [InlineData("envoyExtAuthzGrpc: {service: a.example, port: 80, pathPrefix: /a}", ".envoyExtAuthzGrpc.pathPrefix", "unknown field \"pathPrefix\"")]
    [InlineData("envoyExtAuthzGrpc: {service: a.example, port: 80, includeRequestBodyInCheck: {maxRequestBytes: 0}}",
        ".envoyExtAuthzGrpc.includeRequestBodyInCheck.maxRequestBytes", "must be in the range 1..2147483647")]
    public void External_authorizers_are_read_or_named(string provider, string path, string message)
    {
        var (config, problems) = MeshConfigReader.ReadMesh(YamlText.Parse($"extensionProviders: [{{name: outer, {provider}}}]", "mesh"));
        if (path.Length == 0) Assert.Empty(problems);
        else
        {
            var problem = Assert.Single(problems);
            Assert.Equal($"extensionProviders[0]{path}", problem.Path);
            Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
        }
        Assert.Equal(path.Length == 0, config.Authorizers.ContainsKey("outer"));
    }
}
