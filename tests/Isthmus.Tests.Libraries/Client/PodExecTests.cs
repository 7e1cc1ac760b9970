using System.Net;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Streaming;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Client;

/// <summary>Commands in containers whose connection does not last.</summary>
public sealed class PodExecTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_connection_that_ends_before_the_command_names_the_container()
    {
        using var listener = LocalHttp.Start(out var server);
        var running = PodExec.RunAsync(new() { Name = "test", Server = server }, "shop", "web", "app", ["sleep", "9"], Stop);
        var asked = await listener.GetContextAsync().WaitAsync(Stop);
        var socket = (await asked.AcceptWebSocketAsync(ChannelProtocol.V5)).WebSocket;
        await socket.SendAsync(new byte[] { 1, (byte)'x' }, System.Net.WebSockets.WebSocketMessageType.Binary, true, Stop);
        listener.Abort();
        var lost = await Assert.ThrowsAsync<KubeException>(() => running);
        Assert.StartsWith("the connection to container app of Pod shop/web ended before its command", lost.Message, StringComparison.Ordinal);
    }
}
