using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Isthmus.CniPlugin;

/// <summary>Asks the node's agent for one Pod: a line of JSON each way over a Unix socket.</summary>
internal static class AgentCall
{
    private const int LargestAnswer = 64 << 10;

    /// <summary>The agent asks the API server, which may be slow to answer; kubelets wait for two minutes.</summary>
    private const int PatienceMilliseconds = 45_000;

    /// <returns>False if no agent is running.</returns>
    /// <exception cref="PluginException">The agent refused, or did not answer.</exception>
    internal static bool TryCapture(PluginCall call)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream,
            ProtocolType.Unspecified) { SendTimeout = PatienceMilliseconds, ReceiveTimeout = PatienceMilliseconds };
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(call.Socket));
        }
        catch (SocketException)
        {
            return false;
        }
        try
        {
            socket.Send(Request(call));
            Check(Answer(socket));
            return true;
        }
        catch (SocketException e)
        {
            throw new PluginException(PluginException.TryAgainLater, $"the agent at {call.Socket} did not answer", e.Message);
        }
    }

    private static byte[] Request(PluginCall call)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartObject();
            json.WriteNumber("protocol", 1);
            json.WriteString("containerId", call.ContainerId);
            json.WriteString("networkNamespace", call.NetworkNamespace);
            json.WriteString("namespace", call.PodNamespace);
            json.WriteString("pod", call.Pod);
            json.WriteString("uid", call.Arguments.GetValueOrDefault("K8S_POD_UID", ""));
            json.WriteEndObject();
        }
        text.WriteByte((byte)'\n');
        return text.ToArray();
    }

    private static string Answer(Socket socket)
    {
        using var text = new MemoryStream();
        var buffer = new byte[4 << 10];
        for (int count; (count = socket.Receive(buffer)) > 0;)
        {
            text.Write(buffer, 0, count);
            if (text.Length > LargestAnswer) throw new PluginException(PluginException.TryAgainLater, "the agent's answer is too large");
        }
        return Encoding.UTF8.GetString(text.GetBuffer(), 0, (int)text.Length);
    }

    private static void Check(string answer)
    {
        try
        {
            var root = JsonDocument.Parse(answer).RootElement;
            if (root.ValueKind != JsonValueKind.Object) throw new JsonException("not an object");
            if (root.TryGetProperty("error", out var error)) throw new PluginException(PluginException.Refused, error.ToString());
        }
        catch (JsonException e)
        {
            throw new PluginException(PluginException.TryAgainLater, "the agent's answer is not JSON: the agent may have ended", e.Message);
        }
    }
}
