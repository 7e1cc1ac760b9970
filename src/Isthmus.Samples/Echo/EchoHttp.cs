using System.Collections.Concurrent;
using System.Globalization;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Time;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Isthmus.Samples.Echo;

/// <summary>
/// HTTP of echo-basic: answers with the request as JSON. <c>?delay=2s</c> waits before, <c>X-Echo-Set-Header: name:value</c> adds to the answer,
/// <c>/status/503</c> answers with a status, <c>/retry/</c> fails some times first, and <c>/ws</c> echoes WebSocket messages.
/// </summary>
internal sealed class EchoHttp(EchoContext context, string port)
{
    private const int DefaultHttp = 3000, DefaultH2c = 3001, DefaultHttps = 8443;
    private const int MostRetried = 100_000;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, IndentSize = 1 };

    private readonly ConcurrentDictionary<string, int> _attempts = new(StringComparer.Ordinal);

    public static Task RunAsync(Func<string, string?> environment, EchoContext context, CancellationToken stop)
    {
        var port = EchoContext.Port(environment, "HTTP_PORT", DefaultHttp);
        var (h2c, https) = (EchoContext.Port(environment, "H2C_PORT", DefaultH2c), EchoContext.Port(environment, "HTTPS_PORT", DefaultHttps));
        var certificate = EchoTls.Read(EchoBasicProgram.Name, environment("TLS_SERVER_CERT"), environment("TLS_SERVER_PRIVKEY"));
        var app = EchoServers.Build(kestrel =>
        {
            kestrel.ListenAnyIP(port, listener => listener.Protocols = HttpProtocols.Http1);
            kestrel.ListenAnyIP(h2c, listener => listener.Protocols = HttpProtocols.Http2);
            if (certificate is null) return;
            kestrel.ListenAnyIP(https, listener => listener.UseHttps(options =>
            {
                options.ServerCertificate = certificate;
                EchoTls.CheckClients(options, EchoBasicProgram.Name, environment("TLS_CLIENT_CACERTS"));
            }));
        });
        app.UseWebSockets();
        app.Run(new EchoHttp(context, port.ToString(CultureInfo.InvariantCulture)).AnswerAsync);
        return EchoServers.RunAsync(EchoBasicProgram.Name, app, stop);
    }

    private Task AnswerAsync(HttpContext http)
    {
        var path = (http.Request.Path.Value ?? "").Replace("//", "/", StringComparison.Ordinal);
        if (path == "/health") return http.Response.WriteAsync("OK");
        if (path == "/ws" && http.WebSockets.IsWebSocketRequest) return EchoMessagesAsync(http);
        if (path.StartsWith("/status/", StringComparison.Ordinal)) return StatusAsync(http);
        return path.StartsWith("/retry/", StringComparison.Ordinal) ? RetryAsync(http) : EchoAsync(http);
    }

    private static Task StatusAsync(HttpContext http)
    {
        var target = EchoHeaders.Target(http)["/status/".Length..];
        http.Response.StatusCode = target.Length == 3 && int.TryParse(target, NumberStyles.None, CultureInfo.InvariantCulture, out var code) && code >= 200
            ? code
            : 400;
        return Task.CompletedTask;
    }

    /// <summary>A server that recovers: of the requests with one <c>uuid</c>, the first <c>succeedAfter</c> get <c>responseCode</c>, or their connection
    /// ends.</summary>
    private async Task RetryAsync(HttpContext http)
    {
        var (uuid, query) = (http.Request.Query["uuid"].ToString(), http.Request.Query);
        var isValid = int.TryParse(query["succeedAfter"], NumberStyles.None, CultureInfo.InvariantCulture, out var after);
        if (uuid.Length == 0 || !isValid)
        {
            http.Response.StatusCode = 400;
            await http.Response.WriteAsync(uuid.Length == 0 ? "uuid is required" : "succeedAfter is required").ConfigureAwait(false);
            return;
        }
        if (_attempts.Count > MostRetried) _attempts.Clear();
        if (_attempts.AddOrUpdate(uuid, 1, (_, known) => Math.Min(known, after) + 1) > after)
        {
            await EchoAsync(http).ConfigureAwait(false);
            return;
        }
        if (!await DelayAsync(http, "delayRetry").ConfigureAwait(false)) return;
        if (int.TryParse(query["responseCode"], NumberStyles.None, CultureInfo.InvariantCulture, out var code) && code is >= 200 and < 600)
            http.Response.StatusCode = code;
        else http.Abort();
    }

    private async Task EchoAsync(HttpContext http)
    {
        Console.WriteLine(
            $"Echoing back request made to {EchoHeaders.Target(http)} to client ({http.Connection.RemoteIpAddress}:{http.Connection.RemotePort})");
        if (!await DelayAsync(http, "delay").ConfigureAwait(false)) return;
        var request = http.Request;
        var answer = new JsonObject
        {
            ["path"] = EchoHeaders.Target(http), ["host"] = request.Host.Value, ["method"] = request.Method, ["proto"] = EchoHeaders.Protocol(request),
            ["headers"] = EchoHeaders.ToJson(request), ["httpPort"] = port,
        };
        context.AddTo(answer);
        if (TlsFacts.Of(http) is { } tls) answer["tls"] = tls.ToJson();
        SetHeaders(http);
        await WriteAsync(http, answer, Indented).ConfigureAwait(false);
    }

    /// <summary>Names that are given twice get both values in one field.</summary>
    private static void SetHeaders(HttpContext http)
    {
        foreach (var pair in http.Request.Headers["X-Echo-Set-Header"].SelectMany(list => (list ?? "").Split(',')))
        {
            var parts = pair.Trim().Split(':', 2);
            var (name, value) = (parts[0], parts.Length > 1 ? parts[1] : "");
            if (name.Length == 0) continue;
            try
            {
                var known = http.Response.Headers[name].ToString();
                http.Response.Headers[name] = known.Length == 0 ? value : $"{known},{value.Trim()}";
            }
            catch (InvalidOperationException)
            {
                // A character that no field may have.
            }
        }
    }

    /// <returns>False: the duration is invalid, and the request is answered.</returns>
    private static async Task<bool> DelayAsync(HttpContext http, string parameter)
    {
        if (http.Request.Query[parameter].ToString() is not { Length: > 0 } text) return true;
        if (!Durations.TryParse(text, out var delay))
        {
            http.Response.StatusCode = 500;
            await WriteAsync(http, new JsonObject { ["message"] = $"time: invalid duration \"{text}\"" }, null).ConfigureAwait(false);
            return false;
        }
        await Task.Delay(delay, http.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return true;
    }

    private static async Task WriteAsync(HttpContext http, JsonObject body, JsonSerializerOptions? form)
    {
        var text = form is null ? body.ToJsonString() : body.ToJsonString(form);
        http.Response.ContentType = "application/json";
        http.Response.Headers["X-Content-Type-Options"] = "nosniff";
        var bytes = System.Text.Encoding.UTF8.GetBytes(text);
        http.Response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(http.Request.Method)) await http.Response.Body.WriteAsync(bytes).ConfigureAwait(false);
    }

    private static async Task EchoMessagesAsync(HttpContext http)
    {
        using var socket = await http.WebSockets.AcceptWebSocketAsync().ConfigureAwait(false);
        var buffer = new byte[64 * 1024];
        try
        {
            while (true)
            {
                var got = await socket.ReceiveAsync(buffer, http.RequestAborted).ConfigureAwait(false);
                if (got.MessageType == WebSocketMessageType.Close) break;
                await socket.SendAsync(buffer.AsMemory(0, got.Count), got.MessageType, got.EndOfMessage, http.RequestAborted).ConfigureAwait(false);
            }
            await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", http.RequestAborted).ConfigureAwait(false);
        }
        catch (Exception e) when (e is WebSocketException or OperationCanceledException)
        {
            // The client left.
        }
    }
}
