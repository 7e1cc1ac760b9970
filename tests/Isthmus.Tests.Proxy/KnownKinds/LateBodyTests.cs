using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>Retries while the body of the request still arrives: each host gets all of it or nothing, and never a part as a request.</summary>
public sealed class LateBodyTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>A body of known small size is read before anything is sent; another one is sent as it comes, and then there is no second attempt.</summary>
    [Theory]
    [InlineData("content-length: 10", 1, "200", 2)]
    [InlineData("content-length: 200000", 1, "503", 1)]
    [InlineData("transfer-encoding: chunked", 1, "503", 1)]
    public async Task A_host_that_fails_early_does_not_leave_half_a_body_to_the_next(string framing, int failures, string status, int attempts)
    {
        var asked = 0;
        var failed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var server = new ByteServer(async proxy =>
        {
            while (await proxy.HearAsync("\r\n\r\n"))
            {
                if (Interlocked.Increment(ref asked) <= failures)
                {
                    await proxy.SayAsync("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
                    failed.TrySetResult();
                    continue;
                }
                await proxy.HearAsync("0123456789");
                await proxy.SayAsync("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            }
        });
        using var proxy = new LoopbackProxy([LoopbackProxy.Cluster("up")],
            """ "route": {"cluster": "up", "timeout": "0s", "retry_policy": {"retry_on": "5xx", "num_retries": 3, "retry_back_off": {"base_interval": "0.001s"}} } """);
        proxy.Endpoints("up", server.Port);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
        var stream = client.GetStream();
        await stream.WriteAsync(
            Encoding.ASCII.GetBytes(
                $"POST /a HTTP/1.1\r\nhost: x\r\nconnection: "
                    + $"close\r\n{framing}\r\n\r\n{(framing.EndsWith("chunked", StringComparison.Ordinal) ? "5\r\n" : "")}01234"),
            Stop);
        // The rest comes when the first attempt has failed, or at once if nothing is sent before all has come.
        if (attempts == 1) await failed.Task.WaitAsync(Stop);
        var rest = framing.EndsWith("chunked", StringComparison.Ordinal) ? "\r\n5\r\n56789\r\n0\r\n\r\n" : "56789";
        try
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes(rest), Stop);
        }
        catch (IOException)
        {
            // Refused already.
        }
        using var all = new MemoryStream();
        try
        {
            await stream.CopyToAsync(all, Stop);
        }
        catch (IOException)
        {
            // Closed with bytes unread.
        }
        Assert.StartsWith($"HTTP/1.1 {status} ", Encoding.Latin1.GetString(all.ToArray()), StringComparison.Ordinal);
        var heads = string.Concat(server.Heard).Split("\r\n\r\n").Count(part => part.Contains("POST /a HTTP/1.1", StringComparison.Ordinal));
        Assert.Equal(attempts, heads);
        Assert.Equal(attempts - 1, proxy.Plane.State.Current.Clusters["up"].Counters.Retries);
    }
}
