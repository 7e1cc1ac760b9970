using System.Net.WebSockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Client;

/// <summary>The output of a command in a container, and its exit code.</summary>
public sealed record ExecResult(string Output, string Error, int ExitCode);

/// <summary>Runs a command in a container and collects its output (WebSocket, <c>v4/v5.channel.k8s.io</c>).</summary>
public static class PodExec
{
    private const int Longest = 256 << 20;

    public static async Task<ExecResult> RunAsync(ClusterAccess access, string ns, string pod, string container, IReadOnlyList<string> command, CancellationToken stop)
    {
        var query = string.Join("&", command.Select(word => $"command={Uri.EscapeDataString(word)}"));
        var path = $"{access.Server.AbsolutePath.TrimEnd('/')}/api/v1/namespaces/{Uri.EscapeDataString(ns)}/pods/{Uri.EscapeDataString(pod)}/exec"
            + $"?container={Uri.EscapeDataString(container)}&stdout=true&stderr=true&{query}";
        var uri = new UriBuilder(new Uri(access.Server, path)) { Scheme = access.Server.Scheme == "http" ? "ws" : "wss" }.Uri;
        using var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("v5.channel.k8s.io");
        socket.Options.AddSubProtocol("v4.channel.k8s.io");
        socket.Options.CollectHttpResponseDetails = true;
        var token = access.TokenFile is { } file ? (await File.ReadAllTextAsync(file, stop)).Trim() : access.Token;
        if (token is null && access.Exec is { } exec) token = await ExecCredentials.TokenAsync(exec, stop);
        if (!string.IsNullOrEmpty(token)) socket.Options.SetRequestHeader("Authorization", $"Bearer {token}");
        if (access.TlsServerName is { Length: > 0 } name) socket.Options.SetRequestHeader("Host", name);
        using var handler = ClientHandler.Create(access);
        using var invoker = new HttpMessageInvoker(handler);
        try
        {
            await socket.ConnectAsync(uri, invoker, stop);
        }
        catch (WebSocketException e)
        {
            throw new KubeException(socket.HttpStatusCode, socket.HttpStatusCode.ToString(),
                $"cannot run a command in container {container} of Pod {ns}/{pod}: {(socket.HttpStatusCode == 0 ? e.InnerException?.Message ?? e.Message : $"the API server answered {(int)socket.HttpStatusCode}")}", null);
        }
        return await CollectAsync(socket, stop);
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
        if (status.Length == 0 || JsonNode.Parse(status) is not JsonObject result || result["status"]?.ToString() == "Success") return 0;
        var code = (result["details"]?["causes"] as JsonArray ?? []).FirstOrDefault(cause => cause?["reason"]?.ToString() == "ExitCode")?["message"]?.ToString();
        return int.TryParse(code, out var number) ? number : throw new KubeException(System.Net.HttpStatusCode.InternalServerError, result["reason"]?.ToString() ?? "", result["message"]?.ToString() ?? "the command failed", result);
    }
}
