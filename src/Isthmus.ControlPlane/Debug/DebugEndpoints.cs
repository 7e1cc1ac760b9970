using System.Collections.Frozen;
using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.LastKnown;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Core.Net;
using Isthmus.Reports;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Isthmus.ControlPlane.Debug;

/// <summary>The control plane's debug pages under <c>/debug</c>, for callers in its own Pod only (istiod's paths and JSON).</summary>
public sealed class DebugEndpoints
{
    private const string NotFound = "404 page not found\n";

    private readonly ClusterReport _clusters;
    private readonly LastKnownGood _lastKnown;
    private readonly GatewayNames _names;
    private readonly FrozenDictionary<string, Func<HttpContext, Task<JsonNode>>> _pages;

    public DebugEndpoints(ClusterReport clusters, LastKnownGood lastKnown, GatewayNames names,
        IReadOnlyDictionary<string, Func<HttpContext, Task<JsonNode>>> pages)
    {
        (_clusters, _lastKnown, _names) = (clusters, lastKnown, names);
        _pages = pages.Append(new("clusterz", _ => ClustersAsync())).Append(new("gatewaynamez", _ => Task.FromResult<JsonNode>(Names())))
            .Append(new("list", _ => Task.FromResult<JsonNode>(List())))
            .ToFrozenDictionary(StringComparer.Ordinal);
    }

    /// <summary>Answers POST <c>/debug/preview</c>; null if nothing does.</summary>
    internal PreviewPage? Preview { get; init; }

    /// <summary>The revision of this control plane, in each line of <c>/debug/clusterz</c>.</summary>
    public required string Revision { get; init; }

    public void Map(IEndpointRouteBuilder endpoints)
    {
        if (Preview is { } preview) endpoints.MapPost("/debug/preview", (RequestDelegate)(http => AnswerAsync(http, preview.AnswerAsync)));
        foreach (var (path, page) in _pages) endpoints.MapGet($"/debug/{path}", (RequestDelegate)(http => AnswerAsync(http, page)));
    }

    /// <summary>A page as text, for other ways to ask for it than HTTP.</summary>
    /// <param name="question">The name of a page, with a query or without: <c>config_dump?proxyID=web.shop</c>.</param>
    public async Task<string> ReadAsync(string question, CancellationToken stop)
    {
        var (name, query) = question.Split('?', 2) is [var before, var after] ? (before, after) : (question, "");
        name = name.Trim('/');
        if (name.StartsWith("debug/", StringComparison.Ordinal)) name = name["debug/".Length..];
        if (!_pages.TryGetValue(name, out var page)) return NotFound;
        var http = new DefaultHttpContext { RequestAborted = stop };
        http.Request.QueryString = new(query.Length > 0 ? $"?{query}" : "");
        return await TextAsync(http, page);
    }

    private static async Task<string> TextAsync(HttpContext http, Func<HttpContext, Task<JsonNode>> page)
    {
        try
        {
            return (await page(http)).ToJsonString() + "\n";
        }
        catch (DebugPageException e)
        {
            (http.Response.StatusCode, http.Response.ContentType) = (e.Status, "text/plain; charset=utf-8");
            return $"{e.Message}\n";
        }
    }

    private static async Task AnswerAsync(HttpContext http, Func<HttpContext, Task<JsonNode>> page)
    {
        // Names of strangers are on these pages: no browser may take them for markup.
        (http.Response.ContentType, http.Response.Headers.XContentTypeOptions) = ("text/plain; charset=utf-8", "nosniff");
        // Loopback only: 'kubectl exec' and port-forward connect from there, and no other caller needs these pages.
        if (http.Connection.RemoteIpAddress is not { } caller || !IPAddress.IsLoopback(caller))
        {
            http.Response.StatusCode = StatusCodes.Status403Forbidden;
            await http.Response.WriteAsync("debug pages answer in the control plane's own Pod only: use 'kubectl exec' or 'kubectl port-forward'\n",
                http.RequestAborted);
            return;
        }
        var headers = http.Request.Headers;
        if (LoopbackRequest.Refusal(http.Request.Host.Value ?? "", headers.Origin.ToString(), headers["Sec-Fetch-Site"].ToString(),
            http.Connection.LocalIpAddress) is { } refusal)
        {
            http.Response.StatusCode = StatusCodes.Status403Forbidden;
            await http.Response.WriteAsync($"{refusal}\n", http.RequestAborted);
            return;
        }
        http.Response.ContentType = "application/json";
        await http.Response.WriteAsync(await TextAsync(http, page), http.RequestAborted);
    }

    private async Task<JsonNode> ClustersAsync() => DebugPage.Of([.. (await _clusters.ProvenAsync()).Select(Report)], ControlPlaneReports.Default.Watched);

    private WatchedReport Report(ClusterStatus cluster) => new()
    {
        Id = cluster.Id, SecretName = cluster.Secret, SyncStatus = cluster.Status, Revision = Revision, Source = cluster.Source.ToString().ToLowerInvariant(),
        LastContact = cluster.LastContact, Confirmed = cluster.Confirmed,
        Snapshot = _lastKnown.Kept.GetValueOrDefault(cluster.Id) is not { } kept ? null
            : kept.Problem.Length > 0 ? new() { Problem = kept.Problem } : new() { Confirmed = kept.Saved, Bytes = kept.Bytes },
        CredentialsExpire = cluster.Expires, Uid = Known(cluster.Uid),
        Warning = Known(string.Join("; ", ((string[])[cluster.Warning, _names.ProblemOf(cluster.Id)]).Where(text => text.Length > 0))),
        Message = Known(cluster.Error),
    };

    private static string? Known(string text) => text.Length > 0 ? text : null;

    private JsonArray Names() => new([.. _names.All.Select(name =>
    {
        var line = new JsonObject
        {
            ["host"] = name.Host,
            ["clusters"] = new JsonArray([.. name.Clusters.Select(cluster => (JsonNode)JsonValue.Create(cluster)!)]),
            ["addresses"] = new JsonArray([.. name.Addresses.Select(address => (JsonNode)JsonValue.Create(address.ToString())!)]),
            ["next"] = name.Next.UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
        };
        if (name.Answered is { } answered) line["answered"] = answered.UtcDateTime.ToString("O", CultureInfo.InvariantCulture);
        if (name.Error.Length > 0) line["error"] = name.Error;
        return (JsonNode)line;
    })]);

    private JsonArray List() => new([.. _pages.Keys.Order(StringComparer.Ordinal).Select(name => (JsonNode)JsonValue.Create($"/debug/{name}")!)]);
}
