using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Kubernetes.Streaming;

namespace Isthmus.Kubernetes.Client;

/// <summary>The output of a command in a container, and its exit code.</summary>
public sealed record ExecResult(string Output, string Error, int ExitCode);

/// <summary>Runs a command in a container and collects its output (WebSocket, <c>v4/v5.channel.k8s.io</c>).</summary>
public static class PodExec
{
    private const int Longest = 256 << 20;

    /// <exception cref="KubeException">The API server refuses, or the connection ends before the command.</exception>
    /// <exception cref="InvalidDataException">The command wrote too much.</exception>
    public static async Task<ExecResult> RunAsync(ClusterAccess access, string ns, string pod, string container, IReadOnlyList<string> command,
        CancellationToken stop)
    {
        var query = string.Join("&", command.Select(word => $"command={Uri.EscapeDataString(word)}"));
        var subresource = $"exec?container={Uri.EscapeDataString(container)}&stdout=true&stderr=true&{query}";
        ClientWebSocket socket;
        try
        {
            socket = await PodSocket.OpenAsync(access, ns, pod, subresource, [ChannelProtocol.V5, ChannelProtocol.V4], stop);
        }
        catch (KubeException e)
        {
            throw new KubeException((HttpStatusCode)e.Code, e.Reason, $"cannot run a command in container {container} of Pod {ns}/{pod}: {e.Message}");
        }
        using (socket)
        {
            try
            {
                return await CollectAsync(socket, stop);
            }
            catch (Exception e) when (e is WebSocketException || e is OperationCanceledException && !stop.IsCancellationRequested)
            {
                throw new KubeException(0, "", $"the connection to container {container} of Pod {ns}/{pod} ended before its command: {e.Message}");
            }
        }
    }

    private static async Task<ExecResult> CollectAsync(ClientWebSocket socket, CancellationToken stop)
    {
        using var output = new MemoryStream();
        using var error = new MemoryStream();
        using var status = new MemoryStream();
        using var message = new MemoryStream();
        var buffer = new byte[64 << 10];
        while (true)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(), stop);
            if (read.MessageType == WebSocketMessageType.Close) break;
            message.Write(buffer, 0, read.Count);
            if (message.Length > Longest) throw new InvalidDataException($"the command wrote a message of more than {Longest} bytes");
            if (!read.EndOfMessage) continue;
            if (message.Length > 0)
            {
                var bytes = message.GetBuffer().AsSpan(0, (int)message.Length);
                (bytes[0] switch { 1 => output, 2 => error, 3 => status, _ => null })?.Write(bytes[1..]);
                if (output.Length > Longest) throw new InvalidDataException($"the command wrote more than {Longest} bytes");
            }
            message.SetLength(0);
        }
        return new(Encoding.UTF8.GetString(output.ToArray()), Encoding.UTF8.GetString(error.ToArray()), ExitCode(status.ToArray()));
    }

    private static int ExitCode(byte[] status)
    {
        if (status.Length == 0 || StrictJson.Parse(status) is not JsonObject result || result["status"]?.ToString() == "Success") return 0;
        var code = (result["details"]?["causes"] as JsonArray ?? [])
            .FirstOrDefault(cause => cause?["reason"]?.ToString() == "ExitCode")?["message"]?.ToString();
        return int.TryParse(code, out var number)
            ? number
            : throw new KubeException(System.Net.HttpStatusCode.InternalServerError, result["reason"]?.ToString() ?? "",
                result["message"]?.ToString() ?? "the command failed");
    }
}
