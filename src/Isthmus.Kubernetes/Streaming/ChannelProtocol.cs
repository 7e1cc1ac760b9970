using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Streaming;

/// <summary>Channels of Kubernetes' remote command protocol. The first byte of each WebSocket message is the
/// channel.</summary>
public static class ChannelProtocol
{
    public const byte Input = 0, Output = 1, Error = 2, Status = 3, Resize = 4, Close = 255;

    /// <summary>The protocol between API server and node, and the newest that kubectl supports: it can close a single
    /// channel.</summary>
    public const string V5 = "v5.channel.k8s.io";

    public const string V4 = "v4.channel.k8s.io";

    /// <summary>The final message on the status channel: how the command ended.</summary>
    public static JsonObject Exited(int code)
    {
        if (code == 0) return new() { ["metadata"] = new JsonObject(), ["status"] = "Success" };
        return new()
        {
            ["metadata"] = new JsonObject(),
            ["status"] = "Failure",
            ["message"] = $"command terminated with non-zero exit code: exit status {code}",
            ["reason"] = "NonZeroExitCode",
            ["details"] = new JsonObject { ["causes"] = new JsonArray(new JsonObject { ["reason"] = "ExitCode", ["message"] = $"{code}" }) },
        };
    }

    /// <summary>The final message when the command could not be started or reached.</summary>
    public static JsonObject Failed(string message) => new()
    {
        ["metadata"] = new JsonObject(),
        ["status"] = "Failure",
        ["message"] = $"Internal error occurred: {message}",
        ["reason"] = "InternalError",
        ["details"] = new JsonObject { ["causes"] = new JsonArray(new JsonObject { ["message"] = message }) },
        ["code"] = 500,
    };
}
