using Isthmus.Core.Collections;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Machine.Network;

namespace Isthmus.Lab.Supervisor;

/// <summary>One process as /proc shows it.</summary>
/// <param name="Network">The identity of its network namespace, for example <c>net:[4026532001]</c>.</param>
/// <param name="IsInit">Whether it is PID 1 of its own PID namespace.</param>
internal sealed record ProcessEntry(int Id, string Network, bool IsInit);

/// <summary>Finds processes by their network namespace, which no container can leave.</summary>
internal static class PodProcesses
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(20);

    /// <summary>Ends every process of the namespaces except <paramref name="except"/>: SIGTERM first, then
    /// SIGKILL.</summary>
    internal static async Task StopAsync(IReadOnlyList<string> namespaces, int[] except, TimeSpan grace, TimeProvider time)
    {
        var networks = namespaces.Where(File.Exists).Select(Identity).ToHashSet(StringComparer.Ordinal);
        List<ProcessEntry> Left() => [.. List().Where(process => networks.Contains(process.Network) && !except.Contains(process.Id))];

        // unshare --fork swallows the signal, so PID 1 inside receives it. The others end with PID 1.
        foreach (var process in Left().Where(process => process.IsInit)) ProcessImage.Kill(process.Id, Signals.Term);
        var begun = time.GetTimestamp();
        while (Left().Exists(process => process.IsInit && !IsSidecar(process.Id)) && time.GetElapsedTime(begun) < grace) await Task.Delay(Poll, time);
        foreach (var process in Left()) ProcessImage.Kill(process.Id, Signals.Kill);
        while (Left().Count > 0 && time.GetElapsedTime(begun) < grace + TimeSpan.FromSeconds(2)) await Task.Delay(Poll, time);
    }

    /// <summary>Sidecars serve for some seconds after the signal. Nobody needs that when all applications have ended.</summary>
    private static bool IsSidecar(int process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/cmdline").Contains("\0proxy\0sidecar\0", StringComparison.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false; // it has ended
        }
    }

    internal static IEnumerable<ProcessEntry> List()
    {
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory.AsSpan()), out var id)) continue;
            if (Read(directory, id) is { } entry) yield return entry;
        }
    }

    private static ProcessEntry? Read(string directory, int id)
    {
        try
        {
            // A zombie no longer has namespaces: the link cannot be read.
            var network = new FileInfo(Path.Combine(directory, "ns/net")).LinkTarget;
            if (network is null) return null;
            var ids = File.ReadLines(Path.Combine(directory, "status")).FirstOrDefault(line => line.StartsWith("NSpid:", StringComparison.Ordinal));
            var numbers = ids?.Split('\t', StringSplitOptions.RemoveEmptyEntries) ?? [];
            return new(id, network, numbers.Length > 2 && numbers[^1].Trim() == "1");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string Identity(string path)
    {
        using var handle = NamespaceHandle.OpenNetwork(path);
        return NamespaceThread.Run(handle, () => new FileInfo("/proc/thread-self/ns/net").LinkTarget ?? "");
    }
}
