using System.Diagnostics;
using Isthmus.Core.Problems;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Supervisor;

/// <summary>The machine's settings about namespaces. They are read only after a failed trial, to explain it.</summary>
/// <param name="Error">The error output of unshare(1) or of the command inside.</param>
/// <param name="MaxUserNamespaces">user.max_user_namespaces; null when the setting does not exist.</param>
/// <param name="UnprivilegedClone">kernel.unprivileged_userns_clone (Debian's patch).</param>
/// <param name="AppArmorRestricts">kernel.apparmor_restrict_unprivileged_userns (Ubuntu 23.10 and later).</param>
/// <param name="Seccomp">The Seccomp line of /proc/self/status.</param>
/// <param name="InChroot">Whether the root directory is not the machine's.</param>
internal sealed record RefusalFacts(
    string Error, bool IsRoot, long? MaxUserNamespaces, long? UnprivilegedClone, long? AppArmorRestricts, int Seccomp, bool InChroot);

/// <summary>Tests how the lab can enter its namespaces. The settings alone do not show it.</summary>
public static class Preflight
{
    private const string Trial = "mount -t tmpfs tmpfs /run && nft add table ip isthmus_trial";

    /// <exception cref="ProblemException">No way works. The message explains why and what to do.</exception>
    public static async Task<LabMode> RunAsync(CancellationToken stop)
    {
        var isRoot = ProcessImage.IsRoot;
        LabModeKind[] candidates = isRoot ? [LabModeKind.Root, LabModeKind.Single] : [LabModeKind.Mapped, LabModeKind.Single];
        var error = "";
        foreach (var kind in candidates)
        {
            var mode = new LabMode(kind);
            error = await TryAsync(mode, stop);
            if (error.Length == 0) return mode;
        }
        throw new ProblemException(Explain(ReadFacts(error, isRoot)));
    }

    /// <summary>The known causes, each with its remedy.</summary>
    internal static Problem Explain(RefusalFacts facts)
    {
        var (message, remedy) = facts switch
        {
            { MaxUserNamespaces: 0 } => ("user namespaces are disabled on this machine (user.max_user_namespaces is 0)",
                "as root: sysctl user.max_user_namespaces=15000, and put 'user.max_user_namespaces=15000' into a file in /etc/sysctl.d/ to keep it"),
            { IsRoot: false,
                UnprivilegedClone: 0 } => ("unprivileged users cannot create user namespaces on this machine (kernel.unprivileged_userns_clone is 0)",
                "as root: sysctl kernel.unprivileged_userns_clone=1, or run the lab as root"),
            { IsRoot: false,
                AppArmorRestricts: 1 } =>
                ("AppArmor prevents unprivileged users from using user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1)",
                "as root: add an AppArmor profile with 'userns,' for this program, or run 'sysctl kernel.apparmor_restrict_unprivileged_userns=0'; or run the "
                    + "lab as root"),
            _ when facts.Error.Contains("No space left on device", StringComparison.Ordinal) => ("the limit of namespaces or of their nesting depth is reached",
                "as root: raise user.max_user_namespaces and user.max_net_namespaces with sysctl, or leave one level of containers"),
            { InChroot: true } => ("user namespaces cannot be created inside a chroot", "run the lab outside the chroot"),
            _ when facts.Error.Contains("/proc",
                StringComparison.Ordinal) => ("/proc cannot be mounted, because parts of the current one are masked, as in a container",
                "run the lab outside the container, or in one with an unmasked /proc (--security-opt systempaths=unconfined)"),
            { Seccomp: 2 } => ("a seccomp filter, such as that of a container, denies namespaces",
                "run the lab outside the container, or in one with --security-opt seccomp=unconfined"),
            _ => ("the kernel does not let this user create the lab's namespaces", "run the lab as root, or on a machine that allows user namespaces"),
        };
        return new Problem("", "namespaces", "", $"{message}; a trial failed with: {Shorten(facts.Error)}", remedy);
    }

    /// <summary>The error of a trial; empty when it worked.</summary>
    private static async Task<string> TryAsync(LabMode mode, CancellationToken stop)
    {
        var command = mode.Enter(["sh", "-c", Trial]);
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["PATH"] = Programs.SearchPath(Environment.GetEnvironmentVariable("PATH"));
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(stop);
        var errors = await process.StandardError.ReadToEndAsync(stop);
        await output;
        await process.WaitForExitAsync(stop);
        if (process.ExitCode == 0) return "";
        return errors.Trim() is { Length: > 0 } said ? said : $"exit code {process.ExitCode}";
    }

    private static RefusalFacts ReadFacts(string error, bool isRoot) => new(
        error,
        isRoot,
        ReadNumber("/proc/sys/user/max_user_namespaces"),
        ReadNumber("/proc/sys/kernel/unprivileged_userns_clone"),
        ReadNumber("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith("Seccomp:", StringComparison.Ordinal)) is { } line
            && int.TryParse(line["Seccomp:".Length..], out var seccomp) ? seccomp : 0,
        // In a chroot, the root directory is not a mount point of this process.
        !File.ReadLines("/proc/self/mountinfo").Any(mount => mount.Split(' ') is { Length: > 4 } fields && fields[4] == "/"));

    private static long? ReadNumber(string path) =>
        File.Exists(path) && long.TryParse(File.ReadAllText(path), out var number) ? number : null;

    private static string Shorten(string text) =>
        text.ReplaceLineEndings(" ") is { Length: > 200 } longText ? longText[..200] + "…" : text.ReplaceLineEndings(" ");
}
