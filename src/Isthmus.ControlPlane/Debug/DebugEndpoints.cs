using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.LastKnown;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Core.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Isthmus.ControlPlane.Debug;

/// <summary>The control plane's debug pages under <c>/debug</c>, for callers in its own Pod only (istiod's paths and JSON).</summary>
public sealed class DebugEndpoints(ClusterReport clusters, LastKnownGood lastKnown, GatewayNames names, IReadOnlyDictionary<string, Func<HttpContext, Task<JsonNode>>> pages)
{
    public void Map(IEndpointRouteBuilder endpoints)
    {
        foreach (var (path, page) in pages.Append(new("clusterz", _ => Task.FromResult<JsonNode>(Clusters()))).Append(new("gatewaynamez", _ => Task.FromResult<JsonNode>(Names()))).Append(new("list", _ => Task.FromResult<JsonNode>(List()))))
        {
            endpoints.MapGet($"/debug/{path}", (RequestDelegate)(http => AnswerAsync(http, page)));
        }
    }

    private static async Task AnswerAsync(HttpContext http, Func<HttpContext, Task<JsonNode>> page)
    {
        // Loopback only: 'kubectl exec' and port-forward connect from there, and no other caller needs these pages.
        if (http.Connection.RemoteIpAddress is not { } caller || !IPAddress.IsLoopback(caller))
        {
            http.Response.StatusCode = StatusCodes.Status403Forbidden;
            await http.Response.WriteAsync("debug pages answer in the control plane's own Pod only: use 'kubectl exec' or 'kubectl port-forward'\n", http.RequestAborted);
            return;
        }
        var headers = http.Request.Headers;
        if (LoopbackRequest.Refusal(http.Request.Host.Value ?? "", headers.Origin.ToString(), headers["Sec-Fetch-Site"].ToString(), http.Connection.LocalIpAddress) is { } refusal)
        {
            http.Response.StatusCode = StatusCodes.Status403Forbidden;
            await http.Response.WriteAsync($"{refusal}\n", http.RequestAborted);
            return;
        }
        http.Response.ContentType = "application/json";
        await http.Response.WriteAsync((await page(http)).ToJsonString() + "\n", http.RequestAborted);
    }

    private JsonArray Clusters() => new([.. clusters.Lines().Select(cluster =>
    {
        var line = new JsonObject { ["id"] = cluster.Id, ["secretName"] = cluster.Secret, ["syncStatus"] = cluster.Status };
        line["source"] = cluster.Source.ToString().ToLowerInvariant();
        if (cluster.LastContact is { } contact) line["lastContact"] = contact.UtcDateTime.ToString("O", CultureInfo.InvariantCulture);
        if (cluster.Confirmed is { } confirmed) line["confirmed"] = confirmed.UtcDateTime.ToString("O", CultureInfo.InvariantCulture);
        if (lastKnown.Kept.GetValueOrDefault(cluster.Id) is { } kept)
        {
            line["snapshot"] = kept.Problem.Length > 0 ? new JsonObject { ["problem"] = kept.Problem }
                : new JsonObject { ["confirmed"] = kept.Saved.UtcDateTime.ToString("O", CultureInfo.InvariantCulture), ["bytes"] = kept.Bytes };
        }
        if (cluster.Expires is { } expires) line["credentialsExpire"] = expires.UtcDateTime.ToString("O", CultureInfo.InvariantCulture);
        var warnings = ((string[])[cluster.Warning, names.ProblemOf(cluster.Id)]).Where(text => text.Length > 0).ToList();
        if (warnings.Count > 0) line["warning"] = string.Join("; ", warnings);
        if (cluster.Error.Length > 0) line["message"] = cluster.Error;
        return (JsonNode)line;
    })]);

    private JsonArray Names() => new([.. names.All.Select(name =>
    {
        var line = new JsonObject
        {
            ["host"] = name.Host,
            ["clusters"] = new JsonArray([.. name.Clusters.Select(cluster => (JsonNode)JsonValue.Create(cluster)!)]),
            ["addresses"] = new JsonArray([.. name.Addresses.Select(address => (JsonNode)JsonValue.Create(address)!)]),
            ["next"] = name.Next.UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
        };
        if (name.Answered is { } answered) line["answered"] = answered.UtcDateTime.ToString("O", CultureInfo.InvariantCulture);
        if (name.Error.Length > 0) line["error"] = name.Error;
        return (JsonNode)line;
    })]);

    private JsonArray List() => new([.. pages.Keys.Append("clusterz").Append("gatewaynamez").Append("list").Order(StringComparer.Ordinal).Select(name => (JsonNode)JsonValue.Create($"/debug/{name}")!)]);
}
