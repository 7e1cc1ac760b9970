using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;

namespace Isthmus.WebConsole.Serving;

/// <summary>Answers a call of the page: its arguments, and the answer.</summary>
internal delegate Task<JsonNode> Answer(JsonObject arguments, CancellationToken stop);

/// <summary>Serves the page and its calls on the loopback.</summary>
internal sealed class ConsoleServer : IAsyncDisposable
{
    private const int LongestBody = 64 * 1024;

    /// <summary>Nothing from other hosts, and no script or style in the page itself.</summary>
    internal const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private static readonly Dictionary<string, (string File, string Type)> Files = new(StringComparer.Ordinal)
    {
        ["/"] = ("index.html", "text/html; charset=utf-8"),
        ["/console.js"] = ("console.js", "text/javascript; charset=utf-8"),
        ["/console.css"] = ("console.css", "text/css; charset=utf-8"),
        ["/licenses.txt"] = ("licenses.txt", "text/plain; charset=utf-8"),
    };

    private readonly WebApplication _app;
    private readonly Entrance _entrance;
    private readonly EventHub _events;
    private readonly IReadOnlyDictionary<string, Answer> _answers;
    private IReadOnlyList<string> _authorities = [];

    /// <param name="port">0 chooses a free one.</param>
    public ConsoleServer(int port, Entrance entrance, EventHub events, IReadOnlyDictionary<string, Answer> answers)
    {
        (_entrance, _events, _answers) = (entrance, events, answers);
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "isthmus" });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = LongestBody;
            kestrel.Listen(IPAddress.Loopback, port);
        });
        _app = builder.Build();
        _app.Run(ServeAsync);
    }

    public int Port { get; private set; }

    /// <exception cref="ProblemException">The port is in use.</exception>
    public async Task StartAsync(int port, CancellationToken stop)
    {
        try
        {
            await _app.StartAsync(stop);
        }
        catch (IOException e)
        {
            throw new ProblemException($"port {port}", $"cannot listen on 127.0.0.1:{port}: {e.InnerException?.Message ?? e.Message}", "choose another with --port, or leave it out", e);
        }
        Port = new Uri(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()).Port;
        _authorities = [$"127.0.0.1:{Port}", $"localhost:{Port}"];
    }

    public async ValueTask DisposeAsync()
    {
        // Streams of events do not end by themselves.
        using var now = new CancellationTokenSource(TimeSpan.Zero);
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
    }

    private async Task ServeAsync(HttpContext http)
    {
        var headers = http.Response.Headers;
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers.CacheControl = "no-store";
        var request = http.Request;
        var facts = new RequestFacts(request.Method, request.Path, request.Host.Value ?? "", request.Headers.Origin.ToString(), request.Headers["Sec-Fetch-Site"].ToString(), request.ContentType ?? "");
        if (RequestRules.Check(facts, _authorities) is { } refusal)
        {
            if (refusal.Status == StatusCodes.Status405MethodNotAllowed) headers.Allow = facts.Path.StartsWith(RequestRules.Api, StringComparison.Ordinal) ? "POST" : "GET, HEAD";
            await RefuseAsync(http, refusal.Status, refusal.Reason);
        }
        else if (facts.Path.StartsWith(RequestRules.Api, StringComparison.Ordinal)) await CallAsync(http, facts.Path[RequestRules.Api.Length..]);
        else await FileAsync(http);
    }

    private static async Task FileAsync(HttpContext http)
    {
        if (!Files.TryGetValue(http.Request.Path.Value ?? "", out var file) || typeof(ConsoleServer).Assembly.GetManifestResourceStream(file.File) is not { } content)
        {
            await RefuseAsync(http, StatusCodes.Status404NotFound, "no such page");
            return;
        }
        await using (content)
        {
            http.Response.ContentType = file.Type;
            http.Response.ContentLength = content.Length;
            if (http.Request.Method != "HEAD") await content.CopyToAsync(http.Response.Body, http.RequestAborted);
        }
    }

    private async Task CallAsync(HttpContext http, string name)
    {
        if (name == "session")
        {
            var token = (await ArgumentsAsync(http))?["token"]?.ToString() ?? "";
            if (_entrance.Exchange(token) is { } key) await WriteAsync(http, new JsonObject { ["key"] = key });
            else await RefuseAsync(http, StatusCodes.Status403Forbidden, "the token is not valid, or was used before: start 'isthmus console' again");
        }
        else if (!_entrance.Admits(http.Request.Headers.Authorization.ToString()))
            await RefuseAsync(http, StatusCodes.Status401Unauthorized, "open the address that 'isthmus console' printed");
        else if (name == "events") await EventsAsync(http);
        else if (!_answers.TryGetValue(name, out var answer)) await RefuseAsync(http, StatusCodes.Status404NotFound, $"no such call: {name}");
        else if (await ArgumentsAsync(http) is not { } arguments) await RefuseAsync(http, StatusCodes.Status400BadRequest, "the body is not a JSON object");
        else await AnswerAsync(http, answer, arguments);
    }

    private static async Task<JsonObject?> ArgumentsAsync(HttpContext http)
    {
        try
        {
            return await JsonNode.ParseAsync(http.Request.Body, cancellationToken: http.RequestAborted) as JsonObject;
        }
        catch (Exception e) when (e is JsonException or BadHttpRequestException)
        {
            return null;
        }
    }

    private static async Task AnswerAsync(HttpContext http, Answer answer, JsonObject arguments)
    {
        try
        {
            await WriteAsync(http, await answer(arguments, http.RequestAborted));
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
        {
            await RefuseAsync(http, StatusCodes.Status422UnprocessableEntity, e.Message);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The page no longer waits.
        }
    }

    private async Task EventsAsync(HttpContext http)
    {
        http.Response.ContentType = "text/event-stream";
        http.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        try
        {
            await foreach (var one in _events.ListenAsync(http.RequestAborted))
            {
                await http.Response.WriteAsync($"event: {one.Name}\ndata: ", http.RequestAborted);
                await http.Response.Body.WriteAsync(one.Json, http.RequestAborted);
                await http.Response.WriteAsync("\n\n", http.RequestAborted);
                await http.Response.Body.FlushAsync(http.RequestAborted);
            }
        }
        catch (OperationCanceledException)
        {
            // The page was closed.
        }
    }

    private static Task WriteAsync(HttpContext http, JsonNode value)
    {
        http.Response.ContentType = "application/json";
        return http.Response.WriteAsync(value.ToJsonString(), Encoding.UTF8, http.RequestAborted);
    }

    private static Task RefuseAsync(HttpContext http, int status, string reason)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "text/plain; charset=utf-8";
        return http.Response.WriteAsync($"{reason}\n", http.RequestAborted);
    }
}
