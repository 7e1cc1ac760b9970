using Isthmus.Testing;
using Xunit;
using static Isthmus.Tests.Effects.GatewayApi.RoutedCalls;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>Connections through TLSRoutes and TCPRoutes of a Gateway.</summary>
public sealed class ConnectionCaseTests
{
    private static readonly TestCa Ca = new("servers");

    /// <summary>The first route leads to <c>v1</c>, the second one to <c>v2</c>. A connection goes by the narrowest name.</summary>
    [Theory]
    [InlineData("abc.example.com", "'*.example.com'", "none.example.org", "v1", "closed")]
    [InlineData("'*.example.com'", "abc.example.com", "'*.com'", "v1", "v2")]
    [InlineData("'*.com'", "abc.example.com", "'*.example.com'", "v1", "v2")]
    [InlineData("", "abc.example.com", "'*.com'", "v1", "v2")]
    public async Task Names_of_TLSRoutes_and_listeners_intersect(string listener, string one, string two, string exact, string other)
    {
        using var server = Ca.Server("abc.example.com");
        await using var calls = await AtGatewayAsync(Tls("one", one, "v1") + Tls("two", two, "v2"), server: server, port: "tcp",
            second: $"{{name: pass, port: 9000, protocol: TLS{(listener.Length > 0 ? $", hostname: {listener}" : "")}, tls: {{mode: Passthrough}} }}");
        await calls.ExpectAsync($"""
            GET abc.example.com>abc.example.com/ => {exact}
            GET other.example.com>other.example.com/ => {other}
            GET non.matching.org>non.matching.org/ => closed
            """);
    }

    [Theory]
    [InlineData("{group: example.com, kind: Thing, name: v1, port: 80}", "InvalidKind")]
    [InlineData("{name: nobody, port: 80}", "BackendNotFound")]
    [InlineData("{name: v1, namespace: other, port: 80}", "RefNotPermitted")]
    public async Task A_connection_without_a_backend_is_closed(string backend, string reason)
    {
        using var server = Ca.Server("abc.example.com");
        await using var calls = await AtGatewayAsync(
            Route("one", "{name: front, sectionName: pass}", $"{{backendRefs: [{backend}]}}", "abc.example.com", "TLSRoute"), server: server, port: "tcp",
            second: "{name: pass, port: 9000, protocol: TLS, tls: {mode: Passthrough} }");
        await calls.ExpectAsync("GET abc.example.com>abc.example.com/ => closed");
        Assert.Equal(["Accepted", reason], Conditions(calls, "one"));
    }

    [Theory]
    [InlineData("{name: front, sectionName: tcp}")]
    [InlineData("{name: front, port: 9000}")]
    [InlineData("{name: front, sectionName: tcp, port: 9000}")]
    [InlineData("{name: front}")]
    public async Task A_TCPRoute_attaches_by_section_by_port_by_both_and_to_all(string parent)
    {
        await using var calls = await AtGatewayAsync(Route("one", parent, $"{{{V1}}}", kind: "TCPRoute"), port: "tcp");
        await calls.ExpectAsync("GET any/ => v1", atSecond: true);
        Assert.Equal(["Accepted", "ResolvedRefs"], Conditions(calls, "one"));
    }

    /// <summary>All of them are accepted, and count.</summary>
    [Fact]
    public async Task Of_several_TCPRoutes_the_oldest_one_has_all_connections()
    {
        await using var calls = await AtGatewayAsync(
            Route("younger", "{name: front, sectionName: tcp}", $"{{{V2}}}", kind: "TCPRoute", age: "2026-02-01T00:00:00Z")
            + Route("older", "{name: front, sectionName: tcp}", $"{{{V1}}}", kind: "TCPRoute"), port: "tcp");
        await calls.ExpectAsync(string.Join('\n', Enumerable.Repeat("GET any/ => v1", 20)), atSecond: true);
        Assert.Equal(("Accepted", "Accepted"), (Conditions(calls, "older").First(), Conditions(calls, "younger").First()));
        // With the one of the rig.
        Assert.Equal(3, calls.Rig.Mesh.GatewayApi.GatewayStatuses.Items.Values.Single().Listeners.Single(listener => listener.Name == "tcp").AttachedRoutes);
    }

    [Fact]
    public async Task Connections_are_shared_by_weight()
    {
        await using var calls = await AtGatewayAsync(Route("one", "{name: front, sectionName: tcp}", """
            {backendRefs: [{name: v1, port: 80, weight: 70}, {name: v2, port: 80, weight: 30}, {name: v3, port: 80, weight: 0}]}
            """, kind: "TCPRoute"), port: "tcp");
        var shares = await calls.SharesAsync("/", 300, atSecond: true);
        // Six standard deviations.
        Assert.InRange(shares[0], 162, 258);
        Assert.Equal(0, shares[2]);
    }

    private static string Tls(string name, string hostnames, string to) =>
        Route(name, "{name: front, sectionName: pass}", $"{{backendRefs: [{{name: {to}, port: 80}}]}}", hostnames, "TLSRoute");

    private static IEnumerable<string> Conditions(RoutedCalls calls, string name) =>
        calls.Rig.Mesh.RouteStatuses.Items.Values.Single(status => status.Source.Name == name).Parents.Single().Conditions
            .Select(condition => condition.Reason);
}
