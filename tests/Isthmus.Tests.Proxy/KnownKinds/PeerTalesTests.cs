using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Tests.Proxy.Telemetry;
using Xunit;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>A client that tells another tale with each request, on one connection to a sidecar.</summary>
public sealed class PeerTalesTests
{
    private const int Requests = 11_000;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_client_that_is_someone_else_each_time_does_not_grow_the_metrics()
    {
        using var proxy = new LoopbackProxy([], """ "direct_response": {"status": 204} """,
            """{"name": "istio.metadata_exchange", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"} },""",
            direction: "INBOUND");
        await proxy.RawAsync("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        var before = ScrapedText.Of(proxy.Plane).Split('\n').Length;
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
        var stream = client.GetStream();
        var answers = CountAsync(stream);
        for (var i = 0; i < Requests; i++)
        {
            var told = PeerMetadataText.Write(new($"n{i}", $"w{i}", $"ns{i}", $"app{i}", $"v{i}", $"s{i}", $"r{i}", $"c{i}", $"a{i}", ""));
            await stream.WriteAsync(
                Encoding.ASCII.GetBytes(
                    $"GET /{i} HTTP/1.1\r\nhost: h{i}.example\r\nuser-agent: u{i}\r\nx-envoy-peer-metadata-id: n{i}\r\nx-envoy-peer-metadata: {told}\r\n\r\n"),
                Stop);
            // A scrape in the middle is a scrape like others.
            if (i % 5000 == 100) Assert.Contains("istio_requests_total{", ScrapedText.Of(proxy.Plane), StringComparison.Ordinal);
        }
        client.Client.Shutdown(SocketShutdown.Send);
        Assert.Equal(Requests, await answers);
        var lines = ScrapedText.Of(proxy.Plane).Split('\n');
        Assert.InRange(lines.Length, before, before + 100);
        var requests = lines.Where(line => line.StartsWith("istio_requests_total{", StringComparison.Ordinal)).ToList();
        Assert.Equal(Requests + 1,
            requests.Sum(line => long.Parse(line[(line.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture)));
        Assert.All(requests, line => Assert.Contains("source_workload=\"unknown\"", line, StringComparison.Ordinal));
    }

    private static async Task<int> CountAsync(NetworkStream stream)
    {
        var (count, tail) = (0, "");
        var buffer = new byte[64 * 1024];
        while (await stream.ReadAsync(buffer, Stop) is > 0 and var read)
        {
            var text = tail + Encoding.Latin1.GetString(buffer, 0, read);
            count += text.Split("HTTP/1.1 204").Length - 1;
            // What may be the beginning of another one.
            tail = text[Math.Max(text.LastIndexOf('\n') + 1, 0)..];
            if (tail.Contains("HTTP/1.1 204", StringComparison.Ordinal)) tail = "";
        }
        return count;
    }
}
