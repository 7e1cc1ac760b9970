using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Isthmus.ControlPlane.Running;
using Isthmus.Core.Json;
using Isthmus.Core.Net;
using Isthmus.Reports;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Isthmus.ControlPlane.Debug;

/// <summary>ControlZ, as far as <c>istioctl admin log</c> needs it: the scopes of the log and their levels, on the loopback.</summary>
public sealed class ControlZ(LogLevels levels)
{
    private const int Longest = 4096;

    public void Map(IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/scopej",
            (RequestDelegate)(http => AnswerAsync(http, () => JsonAsync(http, [.. levels.Scopes.Select(Scope)], ControlPlaneReports.Default.LogScopes))));
        endpoints.MapGet("/scopej/{name}",
            (RequestDelegate)(http => AnswerAsync(http, () => levels.Of(Name(http)) is null
                ? UnknownAsync(http) : JsonAsync(http, Scope(Name(http)), ControlPlaneReports.Default.LogScope))));
        endpoints.MapPut("/scopej/{name}", (RequestDelegate)(http => AnswerAsync(http, () => ChangeAsync(http))));
    }

    private static string Name(HttpContext http) => http.Request.RouteValues["name"]?.ToString() ?? "";

    private static Task AnswerAsync(HttpContext http, Func<Task> answer)
    {
        var headers = http.Request.Headers;
        return LoopbackRequest.Refusal(http.Request.Host.Value ?? "", headers.Origin.ToString(), headers["Sec-Fetch-Site"].ToString(),
            http.Connection.LocalIpAddress) is { } refusal
            ? RefuseAsync(http, StatusCodes.Status403Forbidden, refusal) : answer();
    }

    private LogScope Scope(string name) => new(name) { Description = $"Messages of {name}", OutputLevel = levels.Of(name), StackTraceLevel = "none" };

    /// <summary>Sets the output level. The log has no stack traces and no callers: <c>none</c> is the only level that these can have.</summary>
    private async Task ChangeAsync(HttpContext http)
    {
        if (http.Request.ContentLength is null or > Longest)
        {
            await RefuseAsync(http, StatusCodes.Status413PayloadTooLarge, $"the body must have a length of at most {Longest} bytes");
            return;
        }
        LogScope? change;
        try { change = (await StrictJson.ReadAsync(http.Request.Body, Longest, http.RequestAborted)).Deserialize(ControlPlaneReports.Default.LogScope); }
        catch (JsonException e)
        {
            await RefuseAsync(http, StatusCodes.Status400BadRequest, $"the body is not a scope as JSON: {e.Message}");
            return;
        }
        var (wanted, stack) = (change?.OutputLevel ?? "", change?.StackTraceLevel ?? "");
        if (levels.Of(Name(http)) is null) await UnknownAsync(http);
        else if (stack is not ("" or "none"))
            await RefuseAsync(http, StatusCodes.Status400BadRequest, $"stack_trace_level '{stack}' is not supported: messages have no stack traces, use none");
        else if (wanted.Length > 0 && !levels.TrySet(Name(http), wanted))
            await RefuseAsync(http, StatusCodes.Status400BadRequest, $"'{wanted}' is not a log level: use one of {string.Join(", ", LogLevels.Words)}");
        else http.Response.StatusCode = StatusCodes.Status202Accepted;
    }

    private Task UnknownAsync(HttpContext http) =>
        RefuseAsync(http, StatusCodes.Status404NotFound, $"unknown scope '{Name(http)}': use one of {string.Join(", ", levels.Scopes)}");

    private static Task JsonAsync<T>(HttpContext http, T answer, JsonTypeInfo<T> type)
    {
        http.Response.ContentType = "application/json";
        return http.Response.WriteAsync(JsonSerializer.Serialize(answer, type) + "\n", http.RequestAborted);
    }

    private static Task RefuseAsync(HttpContext http, int status, string why)
    {
        http.Response.StatusCode = status;
        return http.Response.WriteAsync(why + "\n", http.RequestAborted);
    }
}
