using Isthmus.Images.Unpacking;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Nodes.Root;

/// <summary>What roots of every kind mount.</summary>
internal static class RootMounts
{
    /// <summary>Mounts a directory or file of the Pod. Links in the root never lead out of it.</summary>
    internal static void Add(string root, RootMount mount)
    {
        var target = root + ScopedPath.Resolve(root, mount.Target);
        if (mount.IsFile && !File.Exists(target))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Create(target).Dispose();
        }
        else if (!mount.IsFile)
        {
            Directory.CreateDirectory(target);
        }
        Mounts.Bind(mount.Source, target, recursive: true);
        Mounts.SetAttributes(target, recursive: true, readOnly: mount.ReadOnly, noSuid: true, noDev: true);
    }

    /// <summary>The kernel rejects this if the machine's own /sys is partly covered (inside containers): then /sys is empty.</summary>
    internal static void TryAddSys(string target) =>
        _ = Libc.Mount("sysfs", target, "sysfs", Libc.MsRdOnly | Libc.MsNoSuid | Libc.MsNoDev | Libc.MsNoExec, null);
}
