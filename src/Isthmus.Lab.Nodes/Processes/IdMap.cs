using System.Globalization;

namespace Isthmus.Lab.Nodes.Processes;

/// <summary>The user or group IDs that exist here: all of them on the machine, a range or a single one in a user
/// namespace.</summary>
internal sealed record IdMap(Isthmus.Core.Collections.ValueList<(long First, long Count)> Ranges)
{
    /// <summary>The map of the calling process, from <c>/proc/self/uid_map</c> or <c>gid_map</c>.</summary>
    internal static IdMap Read(string path = "/proc/self/uid_map") => Parse(File.ReadAllText(path));

    internal static IdMap Parse(string text) => new(
    [
        .. text.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Select(fields => (long.Parse(fields[0], CultureInfo.InvariantCulture), long.Parse(fields[2], CultureInfo.InvariantCulture))),
    ]);

    internal bool Contains(long id)
    {
        foreach (var (first, count) in Ranges)
        {
            if (id >= first && id < first + count) return true;
        }
        return false;
    }

    /// <summary>The reduced rootless mode: one ID, which looks like root.</summary>
    internal bool IsSingle => Ranges.Count == 1 && Ranges[0].Count == 1;
}
