using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Wire.Samples.EchoBasic;

namespace Isthmus.Tests.Mesh.GatewayApi;

/// <summary>Calls from one network namespace to one address: from outside of the clusters, or from a Pod, whose sidecar takes what leaves it.</summary>
internal sealed class LabCalls(NamespaceHandle network, IPEndPoint target, CallPlace place, X509Certificate2 authority, X509Certificate2? certificate)
    : IDisposable
{
    private const string GrpcService = "gateway_api_conformance.echo_basic.grpcecho.GrpcEcho";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10), Datagram = TimeSpan.FromSeconds(1);

    private static long _last = Environment.TickCount64;

    private readonly ConcurrentDictionary<(string ServerName, bool IsHttp2), HttpClient> _clients = [];

    /// <summary>The paths of calls whose copies are looked for: a mark in the query that no other call has.</summary>
    internal static string Marked(string path, out string mark)
    {
        mark = $"mark={Interlocked.Increment(ref _last)}";
        return $"{path}{(path.Contains('?', StringComparison.Ordinal) ? '&' : '?')}{mark}";
    }

    internal async Task<CallAnswer> CallAsync(CallLine line, string path, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(Limit);
        try
        {
            return line.Method switch
            {
                "TCP" => await OverConnectionAsync(await ConnectAsync(limit.Token), limit.Token),
                "TLS" => await OverConnectionAsync(await SecureAsync(await ConnectAsync(limit.Token), line.ServerName, null, limit.Token), limit.Token),
                "UDP" => await DatagramAsync(limit.Token),
                "WS" => await WebSocketAsync(line, path, limit.Token),
                "GRPC" => await GrpcAsync(line, path, limit.Token),
                _ => await HttpAsync(line, path, limit.Token),
            };
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException or AuthenticationException or WebSocketException)
        {
            return CallAnswer.Closed;
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return CallAnswer.Status("silent");
        }
    }

    public void Dispose()
    {
        foreach (var client in _clients.Values) client.Dispose();
    }

    private async Task<CallAnswer> HttpAsync(CallLine line, string path, CancellationToken stop)
    {
        var isH2c = line.Method == "H2C";
        using var request = new HttpRequestMessage(isH2c ? HttpMethod.Get : new(line.Method), Url(line, path));
        Complete(request, line, isH2c);
        using var response = await ClientOf(line.ServerName, isH2c).SendAsync(request, stop);
        var got = Headers(response);
        var body = await response.Content.ReadAsStringAsync(stop);
        return response.IsSuccessStatusCode && Told(body) is { } told
            ? CallAnswer.Of(told, place.Home, got)
            : CallAnswer.Status($"{(int)response.StatusCode}", got);
    }

    private async Task<CallAnswer> GrpcAsync(CallLine line, string path, CancellationToken stop)
    {
        var method = path.Count('/') > 1 ? path : $"/{GrpcService}{path}";
        using var request = new HttpRequestMessage(HttpMethod.Post, Url(line, method)) { Content = new ByteArrayContent(new byte[5]) };
        request.Content.Headers.ContentType = new("application/grpc");
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        Complete(request, line, isHttp2: true);
        using var response = await ClientOf(line.ServerName, true).SendAsync(request, stop);
        var body = await response.Content.ReadAsByteArrayAsync(stop);
        var got = Headers(response);
        var status = got.GetValueOrDefault("grpc-status", $"http {(int)response.StatusCode}");
        if (status != "0" || body.Length < 5) return CallAnswer.Status($"grpc={status}", got);
        var told = EchoResponse.Parser.ParseFrom(body, 5, BinaryPrimitives.ReadInt32BigEndian(body.AsSpan(1))).Assertions;
        var arrived = told.Headers.GroupBy(field => field.Key.ToLowerInvariant())
            .ToDictionary(group => group.Key, group => string.Join(',', group.Select(field => field.Value)));
        (arrived["path"], arrived["host"]) = (told.FullyQualifiedMethod, told.Authority);
        if (told.TlsAssertions is { } tls) arrived["sni"] = tls.ServerName;
        return new(CallAnswer.Workload(told.Context.Namespace, told.Context.Pod, place.Home), arrived, got);
    }

    private async Task<CallAnswer> WebSocketAsync(CallLine line, string path, CancellationToken stop)
    {
        using var socket = new ClientWebSocket();
        if (line.Host.Length > 0) socket.Options.SetRequestHeader("Host", line.Host);
        await socket.ConnectAsync(new UriBuilder(Url(line, path)) { Scheme = "ws" }.Uri, ClientOf(line.ServerName, false), stop);
        await socket.SendAsync("said"u8.ToArray(), WebSocketMessageType.Text, true, stop);
        var buffer = new byte[64];
        var heard = await socket.ReceiveAsync(buffer, stop);
        return CallAnswer.Status(Encoding.UTF8.GetString(buffer, 0, heard.Count) == "said" ? "echoed" : "changed");
    }

    /// <summary>Asks a TCP server of echo-basic what it knows, after its greeting.</summary>
    private async Task<CallAnswer> OverConnectionAsync(Stream stream, CancellationToken stop)
    {
        await using (stream)
        {
            await stream.WriteAsync("TEST\n"u8.ToArray(), stop);
            using var reader = new StreamReader(stream, Encoding.UTF8);
            while (await reader.ReadLineAsync(stop) is { } text)
                if (Told(text) is { } told) return CallAnswer.Of(told, place.Home, new Dictionary<string, string>());
        }
        return CallAnswer.Closed;
    }

    private async Task<CallAnswer> DatagramAsync(CancellationToken stop)
    {
        using var socket = NamespaceThread.Run(network, () => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        await socket.ConnectAsync(target, stop);
        await socket.SendAsync("said"u8.ToArray(), stop);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(Datagram);
        var buffer = new byte[2048];
        try
        {
            var told = Told(Encoding.UTF8.GetString(buffer, 0, await socket.ReceiveAsync(buffer, limit.Token)));
            return told is null ? CallAnswer.Status("changed") : CallAnswer.Of(told, place.Home, new Dictionary<string, string>());
        }
        catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !stop.IsCancellationRequested))
        {
            return CallAnswer.Closed;
        }
    }

    /// <summary>Without TLS for the client, whose TLS would name the host of the request: connections have what the line names.</summary>
    private string Url(CallLine line, string path) => $"http://{(line.ServerName.Length > 0 ? line.ServerName : place.Host)}:{target.Port}{path}";

    private void Complete(HttpRequestMessage request, CallLine line, bool isHttp2)
    {
        (request.Version, request.VersionPolicy) = (isHttp2 ? HttpVersion.Version20 : HttpVersion.Version11, HttpVersionPolicy.RequestVersionExact);
        request.Headers.Host = line.Host.Length > 0 ? line.Host : line.ServerName.Length > 0 ? line.ServerName
            : target.Port == 80 ? place.Host : $"{place.Host}:{target.Port}";
        foreach (var (name, value) in line.Headers) request.Headers.TryAddWithoutValidation(name, value);
    }

    private HttpClient ClientOf(string serverName, bool isHttp2) => _clients.GetOrAdd((serverName, isHttp2), key => new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false, UseProxy = false, UseCookies = false, ActivityHeadersPropagator = null,
        ConnectCallback = async (_, stop) => key.ServerName.Length == 0
            ? await ConnectAsync(stop)
            : await SecureAsync(await ConnectAsync(stop), key.ServerName, key.IsHttp2 ? SslApplicationProtocol.Http2 : SslApplicationProtocol.Http11, stop),
    }));

    private async ValueTask<Stream> ConnectAsync(CancellationToken stop)
    {
        var socket = NamespaceThread.Run(network, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });
        try
        {
            await socket.ConnectAsync(target, stop);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task<Stream> SecureAsync(Stream inner, string serverName, SslApplicationProtocol? protocol, CancellationToken stop)
    {
        var tls = new SslStream(inner);
        await tls.AuthenticateAsClientAsync(Tls(serverName, protocol), stop);
        return tls;
    }

    private SslClientAuthenticationOptions Tls(string serverName, SslApplicationProtocol? protocol) => new()
    {
        TargetHost = serverName,
        ApplicationProtocols = protocol is { } one ? [one] : null,
        CertificateChainPolicy = new()
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust, CustomTrustStore = { authority }, RevocationMode = X509RevocationMode.NoCheck,
        },
        LocalCertificateSelectionCallback = certificate is null ? null : (_, _, _, _, _) => certificate,
    };

    private static Dictionary<string, string> Headers(HttpResponseMessage response) =>
        response.Headers.Concat(response.Content.Headers).Concat(response.TrailingHeaders).GroupBy(field => field.Key.ToLowerInvariant())
            .ToDictionary(group => group.Key, group => string.Join(',', group.SelectMany(field => field.Value)).Replace(", ", ",", StringComparison.Ordinal));

    private static JsonObject? Told(string text)
    {
        try
        {
            return text.StartsWith('{') ? JsonNode.Parse(text)?.AsObject() is { } told && told.ContainsKey("pod") ? told : null : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
