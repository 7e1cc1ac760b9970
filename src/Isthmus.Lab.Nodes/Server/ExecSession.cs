using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Kubernetes.Streaming;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Nodes.Server;

/// <summary>Connects a program inside a container with the channels of a client.</summary>
/// <param name="exited">The program's exit code.</param>
internal sealed class ExecSession(Reactor reactor, ContainerExec exec, Task<int> exited, ChannelSocket socket)
{
    private static readonly TimeSpan QuietEnd = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LeaveWithin = TimeSpan.FromSeconds(2);

    private long _copied;

    internal async Task RunAsync(CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var input = ReceiveAsync(over.Token);
        var output = Task.WhenAll(
            CopyAsync(exec.Output, ChannelProtocol.Output, over.Token),
            exec.Errors is { } errors ? CopyAsync(errors, ChannelProtocol.Error, over.Token) : Task.CompletedTask);
        if (await Task.WhenAny(exited, input) == input)
        {
            await over.CancelAsync();
            await ChannelCopy.EndAsync(output);
            return;
        }
        await DrainAsync(output);
        // Cancelling the receiver would abort the WebSocket before the result is sent.
        await socket.FinishAsync(ChannelProtocol.Exited(await exited), stop);
        await Task.WhenAny(input, Task.Delay(LeaveWithin, CancellationToken.None));
        await over.CancelAsync();
        await ChannelCopy.EndAsync(input);
        await ChannelCopy.EndAsync(output);
    }

    /// <summary>Waits for the last output. A process that the program left behind may hold the pipes open forever, so
    /// silence counts as the end too.</summary>
    private async Task DrainAsync(Task output)
    {
        while (true)
        {
            var before = Interlocked.Read(ref _copied);
            if (await Task.WhenAny(output, Task.Delay(QuietEnd)) == output || Interlocked.Read(ref _copied) == before) return;
        }
    }

    private async Task CopyAsync(SafeFileHandle from, byte channel, CancellationToken stop)
    {
        var buffer = new byte[32 * 1024];
        while (await Descriptors.ReadAsync(reactor, from, buffer, stop) is var read and > 0)
        {
            await socket.SendAsync(channel, buffer.AsMemory(0, read), stop);
            Interlocked.Add(ref _copied, read);
        }
    }

    /// <summary>Completes when the client is gone.</summary>
    private async Task ReceiveAsync(CancellationToken stop)
    {
        try
        {
            while (await socket.ReceiveAsync(stop) is { } message)
            {
                if (message is { Channel: ChannelProtocol.Input, IsEnd: true }) exec.Input?.Dispose();
                else if (message.Channel == ChannelProtocol.Resize) Resize(exec.Terminal, message.Bytes.Span);
                else if (message.Channel == ChannelProtocol.Input) await WriteAsync(message.Bytes, stop);
            }
        }
        catch (WebSocketException)
        {
            // The client disconnected without closing.
        }
    }

    private async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        var target = exec.Terminal is null ? exec.Input : exec.Output;
        if (target is { IsClosed: false }) await Descriptors.WriteAsync(reactor, target, bytes, stop);
    }

    /// <summary>Ignores an invalid size, because it comes from outside.</summary>
    internal static void Resize(PseudoTerminal? terminal, ReadOnlySpan<byte> json)
    {
        if (terminal is not null && TryReadSize(json, out var columns, out var rows)) terminal.Resize(columns, rows);
    }

    internal static bool TryReadSize(ReadOnlySpan<byte> json, out ushort columns, out ushort rows)
    {
        (columns, rows) = (0, 0);
        try
        {
            var size = StrictJson.Parse(json) as JsonObject;
            return size?["Width"] is JsonValue width && width.TryGetValue(out columns) && size["Height"] is JsonValue height && height.TryGetValue(out rows);
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
