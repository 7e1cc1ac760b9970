using System.Diagnostics;
using System.Globalization;

namespace Isthmus.Bench;

/// <summary>Creates two clusters from scratch in its own lab, and measures the memory of each role after an idle
/// minute.</summary>
internal static class QuickstartBench
{
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(60);

    internal static async Task<int> RunAsync(string root)
    {
        var folder = Directory.CreateTempSubdirectory("isthmus-bench-").FullName;
        var home = Path.Combine(folder, "lab");
        try
        {
            var begun = Stopwatch.GetTimestamp();
            var code = await IsthmusAsync(root, folder, "quickstart");
            if (code != 0) return code;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"quickstart as a whole: {Stopwatch.GetElapsedTime(begun).TotalSeconds:0.0} s"));
            await Task.Delay(Rest);
            ShowMemory(home);
            return 0;
        }
        finally
        {
            await IsthmusAsync(root, folder, "lab", "down");
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<int> IsthmusAsync(string root, string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(root, "isthmus"), arguments);
        start.Environment["ISTHMUS_LAB_HOME"] = Path.Combine(folder, "lab");
        start.Environment["KUBECONFIG"] = Path.Combine(folder, "kubeconfig");
        using var process = Process.Start(start) ?? throw new InvalidOperationException("isthmus did not start");
        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    /// <summary>Sums the proportional set sizes of the lab's processes by role. Programs that only start others have a role
    /// of their own.</summary>
    private static void ShowMemory(string home)
    {
        var all = Directory.EnumerateDirectories("/proc").Select(Path.GetFileName).Where(name => int.TryParse(name, out _)).Select(name => Read(name!))
            .OfType<Entry>().ToDictionary(entry => entry.Id);
        var lab = all.Values.Where(entry => Chain(entry).Any(above => above.Words.Contains("lab-supervisor") && above.Words.Contains(home))).ToList();
        Console.WriteLine("PSS in MiB   processes   role");
        foreach (var role in lab.GroupBy(entry => entry.Role).OrderByDescending(role => role.Sum(entry => entry.Kilobytes)))
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{role.Sum(entry => entry.Kilobytes) / 1024.0,10:0.0}   {role.Count(),9}   {role.Key}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{lab.Sum(entry => entry.Kilobytes) / 1024.0,10:0.0}   {lab.Count,9}   everything"));

        IEnumerable<Entry> Chain(Entry? entry)
        {
            for (; entry is not null; entry = all.GetValueOrDefault(entry.Parent)) yield return entry;
        }
    }

    private sealed record Entry(int Id, int Parent, string[] Words, long Kilobytes)
    {
        public string Role
        {
            get
            {
                var own = Array.FindIndex(Words, word => word.EndsWith("/isthmus.dll", StringComparison.Ordinal));
                if (own < 0 || Words[0] is "sh" or "/bin/sh" or "unshare") return "other programs";
                return Words[own + 1] is "proxy" or "sample" ? $"{Words[own + 1]} {Words[own + 2]}" : Words[own + 1];
            }
        }
    }

    /// <summary>The role of a process; null when the process has ended meanwhile.</summary>
    private static Entry? Read(string id)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{id}/stat");
            var parent = int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1], CultureInfo.InvariantCulture);
            var pss = File.ReadLines($"/proc/{id}/smaps_rollup")
                .FirstOrDefault(line => line.StartsWith("Pss:", StringComparison.Ordinal))?["Pss:".Length..].Replace("kB", "", StringComparison.Ordinal);
            return new(int.Parse(id, CultureInfo.InvariantCulture), parent,
                File.ReadAllText($"/proc/{id}/cmdline").Split('\0', StringSplitOptions.RemoveEmptyEntries),
                long.Parse(pss ?? "0", CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
