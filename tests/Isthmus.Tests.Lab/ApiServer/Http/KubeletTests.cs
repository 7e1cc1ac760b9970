using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Streaming;
using Isthmus.Rigs.Servers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Http;

/// <summary>Logs, commands and ports of Pods whose node is a kubelet: over HTTPS at the address and port in the node's object.</summary>
public sealed class KubeletTests(RunningApiServer server) : IClassFixture<RunningApiServer>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Logs_come_from_the_kubelet()
    {
        await using var kubelet = await Kubelet.StartAsync();
        var ns = await PodAsync(kubelet.Port);
        Assert.Equal("a line\n",
            await server.Admin.GetStringAsync(new Uri($"/api/v1/namespaces/{ns}/pods/web/log?tailLines=3&follow=1", UriKind.Relative), Stop));
        Assert.Equal(("O=system:masters, CN=kube-apiserver-kubelet-client", $"/containerLogs/{ns}/web/web?follow=true&tailLines=3"),
            Assert.Single(kubelet.Requests));
    }

    [Fact]
    public async Task A_command_runs_over_the_channels_that_kubelets_know()
    {
        await using var kubelet = await Kubelet.StartAsync();
        var ns = await PodAsync(kubelet.Port);
        using var socket = await ConnectAsync(
            $"/api/v1/namespaces/{ns}/pods/web/exec?command=cat&command=-&command=a%3B%20b%26%25%2B&stdin=true&stdout=true&stderr=true",
            ChannelProtocol.V4);
        using var channels = new ChannelSocket(socket);
        await channels.SendAsync(ChannelProtocol.Input, "hello"u8.ToArray(), Stop);
        Assert.Equal("", await TextAsync(channels, ChannelProtocol.Output));
        Assert.Equal("hello", await TextAsync(channels, ChannelProtocol.Output));
        Assert.Equal("3", (string?)JsonNode.Parse(await TextAsync(channels, ChannelProtocol.Status))!["details"]!["causes"]![0]!["message"]);
        // kube-apiserver writes "1", and kubelets accept nothing else.
        Assert.Equal($"/exec/{ns}/web/web?input=1&output=1&error=1&command=cat&command=-&command=a%3B%20b%26%25%2B", Assert.Single(kubelet.Requests).Path);
    }

    [Fact]
    public async Task A_port_is_forwarded_over_the_channels_that_kubelets_know()
    {
        await using var kubelet = await Kubelet.StartAsync();
        var ns = await PodAsync(kubelet.Port);
        using var socket = await ConnectAsync($"/api/v1/namespaces/{ns}/pods/web/portforward?ports=8080,81", ChannelProtocol.V4);
        using var channels = new ChannelSocket(socket);
        foreach (var channel in (byte[])[0, 1, 2, 3]) Assert.Equal(channel, (await channels.ReceiveAsync(Stop))!.Value.Channel);
        await channels.SendAsync(0, "hello"u8.ToArray(), Stop);
        Assert.Equal("hello", await TextAsync(channels, 0));
        Assert.Equal([$"/portForward/{ns}/web?port=8080", $"/portForward/{ns}/web?port=81"],
            kubelet.Requests.Select(request => request.Path).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task The_client_learns_why_a_kubelet_cannot_forward_a_port()
    {
        await using var kubelet = await Kubelet.StartAsync();
        var ns = await PodAsync(kubelet.Port);
        using var socket = await ConnectAsync($"/api/v1/namespaces/{ns}/pods/web/portforward?ports={Kubelet.ClosedPort}", ChannelProtocol.V4);
        using var channels = new ChannelSocket(socket);
        foreach (var channel in (byte[])[0, 1]) Assert.Equal(channel, (await channels.ReceiveAsync(Stop))!.Value.Channel);
        Assert.Equal(Kubelet.Refusal, await TextAsync(channels, 1));
        Assert.Null(await channels.ReceiveAsync(Stop));
    }

    [Fact]
    public async Task A_kubelet_that_does_not_answer_is_named()
    {
        var ns = await PodAsync(1);
        var (code, body) = await server.SendAsync("GET", $"/api/v1/namespaces/{ns}/pods/web/log");
        Assert.Equal(500, code);
        Assert.Contains($"node {ns} is not reachable: Connection refused (127.0.0.1:1)", (string?)body["message"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_node_of_a_lab_has_no_port_but_a_socket()
    {
        var ns = await PodAsync(0);
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(server.NodeSocketPath));
        listener.Listen();
        var log = server.SendAsync("GET", $"/api/v1/namespaces/{ns}/pods/web/log");
        using (var node = await listener.AcceptAsync(Stop))
        {
            // A socket that is closed with a request unread resets the connection.
            await node.ReceiveAsync(new byte[4096], Stop);
            await node.SendAsync("HTTP/1.1 400 Bad Request\r\nContent-Length: 7\r\n\r\nwaiting"u8.ToArray(), Stop);
        }
        File.Delete(server.NodeSocketPath);
        Assert.Equal("waiting", (string?)(await log).Body["message"]);
    }

    private static async Task<string> TextAsync(ChannelSocket channels, byte channel)
    {
        var message = (await channels.ReceiveAsync(Stop))!.Value;
        Assert.Equal(channel, message.Channel);
        return Encoding.UTF8.GetString(message.Bytes.Span);
    }

    /// <summary>A Pod on a node with its namespace's name, whose kubelet listens on this port.</summary>
    private async Task<string> PodAsync(int port)
    {
        var ns = await server.NamespaceAsync();
        await server.SendAsync("POST", "/api/v1/nodes", new JsonObject { ["metadata"] = new JsonObject { ["name"] = ns } }.ToJsonString());
        await server.SendAsync("PATCH", $"/api/v1/nodes/{ns}/status", $$$"""
            {"status": {"addresses": [{"type": "Hostname", "address": "x"}, {"type": "InternalIP", "address": "127.0.0.1"}], "daemonEndpoints": {"kubeletEndpoint": {"Port": {{{port}}} } } } }
            """, "application/merge-patch+json");
        var (code, _) = await server.SendAsync("POST", $"/api/v1/namespaces/{ns}/pods", $$$"""
            {"metadata": {"name": "web"}, "spec": {"nodeName": "{{{ns}}}", "containers": [{"name": "web", "image": "x"}]}}
            """);
        Assert.Equal(201, code);
        return ns;
    }

    private async Task<ClientWebSocket> ConnectAsync(string path, string protocol)
    {
        var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol(protocol);
        socket.Options.ClientCertificates.Add(server.AdminCertificate);
        socket.Options.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        await socket.ConnectAsync(new UriBuilder(new Uri(server.Access.Server, path)) { Scheme = "wss" }.Uri, Stop);
        return socket;
    }

    /// <summary>The kubelet's server, as far as it is used: with a certificate that it signed itself.</summary>
    private sealed class Kubelet : IAsyncDisposable
    {
        internal const int ClosedPort = 82;
        internal const string Refusal = "error forwarding port 82 to pod: connection refused";

        private readonly WebApplication _app;
        private readonly X509Certificate2 _certificate;

        private Kubelet(WebApplication app, X509Certificate2 certificate)
        {
            _app = app;
            _certificate = certificate;
        }

        internal int Port => new Uri(_app.Urls.First()).Port;

        internal System.Collections.Concurrent.ConcurrentQueue<(string User, string Path)> Requests { get; } = [];

        internal static async Task<Kubelet> StartAsync()
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            using var bare = new CertificateRequest("CN=node@1", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1),
                DateTimeOffset.UtcNow.AddDays(1));
            var certificate = X509CertificateLoader.LoadPkcs12(bare.Export(X509ContentType.Pkcs12), null);
            var builder = WebApplication.CreateEmptyBuilder(new());
            builder.Logging.ClearProviders();
            builder.WebHost.UseKestrelCore()
                .ConfigureKestrel(options => options.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(new HttpsConnectionAdapterOptions
            {
                ServerCertificate = certificate, ClientCertificateMode = ClientCertificateMode.RequireCertificate,
                ClientCertificateValidation = (_, _, _) => true,
            })));
            var kubelet = new Kubelet(builder.Build(), certificate);
            kubelet._app.UseWebSockets();
            kubelet._app.Run(kubelet.HandleAsync);
            await kubelet._app.StartAsync(Stop);
            return kubelet;
        }

        public async ValueTask DisposeAsync()
        {
            await _app.DisposeAsync();
            _certificate.Dispose();
        }

        private async Task HandleAsync(HttpContext http)
        {
            Requests.Enqueue((http.Connection.ClientCertificate!.Subject, http.Request.Path + http.Request.QueryString));
            var kind = http.Request.Path.Value!.Split('/')[1];
            if (kind == "containerLogs")
            {
                await http.Response.WriteAsync("a line\n");
                return;
            }
            Assert.Contains(ChannelProtocol.V4, http.WebSockets.WebSocketRequestedProtocols);
            using var channels = new ChannelSocket(await http.WebSockets.AcceptWebSocketAsync(ChannelProtocol.V4));
            byte data = kind == "exec" ? ChannelProtocol.Output : (byte)0;
            if (kind == "portForward")
            {
                var number = BitConverter.GetBytes(ushort.Parse(http.Request.Query["port"].ToString()));
                await channels.SendAsync(0, number, Stop);
                await channels.SendAsync(1, number, Stop);
                if (BitConverter.ToUInt16(number) == ClosedPort)
                {
                    await channels.SendAsync(1, Encoding.UTF8.GetBytes(Refusal), Stop);
                    await channels.CloseAsync(Stop);
                }
            }
            try
            {
                while (await channels.ReceiveAsync(Stop) is { } message)
                {
                    await channels.SendAsync(data, message.Bytes, Stop);
                    if (kind == "exec") await channels.FinishAsync(ChannelProtocol.Exited(3), Stop);
                }
            }
            catch (Exception e) when (e is WebSocketException or OperationCanceledException or SocketException)
            {
                // The API server has left.
            }
        }
    }
}
