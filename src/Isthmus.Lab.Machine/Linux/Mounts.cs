using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Isthmus.Lab.Machine.Linux;

/// <summary>The mount table of the calling thread.</summary>
internal static unsafe partial class Mounts
{
    private const ulong AttrReadOnly = 1, AttrNoSuid = 2, AttrNoDev = 4, AttrNoExec = 8;
    private const int AtFdCwd = -100, AtRecursive = 0x8000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    internal static void Mount(string? source, string target, string? type, int flags = 0, string? options = null) =>
        LinuxException.Check(Libc.Mount(source, target, type, (nuint)flags, options), $"mount {type ?? source} on {target}");

    internal static void Tmpfs(string target, string options = "mode=0755", int flags = Libc.MsNoSuid | Libc.MsNoDev) =>
        Mount("tmpfs", target, "tmpfs", flags, options);

    internal static void Bind(string source, string target, bool recursive) =>
        LinuxException.Check(Libc.Mount(source, target, null, (nuint)(Libc.MsBind | (recursive ? Libc.MsRec : 0)), null), $"bind {source} on {target}");

    internal static bool IsMountPoint(string path) => Path.Exists(path) && Targets(File.ReadLines("/proc/self/mountinfo")).Contains(path);

    /// <summary>Mount changes in the parent namespace still arrive here; changes here never reach the parent.</summary>
    internal static void MakeSlave(string target) => Mount(null, target, null, Libc.MsRec | Libc.MsSlave);

    internal static void MakePrivate(string target) => Mount(null, target, null, Libc.MsRec | Libc.MsPrivate);

    /// <summary>Keeps this mount and its submounts out of every recursive bind of a directory above it.</summary>
    internal static void MakeUnbindable(string target) => Mount(null, target, null, Libc.MsUnbindable);

    /// <summary>Adds flags to one mount or to the whole tree below it: a remount alone would leave submounts
    /// writable.</summary>
    /// <remarks>
    /// A process that is being started holds a second copy of every open file until its program runs. A file open for
    /// writing keeps its mount writable until then, and the kernel reports EBUSY.
    /// </remarks>
    internal static void SetAttributes(string target, bool recursive, bool readOnly = false, bool noSuid = false, bool noDev = false, bool noExec = false)
    {
        var attributes = (readOnly ? AttrReadOnly : 0) | (noSuid ? AttrNoSuid : 0) | (noDev ? AttrNoDev : 0) | (noExec ? AttrNoExec : 0);
        var path = Encoding.UTF8.GetBytes(target + "\0");
        var error = 0;
        SpinWait.SpinUntil(() => (error = TrySetAttributes(path, recursive, attributes)) != LinuxException.EBusy, Patience);
        if (error != 0) throw new LinuxException($"mount_setattr {target}", error);
    }

    private static int TrySetAttributes(byte[] path, bool recursive, ulong add)
    {
        ulong* attributes = stackalloc ulong[4] { add, 0, 0, 0 };
        fixed (byte* name = path)
        {
            return Libc.SystemCall((nint)Libc.SysMountSetAttr, AtFdCwd, (nint)name, recursive ? AtRecursive : 0, (nint)attributes, 32) == -1
                ? Marshal.GetLastPInvokeError()
                : 0;
        }
    }

    /// <summary>Makes <paramref name="root"/>, which must be a mount point, the thread's root and drops the old
    /// one.</summary>
    internal static void PivotRoot(string root)
    {
        LinuxException.Check(Libc.ChangeDirectory(root), $"chdir {root}");
        fixed (byte* here = "."u8)
        {
            LinuxException.Check(Libc.SystemCall(KernelNumbers.Current.PivotRoot, (nint)here, (nint)here, 0, 0, 0), $"pivot_root {root}");
        }
        LinuxException.Check(Libc.Unmount(".", Libc.MntDetach), "umount the old root");
        LinuxException.Check(Libc.ChangeDirectory("/"), "chdir /");
    }

    internal static void Unmount(string target) => LinuxException.Check(Libc.Unmount(target, Libc.MntDetach), $"umount {target}");

    /// <summary>Unmounts everything below a directory, the last mount first. Then you can delete its files.</summary>
    internal static void UnmountBelow(string directory)
    {
        var prefix = directory.TrimEnd('/') + "/";
        foreach (var target in Targets(File.ReadAllLines("/proc/self/mountinfo")).Where(target => target.StartsWith(prefix, StringComparison.Ordinal))
            .Reverse())
            TryUnmount(target);
    }

    /// <summary>The fifth field of each line (man 5 proc_pid_mountinfo), in which the kernel escapes spaces and similar
    /// characters as octal numbers.</summary>
    internal static IEnumerable<string> Targets(IEnumerable<string> mountInfo) =>
        mountInfo.Select(line => line.Split(' ')).Where(fields => fields.Length > 4)
            .Select(fields => OctalEscape().Replace(fields[4], match => ((char)Convert.ToInt32(match.Groups[1].Value, 8)).ToString()));

    [GeneratedRegex(@"\\([0-7]{3})")]
    private static partial Regex OctalEscape();

    /// <summary>Unmounts a path; false when nothing is mounted there, or when the path does not exist.</summary>
    internal static bool TryUnmount(string target)
    {
        if (Libc.Unmount(target, Libc.MntDetach) == 0) return true;
        var errno = Marshal.GetLastPInvokeError();
        return errno is LinuxException.EInval or LinuxException.ENoEnt ? false : throw new LinuxException($"umount {target}", errno);
    }
}
