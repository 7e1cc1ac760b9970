using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Isthmus.Proxy.Dns;

/// <summary>
/// The datagrams that wait at a socket, and the answers to them: each way costs one call of the kernel for all, recvmmsg(2) and sendmmsg(2).
/// Belongs to one thread.
/// </summary>
/// <param name="socket">Not connected, and blocking.</param>
[SupportedOSPlatform("linux")]
internal sealed unsafe partial class DatagramBurst(Socket socket) : IDisposable
{
    /// <summary>The most datagrams at once. More wait in the socket.</summary>
    internal const int Most = 32;

    /// <summary>The most bytes of a datagram, as of an answer: what is longer is cut off.</summary>
    internal const int MostBytes = 4096;

    private const int AddressBytes = 32, DoNotWait = 0x40;

    private readonly SocketAddress _address = new(socket.AddressFamily);
    private readonly Message* _received = Allocate(Most), _answers = Allocate(Most);
    private int _answered;

    /// <summary>Waits until at least one datagram is there.</summary>
    /// <returns>How many there are, at most <see cref="Most"/>.</returns>
    /// <exception cref="SocketException">The socket was closed, or a client of an earlier answer is gone.</exception>
    internal int Receive()
    {
        _answered = 0;
        for (var i = 0; i < Most; i++) _received[i].Header.NameLength = AddressBytes;
        int waiting;
        using (var descriptor = new Descriptor(socket.SafeHandle)) waiting = recvmmsg(descriptor.Number, _received, Most, DoNotWait, null);
        if (waiting > 0) return waiting;
        // .NET ends this call when the socket is closed.
        _received->Length = (uint)socket.ReceiveFrom(new Span<byte>(_received->Header.Data->Start, MostBytes), SocketFlags.None, _address);
        _address.Buffer.Span[.._address.Size].CopyTo(new(_received->Header.Name, AddressBytes));
        _received->Header.NameLength = (uint)_address.Size;
        return 1;
    }

    /// <summary>A datagram of the last <see cref="Receive"/>. It is valid until the next one.</summary>
    internal ReadOnlySpan<byte> this[int index] => new(_received[index].Header.Data->Start, (int)_received[index].Length);

    /// <summary>Who sent it.</summary>
    internal SocketAddress From(int index)
    {
        var header = _received[index].Header;
        var from = new SocketAddress(socket.AddressFamily, (int)header.NameLength);
        new ReadOnlySpan<byte>(header.Name, from.Size).CopyTo(from.Buffer.Span);
        return from;
    }

    /// <summary>Where the next answer is written. It counts once <see cref="Answer"/> is called.</summary>
    internal Span<byte> Room => new(_answers[_answered].Header.Data->Start, MostBytes);

    /// <summary>What is in <see cref="Room"/> is the answer to a datagram.</summary>
    internal void Answer(int index, int length)
    {
        ref var answer = ref _answers[_answered++].Header;
        answer.Data->Length = (nuint)length;
        answer.Name = _received[index].Header.Name;
        answer.NameLength = _received[index].Header.NameLength;
    }

    /// <summary>Sends the answers. Those that the kernel refuses are lost, as datagrams are.</summary>
    internal void Send()
    {
        using var descriptor = new Descriptor(socket.SafeHandle);
        for (var sent = 0; sent < _answered;) sent += Math.Max(sendmmsg(descriptor.Number, _answers + sent, (uint)(_answered - sent), 0), 1);
    }

    public void Dispose()
    {
        NativeMemory.Free(_received);
        NativeMemory.Free(_answers);
    }

    /// <summary>A socket's number, which stays its own until the end.</summary>
    private readonly ref struct Descriptor
    {
        private readonly SafeHandle _handle;
        private readonly bool _held;

        internal Descriptor(SafeHandle handle)
        {
            _handle = handle;
            handle.DangerousAddRef(ref _held);
        }

        internal int Number => (int)_handle.DangerousGetHandle();

        public void Dispose()
        {
            if (_held) _handle.DangerousRelease();
        }
    }

    /// <summary>Messages with room for an address and the bytes. The kernel gives them memory as they are used.</summary>
    private static Message* Allocate(int count)
    {
        var messages = (Message*)NativeMemory.AllocZeroed((nuint)count, (nuint)(sizeof(Message) + sizeof(Part) + AddressBytes + MostBytes));
        var parts = (Part*)(messages + count);
        var names = (byte*)(parts + count);
        var bytes = names + count * AddressBytes;
        for (var i = 0; i < count; i++)
        {
            parts[i] = new() { Start = bytes + i * MostBytes, Length = MostBytes };
            messages[i].Header = new() { Name = names + i * AddressBytes, Data = parts + i, Parts = 1 };
        }
        return messages;
    }

    /// <summary><c>struct iovec</c></summary>
    private struct Part
    {
        internal byte* Start;
        internal nuint Length;
    }

    /// <summary><c>struct msghdr</c></summary>
    private struct Header
    {
        internal byte* Name;
        internal uint NameLength;
        internal Part* Data;
        internal nuint Parts;
        internal nint Control;
        internal nuint ControlLength;
        internal int Flags;
    }

    /// <summary><c>struct mmsghdr</c></summary>
    private struct Message
    {
        internal Header Header;
        internal uint Length;
    }

    [LibraryImport("libc")] private static partial int recvmmsg(int socket, Message* messages, uint count, int flags, void* timeout);

    [LibraryImport("libc")] private static partial int sendmmsg(int socket, Message* messages, uint count, int flags);
}
