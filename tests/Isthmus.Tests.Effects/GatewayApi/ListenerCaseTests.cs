using System.Net;
using System.Text;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Xunit;
using static Isthmus.Tests.Effects.GatewayApi.RoutedCalls;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Which requests the listeners of a Gateway take, by host, port and the certificates that callers show.</summary>
public sealed class ListenerCaseTests
{
    private static readonly TestCa Known = new("known"), Other = new("other");

    /// <summary>A route that names the hosts of all listeners gets those of its own listener only.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("bar.com, '*.example.com', '*.foo.example.com', abc.foo.example.com")]
    public async Task A_request_gets_the_routes_of_the_listener_with_the_narrowest_host(string hostnames)
    {
        var listeners = new[] { ("any", ""), ("wide", "'*.example.com'"), ("foo", "'*.foo.example.com'"), ("abc", "abc.foo.example.com") };
        await using var calls = await AtGatewayAsync(
            string.Concat(listeners.Select(item => Route(item.Item1, $"{{name: front, sectionName: {item.Item1}}}",
                $"{{matches: [{{path: {{type: PathPrefix, value: /{item.Item1}}} }}], {V1}}}", hostnames))),
            string.Join('\n', listeners.Select(item => Http(item.Item1, item.Item2))));
        var hosts = new[] { "bar.com", "bar.example.com", "bar.foo.example.com", "abc.foo.example.com" };
        await calls.ExpectAsync(string.Join('\n', hosts.SelectMany((host, i) => listeners.Select((item, at) =>
            $"GET {host}/{item.Item1} => {(i == at ? "v1" : "404")}"))));
    }

    [Fact]
    public async Task Hosts_of_routes_and_listeners_intersect()
    {
        static string Of(string name, string hostnames, string path, string to) =>
            Route(name, "{name: front}", $"{{matches: [{{path: {{type: PathPrefix, value: {path}}} }}], {to}}}", hostnames);

        await using var calls = await AtGatewayAsync(
            Of("exact-exact", "non.matching.com, '*.nonmatchingwildcard.io', very.specific.com", "/s1", V1)
            + Of("exact-wide", "non.matching.com, wildcard.io, foo.wildcard.io, bar.wildcard.io, foo.bar.wildcard.io", "/s2", V2)
            + Of("wide-exact", "non.matching.com, '*.specific.com'", "/s3", V3) + Of("wide-wide", "'*.anotherwildcard.io'", "/s4", V1)
            + Of("none", "specific.but.wrong.com, wildcard.io", "/s5", V2),
            string.Join('\n', Http("one", "very.specific.com"), Http("two", "'*.wildcard.io'"), Http("three", "'*.anotherwildcard.io'")));
        await calls.ExpectAsync("""
            GET very.specific.com/s1 => v1
            GET very.specific.com:1234/s1 => v1
            GET non.matching.com/s1 => 404
            GET foo.nonmatchingwildcard.io/s1 => 404
            GET foo.wildcard.io/s1 => 404
            GET very.specific.com/non-matching-prefix => 404
            GET foo.wildcard.io/s2 => v2
            GET bar.wildcard.io/s2 => v2
            GET foo.bar.wildcard.io/s2 => v2
            GET non.matching.com/s2 => 404
            GET wildcard.io/s2 => 404
            GET very.specific.com/s2 => 404
            GET very.specific.com/s3 => v3
            GET non.matching.com/s3 => 404
            GET foo.specific.com/s3 => 404
            GET foo.wildcard.io/s3 => 404
            GET foo.anotherwildcard.io/s4 => v1
            GET bar.anotherwildcard.io/s4 => v1
            GET foo.bar.anotherwildcard.io/s4 => v1
            GET anotherwildcard.io/s4 => 404
            GET foo.wildcard.io/s4 => 404
            GET specific.but.wrong.com/s5 => 404
            GET wildcard.io/s5 => 404
            """);
        Assert.Equal(["one 2", "two 1", "three 1"], Attached(calls).Where(line => !line.StartsWith("tcp ", StringComparison.Ordinal)));
        Assert.Equal("NoMatchingListenerHostname", Assert.Single(calls.Rig.Mesh.RouteStatuses.Items.Values, status => status.Source.Name == "none")
            .Parents[0].Conditions[0].Reason);
    }

    [Fact]
    public async Task A_listener_without_a_host_takes_the_hosts_of_its_routes()
    {
        await using var calls = await AtGatewayAsync(Route("r", "{name: front}", $"{{{V2}}}", "first.com, sub.first.com, second.com, sub.second.com"));
        await calls.ExpectAsync("""
            GET first.com/ => v2
            GET sub.first.com/ => v2
            GET second.com/ => v2
            GET sub.second.com/ => v2
            GET third.com/ => 404
            GET sub.third.com/ => 404
            """);
    }

    [Fact]
    public async Task Routes_of_one_listener_or_several_get_its_hosts()
    {
        await using var calls = await AtGatewayAsync(
            Route("a", "{name: front, sectionName: one}", $"{{{V1}}}") + Route("b", "{name: front, sectionName: two}", $"{{{V2}}}")
            + Route("c", "{name: front, sectionName: three}, {name: front, sectionName: four}", $"{{{V3}}}"),
            string.Join('\n', Http("one", "bar.com"), Http("two", "foo.bar.com"), Http("three", "'*.bar.com'"), Http("four", "'*.foo.com'")));
        await calls.ExpectAsync("""
            GET bar.com/ => v1
            GET foo.bar.com/ => v2
            GET baz.bar.com/ => v3
            GET boo.bar.com/ => v3
            GET multiple.prefixes.bar.com/ => v3
            GET multiple.prefixes.foo.com/ => v3
            GET foo.com/ => 404
            GET no.matching.host/ => 404
            """);
    }

    [Fact]
    public async Task Routes_of_a_port_get_the_hosts_of_its_listeners_or_of_one_of_them()
    {
        var second = string.Join('\n', Http("two", "foo.com", 9000), Http("three", "bar.com", 9000));
        await using (var calls = await AtGatewayAsync(
            Route("a", "{name: front, port: 80}", $"{{{V1}}}") + Route("b", "{name: front, port: 9000}", $"{{{V2}}}"), Http("one", "foo.com"), second))
        {
            await calls.ExpectAsync("GET foo.com/ => v1");
            await calls.ExpectAsync("""
                GET foo.com:9000/ => v2
                GET bar.com:9000/ => v2
                """, atSecond: true);
        }
        await using var one = await AtGatewayAsync(Route("c", "{name: front, port: 9000, sectionName: two}", $"{{{V3}}}"), Http("one", "foo.com"), second);
        await one.ExpectAsync("""
            GET foo.com:9000/ => v3
            GET bar.com:9000/ => 404
            """, atSecond: true);
    }

    /// <summary>Gateways do not share their routes, except one that names both.</summary>
    [Fact]
    public async Task A_route_of_two_Gateways_is_at_both_beside_their_own()
    {
        const string Other = """
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: other, namespace: shop},
             spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]} }
            ---

            """;
        static string Of(string name, string parents, string path, string to) =>
            Route(name, parents, $"{{matches: [{{path: {{type: PathPrefix, value: {path}}} }}], {to}}}");

        await using var calls = await AtGatewayAsync(Other + Of("shared", "{name: front}, {name: other}", "/shared", V1)
            + Of("ours", "{name: front}", "/", V2) + Of("theirs", "{name: other}", "/theirs", V3));
        await calls.ExpectAsync("""
            GET /shared => v1
            GET / => v2
            GET /theirs => v2
            """);
        Assert.Equal(["other/http 2"], calls.Rig.Mesh.GatewayApi.GatewayStatuses.Items.Values.Where(status => status.Source.Name == "other")
            .SelectMany(status => status.Listeners, (status, listener) => $"{status.Source.Name}/{listener.Name} {listener.AttachedRoutes}"));
    }

    /// <summary>Over HTTP/2, which carries requests for several hosts in one connection.</summary>
    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Requests_over_TLS_get_the_routes_of_the_host_that_the_connection_named(string version)
    {
        await using var calls = await AtGatewayAsync(
            Route("any", "{name: front, sectionName: any}", $"{{{V1}}}", "example.org") + Route("second", "{name: front, sectionName: second}", $"{{{V2}}}"),
            second: string.Join('\n', Https("any", ""), Https("second", "second.org")), prepare: Certificate);
        await calls.ExpectAsync("""
            GET example.org>example.org/ => v1
            GET unknown.org>unknown.org/ => 404
            GET second.org>second.org/ => v2
            GET second.org>example.org/ => 421
            GET example.org>second.org/ => 421
            """, version: new(version));
    }

    [Fact]
    public async Task Callers_need_a_certificate_of_the_CA_of_their_port()
    {
        using var client = Known.Server("client.example");
        using var stranger = Other.Server("client.example");
        await using var calls = await ChecksAsync("""
            {frontend: {default: {validation: {caCertificateRefs: [{kind: ConfigMap, group: '', name: other}]} },
              perPort: [{port: 9000, tls: {validation: {caCertificateRefs: [{kind: ConfigMap, group: '', name: known}]} } }]} }
            """);
        await calls.ExpectAsync("GET a.org>a.org/ => v1", client: client);
        await calls.ExpectAsync("GET a.org>a.org/ => closed", client: stranger);
        await calls.ExpectAsync("""
            GET a.org>a.org/ => closed
            GET a.org/ => v2
            """);
    }

    [Fact]
    public async Task With_the_insecure_fallback_callers_need_none()
    {
        using var client = Known.Server("client.example");
        using var stranger = Other.Server("client.example");
        await using var calls = await ChecksAsync(
            "{frontend: {default: {validation: {mode: AllowInsecureFallback, caCertificateRefs: [{kind: ConfigMap, group: '', name: known}]} } } }");
        await calls.ExpectAsync("GET a.org>a.org/ => v1", client: client);
        await calls.ExpectAsync("GET a.org>a.org/ => v1", client: stranger);
        await calls.ExpectAsync("GET a.org>a.org/ => v1");
        Assert.Contains(calls.Rig.Mesh.GatewayApi.GatewayStatuses.Items.Values.Single().Conditions, condition => condition is
            { Type: "InsecureFrontendValidationMode", Status: true, Reason: "ConfigurationChanged" });
    }

    /// <summary>Without its CA, a listener ends connections, and those without TLS are as before.</summary>
    [Fact]
    public async Task Without_a_CA_nobody_gets_in_over_TLS()
    {
        using var client = Known.Server("client.example");
        await using var calls = await ChecksAsync("{frontend: {default: {validation: {caCertificateRefs: [{kind: ConfigMap, group: '', name: none}]} } } }");
        await calls.ExpectAsync("""
            GET a.org>a.org/ => closed
            GET a.org/ => v2
            """, client: client);
    }

    /// <summary>The certificate of listeners, as Secret <c>cert</c>.</summary>
    internal static void Certificate(MeshRig rig)
    {
        var (certificate, key) = TestCa.SelfSignedPair("gateway.example.com");
        rig.Writer.Put("c1", new Secret
        {
            Metadata = new() { Name = "cert", Namespace = MeshRig.Namespace }, Type = "kubernetes.io/tls",
            Data = { ["tls.crt"] = Base64(certificate), ["tls.key"] = Base64(key) },
        });
    }

    private static Task<RoutedCalls> ChecksAsync(string tls) => AtGatewayAsync(
        Route("secure", "{name: front, sectionName: secure}", $"{{{V1}}}") + Route("plain", "{name: front, sectionName: http}", $"{{{V2}}}"),
        second: Https("secure", ""), gateway: $"tls: {tls.ReplaceLineEndings(" ")}", prepare: rig =>
        {
            Certificate(rig);
            foreach (var (name, ca) in new[] { ("known", Known.Pem), ("other", Other.Pem) })
                rig.Writer.Put("c1", new ConfigMap { Metadata = new() { Name = name, Namespace = MeshRig.Namespace }, Data = { ["ca.crt"] = ca } });
        });

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    private static IEnumerable<string> Attached(RoutedCalls calls) => calls.Rig.Mesh.GatewayApi.GatewayStatuses.Items.Values
        .Single(status => status.Source.Name == "front").Listeners.Select(listener => $"{listener.Name} {listener.AttachedRoutes}");

    private static string Http(string name, string host, int port = 80) =>
        $"{{name: {name}, port: {port}, protocol: HTTP{(host.Length > 0 ? $", hostname: {host}" : "")} }}";

    private static string Https(string name, string host) =>
        $"{{name: {name}, port: 9000, protocol: HTTPS{(host.Length > 0 ? $", hostname: {host}" : "")}, tls: {{certificateRefs: [{{name: cert}}]}} }}";
}
