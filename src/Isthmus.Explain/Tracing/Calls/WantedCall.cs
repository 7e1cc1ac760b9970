using System.Net;

namespace Isthmus.Explain.Tracing.Calls;

/// <summary>The call to make to find out the rest, once its destination is known.</summary>
internal sealed record WantedCall(IPEndPoint To, string Kind, string Authority, string Path, string Method, SentRequest Sent)
{
    /// <summary>The request asks to go on as a WebSocket.</summary>
    public bool IsWebSocket { get; init; }
}
