namespace Isthmus.Proxy.Matching;

/// <summary>An unusable resource: only this one is rejected; the message goes back to the control plane.</summary>
internal sealed class ResourceException(string message, Exception? cause = null) : Exception(message, cause);
