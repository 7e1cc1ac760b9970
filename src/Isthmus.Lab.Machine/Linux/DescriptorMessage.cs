using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Isthmus.Lab.Machine.Linux;

/// <summary>Passes an open socket to another process, with bytes, through a Unix socket (SCM_RIGHTS).</summary>
internal static unsafe class DescriptorMessage
{
    private const int SolSocket = 1, ScmRights = 1, MsgDontWait = 0x40, MsgNoSignal = 0x4000, MsgCloseOnExecute = 0x40000000;

    /// <exception cref="LinuxException">The other side left, or does not take all bytes at once.</exception>
    internal static void Send(Socket to, ReadOnlySpan<byte> bytes, Socket passed)
    {
        var control = new Rights { Length = (nuint)sizeof(Rights) - sizeof(int), Level = SolSocket, Type = ScmRights, Descriptor = (int)passed.Handle };
        fixed (byte* data = bytes)
        {
            var vector = new Libc.IoVector { Base = data, Length = (nuint)bytes.Length };
            var message = new Libc.MessageHeader { Vectors = &vector, VectorCount = 1, Control = &control, ControlLength = (nuint)sizeof(Rights) };
            var sent = LinuxException.Check(Libc.SendMessage((int)to.Handle, &message, MsgNoSignal), "sendmsg");
            if (sent != bytes.Length) throw new LinuxException("sendmsg", LinuxException.EAgain);
        }
    }

    /// <summary>Reads what is there, without waiting. 0 at the end; null if nothing can be read now.</summary>
    /// <param name="passed">The passed socket, if one came with these bytes. The caller owns it.</param>
    /// <exception cref="LinuxException">The connection failed.</exception>
    internal static int? Receive(Socket from, Span<byte> buffer, out SafeSocketHandle? passed)
    {
        var control = default(Rights);
        fixed (byte* data = buffer)
        {
            var vector = new Libc.IoVector { Base = data, Length = (nuint)buffer.Length };
            var message = new Libc.MessageHeader { Vectors = &vector, VectorCount = 1, Control = &control, ControlLength = (nuint)sizeof(Rights) };
            var received = Libc.ReceiveMessage((int)from.Handle, &message, MsgDontWait | MsgCloseOnExecute);
            if (received < 0 && Marshal.GetLastPInvokeError() == LinuxException.EAgain)
            {
                passed = null;
                return null;
            }
            var read = LinuxException.Check(received, "recvmsg");
            var isPassed = message.ControlLength >= (nuint)sizeof(Rights) - sizeof(int) && control is { Level: SolSocket, Type: ScmRights };
            passed = isPassed ? new SafeSocketHandle(control.Descriptor, ownsHandle: true) : null;
            return (int)read;
        }
    }

    /// <summary>struct cmsghdr with one descriptor and its padding: the kernel closes further ones, for which there is no room.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Rights
    {
        internal nuint Length;
        internal int Level;
        internal int Type;
        internal int Descriptor;
        internal int Padding;
    }
}
