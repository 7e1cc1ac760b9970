using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>A sidecar that calls <c>web.example</c>, for which there are routes of the Gateway API, and the server behind it.</summary>
internal sealed class RouteProxy : IAsyncDisposable
{
    /// <summary>The server as the only backend.</summary>
    public const string Web = "backendRefs: [{group: networking.istio.io, kind: Hostname, name: web.example, port: 80}]";

    private readonly OriginServer _server;

    private RouteProxy(OriginServer server, string config)
    {
        _server = server;
        Sidecar = new(config, [(server.Port, "")]);
    }

    public SidecarProxy Sidecar { get; }

    /// <param name="rules">Rules of an HTTPRoute, as YAML.</param>
    /// <param name="handle">The server; null: it answers with method, path and query.</param>
    public static Task<RouteProxy> OfRulesAsync(string rules, RequestDelegate? handle = null) => OfRoutesAsync(Route("r", rules), handle);

    /// <param name="routes">Routes, as YAML.</param>
    /// <param name="handle">The server; null: it answers with method, path and query.</param>
    public static async Task<RouteProxy> OfRoutesAsync(string routes, RequestDelegate? handle = null) =>
        new(await OriginServer.StartAsync(HttpProtocols.Http1,
            handle ?? (context => context.Response.WriteAsync($"{context.Request.Method} {context.Request.Path}{context.Request.QueryString}"))),
            routes);

    /// <summary>A route for the callers of <c>web.example</c>.</summary>
    public static string Route(string name, string rules, string kind = "HTTPRoute", string age = "2026-01-01T00:00:00Z") => $$"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: {{kind}}
        metadata: {name: {{name}}, namespace: shop, creationTimestamp: '{{age}}'}
        spec:
          parentRefs: [{group: networking.istio.io, kind: ServiceEntry, name: web}]
          rules: [{{rules.ReplaceLineEndings(" ")}}]
        ---

        """;

    /// <summary>The answer to a request, and its header of that name.</summary>
    public async Task<(int Status, string Body, string Header)> CallAsync(string path, string header = "", HttpMethod? method = null,
        string answer = "location")
    {
        using var response = await Sidecar.SendAsync(path, header, method);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken),
            response.Headers.TryGetValues(answer, out var values) ? string.Join(", ", values) : "");
    }

    public async ValueTask DisposeAsync()
    {
        Sidecar.Dispose();
        await _server.DisposeAsync();
    }
}
