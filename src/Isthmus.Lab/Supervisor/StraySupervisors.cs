using System.Globalization;
using System.Text;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Supervisor;

/// <summary>
/// Finds supervisors without a socket: the command that started such a supervisor was interrupted before the supervisor
/// listened. They are identified by their command line, which they have from the start. A PID file could be missing or out
/// of date.
/// </summary>
internal static class StraySupervisors
{
    /// <summary>Kills those of <paramref name="home"/>, with everything in their namespaces, and returns when they are
    /// gone. False when there was none.</summary>
    internal static async Task<bool> KillAsync(LabHome home, TimeProvider time, CancellationToken stop)
    {
        var strays = Find(home);
        try
        {
            foreach (var stray in strays) stray.Signal(Signals.Kill);
            while (strays.Any(stray => !stray.HasExited)) await Task.Delay(TimeSpan.FromMilliseconds(10), time, stop);
            return strays.Count > 0;
        }
        finally
        {
            foreach (var stray in strays) stray.Dispose();
        }
    }

    private static List<PidHandle> Find(LabHome home)
    {
        var found = new List<PidHandle>();
        foreach (var path in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out var id) || id == Environment.ProcessId) continue;
            if (!IsOf(home, CommandLine(id)) || PidHandle.TryOpen(id) is not { } handle) continue;
            // Read again: the PID may have been reused before it was opened.
            if (IsOf(home, CommandLine(id))) found.Add(handle);
            else handle.Dispose();
        }
        return found;
    }

    private static bool IsOf(LabHome home, string[] arguments)
    {
        var verb = Array.IndexOf(arguments, LabLauncher.Verb);
        return verb > 0 && verb + 2 < arguments.Length && arguments[verb + 1] == LabLauncher.HomeFlag && arguments[verb + 2] == home.Directory;
    }

    private static string[] CommandLine(int process)
    {
        try
        {
            return Encoding.UTF8.GetString(File.ReadAllBytes($"/proc/{process.ToString(CultureInfo.InvariantCulture)}/cmdline")).Split('\0');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It has ended, or belongs to another user and is hidden: it is not a supervisor of this lab.
            return [];
        }
    }
}
