using System.Globalization;

namespace Isthmus.Lab.Nodes.Processes;

/// <summary>Identifies one process across restarts of the node. A PID alone may be reused for another process.</summary>
/// <param name="Process">PID in the lab's PID namespace.</param>
/// <param name="StartTicks">Start in clock ticks since the machine's boot (/proc/PID/stat, field 22).</param>
/// <param name="Boot">The kernel's boot id.</param>
internal sealed record ProcessIdentity(int Process, long StartTicks, string Boot)
{
    internal static ProcessIdentity Of(int process) =>
        new(process, ReadStartTicks(process, evenZombie: true) ?? 0, CurrentBoot());

    /// <summary>Whether this exact process still runs (a zombie does not count).</summary>
    internal bool IsAlive() => StartTicks > 0 && Boot == CurrentBoot() && ReadStartTicks(Process, evenZombie: false) == StartTicks;

    /// <summary>The direct children of a process, in the order of their start; empty when it has ended.</summary>
    internal static IReadOnlyList<int> Children(int process)
    {
        try
        {
            return [.. File.ReadAllText($"/proc/{process}/task/{process}/children")
                .Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(text => int.Parse(text, CultureInfo.InvariantCulture))];
        }
        catch (IOException)
        {
            return [];
        }
    }

    private static string CurrentBoot() => File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    private static long? ReadStartTicks(int process, bool evenZombie)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{process}/stat");
            // The name in parentheses may contain anything, including spaces and parentheses.
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" && !evenZombie ? null : long.Parse(fields[19], CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
