using System.Runtime.InteropServices;
using System.Text;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Nodes.Containers;

/// <summary>A pipe between the node and a container that is being prepared. Its calls block the thread.</summary>
internal sealed class LaunchPipe : IDisposable
{
    internal LaunchPipe()
    {
        var (read, write) = Descriptors.Pipe();
        (Read, Write) = (new(read, ownsHandle: true), new(write, ownsHandle: true));
    }

    internal SafeFileHandle Read { get; }

    internal SafeFileHandle Write { get; }

    /// <exception cref="IOException">The reader has ended.</exception>
    internal unsafe void Send(string text)
    {
        ReadOnlySpan<byte> left = Encoding.UTF8.GetBytes(text);
        while (!left.IsEmpty)
        {
            fixed (byte* start = left)
            {
                var written = Libc.Write(Write.Number(), start, (nuint)left.Length);
                if (written < 0 && Marshal.GetLastPInvokeError() == LinuxException.EIntr) continue;
                left = left[(int)LinuxException.Check(written, "write to the container's shell")..];
            }
        }
    }

    /// <summary>Waits until something is written. False when all writers have ended.</summary>
    internal unsafe bool IsWritten()
    {
        byte one;
        while (true)
        {
            var read = Libc.Read(Read.Number(), &one, 1);
            if (read < 0 && Marshal.GetLastPInvokeError() == LinuxException.EIntr) continue;
            return LinuxException.Check(read, "read from the container's shell") > 0;
        }
    }

    public void Dispose()
    {
        Read.Dispose();
        Write.Dispose();
    }
}
