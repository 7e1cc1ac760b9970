using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Rigs.Servers;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Http;

/// <summary>Port forwarding by the clients that there are: kubectl with and without WebSockets, and libraries with channels.</summary>
public sealed class PortForwardTests(RunningApiServer server) : IClassFixture<RunningApiServer>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Kubectl_forwards_a_port(bool webSockets)
    {
        using var node = new EchoNode(server.NodeSocketPath);
        var ns = await PodAsync();
        var config = await server.KubeconfigAsync();
        using var kubectl = Process.Start(new ProcessStartInfo("kubectl", ["--kubeconfig", config, "-n", ns, "-v", "8", "port-forward", "pod/web", ":80"])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
            Environment = { ["KUBECTL_PORT_FORWARD_WEBSOCKETS"] = webSockets ? "true" : "false" },
        })!;
        var log = kubectl.StandardError.ReadToEndAsync(Stop);
        try
        {
            // Forwarding from 127.0.0.1:40001 -> 80
            var line = await kubectl.StandardOutput.ReadLineAsync(Stop) ?? throw new InvalidOperationException(await log);
            var local = IPEndPoint.Parse(line.Split(' ')[2]);
            using var client = new TcpClient();
            await client.ConnectAsync(local, Stop);
            var stream = client.GetStream();
            await stream.WriteAsync("hello"u8.ToArray(), Stop);
            client.Client.Shutdown(SocketShutdown.Send);
            using var reader = new StreamReader(stream);
            Assert.Equal("hello", await reader.ReadToEndAsync(Stop));
        }
        finally
        {
            kubectl.Kill();
            await kubectl.WaitForExitAsync(Stop);
            File.Delete(config);
        }
        // kubectl falls back to SPDY by itself if it cannot use WebSockets.
        Assert.Equal(webSockets, (await log).Contains("tunneling connection read", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("v4.channel.k8s.io")]
    [InlineData("")]
    public async Task A_library_forwards_ports_over_channels(string protocol)
    {
        using var node = new EchoNode(server.NodeSocketPath);
        using var socket = await ConnectAsync(await PodAsync(), "?ports=80&ports=81,82", protocol);
        Assert.Equal(protocol, socket.SubProtocol ?? "");
        byte[][] first = [[0, 80, 0], [1, 80, 0], [2, 81, 0], [3, 81, 0], [4, 82, 0], [5, 82, 0]];
        foreach (var expected in first) Assert.Equal(expected, await ReceiveAsync(socket));
        Assert.Equal("\x0003" + "failed to connect to localhost:81", Encoding.UTF8.GetString((await ReceiveAsync(socket))!));
        await SendAsync(socket, "\x0004two");
        Assert.Equal("\x0004two", Encoding.UTF8.GetString((await ReceiveAsync(socket))!));
        await SendAsync(socket, "\0bye");
        Assert.Equal("\0bye", Encoding.UTF8.GetString((await ReceiveAsync(socket))!));
        // When the Pod has closed all connections, the server closes the WebSocket.
        node.Close();
        Assert.Null(await ReceiveAsync(socket));
        Assert.Equal(WebSocketCloseStatus.NormalClosure, socket.CloseStatus);
    }

    [Theory]
    [InlineData("", "v4.channel.k8s.io", "query parameter \"ports\" is required")]
    [InlineData("?ports=80,x", "v4.channel.k8s.io", "unable to parse \"x\" as a port")]
    [InlineData("?ports=0", "v4.channel.k8s.io", "port \"0\" must be > 0")]
    [InlineData("?ports=80", "v4.base64.channel.k8s.io", "unable to upgrade: the server supports SPDY/3.1+portforward.k8s.io, v4.channel.k8s.io")]
    public async Task A_request_that_cannot_be_served_is_refused_by_name(string query, string protocol, string why)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/v1/namespaces/{await PodAsync()}/pods/web/portforward{query}");
        request.Headers.Add("Connection", "Upgrade");
        request.Headers.Add("Upgrade", "websocket");
        request.Headers.Add("Sec-WebSocket-Version", "13");
        request.Headers.Add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        request.Headers.Add("Sec-WebSocket-Protocol", protocol);
        using var answer = await server.Admin.SendAsync(request, Stop);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal(why, (string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync(Stop))!["message"]);
    }

    [Fact]
    public async Task A_proxys_admin_interface_is_asked_through_a_forwarded_port()
    {
        var body = new string('x', 100_000);
        using var node = new EchoNode(server.NodeSocketPath) { Response = $"HTTP/1.1 404 Not Found\r\nContent-Length: {body.Length}\r\n\r\n{body}" };
        var ns = await PodAsync();
        using var client = new KubeClient(server.Access);
        Assert.Equal((404, body), await client.Pods.SendAsync(ns, "web", 80, new("POST", "/stats"), Stop));
        Assert.StartsWith("POST /stats HTTP/1.1\r\nHost: localhost\r\n", node.Asked);
        var closed = await Assert.ThrowsAsync<HttpRequestException>(() => client.Pods.SendAsync(ns, "web", 81, new("GET", "/"), Stop));
        Assert.Contains("failed to connect to localhost:81", closed.ToString());
        Assert.True((await Assert.ThrowsAsync<KubeException>(() => client.Pods.SendAsync(ns, "gone", 80, new("GET", "/"), Stop))).IsNotFound);
    }

    [Theory]
    [InlineData("")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha")]
    public async Task Who_says_nothing_more_is_not_waited_for(string response)
    {
        using var node = new EchoNode(server.NodeSocketPath) { Response = response };
        var ns = await PodAsync();
        using var client = new KubeClient(server.Access);
        var hung = await Assert.ThrowsAsync<HttpRequestException>(
            () => client.Pods.SendAsync(ns, "web", 80, new("GET", "/stats") { Patience = TimeSpan.FromSeconds(0.5) }, Stop));
        Assert.Equal("no answer within 500 ms", hung.Message);
    }

    [Fact]
    public async Task Requests_to_a_port_share_a_connection_until_it_ends()
    {
        using var node = new EchoNode(server.NodeSocketPath) { Response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" };
        var (ns, other) = (await PodAsync(), await PodAsync());
        using var client = new KubeClient(server.Access);
        for (var turn = 0; turn < 3; turn++) Assert.Equal((200, "ok"), await client.Pods.SendAsync(ns, "web", 80, new("GET", "/stats"), Stop));
        Assert.Equal(1, node.Connections);
        Assert.Equal((200, "ok"), await client.Pods.SendAsync(other, "web", 80, new("GET", "/stats"), Stop));
        Assert.Equal((200, "ok"), await client.Pods.SendAsync(ns, "web", 82, new("GET", "/stats"), Stop));
        Assert.Equal(3, node.Connections);
        // A container that restarts ends them.
        node.Close();
        Assert.Equal((200, "ok"), await client.Pods.SendAsync(ns, "web", 80, new("GET", "/stats"), Stop));
        Assert.Equal(4, node.Connections);
    }

    private async Task<string> PodAsync()
    {
        var ns = await server.NamespaceAsync();
        await server.SendAsync("POST", $"/api/v1/namespaces/{ns}/pods",
            """{"metadata":{"name":"web"},"spec":{"nodeName":"node","containers":[{"name":"web","image":"web"}]}}""");
        var (code,
            _) = await server.SendAsync("PATCH", $"/api/v1/namespaces/{ns}/pods/web/status", """{"status":{"phase":"Running"}}""",
                "application/merge-patch+json");
        Assert.Equal(200, code);
        return ns;
    }

    private async Task<ClientWebSocket> ConnectAsync(string ns, string query, string protocol)
    {
        var socket = new ClientWebSocket();
        socket.Options.ClientCertificates.Add(server.AdminCertificate);
        socket.Options.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        if (protocol.Length > 0) socket.Options.AddSubProtocol(protocol);
        await socket.ConnectAsync(new UriBuilder(server.Access.Server)
        {
            Scheme = "wss", Path = $"/api/v1/namespaces/{ns}/pods/web/portforward", Query = query
        }.Uri,
            Stop);
        return socket;
    }

    private static async Task<byte[]?> ReceiveAsync(ClientWebSocket socket)
    {
        var buffer = new byte[1024];
        var result = await socket.ReceiveAsync(buffer, Stop);
        return result.MessageType == WebSocketMessageType.Close ? null : buffer[..result.Count];
    }

    private static Task SendAsync(ClientWebSocket socket, string text) =>
        socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Binary, true, Stop);

    /// <summary>A node whose Pods send back what they receive. Port 81 is closed.</summary>
    private sealed class EchoNode : IDisposable
    {
        private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        private readonly List<Socket> _open = [];
        private readonly string _path;

        public EchoNode(string path)
        {
            _path = path;
            File.Delete(path);
            _listener.Bind(new UnixDomainSocketEndPoint(path));
            _listener.Listen();
            _ = AcceptAsync();
        }

        /// <summary>What the Pods answer to the head of a request, instead of sending it back.</summary>
        internal string? Response { get; init; }

        internal string Asked { get; private set; } = "";

        internal int Connections { get; private set; }

        public void Close()
        {
            lock (_open) // guards the list
            {
                foreach (var socket in _open) socket.Dispose();
            }
        }

        public void Dispose()
        {
            Close();
            _listener.Dispose();
            File.Delete(_path);
        }

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    var socket = await _listener.AcceptAsync();
                    lock (_open) _open.Add(socket);
                    _ = ServeAsync(socket);
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The test is over.
            }
        }

        private async Task ServeAsync(Socket socket)
        {
            await using var stream = new NetworkStream(socket, ownsSocket: true);
            try
            {
                var head = await HeadAsync(stream);
                if (head.Contains("port=81", StringComparison.Ordinal))
                {
                    await stream.WriteAsync("HTTP/1.1 502 Bad Gateway\r\n\r\n21\r\nfailed to connect to localhost:81\r\n0\r\n\r\n"u8.ToArray());
                    return;
                }
                await stream.WriteAsync("HTTP/1.1 101 Switching Protocols\r\n\r\n"u8.ToArray());
                if (Response is null)
                {
                    await stream.CopyToAsync(stream);
                    return;
                }
                Connections++;
                while (await HeadAsync(stream) is { Length: > 0 } asked)
                {
                    Asked = asked;
                    await stream.WriteAsync(Encoding.ASCII.GetBytes(Response));
                }
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                // The client left.
            }
        }

        private static async Task<string> HeadAsync(Stream stream)
        {
            var head = "";
            var one = new byte[1];
            while (!head.EndsWith("\r\n\r\n", StringComparison.Ordinal) && await stream.ReadAsync(one) == 1) head += (char)one[0];
            return head;
        }
    }
}
