using System.Text;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Policy;

/// <summary>Fields to add, replace and remove in one direction; usually empty.</summary>
internal sealed record HeaderEdits(
    IReadOnlyList<HeaderEdit> Request, IReadOnlyList<byte[]> RequestRemove, IReadOnlyList<HeaderEdit> Response, IReadOnlyList<byte[]> ResponseRemove)
{
    public static readonly HeaderEdits None = new([], [], [], []);

    public bool IsEmpty => Request.Count == 0 && RequestRemove.Count == 0 && Response.Count == 0 && ResponseRemove.Count == 0;
}

internal enum EditAction { Append, AddIfAbsent, Overwrite, OverwriteIfExists }

/// <param name="Format">How to format the value from the request when it has operators such as <c>%DOWNSTREAM_REMOTE_ADDRESS%</c>.</param>
internal sealed record HeaderEdit(byte[] Name, byte[] Value, LogFormat? Format, EditAction Action)
{
    public HeaderEdit(byte[] name, string value, EditAction action) : this(name, Encoding.UTF8.GetBytes(value), null, action)
    {
    }
}
