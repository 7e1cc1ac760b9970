using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using ListenOptions = Microsoft.AspNetCore.Server.Kestrel.Core.ListenOptions;

namespace Isthmus.WebConsole.Serving;

/// <summary>Answers a call of the page: its arguments, and the answer.</summary>
internal delegate Task<JsonNode> Answer(JsonObject arguments, CancellationToken stop);

/// <summary>An address of the console.</summary>
/// <param name="Address">Null: all of this machine.</param>
/// <param name="Port">0 chooses a free one.</param>
/// <param name="Configure">How connections are taken: TLS.</param>
/// <param name="NamesAt">The names under which it is reached, by the port.</param>
internal sealed record ConsoleSite(IPAddress? Address, int Port, Action<ListenOptions> Configure, Func<int, SiteNames> NamesAt)
{
    /// <summary>The loopback, for whoever is on this machine.</summary>
    public static ConsoleSite Loopback(int port) => new(IPAddress.Loopback, port, _ => { }, own => new("http", [$"127.0.0.1:{own}", $"localhost:{own}"]));
}

/// <summary>Serves the page and its calls.</summary>
internal sealed class ConsoleServer : IAsyncDisposable
{
    /// <summary>The header with the key of a session.</summary>
    internal const string KeyHeader = "X-Isthmus-Key";

    private const int LongestBody = 64 * 1024;

    private static readonly Refusal NoArguments = new(StatusCodes.Status400BadRequest, "the body is not a JSON object, or has a member twice");

    /// <summary>Nothing from other hosts, and no script or style in the page itself.</summary>
    internal const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            + "frame-ancestors 'none'";

    private static readonly Dictionary<string, (string File, string Type)> Files = new(StringComparer.Ordinal)
    {
        ["/"] = ("index.html", "text/html; charset=utf-8"),
        ["/console.js"] = ("console.js", "text/javascript; charset=utf-8"),
        ["/console.css"] = ("console.css", "text/css; charset=utf-8"),
        ["/licenses.txt"] = ("licenses.txt", "text/plain; charset=utf-8"),
    };

    private readonly WebApplication _app;
    private readonly IReadOnlyList<ConsoleSite> _sites;
    private readonly IEntrance _entrance;
    private IReadOnlyDictionary<int, SiteNames> _names = new Dictionary<int, SiteNames>();

    public ConsoleServer(IEntrance entrance, params IReadOnlyList<ConsoleSite> sites)
    {
        (_entrance, _sites) = (entrance, sites);
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "isthmus" });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = LongestBody;
            foreach (var site in sites)
            {
                if (site.Address is { } address) kestrel.Listen(address, site.Port, site.Configure);
                else kestrel.ListenAnyIP(site.Port, site.Configure);
            }
        });
        _app = builder.Build();
        _app.Run(ServeAsync);
    }

    /// <summary>The port of the first site.</summary>
    public int Port { get; private set; }

    /// <exception cref="ProblemException">A port is in use.</exception>
    public async Task StartAsync(CancellationToken stop)
    {
        try
        {
            await _app.StartAsync(stop);
        }
        catch (IOException e)
        {
            throw new ProblemException($"port {string.Join(", ", _sites.Select(site => site.Port))}",
                $"cannot listen on {string.Join(", ", _sites.Select(site => $"{site.Address?.ToString() ?? "*"}:{site.Port}"))}: "
                    + $"{e.InnerException?.Message ?? e.Message}",
                "choose another with --port, or leave it out", e);
        }
        var ports = _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(address => new Uri(address).Port)
            .ToList();
        Port = ports[0];
        _names = ports.Zip(_sites).ToDictionary(pair => pair.First, pair => pair.Second.NamesAt(pair.First));
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
        var facts = new RequestFacts(request.Method, request.Path, request.Host.Value ?? "", request.Headers.Origin.ToString(),
            request.Headers["Sec-Fetch-Site"].ToString(), request.ContentType ?? "");
        if (!_names.TryGetValue(http.Connection.LocalPort, out var names))
            await RefuseAsync(http, new(StatusCodes.Status503ServiceUnavailable, "the console is starting"));
        else if (RequestRules.Check(facts, names) is { } refusal)
        {
            if (refusal.Status == StatusCodes.Status405MethodNotAllowed)
                headers.Allow = facts.Path.StartsWith(RequestRules.Api, StringComparison.Ordinal) ? "POST" : "GET, HEAD";
            await RefuseAsync(http, refusal);
        }
        else if (facts.Path.StartsWith(RequestRules.Api, StringComparison.Ordinal)) await CallAsync(http, facts.Path[RequestRules.Api.Length..]);
        else await FileAsync(http);
    }

    private static async Task FileAsync(HttpContext http)
    {
        if (!Files.TryGetValue(http.Request.Path.Value ?? "", out var file)
            || typeof(ConsoleServer).Assembly.GetManifestResourceStream(file.File) is not { } content)
        {
            await RefuseAsync(http, new(StatusCodes.Status404NotFound, "no such page"));
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
        var cookie = _entrance.CookieName is { } plain ? http.Request.IsHttps ? $"__Host-{plain}" : plain : null;
        if (name == "session")
        {
            await EnterAsync(http, cookie);
            return;
        }
        var proof = new CallerProof(http.Request.Headers[KeyHeader].ToString(), cookie is null ? "" : http.Request.Cookies[cookie] ?? "",
            http.Request.Headers.Authorization.ToString());
        var (visit, refusal) = await _entrance.AdmitAsync(proof, http.RequestAborted);
        if (visit is null) await RefuseAsync(http, refusal!);
        else if (name == "leave")
        {
            _entrance.Leave(proof);
            if (cookie is not null) http.Response.Cookies.Delete(cookie, CookieRules(http));
            await WriteAsync(http, new JsonObject());
        }
        else if (name == "events") await EventsAsync(http, visit);
        else if (!visit.Answers.TryGetValue(name, out var answer)) await RefuseAsync(http, new(StatusCodes.Status404NotFound, $"no such call: {name}"));
        else if (await ArgumentsAsync(http) is not { } arguments) await RefuseAsync(http, NoArguments);
        else await AnswerAsync(http, answer, arguments);
    }

    private async Task EnterAsync(HttpContext http, string? cookie)
    {
        if (await ArgumentsAsync(http) is not { } arguments)
        {
            await RefuseAsync(http, NoArguments);
            return;
        }
        var entry = await _entrance.EnterAsync(arguments["token"]?.ToString() ?? "", http.RequestAborted);
        if (entry.Refusal is { } refusal)
        {
            await RefuseAsync(http, refusal);
            return;
        }
        if (cookie is not null && entry.Cookie is { } value) http.Response.Cookies.Append(cookie, value, CookieRules(http));
        await WriteAsync(http, new JsonObject { ["key"] = entry.Key });
    }

    /// <summary>No script reads it, no other site causes it to be sent, and it ends with the browser.</summary>
    private static CookieOptions CookieRules(HttpContext http) =>
        new() { HttpOnly = true, SameSite = SameSiteMode.Strict, Secure = http.Request.IsHttps, Path = "/", IsEssential = true };

    private static async Task<JsonObject?> ArgumentsAsync(HttpContext http)
    {
        try
        {
            return await StrictJson.ReadAsync(http.Request.Body, LongestBody, http.RequestAborted) as JsonObject;
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
            await RefuseAsync(http, new(StatusCodes.Status422UnprocessableEntity, e.Message));
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The page no longer waits.
        }
    }

    private static async Task EventsAsync(HttpContext http, Visit visit)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, visit.Ended);
        http.Response.ContentType = "text/event-stream";
        http.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        try
        {
            await foreach (var one in visit.Events.ListenAsync(ending.Token))
            {
                await http.Response.WriteAsync($"event: {one.Name}\ndata: ", http.RequestAborted);
                await http.Response.Body.WriteAsync(one.Json, http.RequestAborted);
                await http.Response.WriteAsync("\n\n", http.RequestAborted);
                await http.Response.Body.FlushAsync(http.RequestAborted);
            }
        }
        catch (OperationCanceledException)
        {
            // The page was closed, or the session ended.
        }
    }

    private static Task WriteAsync(HttpContext http, JsonNode value)
    {
        http.Response.ContentType = "application/json";
        return http.Response.WriteAsync(value.ToJsonString(), Encoding.UTF8, http.RequestAborted);
    }

    private static Task RefuseAsync(HttpContext http, Refusal refusal)
    {
        http.Response.StatusCode = refusal.Status;
        if (refusal.AsksForToken) http.Response.Headers.WWWAuthenticate = "Bearer";
        http.Response.ContentType = "text/plain; charset=utf-8";
        return http.Response.WriteAsync($"{refusal.Reason}\n", http.RequestAborted);
    }
}
