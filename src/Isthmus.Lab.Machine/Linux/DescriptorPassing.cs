using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Machine.Linux;

/// <summary>Sends an open descriptor over a Unix socket (SCM_RIGHTS), with one byte of payload to carry it.</summary>
internal static unsafe class DescriptorPassing
{
    private const int SolSocket = 1, ScmRights = 1, MsgCmsgCloExec = 0x40000000, MsgCtrunc = 8;
    private const int ControlSize = 24;

    internal static void Send(Socket socket, SafeHandle descriptor)
    {
        byte payload = 1;
        byte* control = stackalloc byte[ControlSize];
        new Span<byte>(control, ControlSize).Clear();
        *(nuint*)control = 20;
        *(int*)(control + 8) = SolSocket;
        *(int*)(control + 12) = ScmRights;
        *(int*)(control + 16) = (int)descriptor.DangerousGetHandle();
        var vector = new Libc.IoVector { Base = &payload, Length = 1 };
        var message = new Libc.MessageHeader { Vectors = &vector, VectorCount = 1, Control = control, ControlLength = ControlSize };
        LinuxException.Check(Libc.SendMessage((int)socket.Handle, &message, 0), "send a descriptor");
        GC.KeepAlive(descriptor);
    }

    /// <summary>Blocks until a descriptor arrives; null at the end of the stream. The socket must be in blocking
    /// mode.</summary>
    internal static SafeFileHandle? Receive(Socket socket)
    {
        byte payload = 0;
        byte* control = stackalloc byte[ControlSize];
        new Span<byte>(control, ControlSize).Clear();
        var vector = new Libc.IoVector { Base = &payload, Length = 1 };
        var message = new Libc.MessageHeader { Vectors = &vector, VectorCount = 1, Control = control, ControlLength = ControlSize };
        var read = LinuxException.Check(Libc.ReceiveMessage((int)socket.Handle, &message, MsgCmsgCloExec), "receive a descriptor");
        if (read == 0) return null;
        var present = message.ControlLength >= 20 && *(int*)(control + 8) == SolSocket && *(int*)(control + 12) == ScmRights;
        if (!present || (message.Flags & MsgCtrunc) != 0) throw new InvalidDataException("the message contains no descriptor");
        return new SafeFileHandle(*(int*)(control + 16), ownsHandle: true);
    }
}
