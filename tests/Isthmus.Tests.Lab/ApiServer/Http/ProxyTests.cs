using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Http;

/// <summary>Requests to Pods and Services through the API server, as kubectl get --raw and dashboards make them.</summary>
public sealed class ProxyTests(RunningApiServer server) : IClassFixture<RunningApiServer>, IAsyncLifetime
{
    private WebApplication? _app;
    private int _port;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options => options.Listen(IPAddress.Loopback, 0));
        _app = builder.Build();
        _app.UseWebSockets();
        _app.Run(AnswerAsync);
        await _app.StartAsync(Stop);
        _port = new Uri(_app.Urls.First()).Port;
    }

    public async ValueTask DisposeAsync() => await _app!.DisposeAsync();

    [Fact]
    public async Task A_request_reaches_the_port_of_a_pod()
    {
        var pod = await PodAsync(_port);
        foreach (var name in (string[])[$"web:{_port}", $"http:web:{_port}", "web"])
        {
            using var request = new HttpRequestMessage(HttpMethod.Put, $"{pod}/pods/{name}/proxy/a%2Fb/c?d=e%20f") { Content = new StringContent("body") };
            request.Headers.Authorization = new("Bearer", "");
            request.Headers.Add("X-Own", "1");
            using var answer = await server.Admin.SendAsync(request, Stop);
            Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
            Assert.Equal("yes", answer.Headers.GetValues("X-Pod").Single());
            var seen = JsonNode.Parse(await answer.Content.ReadAsStringAsync(Stop))!;
            Assert.Equal("PUT /a%2Fb/c?d=e%20f body", (string?)seen["request"]);
            Assert.Equal("1", (string?)seen["X-Own"]);
            Assert.Null((string?)seen["Authorization"]);
            Assert.EndsWith($"/pods/{name}/proxy/a%2Fb/c", (string?)seen["X-Forwarded-Uri"]);
        }
    }

    [Fact]
    public async Task A_service_is_reached_by_the_number_and_the_name_of_its_port()
    {
        var path = await PodAsync(_port);
        await ServiceAsync(path, ready: true);
        foreach (var name in (string[])["web:80", "web:http", "http:web:http"])
        {
            var (code, seen) = await server.SendAsync("GET", $"{path}/services/{name}/proxy/x");
            Assert.Equal((202, "GET /x "), (code, (string?)seen["request"]));
        }
        await RefusedAsync($"{path}/services/web:81/proxy/x", 503, "no service port 81 found for service \"web\"");
        await RefusedAsync($"{path}/services/web/proxy/x", 503, "no endpoints available for service \"web\"");
        await RefusedAsync($"{path}/services/ftp:web:80/proxy/x", 400, "invalid service request \"ftp:web:80\"");
        await RefusedAsync($"{path}/services/gone:80/proxy/x", 404, "services \"gone\" not found");
    }

    [Fact]
    public async Task A_request_that_cannot_be_passed_on_says_why()
    {
        using var nobody = new ReservedPort();
        var path = await PodAsync(nobody.Number);
        await RefusedAsync($"{path}/pods/web:{nobody.Number}/proxy/", 503, "error trying to reach service: Connection refused");
        await ServiceAsync(path, ready: false);
        await RefusedAsync($"{path}/services/web:80/proxy/x", 503, "no endpoints available for service \"web\"");
    }

    [Fact]
    public async Task A_path_leads_to_no_other_host()
    {
        using var nobody = new ReservedPort();
        var path = await PodAsync(_port);
        var (code, seen) = await server.SendAsync("GET", $"{path}/pods/web:{_port}/proxy//127.0.0.1:{nobody.Number}/x");
        Assert.Equal((202, $"GET //127.0.0.1:{nobody.Number}/x "), (code, (string?)seen["request"]));
    }

    [Fact]
    public async Task Only_addresses_that_are_a_Pods_alone_are_reached()
    {
        var path = await PodAsync(_port);
        foreach (var address in (string[])["169.254.169.254", "0.0.0.0", "::", "fe80::1", "ff02::1", "224.0.0.1"])
        {
            var status = new JsonObject
            {
                ["status"] = new JsonObject { ["podIP"] = address, ["podIPs"] = new JsonArray(new JsonObject { ["ip"] = address }) }
            };
            await server.SendAsync("PATCH", $"{path}/pods/web/status", status.ToJsonString(), "application/merge-patch+json");
            await RefusedAsync($"{path}/pods/web:{_port}/proxy/", 400, "address not allowed");
        }
    }

    [Fact]
    public async Task Redirects_stay_behind_the_proxy()
    {
        var path = await PodAsync(_port);
        using var client = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            SslOptions = { RemoteCertificateValidationCallback = (_, _, _, _) => true, ClientCertificates = [server.AdminCertificate] }
        })
        {
            BaseAddress = server.Access.Server
        };
        using var bare = await client.GetAsync($"{path}/pods/web:{_port}/proxy?a=b", Stop);
        Assert.Equal((HttpStatusCode.MovedPermanently, $"{path}/pods/web:{_port}/proxy/?a=b"), (bare.StatusCode, bare.Headers.Location!.OriginalString));
        using var moved = await client.GetAsync($"{path}/pods/web:{_port}/proxy/moved", Stop);
        Assert.Equal((HttpStatusCode.Found, $"{path}/pods/web:{_port}/proxy/login?next=1"), (moved.StatusCode, moved.Headers.Location!.OriginalString));
    }

    [Fact]
    public async Task A_web_socket_of_a_pod_works_through_the_proxy()
    {
        var path = await PodAsync(_port);
        using var socket = new ClientWebSocket();
        socket.Options.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        socket.Options.ClientCertificates.Add(server.AdminCertificate);
        await socket.ConnectAsync(new Uri($"wss://{server.Access.Server.Authority}{path}/pods/web:{_port}/proxy/socket"), Stop);
        await socket.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, true, Stop);
        var buffer = new byte[100];
        var read = await socket.ReceiveAsync(buffer.AsMemory(), Stop);
        Assert.Equal("hello back", Encoding.UTF8.GetString(buffer, 0, read.Count));
    }

    [Fact]
    public async Task Kubectl_asks_a_pod_by_a_raw_path()
    {
        var path = await PodAsync(_port);
        Assert.Contains("\"request\":\"GET /raw \"", await server.KubectlAsync("get", "--raw", $"{path}/pods/web:{_port}/proxy/raw"));
    }

    private static async Task AnswerAsync(HttpContext http)
    {
        if (http.WebSockets.IsWebSocketRequest)
        {
            using var socket = await http.WebSockets.AcceptWebSocketAsync();
            var buffer = new byte[100];
            var read = await socket.ReceiveAsync(buffer.AsMemory(), http.RequestAborted);
            await socket.SendAsync(Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(buffer, 0, read.Count) + " back"), WebSocketMessageType.Text, true,
                http.RequestAborted);
            return;
        }
        if (http.Request.Path == "/moved")
        {
            http.Response.Redirect("/login?next=1");
            return;
        }
        using var reader = new StreamReader(http.Request.Body);
        var seen = new JsonObject
        {
            ["request"] =
                $"{http.Request.Method} {http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget} {await reader.ReadToEndAsync(http.RequestAborted)}"
        };
        foreach (var name in (string[])["Authorization", "X-Own", "X-Forwarded-Uri"])
            seen[name] = http.Request.Headers.TryGetValue(name, out var value) ? value.ToString() : null;
        http.Response.StatusCode = StatusCodes.Status202Accepted;
        http.Response.Headers["X-Pod"] = "yes";
        await http.Response.WriteAsync(seen.ToJsonString(new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }),
            http.RequestAborted);
    }

    private async Task RefusedAsync(string path, int code, string message)
    {
        var (actual, status) = await server.SendAsync("GET", path);
        Assert.Equal((code, message), (actual, (string?)status["message"]));
    }

    /// <returns>The path of the namespace.</returns>
    private async Task<string> PodAsync(int port)
    {
        var path = $"/api/v1/namespaces/{await server.NamespaceAsync()}";
        await server.SendAsync("POST", $"{path}/pods",
            $$$"""{"metadata":{"name":"web"},"spec":{"nodeName":"node","containers":[{"name":"web","image":"web","ports":[{"containerPort":{{{port}}}}]}]}}""");
        var (code,
            _) = await server.SendAsync("PATCH", $"{path}/pods/web/status",
                """{"status":{"phase":"Running","podIP":"127.0.0.1","podIPs":[{"ip":"127.0.0.1"}]}}""", "application/merge-patch+json");
        Assert.Equal(200, code);
        return path;
    }

    private async Task ServiceAsync(string path, bool ready)
    {
        Assert.Equal(201,
            (await server.SendAsync("POST", $"{path}/services", """{"metadata":{"name":"web"},"spec":{"ports":[{"name":"http","port":80}]}}""")).Code);
        Assert.Equal(201,
            (await server.SendAsync("POST", path.Replace("/api/v1", "/apis/discovery.k8s.io/v1", StringComparison.Ordinal) + "/endpointslices", new JsonObject
        {
            ["metadata"] = new JsonObject { ["name"] = "web-1", ["labels"] = new JsonObject { ["kubernetes.io/service-name"] = "web" } },
            ["addressType"] = "IPv4",
            ["ports"] = new JsonArray(new JsonObject { ["name"] = "http", ["port"] = _port }),
            ["endpoints"] = new JsonArray(new JsonObject { ["addresses"] = new JsonArray("127.0.0.1"), ["conditions"] = new JsonObject { ["ready"] = ready } }),
        }.ToJsonString())).Code);
    }
}
