using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Nodes.Root;

/// <summary>A minimal /dev: the machine's harmless devices as bind mounts, its own terminals, and shared memory.</summary>
internal static class DeviceFiles
{
    private static readonly string[] Devices = ["null", "zero", "full", "random", "urandom", "tty"];

    private static readonly (string Name, string Target)[] Links =
    [
        ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx"),
    ];

    internal static void Build(string at, int? terminalGroup)
    {
        foreach (var name in Devices)
        {
            if (!File.Exists($"/dev/{name}")) continue;
            File.Create($"{at}/{name}").Dispose();
            Mounts.Bind($"/dev/{name}", $"{at}/{name}", recursive: false);
        }
        foreach (var (name, target) in Links) File.CreateSymbolicLink($"{at}/{name}", target);
        Directory.CreateDirectory($"{at}/pts");
        var group = terminalGroup is { } gid ? $",gid={gid}" : "";
        Mounts.Mount("devpts", $"{at}/pts", "devpts", Libc.MsNoSuid | Libc.MsNoExec, $"newinstance,ptmxmode=0666,mode=0620{group}");
        Directory.CreateDirectory($"{at}/shm");
        Mounts.Tmpfs($"{at}/shm", "mode=1777,size=64m", Libc.MsNoSuid | Libc.MsNoDev | Libc.MsNoExec);
        Directory.CreateDirectory($"{at}/mqueue");
    }
}
