using System.Runtime.InteropServices;
using Isthmus.Lab.Machine.Linux;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Nodes.Processes;

/// <summary>Plain descriptors: pipes and FIFOs, and ways to read and write them without blocking a thread.</summary>
internal static partial class Descriptors
{
    private const int GetFlags = 3, SetFlags = 4, SetPipeSize = 1031;
    private const int EAgain = 11;
    private const nint SysPidfdGetfd = 438;

    /// <summary>Both ends close on execute.</summary>
    internal static unsafe (int Read, int Write) Pipe()
    {
        int* ends = stackalloc int[2];
        LinuxException.Check(MakePipe(ends, Libc.OCloExec), "pipe");
        return (ends[0], ends[1]);
    }

    internal static SafeFileHandle Open(string path, int flags, uint mode = 0) =>
        new(LinuxException.Check(Libc.Open(path, flags | Libc.OCloExec, mode), $"open {path}"), ownsHandle: true);

    internal static int Number(this SafeFileHandle handle) => (int)handle.DangerousGetHandle();

    internal static void SetNonBlocking(int descriptor)
    {
        var flags = LinuxException.Check(Libc.FileControl(descriptor, GetFlags, 0), "fcntl F_GETFL");
        LinuxException.Check(Libc.FileControl(descriptor, SetFlags, flags | Libc.ONonBlock), "fcntl F_SETFL");
    }

    /// <summary>A larger buffer bridges the time in which nobody reads; the kernel's limit for a user may refuse it, which
    /// only makes the bridge shorter.</summary>
    internal static void TryEnlarge(int pipe, int bytes) => _ = Libc.FileControl(pipe, SetPipeSize, bytes);

    /// <summary>A duplicate of a descriptor that another process holds; null when that process has ended or access is denied.</summary>
    internal static SafeFileHandle? TryCopyFrom(PidHandle process, int descriptor)
    {
        var copy = Libc.SystemCall(SysPidfdGetfd, process.Descriptor, descriptor, 0, 0, 0);
        return copy < 0 ? null : new SafeFileHandle(copy, ownsHandle: true);
    }

    /// <summary>0 at the end: all writers are gone, or the terminal hung up.</summary>
    internal static async Task<int> ReadAsync(Reactor reactor, SafeFileHandle handle, Memory<byte> buffer, CancellationToken stop)
    {
        while (true)
        {
            await reactor.ReadableAsync(handle.Number(), stop);
            var read = TryRead(handle, buffer.Span);
            if (read >= 0) return read;
        }
    }

    /// <summary>False when the reader has closed its end.</summary>
    internal static async Task<bool> WriteAsync(Reactor reactor, SafeFileHandle handle, ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        while (!bytes.IsEmpty)
        {
            await reactor.WritableAsync(handle.Number(), stop);
            var written = TryWrite(handle, bytes.Span);
            if (written == Gone) return false;
            if (written > 0) bytes = bytes[written..];
        }
        return true;
    }

    private const int Again = -1, Gone = -2;

    private static unsafe int TryRead(SafeFileHandle handle, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            var read = Libc.Read(handle.Number(), start, (nuint)buffer.Length);
            if (read >= 0) return (int)read;
            var errno = Marshal.GetLastPInvokeError();
            return errno is EAgain or LinuxException.EIntr ? Again
                : errno == LinuxException.EIo ? 0   // the last user of a terminal closed it
                : throw new LinuxException("read", errno);
        }
    }

    private static unsafe int TryWrite(SafeFileHandle handle, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            var written = Libc.Write(handle.Number(), start, (nuint)bytes.Length);
            if (written >= 0) return (int)written;
            var errno = Marshal.GetLastPInvokeError();
            return errno is EAgain or LinuxException.EIntr ? Again : Gone;
        }
    }

    [LibraryImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    private static unsafe partial int MakePipe(int* ends, int flags);
}
