using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.WebConsole.Serving;

namespace Isthmus.Tests.WebConsole;

/// <summary>A browser with the console's page: it keeps one cookie and one key.</summary>
internal sealed class ConsolePage(Uri address) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, UseCookies = false, ResponseDrainTimeout = TimeSpan.Zero });
    private readonly CancellationTokenSource _closed = new();

    public string Cookie { get; set; } = "";

    public string Key { get; set; } = "";

    /// <summary>What an authenticating proxy would set.</summary>
    public string Token { get; set; } = "";

    /// <summary>The attributes of the cookie that was set last.</summary>
    public string CookieRules { get; private set; } = "";

    public void Dispose()
    {
        _closed.Cancel();
        _http.Dispose();
        _closed.Dispose();
    }

    public async Task<(HttpStatusCode Status, string Body, bool AsksForToken)> CallAsync(string name, JsonObject arguments, CancellationToken stop)
    {
        using var request = Request(name, arguments);
        using var response = await _http.SendAsync(request, stop);
        if (response.Headers.TryGetValues("Set-Cookie", out var cookies))
        {
            var parts = cookies.Single().Split(';', 2, StringSplitOptions.TrimEntries);
            (Cookie, CookieRules) = (parts[0], parts[1]);
        }
        return (response.StatusCode, await response.Content.ReadAsStringAsync(stop), response.Headers.WwwAuthenticate.Count > 0);
    }

    /// <summary>Logs in; null when that succeeded, otherwise why not.</summary>
    public async Task<string?> LoginAsync(string token, CancellationToken stop)
    {
        var (status, body, _) = await CallAsync("session", new() { ["token"] = token }, stop);
        if (status != HttpStatusCode.OK) return $"{(int)status} {body.Trim()}";
        Key = JsonNode.Parse(body)!["key"]!.ToString();
        return null;
    }

    /// <summary>Listens until an event of this name is as wanted.</summary>
    /// <returns>Null when the stream ended before.</returns>
    public async Task<JsonNode?> EventAsync(string name, Func<JsonNode, bool> wanted, CancellationToken stop) => await await ListenAsync(name, wanted, stop);

    /// <summary>Opens a stream of events, and then listens.</summary>
    public async Task<Task<JsonNode?>> ListenAsync(string name, Func<JsonNode, bool> wanted, CancellationToken stop)
    {
        var request = Request("events", []);
        var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
        if (!response.IsSuccessStatusCode) throw new HttpRequestException($"{(int)response.StatusCode}");
        return ReadAsync();

        async Task<JsonNode?> ReadAsync()
        {
            using var both = CancellationTokenSource.CreateLinkedTokenSource(stop, _closed.Token);
            using (request)
            using (response)
            using (var reader = new StreamReader(await response.Content.ReadAsStreamAsync(both.Token)))
            {
                for (var line = await reader.ReadLineAsync(both.Token); line is not null; line = await reader.ReadLineAsync(both.Token))
                {
                    if (line != $"event: {name}") continue;
                    var data = JsonNode.Parse((await reader.ReadLineAsync(both.Token))!["data: ".Length..])!;
                    if (wanted(data)) return data;
                }
                return null;
            }
        }
    }

    private HttpRequestMessage Request(string name, JsonObject arguments)
    {
        var request = new HttpRequestMessage(HttpMethod.Post,
            new Uri(address, $"/api/{name}")) { Content = new StringContent(arguments.ToJsonString(), Encoding.UTF8, "application/json") };
        if (Cookie.Length > 0) request.Headers.Add("Cookie", Cookie);
        if (Key.Length > 0) request.Headers.Add(ConsoleServer.KeyHeader, Key);
        if (Token.Length > 0) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Token);
        return request;
    }
}
