using System.Net.WebSockets;

namespace Isthmus.Lab.Nodes.Server;

/// <summary>One direction of a session with a client.</summary>
internal static class ChannelCopy
{
    /// <summary>Awaits a copy that was cancelled, or whose client may have left.</summary>
    internal static async Task EndAsync(Task copy)
    {
        try
        {
            await copy;
        }
        catch (Exception e) when (e is OperationCanceledException or WebSocketException or IOException)
        {
            // It was cancelled on purpose.
        }
    }
}
