using Isthmus.Graph.Derive;
using Isthmus.Graph.Metrics;

namespace Isthmus.ControlPlane.Push;

/// <summary>Counts changes of the mesh, under istiod's names.</summary>
internal static class ChangeCounts
{
    /// <summary>They were committed.</summary>
    public static void Changed(this ControlMetrics metrics, MeshChanges changes)
    {
        const string Name = "pilot_inbound_updates";
        if (changes.HasConfig) metrics.Count(Name, "type=\"config\"");
        if (changes.Services.Count > 0) metrics.Count(Name, "type=\"svc\"", changes.Services.Count);
        if (changes.Endpoints.Count > 0) metrics.Count(Name, "type=\"eds\"", changes.Endpoints.Count);
    }

    /// <summary>They are pushed.</summary>
    public static void Triggered(this ControlMetrics metrics, MeshChanges changes)
    {
        foreach (var (isReason, type) in (ReadOnlySpan<(bool, string)>)
            [
                (changes.HasConfig, "config"), (changes.Services.Count > 0, "service"),
                (changes.Endpoints.Count > 0, "endpoint"), (changes.HasProxies, "proxy"), (changes.Networks, "networks"),
            ])
        {
            if (isReason) metrics.Count("pilot_push_triggers", $"type=\"{type}\"");
        }
    }
}
