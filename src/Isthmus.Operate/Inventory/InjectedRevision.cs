using System.Text.Json;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Inventory;

/// <summary>The revision whose control plane injected a Pod.</summary>
internal static class InjectedRevision
{
    /// <summary>For a Pod whose annotation does not tell it.</summary>
    public const string Unknown = "<unknown>";

    /// <summary>Empty where no control plane injected it.</summary>
    public static string Of(Pod pod)
    {
        if (!pod.Metadata.Annotations.TryGetValue(Annotations.InjectionStatus, out var status)) return "";
        try
        {
            return StrictJson.Parse(status)?["revision"]?.ToString() is { Length: > 0 } revision ? revision : Unknown;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return Unknown;
        }
    }
}
