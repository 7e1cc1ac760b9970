using System.Net.WebSockets;
using System.Threading.Channels;
using Isthmus.Kubernetes.Streaming;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Pods;
using Isthmus.Lab.Nodes.Processes;

namespace Isthmus.Lab.Nodes.Server;

/// <summary>Connects a client with the main program of a container. Its output still goes to the log.</summary>
internal sealed class AttachSession(Reactor reactor, RunningContainer running, bool closesInput, ChannelSocket socket)
{
    private const int QueueLength = 256;
    private static readonly TimeSpan LeaveWithin = TimeSpan.FromSeconds(2);

    internal async Task RunAsync(CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        // A slow client loses the oldest output, because the container must not wait for it.
        var queue = Channel.CreateBounded<(byte[] Bytes,
            bool IsError)>(new BoundedChannelOptions(QueueLength) { FullMode = BoundedChannelFullMode.DropOldest });
        using var subscription = running.Pump.Listen((bytes, isError) => queue.Writer.TryWrite((bytes.ToArray(), isError)));
        var input = ReceiveAsync(over.Token);
        var output = SendAsync(queue.Reader, over.Token);
        if (await Task.WhenAny(running.Ended, input) != input)
        {
            // The exit code is in the Pod's status; an attached client only learns that it ended.
            queue.Writer.TryComplete();
            await ChannelCopy.EndAsync(output);
            await socket.FinishAsync(ChannelProtocol.Exited(0), stop);
            await Task.WhenAny(input, Task.Delay(LeaveWithin, CancellationToken.None));
        }
        await over.CancelAsync();
        await ChannelCopy.EndAsync(input);
        await ChannelCopy.EndAsync(output);
        if (closesInput) running.Input?.Dispose();
    }

    private async Task SendAsync(ChannelReader<(byte[] Bytes, bool IsError)> queue, CancellationToken stop)
    {
        await foreach (var (bytes, isError) in queue.ReadAllAsync(stop))
            await socket.SendAsync(isError ? ChannelProtocol.Error : ChannelProtocol.Output, bytes, stop);
    }

    private async Task ReceiveAsync(CancellationToken stop)
    {
        try
        {
            while (await socket.ReceiveAsync(stop) is { } message)
            {
                if (running.Input is not { IsClosed: false } target) continue;
                if (message.Channel == ChannelProtocol.Resize && running.IsTerminal
                    && ExecSession.TryReadSize(message.Bytes.Span, out var columns, out var rows))
                    PseudoTerminal.Resize(target, columns, rows);
                else if (message is { Channel: ChannelProtocol.Input, IsEnd: true } && closesInput && !running.IsTerminal) target.Dispose();
                else if (message.Channel == ChannelProtocol.Input) await Descriptors.WriteAsync(reactor, target, message.Bytes, stop);
            }
        }
        catch (WebSocketException)
        {
            // The client disconnected without closing.
        }
    }
}
