using System.Text;

namespace Isthmus.Proxy.Dumps;

/// <summary>Sends a body piece by piece. A piece is free for reuse once it is sent.</summary>
internal delegate ValueTask AdminBody(Func<ReadOnlyMemory<byte>, ValueTask> send, CancellationToken stop);

/// <summary>An answer of the admin interface.</summary>
internal sealed record AdminReply(int Status, string ContentType, ReadOnlyMemory<byte> Body)
{
    /// <summary>Writes the body, whose length is not known beforehand; null if it is <see cref="Body"/>.</summary>
    public AdminBody? Stream { get; init; }

    /// <summary>How <see cref="Stream"/> is compressed; empty: not at all.</summary>
    public string ContentEncoding { get; init; } = "";

    /// <summary>The connection ends without an answer.</summary>
    public static AdminReply None { get; } = new(0, "", default);

    public bool IsNone => Status == 0;

    public static AdminReply Text(string text, int status = 200) => new(status, "text/plain; charset=UTF-8", Encoding.UTF8.GetBytes(text));

    public static AdminReply Json(string json) => new(200, "application/json", Encoding.UTF8.GetBytes(json));
}
