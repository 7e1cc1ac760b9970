using System.Globalization;

namespace Isthmus.Lab.Supervisor;

/// <summary>Translates the PIDs of another PID namespace into ours: with a foreign PID, you could <c>kill</c> somebody
/// else's process.</summary>
internal static class ChildProcesses
{
    /// <summary>The children of a process: the PID that each has in its own PID namespace → the PID that it has in
    /// ours.</summary>
    internal static Dictionary<int, int> Of(int parent)
    {
        var ids = new Dictionary<int, int>();
        foreach (var path in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(path.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out var id)) continue;
            if (Read(path) is var (above, inside) && above == parent) ids[inside] = id;
        }
        return ids;
    }

    private static (int Parent, int Inside)? Read(string path)
    {
        try
        {
            var fields = File.ReadLines(Path.Combine(path, "status")).Select(line => line.Split(':', 2)).Where(pair => pair is ["PPid" or "NSpid", _])
                .ToDictionary(pair => pair[0], pair => int.Parse(pair[1].Split('\t')[^1], CultureInfo.InvariantCulture));
            return fields.Count == 2 ? (fields["PPid"], fields["NSpid"]) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It has ended.
            return null;
        }
    }
}
