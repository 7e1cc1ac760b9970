using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Machine.Linux;

/// <summary>Refers to one process permanently: unlike a PID, the descriptor never comes to mean another process.</summary>
internal sealed unsafe class PidHandle : IDisposable
{
    private readonly SafeFileHandle _file;

    private PidHandle(SafeFileHandle file, int id)
    {
        _file = file;
        Id = id;
    }

    internal int Id { get; }

    internal int Descriptor => (int)_file.DangerousGetHandle();

    /// <summary>Opens a process; null when it does not exist (any more). A zombie still exists.</summary>
    internal static PidHandle? TryOpen(int process)
    {
        var descriptor = Libc.SystemCall((nint)Libc.SysPidfdOpen, process, 0, 0, 0, 0);
        if (descriptor >= 0) return new PidHandle(new SafeFileHandle(descriptor, ownsHandle: true), process);
        var errno = Marshal.GetLastPInvokeError();
        return errno is LinuxException.ESrch or LinuxException.EInval ? null : throw new LinuxException($"pidfd_open {process}", errno);
    }

    /// <summary>Sends a signal; false when the process has ended.</summary>
    internal bool Signal(int signal)
    {
        if (Libc.SystemCall((nint)Libc.SysPidfdSendSignal, Descriptor, signal, 0, 0, 0) == 0) return true;
        var errno = Marshal.GetLastPInvokeError();
        return errno == LinuxException.ESrch ? false : throw new LinuxException($"signal {signal} to {Id}", errno);
    }

    /// <summary>True once the process has ended, reaped or not.</summary>
    internal bool HasExited => WaitForExit(TimeSpan.Zero);

    /// <summary>Blocks the calling thread; true when the process ended in time.</summary>
    internal bool WaitForExit(TimeSpan timeout)
    {
        var entry = new Libc.PollEntry { Descriptor = Descriptor, Events = 1 };
        var milliseconds = timeout == Timeout.InfiniteTimeSpan ? -1 : (int)timeout.TotalMilliseconds;
        while (true)
        {
            var ready = Libc.Poll(&entry, 1, milliseconds);
            if (ready >= 0) return ready > 0;
            var errno = Marshal.GetLastPInvokeError();
            if (errno != LinuxException.EIntr) throw new LinuxException($"poll process {Id}", errno);
        }
    }

    public void Dispose() => _file.Dispose();
}
