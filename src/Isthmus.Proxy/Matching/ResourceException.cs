using Google.Protobuf;

namespace Isthmus.Proxy.Matching;

/// <summary>An unusable resource: only this one is rejected; the message goes back to the control plane.</summary>
internal sealed class ResourceException(string message, Exception? cause = null) : Exception(message, cause)
{
    /// <summary>Whether a resource that another program sent is at fault, and not the one that reads it. Protobuf has two exceptions of its own: one for
    /// what is malformed, and one for what has a form but no meaning, such as a duration out of range or a type in JSON that nobody knows.</summary>
    public static bool IsFault(Exception e) => e is ResourceException or InvalidProtocolBufferException or InvalidOperationException;
}
