using System.Diagnostics;
using System.Globalization;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Probing;

/// <summary>The process that made the objects of a probe. When it is gone, they are leftovers.</summary>
internal static class ProbeOwner
{
    /// <summary>How long a probe may take at most.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromMinutes(3);

    public static string Own =>
        string.Create(CultureInfo.InvariantCulture, $"{Environment.MachineName}/{Environment.ProcessId}/{Start(Process.GetCurrentProcess())}");

    /// <summary>Whether nobody uses the namespace of a probe any more: its process on this machine has ended, or its time is over.</summary>
    public static bool IsGone(Namespace ns, DateTimeOffset now)
    {
        if (!DateTimeOffset.TryParse(ns.Metadata.Annotations.GetValueOrDefault(ProbeObjects.Until), CultureInfo.InvariantCulture, out var until) || until < now)
            return true;
        if (ns.Metadata.Annotations.GetValueOrDefault(ProbeObjects.Owner)?.Split('/') is not [var machine, var id, var start]
            || machine != Environment.MachineName || !int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var process))
            return false;
        try
        {
            return Start(Process.GetProcessById(process)) != start;
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            return true;
        }
    }

    private static string Start(Process process)
    {
        using (process) return new DateTimeOffset(process.StartTime.ToUniversalTime()).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
    }
}
