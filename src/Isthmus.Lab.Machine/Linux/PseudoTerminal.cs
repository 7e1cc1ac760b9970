using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Machine.Linux;

/// <summary>
/// The master side of a pseudo terminal, from the devpts that the calling thread sees. Call <see cref="Open"/> on a thread
/// inside the Pod's mount namespace, then start the program on <see cref="SlavePath"/>, for example as <c>sh -c 'exec
/// setsid -c CMD &lt;&gt;/dev/pts/N &gt;&amp;0 2&gt;&amp;0'</c>. A read from the master fails with EIO when the last user
/// of the slave is gone.
/// </summary>
internal sealed unsafe class PseudoTerminal : IDisposable
{
    private const nuint SetLock = 0x40045431, GetNumber = 0x80045430, SetWindowSize = 0x5414;

    private readonly SafeFileHandle _master;

    private PseudoTerminal(SafeFileHandle master, int number)
    {
        _master = master;
        Number = number;
    }

    internal int Number { get; }

    internal string SlavePath => $"/dev/pts/{Number}";

    internal SafeFileHandle Master => _master;

    internal static PseudoTerminal Open(string multiplexer = "/dev/ptmx")
    {
        var descriptor = LinuxException.Check(Libc.Open(multiplexer, Libc.ORdWr | Libc.ONoCtty | Libc.OCloExec, 0), $"open {multiplexer}");
        var master = new SafeFileHandle(descriptor, ownsHandle: true);
        try
        {
            int unlocked = 0, number;
            LinuxException.Check(Libc.IoControl(descriptor, SetLock, &unlocked), "unlock the pseudo terminal");
            LinuxException.Check(Libc.IoControl(descriptor, GetNumber, &number), "number of the pseudo terminal");
            return new PseudoTerminal(master, number);
        }
        catch
        {
            master.Dispose();
            throw;
        }
    }

    /// <summary>Lets a user open the slave, which belongs to root at first.</summary>
    /// <param name="root">Where the root of its file system is visible; empty for the caller's own.</param>
    internal void Give(string root, uint user)
    {
        if (user != 0) LinuxException.Check(Libc.ChangeOwner(root + SlavePath, user, uint.MaxValue), $"chown {SlavePath}");
    }

    /// <summary>Reports the terminal size in characters to the programs on the slave (SIGWINCH).</summary>
    internal void Resize(ushort columns, ushort rows) => Resize(_master, columns, rows);

    /// <summary>Like <see cref="Resize(ushort, ushort)"/>, for a master that somebody else opened.</summary>
    internal static void Resize(SafeFileHandle master, ushort columns, ushort rows)
    {
        ushort* size = stackalloc ushort[4];
        size[0] = rows;
        size[1] = columns;
        size[2] = size[3] = 0;
        LinuxException.Check(Libc.IoControl((int)master.DangerousGetHandle(), SetWindowSize, size), "resize the pseudo terminal");
    }

    public void Dispose() => _master.Dispose();
}
