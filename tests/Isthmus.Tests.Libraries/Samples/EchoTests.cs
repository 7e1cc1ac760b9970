using System.Net;
using System.Net.Http.Json;
using System.Net.Security;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Samples.Echo;
using Isthmus.Testing;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Samples.EchoBasic;
using Xunit;

namespace Isthmus.Tests.Libraries.Samples;

/// <summary>The servers and the client of the Gateway API's conformance suite, as its manifests start them and as it reads them.</summary>
public sealed class EchoTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("echo").FullName;
    private readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private readonly ReservedPort _first = new(), _second = new(), _third = new();

    public void Dispose()
    {
        _stop.Cancel();
        Directory.Delete(_folder, true);
    }

    [Fact]
    public async Task The_answer_over_HTTP_has_the_request_and_where_it_arrived()
    {
        await ServeBasicAsync();
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get,
            $"http://127.0.0.1:{_first.Number}/a%20b//c?x=1") { Headers = { { "x-one", ["1", "2"] }, { "X-Echo-Set-Header", "x-set: v,X-Other:w" } } };
        request.Headers.Host = "a.example";
        using var response = await client.SendAsync(request, _stop.Token);
        var answer = (JsonObject)(await response.Content.ReadFromJsonAsync<JsonNode>(_stop.Token))!;
        Assert.Equal("/a%20b//c?x=1", (string?)answer["path"]);
        Assert.Equal(("a.example", "GET", "HTTP/1.1"), ((string?)answer["host"], (string?)answer["method"], (string?)answer["proto"]));
        Assert.Equal("1, 2", string.Join(", ", ((JsonArray)answer["headers"]!["X-One"]!).Select(value => (string?)value)));
        Assert.Null(answer["headers"]!["Host"]);
        Assert.Equal(("ns", "svc", "pod-1"), ((string?)answer["namespace"], (string?)answer["service"], (string?)answer["pod"]));
        Assert.Equal(("v", "w"), (Assert.Single(response.Headers.NonValidated["x-set"]), Assert.Single(response.Headers.GetValues("X-Other"))));
        Assert.Null(answer["tls"]);
    }

    [Fact]
    public async Task Paths_choose_a_status_a_delay_and_a_server_that_recovers()
    {
        await ServeBasicAsync();
        using var client = new HttpClient();
        async Task<int> StatusAsync(string path)
        {
            using var response = await client.GetAsync($"http://127.0.0.1:{_first.Number}{path}", _stop.Token);
            return (int)response.StatusCode;
        }
        Assert.Equal(503, await StatusAsync("/status/503"));
        Assert.Equal(400, await StatusAsync("/status/abc"));
        Assert.Equal(200, await StatusAsync("/health"));
        Assert.Equal(200, await StatusAsync("/?delay=1ms"));
        Assert.Equal(500, await StatusAsync("/?delay=long"));
        Assert.Equal(400, await StatusAsync("/retry/x?uuid=a"));
        foreach (var expected in (int[])[500, 500, 200, 200]) Assert.Equal(expected, await RetriedAsync());
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => StatusAsync("/retry/x?uuid=c&succeedAfter=1"));
        Assert.Equal(200, await StatusAsync("/retry/x?uuid=c&succeedAfter=1"));

        Task<int> RetriedAsync() => StatusAsync("/retry/x?uuid=b&succeedAfter=2&responseCode=500");
    }

    [Fact]
    public async Task WebSockets_and_plain_HTTP2_are_answered()
    {
        await ServeBasicAsync();
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(new($"ws://127.0.0.1:{_first.Number}/ws"), _stop.Token);
        await socket.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, true, _stop.Token);
        var buffer = new byte[16];
        var got = await socket.ReceiveAsync(buffer, _stop.Token);
        Assert.Equal("hello", Encoding.ASCII.GetString(buffer, 0, got.Count));
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get,
            $"http://127.0.0.1:{_second.Number}/") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var response = await client.SendAsync(request, _stop.Token);
        Assert.Equal("HTTP/2.0", (string?)(await response.Content.ReadFromJsonAsync<JsonNode>(_stop.Token))!["proto"]);
    }

    [Fact]
    public async Task Over_TLS_the_answer_tells_the_name_and_the_certificate_of_the_client()
    {
        var (certificate, key) = Pair("server");
        var ca = new TestCa("clients");
        File.WriteAllText(Path.Combine(_folder, "ca"), ca.Pem);
        await ServeBasicAsync(("TLS_SERVER_CERT", certificate), ("TLS_SERVER_PRIVKEY", key), ("TLS_CLIENT_CACERTS", Path.Combine(_folder, "ca")));
        using var handler = new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = (_, _, _, _) => true } };
        using var client = new HttpClient(handler);
        // The name in the handshake is that of the header.
        using var request = new HttpRequestMessage(HttpMethod.Get, $"https://127.0.0.1:{_third.Number}/") { Headers = { Host = "b.example" } };
        using var response = await client.SendAsync(request, _stop.Token);
        var answer = (await response.Content.ReadFromJsonAsync<JsonNode>(_stop.Token))!;
        Assert.Equal("b.example", (string?)answer["tls"]!["serverName"]);
        Assert.StartsWith("TLSv1.", (string?)answer["tls"]!["version"], StringComparison.Ordinal);
        Assert.StartsWith("TLS_", (string?)answer["tls"]!["cipherSuite"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_same_over_gRPC()
    {
        Start(EchoBasicProgram.RunAsync(Environment(("GRPC_ECHO_SERVER", "1"), ("HTTP_PORT", $"{_first.Number}")), _stop.Token));
        using var channel = new GrpcChannel(new(new($"http://127.0.0.1:{_first.Number}")));
        EchoResponse? answer = null;
        var method = new GrpcMethod<EchoRequest, EchoResponse>("gateway_api_conformance.echo_basic.grpcecho.GrpcEcho", "EchoTwo", EchoRequest.Parser,
            EchoResponse.Parser);
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                answer = await channel.UnaryAsync(method, new(), new() { Headers = [new("x-one", "1")] }, _stop.Token);
                return true;
            }
            catch (GrpcException e) when (e.Code == GrpcCode.Unavailable)
            {
                return false;
            }
        });
        Assert.Equal(method.Path, answer!.Assertions.FullyQualifiedMethod);
        Assert.Contains(answer.Assertions.Headers, header => header is { Key: "x-one", Value: "1" });
        Assert.Equal(("ns", "svc", "pod-1"), (answer.Assertions.Context.Namespace, answer.Assertions.Context.ServiceName, answer.Assertions.Context.Pod));
        var missing = new GrpcMethod<EchoRequest, EchoResponse>("gateway_api_conformance.echo_basic.grpcecho.GrpcEcho", "EchoThree", EchoRequest.Parser,
            EchoResponse.Parser);
        Assert.Equal(GrpcCode.Unimplemented, (await Assert.ThrowsAsync<GrpcException>(() => channel.UnaryAsync(missing, new(), new(), _stop.Token))).Code);
    }

    /// <summary>A proxy that takes a call without TLS and makes it over TLS.</summary>
    [Fact]
    public async Task The_scheme_of_a_call_over_TLS_can_be_that_of_the_caller_before()
    {
        var (certificate, key) = Pair("server");
        Start(EchoBasicProgram.RunAsync(Environment(("GRPC_ECHO_SERVER", "1"), ("HTTP_PORT", $"{_first.Number}"), ("HTTPS_PORT", $"{_third.Number}"),
            ("TLS_SERVER_CERT", certificate), ("TLS_SERVER_PRIV_KEY", key)), _stop.Token));
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, stop) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(IPAddress.Loopback, _third.Number, stop);
                var tls = new SslStream(new NetworkStream(socket, ownsSocket: true), false, (_, _, _, _) => true);
                await tls.AuthenticateAsClientAsync(new() { TargetHost = "server", ApplicationProtocols = [SslApplicationProtocol.Http2] }, stop);
                return tls;
            },
        };
        using var client = new HttpClient(handler);
        await Eventually.TrueAsync(async () =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "http://server/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo")
            {
                Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = new ByteArrayContent(new byte[5]),
            };
            request.Content.Headers.ContentType = new("application/grpc");
            try
            {
                using var response = await client.SendAsync(request, _stop.Token);
                await response.Content.ReadAsByteArrayAsync(_stop.Token);
                return response.TrailingHeaders.TryGetValues("grpc-status", out var status) && status.Single() == "0";
            }
            catch (HttpRequestException)
            {
                // It does not listen yet.
                return false;
            }
        });
    }

    [Fact]
    public async Task Datagrams_and_lines_are_answered_too()
    {
        Start(EchoBasicProgram.RunAsync(Environment(("UDP_ECHO_SERVER", "1"), ("UDP_PORT", $"{_first.Number}")), _stop.Token));
        Start(EchoBasicProgram.RunAsync(Environment(("TCP_ECHO_SERVER", "1"), ("TCP_PORT", $"{_second.Number}")), _stop.Token));
        using var udp = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        var buffer = new byte[1024];
        var count = 0;
        await Eventually.TrueAsync(() =>
        {
            udp.SendTo("probe"u8, new IPEndPoint(IPAddress.Loopback, _first.Number));
            if (!udp.Poll(TimeSpan.FromMilliseconds(200), SelectMode.SelectRead)) return false;
            count = udp.Receive(buffer);
            return true;
        });
        var answer = JsonNode.Parse(buffer.AsSpan(0, count))!;
        Assert.Equal(("probe", "ns", "svc", "pod-1"),
            ((string?)answer["request"], (string?)answer["namespace"], (string?)answer["service"], (string?)answer["pod"]));
        using var tcp = new TcpClient();
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                await tcp.ConnectAsync(IPAddress.Loopback, _second.Number, _stop.Token);
                return true;
            }
            catch (SocketException)
            {
                return false;
            }
        });
        using var reader = new StreamReader(tcp.GetStream());
        Assert.Equal("Gateway API Test TCP Server", await reader.ReadLineAsync(_stop.Token));
        await tcp.GetStream().WriteAsync("PING\nIS_TLS\nTEST\n"u8.ToArray(), _stop.Token);
        Assert.Equal("PONG", await reader.ReadLineAsync(_stop.Token));
        Assert.Equal("false", await reader.ReadLineAsync(_stop.Token));
        Assert.Equal("pod-1", (string?)JsonNode.Parse((await reader.ReadLineAsync(_stop.Token))!)!["pod"]);
    }

    [Fact]
    public async Task The_client_prints_what_it_sent_and_what_the_server_saw()
    {
        Start(EchoAdvancedProgram.RunAsync([$"--port={_first.Number}", "--grpc", $"{_second.Number}", $"--tcp={_third.Number}", "--version=v1"], _stop.Token));
        var text = "";
        await Eventually.TrueAsync(async () =>
        {
            var output = new StringWriter();
            if (await EchoClientProgram.RunAsync(Words($"http://127.0.0.1:{_first.Number}/p?codes=418"), output, _stop.Token) != 0) return false;
            text = output.ToString();
            return true;
        });
        Assert.Contains("[0] StatusCode=418\n", text, StringComparison.Ordinal);
        Assert.Contains("[0] Header=X-One:1\n", text, StringComparison.Ordinal);
        Assert.Contains("[0] ResponseHeader=Content-Type:application/text\n", text, StringComparison.Ordinal);
        foreach (var line in (string[])["Host=a.example", "URL=/p?codes=418", "Method=POST", "Proto=HTTP/1.1", "RequestHeader=X-One:1", "ServiceVersion=v1",
            $"Hostname={System.Environment.MachineName}"])
            Assert.Contains($"[0 body] {line}\n", text, StringComparison.Ordinal);
        Assert.Contains("\n\n[1] Url=", text, StringComparison.Ordinal);
        // The suite names hosts alone, too.
        foreach (var (end, path) in ((string, string)[])[("", "/"), ("?a=b", "/?a=b"), ("/a%2Fb", "/a%2Fb")])
        {
            var plain = new StringWriter();
            Assert.Equal(0, await EchoClientProgram.RunAsync([$"http://127.0.0.1:{_first.Number}{end}"], plain, _stop.Token));
            Assert.Contains($"[0 body] URL={path}\n", plain.ToString(), StringComparison.Ordinal);
        }
        var called = new StringWriter();
        Assert.Equal(0, await EchoClientProgram.RunAsync([$"grpc://127.0.0.1:{_second.Number}", "-H", "x-one:1"], called, _stop.Token));
        foreach (var line in (string[])["StatusCode=200", "Proto=GRPC", "RequestHeader=x-one:1", "Echo=HelloWorld"])
            Assert.Contains($"[0 body] {line}\n", called.ToString(), StringComparison.Ordinal);

        string[] Words(string url) => [url, "--method=POST", "-H", "Host:a.example", "-H", "x-one:1", "--count=2"];
    }

    [Theory]
    [InlineData("unknown flag --hbone", "http://x", "--hbone=1")]
    [InlineData("the URL is missing", "--count=2")]
    [InlineData("cannot be called", "ftp://x")]
    [InlineData("is not a number of calls", "http://x", "--count=no")]
    public async Task A_wrong_command_line_is_told(string problem, params string[] args) => Assert.Contains(
        problem,
        (await Assert.ThrowsAsync<ProblemException>(() => EchoClientProgram.RunAsync(args, TextWriter.Null, TestContext.Current.CancellationToken))).Message,
        StringComparison.Ordinal);

    private async Task ServeBasicAsync(params (string Name, string Value)[] more)
    {
        Start(EchoBasicProgram.RunAsync(Environment([("HTTP_PORT", $"{_first.Number}"), ("H2C_PORT", $"{_second.Number}"), ("HTTPS_PORT", $"{_third.Number}"),
            .. more]),
            _stop.Token));
        using var client = new HttpClient();
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                return await client.GetStringAsync($"http://127.0.0.1:{_first.Number}/health", _stop.Token) == "OK";
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
    }

    private static Func<string, string?> Environment(params (string Name, string Value)[] more) => name =>
        Array.Find(more, item => item.Name == name).Value ?? name switch { "NAMESPACE" => "ns", "SERVICE_NAME" => "svc", "POD_NAME" => "pod-1", _ => null };

    /// <summary>A server that cannot start fails the test that waits for it.</summary>
    private static void Start(Task serving) => Assert.False(serving.IsFaulted, serving.Exception?.ToString());

    private (string Certificate, string Key) Pair(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1),
            DateTimeOffset.UtcNow.AddDays(1));
        var (path, keyPath) = (Path.Combine(_folder, name), Path.Combine(_folder, $"{name}.key"));
        File.WriteAllText(path, certificate.ExportCertificatePem());
        File.WriteAllText(keyPath, key.ExportPkcs8PrivateKeyPem());
        return (path, keyPath);
    }
}
