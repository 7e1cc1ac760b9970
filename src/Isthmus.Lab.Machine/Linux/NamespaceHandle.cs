using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Machine.Linux;

/// <summary>The kinds of namespace, by their CLONE_NEW… bit.</summary>
[Flags]
internal enum NamespaceKinds
{
    None = 0,
    Mount = 0x00020000,
    Cgroup = 0x02000000,
    Uts = 0x04000000,
    Ipc = 0x08000000,
    User = 0x10000000,
    Pid = 0x20000000,
    Network = 0x40000000,
}

/// <summary>
/// A descriptor that keeps one namespace alive and lets a thread enter it. A namespace bound to a path with
/// <see cref="BindTo"/> lives, without any process in it, until that path is unmounted.
/// </summary>
internal sealed class NamespaceHandle : IDisposable
{
    private readonly SafeFileHandle _file;

    private NamespaceHandle(SafeFileHandle file, NamespaceKinds kind)
    {
        _file = file;
        Kind = kind;
    }

    internal NamespaceKinds Kind { get; }

    /// <summary>The descriptor for a netlink attribute or a system call; valid while this object exists.</summary>
    internal int Descriptor => (int)_file.DangerousGetHandle();

    internal static NamespaceHandle Open(string path, NamespaceKinds kind)
    {
        var descriptor = LinuxException.Check(Libc.Open(path, Libc.ORdOnly | Libc.OCloExec, 0), $"open {path}");
        return new NamespaceHandle(new SafeFileHandle(descriptor, ownsHandle: true), kind);
    }

    internal static NamespaceHandle OpenNetwork(string path) => Open(path, NamespaceKinds.Network);

    /// <summary>The namespace of the calling thread (it can differ from that of its process).</summary>
    internal static NamespaceHandle OfThread(NamespaceKinds kind) => Open($"/proc/thread-self/ns/{FileName(kind)}", kind);

    /// <summary>Creates a network namespace. It contains only a loopback interface, which is down.</summary>
    internal static NamespaceHandle CreateNetwork() => NamespaceThread.Run([], () =>
    {
        LinuxException.Check(Libc.Unshare((int)NamespaceKinds.Network), "unshare network namespace");
        return OfThread(NamespaceKinds.Network);
    });

    /// <summary>Like <see cref="CreateNetwork()"/>, and keeps the namespace at <paramref name="path"/> in this mount
    /// namespace.</summary>
    internal static NamespaceHandle CreateNetwork(string path)
    {
        var created = CreateNetwork();
        try
        {
            created.BindTo(path);
            return created;
        }
        catch
        {
            created.Dispose();
            throw;
        }
    }

    internal void BindTo(string path)
    {
        using (File.Create(path)) { }
        // /proc/self/fd of a namespace descriptor resolves to the namespace's own inode, which mount accepts.
        Mounts.Bind($"/proc/{Environment.ProcessId}/fd/{Descriptor}", path, recursive: false);
    }

    /// <summary>Undoes <see cref="BindTo"/>. It does nothing when the path does not exist.</summary>
    internal static void Unbind(string path)
    {
        if (!File.Exists(path)) return;
        Mounts.TryUnmount(path);
        File.Delete(path);
    }

    /// <summary>Moves the calling thread permanently: use it only on a thread that ends afterwards (<see
    /// cref="NamespaceThread"/>).</summary>
    internal void Enter() => LinuxException.Check(Libc.SetNs(Descriptor, (int)Kind), $"setns {Kind}");

    public void Dispose() => _file.Dispose();

    private static string FileName(NamespaceKinds kind) => kind switch
    {
        NamespaceKinds.Mount => "mnt",
        NamespaceKinds.Cgroup => "cgroup",
        NamespaceKinds.Uts => "uts",
        NamespaceKinds.Ipc => "ipc",
        NamespaceKinds.User => "user",
        NamespaceKinds.Pid => "pid",
        NamespaceKinds.Network => "net",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "exactly one kind of namespace is required"),
    };
}
