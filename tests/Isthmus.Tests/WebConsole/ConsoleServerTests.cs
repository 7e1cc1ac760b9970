using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Testing;
using Isthmus.WebConsole.Serving;
using Xunit;

namespace Isthmus.Tests.WebConsole;

/// <summary>The server of the console, asked over real sockets.</summary>
public sealed class ConsoleServerTests : IAsyncLifetime
{
    private readonly Entrance _entrance;
    private readonly EventHub _events = new();
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, Expect100ContinueTimeout = TimeSpan.FromMinutes(1) });
    private readonly ConsoleServer _server;

    public ConsoleServerTests()
    {
        _entrance = new(_events, new Dictionary<string, Answer>
        {
            ["echo"] = (arguments, _) => Task.FromResult<JsonNode>(new JsonObject { ["said"] = arguments["say"]?.ToString() }),
            ["fail"] = (_, _) => throw new ProblemException("Pod shop/orders", "does not exist", "name another"),
        });
        _server = new(_entrance, ConsoleSite.Loopback(0));
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _server.StartAsync(Stop);
        _http.BaseAddress = new($"http://127.0.0.1:{_server.Port}");
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _http.Dispose();
    }

    private async Task<(HttpStatusCode Status, string Body)> CallAsync(string name, string body = "{}", string? key = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/api/{name}") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        if (key is not null) request.Headers.Add(ConsoleServer.KeyHeader, key);
        using var response = await _http.SendAsync(request, Stop);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(Stop));
    }

    private async Task<string> EnterAsync()
    {
        var (status, body) = await CallAsync("session", $$"""{"token": "{{_entrance.Token}}"}""");
        Assert.Equal(HttpStatusCode.OK, status);
        return JsonNode.Parse(body)!["key"]!.ToString();
    }

    [Theory]
    [InlineData("/", "text/html")]
    [InlineData("/console.js", "text/javascript")]
    [InlineData("/console.css", "text/css")]
    [InlineData("/licenses.txt", "text/plain")]
    public async Task The_page_has_no_content_from_elsewhere_and_a_strict_policy(string path, string type)
    {
        using var response = await _http.GetAsync(path, Stop);
        Assert.Equal((HttpStatusCode.OK, type), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        Assert.Equal(ConsoleServer.ContentSecurityPolicy, response.Headers.GetValues("Content-Security-Policy").Single());
        Assert.DoesNotContain("unsafe", ConsoleServer.ContentSecurityPolicy, StringComparison.Ordinal);
        Assert.Equal(("nosniff", "no-referrer", "same-origin", "no-store"),
            (response.Headers.GetValues("X-Content-Type-Options").Single(), response.Headers.GetValues("Referrer-Policy").Single(),
            response.Headers.GetValues("Cross-Origin-Resource-Policy").Single(), response.Headers.CacheControl?.ToString()));
        Assert.False(response.Headers.Contains("Server"));
        if (path == "/") Assert.DoesNotMatch("""(src|href)="(https?:)?//""", await response.Content.ReadAsStringAsync(Stop));
    }

    [Fact]
    public async Task Without_the_key_of_the_token_nothing_is_told()
    {
        Assert.Equal(HttpStatusCode.Unauthorized, (await CallAsync("echo")).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await CallAsync("events", key: _entrance.Token)).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await CallAsync("session", """{"token": "guess"}""")).Status);
        var key = await EnterAsync();
        Assert.Equal((HttpStatusCode.OK, """{"said":"hello"}"""), await CallAsync("echo", """{"say": "hello"}""", key));
        var (status, body) = await CallAsync("session", $$"""{"token": "{{_entrance.Token}}"}""");
        Assert.Equal(HttpStatusCode.Forbidden, status);
        Assert.Equal("the token is not valid, or was used before: start 'isthmus console' again\n", body);
    }

    [Fact]
    public async Task Requests_that_other_sites_can_cause_are_refused()
    {
        var key = await EnterAsync();
        async Task<HttpStatusCode> SendAsync(Action<HttpRequestMessage> change)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/api/echo") { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
            request.Headers.Add(ConsoleServer.KeyHeader, key);
            change(request);
            using var response = await _http.SendAsync(request, Stop);
            return response.StatusCode;
        }
        Assert.Equal(HttpStatusCode.OK, await SendAsync(_ => { }));
        Assert.Equal(HttpStatusCode.MisdirectedRequest, await SendAsync(request => request.Headers.Host = $"rebound.test:{_server.Port}"));
        Assert.Equal(HttpStatusCode.Forbidden, await SendAsync(request => request.Headers.Add("Origin", "http://rebound.test")));
        Assert.Equal(HttpStatusCode.Forbidden, await SendAsync(request => request.Headers.Add("Sec-Fetch-Site", "cross-site")));
        Assert.Equal(HttpStatusCode.MethodNotAllowed, await SendAsync(request => request.Method = HttpMethod.Get));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, await SendAsync(request => request.Content = new StringContent("{}", Encoding.UTF8, "text/plain")));
        Assert.Equal(HttpStatusCode.BadRequest, await SendAsync(request => request.Content = new StringContent("[", Encoding.UTF8, "application/json")));
        Assert.Equal(HttpStatusCode.BadRequest, await SendAsync(request =>
        {
            request.Content = new StringContent($"{{\"a\": \"{new string('a', 70_000)}\"}}", Encoding.UTF8, "application/json");
            // The answer comes before the body, which nobody reads.
            request.Headers.ExpectContinue = true;
        }));
        foreach (var body in (string[])["""{"say": 1, "say": 2}""", """{"token": "a", "t\u006fken": "b"}""", """{"token": "\ud800"}""", "[]", ""])
        {
            foreach (var call in (string[])["echo", "session"])
                Assert.Equal((HttpStatusCode.BadRequest, "the body is not a JSON object, or has a member twice\n"), await CallAsync(call, body, key));
        }
        Assert.Equal(HttpStatusCode.NotFound, (await CallAsync("unknown", "{}", key)).Status);
    }

    [Fact]
    public async Task A_problem_is_told_as_commands_tell_it() =>
        Assert.Equal((HttpStatusCode.UnprocessableEntity, "Pod shop/orders: does not exist (name another)\n"),
            await CallAsync("fail", "{}", await EnterAsync()));

    [Fact]
    public async Task A_page_gets_the_last_event_of_each_name_and_then_the_new_ones()
    {
        var opened = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _events.Opened = () => opened.TrySetResult();
        _events.Publish(new("topology", "1"u8.ToArray()));
        _events.Publish(new("topology", "2"u8.ToArray()));
        Assert.False(_events.HasListeners);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/events") { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        request.Headers.Add(ConsoleServer.KeyHeader, await EnterAsync());
        using (var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Stop))
        {
            Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Stop));
            async Task<string> NextAsync() => $"{await reader.ReadLineAsync(Stop)}|{await reader.ReadLineAsync(Stop)}|{await reader.ReadLineAsync(Stop)}";
            Assert.Equal("event: topology|data: 2|", await NextAsync());
            await opened.Task.WaitAsync(Stop);
            _events.Publish(new("traffic", "3"u8.ToArray()));
            Assert.Equal("event: traffic|data: 3|", await NextAsync());
        }
        await Eventually.TrueAsync(() =>
        {
            if (_events.HasListeners) _events.Publish(new("traffic", "4"u8.ToArray()));
            return !_events.HasListeners;
        });
    }

    [Fact]
    public async Task A_port_in_use_is_named()
    {
        await using var second = new ConsoleServer(_entrance, ConsoleSite.Loopback(_server.Port));
        var refused = await Assert.ThrowsAsync<ProblemException>(() => second.StartAsync(Stop));
        Assert.StartsWith($"port {_server.Port}: cannot listen on 127.0.0.1:{_server.Port}: ", refused.Message, StringComparison.Ordinal);
    }
}
