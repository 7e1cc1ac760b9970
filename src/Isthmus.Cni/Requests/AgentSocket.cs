using System.Net.Sockets;
using System.Text.Json;
using Isthmus.Core.Tasks;

namespace Isthmus.Cni.Requests;

/// <summary>The Unix socket by which the plug-in asks the agent: a line of JSON each way, then the connection ends. Only root may connect.</summary>
/// <param name="answer">Returns why it refuses; empty if all is well.</param>
internal sealed class AgentSocket(string path, TimeProvider time, BackgroundTasks tasks, Func<PluginRequest, CancellationToken, Task<string>> answer)
{
    private const int LargestRequest = 16 << 10;

    /// <summary>More than Pods that start at once on a node.</summary>
    private const int MostConnections = 256;

    private static readonly TimeSpan RequestPatience = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _places = new(MostConnections);

    /// <summary>Listens until stopped, and then waits for the answers in progress.</summary>
    /// <param name="listening">Called once connections are accepted.</param>
    internal async Task RunAsync(Action listening, CancellationToken stop)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        // An earlier agent that was killed leaves its file.
        File.Delete(path);
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        listener.Listen(MostConnections);
        listening();
        try
        {
            while (true)
            {
                await _places.WaitAsync(stop);
                var connection = await listener.AcceptAsync(stop);
                tasks.Start("request of the plug-in", () => ServeAsync(connection, stop));
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The plug-in finds no agent from now on.
            File.Delete(path);
        }
    }

    private async Task ServeAsync(Socket connection, CancellationToken stop)
    {
        try
        {
            using (connection)
            {
                string error;
                try
                {
                    error = await answer(PluginRequest.Parse(await ReadLineAsync(connection, stop)), stop);
                }
                catch (FormatException e)
                {
                    error = $"malformed request: {e.Message}";
                }
                await connection.SendAsync(Answer(error), stop);
            }
        }
        catch (Exception e) when (e is SocketException || (e is OperationCanceledException && stop.IsCancellationRequested))
        {
            // The runtime has ended the plug-in, or the agent ends. Kubelet tries again.
        }
        finally
        {
            _places.Release();
        }
    }

    private async Task<ReadOnlyMemory<byte>> ReadLineAsync(Socket connection, CancellationToken stop)
    {
        using var limit = new CancellationTokenSource(RequestPatience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stop);
        var buffer = new byte[LargestRequest];
        var length = 0;
        try
        {
            while (true)
            {
                var count = await connection.ReceiveAsync(buffer.AsMemory(length), either.Token);
                var end = buffer.AsSpan(length, count).IndexOf((byte)'\n');
                if (end >= 0) return buffer.AsMemory(0, length + end);
                length += count;
                if (count == 0) throw new FormatException("it ends within the line");
                if (length == buffer.Length) throw new FormatException($"it is longer than {LargestRequest >> 10} KiB");
            }
        }
        catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
        {
            throw new FormatException($"no complete line within {RequestPatience.TotalSeconds:0} s", e);
        }
    }

    private static byte[] Answer(string error)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartObject();
            if (error.Length > 0) json.WriteString("error", error);
            json.WriteEndObject();
        }
        text.WriteByte((byte)'\n');
        return text.ToArray();
    }
}
