using System.Collections;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Machine.Network;

namespace Isthmus.Lab.Supervisor;

/// <summary>Enters the namespaces of a running lab.</summary>
public static class LabShell
{
    /// <summary>The environment variable that programs inside have: the cluster, or <c>outer</c>.</summary>
    internal const string Marker = "ISTHMUS_LAB_SHELL";

    /// <summary>Replaces this process by the program, or by a shell, inside the lab. Returns only by throwing.</summary>
    /// <param name="supervisor">Its PID on this machine.</param>
    /// <param name="cluster">Null for the outer network instead of a node's.</param>
    public static void Enter(int supervisor, LabHome home, ValueList<ClusterSettings> clusters, string? cluster, IReadOnlyList<string> program)
    {
        var nsenter = Find("nsenter");
        string[] inner = program.Count > 0
            ? [.. program]
            : [Environment.GetEnvironmentVariable("SHELL") is { Length: > 0 } shell && File.Exists(shell) ? shell : "/bin/sh"];
        // nsenter starts programs in the lab's root directory. If the lab cannot see this directory, they start there.
        inner = ["/bin/sh", "-c", "cd \"$0\" 2>/dev/null; exec \"$@\"", Directory.GetCurrentDirectory(), .. inner];
        if (cluster is not null) inner = [nsenter, $"--net={NamespacePaths.Node(cluster)}", "--", .. inner];
        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (DictionaryEntry entry in Environment.GetEnvironmentVariables()) environment[(string)entry.Key] = (string?)entry.Value ?? "";
        // The proxy listens on the machine's loopback, which does not exist inside. The servers' own addresses do.
        environment["KUBECONFIG"] = string.Join(':', clusters.Select(known => Path.Combine(home.Cluster(known.Name), "kubeconfig")));
        environment[Marker] = cluster ?? "outer";
        environment["PATH"] = Programs.SearchPath(environment.GetValueOrDefault("PATH"));
        ProcessImage.Replace(nsenter, ["-t", $"{supervisor}", .. UserArguments(supervisor), "-m", "-n", "-p", "-u", "-i", "-C", "--", .. inner], environment);
    }

    /// <summary>The arguments of nsenter for the lab's users: none if it has the same as this process, because entering your
    /// own user namespace again is an error.</summary>
    internal static string[] UserArguments(int supervisor) =>
        File.ResolveLinkTarget($"/proc/{supervisor}/ns/user", false)?.Name == File.ResolveLinkTarget("/proc/self/ns/user", false)?.Name
            ? []
            : ["-U", "--preserve-credentials"];

    internal static string Find(string program) =>
        Programs.SearchPath(Environment.GetEnvironmentVariable("PATH")).Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Select(directory => Path.Combine(directory, program)).FirstOrDefault(File.Exists)
        ?? throw new ProblemException("programs", $"missing: {program}", "install util-linux");
}
