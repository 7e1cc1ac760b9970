using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Isthmus.Proxy.Loops;

/// <summary>The calls of the C library that event loops use: epoll(7), recv(2), send(2), connect(2), socketpair(2),
/// splice(2).</summary>
[SupportedOSPlatform("linux")]
internal static unsafe partial class Epoll
{
    internal const uint In = 0x1, Out = 0x4, Error = 0x8, HangUp = 0x10, PeerEnded = 0x2000, Exclusive = 1u << 28, EdgeTriggered = 1u << 31;
    internal const int Interrupted = 4, Again = 11, WasReset = 104, InProgress = 115;

    private const int SetStatusFlags = 4, SetPipeSize = 1031;
    private const short PollIn = 1;
    private const int UnixDomain = 1, Stream = 1;
    private const uint MovePages = 1, SpliceNonBlocking = 2;
    private const int Add = 1, CloseOnExec = 0x80000, NonBlocking = 0x800, NoSignal = 0x4000, DontWait = 0x40;

    /// <summary>Readiness of one descriptor: <c>struct epoll_event</c>, which is packed on x86-64 only.</summary>
    internal readonly struct Event
    {
        internal Event(uint events, ulong data)
        {
            Events = events;
            Data = data;
        }

        internal uint Events { get; }

        internal ulong Data { get; }
    }

    private static bool IsPacked => RuntimeInformation.ProcessArchitecture == Architecture.X64;

    internal static int EventSize => IsPacked ? 12 : 16;

    internal static Event Read(byte* events, int index)
    {
        var at = events + index * EventSize;
        return new(*(uint*)at, *(ulong*)(at + (IsPacked ? 4 : 8)));
    }

    internal static int Create() => epoll_create1(CloseOnExec);

    internal static int CreateWaker() => eventfd(0, CloseOnExec | NonBlocking);

    internal static int Watch(int epoll, int descriptor, uint events, ulong data)
    {
        var value = stackalloc byte[16];
        *(uint*)value = events;
        *(ulong*)(value + (IsPacked ? 4 : 8)) = data;
        return epoll_ctl(epoll, Add, descriptor, value);
    }

    internal static int Wait(int epoll, byte* events, int count, int timeout) => epoll_wait(epoll, events, count, timeout);

    internal static void Wake(int waker)
    {
        ulong one = 1;
        _ = write(waker, &one, sizeof(ulong));
    }

    internal static void Rest(int waker)
    {
        ulong count;
        _ = read(waker, &count, sizeof(ulong));
    }

    internal static int Receive(int socket, Span<byte> into)
    {
        fixed (byte* start = into) return (int)recv(socket, start, (nuint)into.Length, DontWait);
    }

    internal static int Send(int socket, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes) return (int)send(socket, start, (nuint)bytes.Length, DontWait | NoSignal);
    }

    internal static int Connect(int socket, ReadOnlySpan<byte> address)
    {
        fixed (byte* start = address) return connect(socket, start, (uint)address.Length);
    }

    /// <summary>The length of the address, or -1.</summary>
    internal static int LocalAddress(int socket, Span<byte> into)
    {
        var length = (uint)into.Length;
        fixed (byte* start = into) return getsockname(socket, start, &length) < 0 ? -1 : (int)length;
    }

    /// <summary>Two stream sockets of this process that are connected to one another, or -1 twice: socketpair(2).</summary>
    internal static (int One, int Other) CreatePair()
    {
        var ends = stackalloc int[2];
        return socketpair(UnixDomain, Stream | CloseOnExec | NonBlocking, 0, ends) < 0 ? (-1, -1) : (ends[0], ends[1]);
    }

    /// <summary>A pipe of at least that size if the kernel grants it: the ends to read and to write, or -1 twice.</summary>
    internal static (int Reader, int Writer) CreatePipe(int capacity)
    {
        var ends = stackalloc int[2];
        if (pipe2(ends, CloseOnExec | NonBlocking) < 0) return (-1, -1);
        _ = fcntl(ends[1], SetPipeSize, capacity);
        return (ends[0], ends[1]);
    }

    /// <summary>Moves bytes from or to a pipe without waiting: how many, or -1.</summary>
    internal static int Splice(int from, int to, int count) => (int)splice(from, null, to, null, (nuint)count, MovePages | SpliceNonBlocking);

    /// <summary>For calls that take no flag for it, as connect(2) and splice(2).</summary>
    internal static void SetNonBlocking(int descriptor) => _ = fcntl(descriptor, SetStatusFlags, NonBlocking);

    /// <summary>Whether a call on the descriptor would return at once, with something or with an error.</summary>
    internal static bool IsReadable(int descriptor)
    {
        var question = new PollQuestion { Descriptor = descriptor, Events = PollIn };
        return poll(&question, 1, 0) != 0;
    }

    /// <summary><c>struct pollfd</c>.</summary>
    private struct PollQuestion
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    [LibraryImport("libc")] private static partial int poll(PollQuestion* questions, nuint count, int timeout);

    internal static void Close(int descriptor) => _ = close(descriptor);

    [LibraryImport("libc", SetLastError = true)] private static partial int pipe2(int* ends, int flags);

    [LibraryImport("libc", SetLastError = true)] private static partial int socketpair(int domain, int type, int protocol, int* ends);

    [LibraryImport("libc")] private static partial int fcntl(int descriptor, int command, int value);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint splice(int from, long* fromOffset, int to, long* toOffset, nuint count, uint flags);

    [LibraryImport("libc")] private static partial int close(int descriptor);

    [LibraryImport("libc")] private static partial int getsockname(int socket, byte* address, uint* length);

    [LibraryImport("libc", SetLastError = true)] private static partial int epoll_create1(int flags);

    [LibraryImport("libc", SetLastError = true)] private static partial int epoll_ctl(int epoll, int operation, int descriptor, byte* value);

    [LibraryImport("libc")] private static partial int epoll_wait(int epoll, byte* events, int count, int timeout);

    [LibraryImport("libc", SetLastError = true)] private static partial int eventfd(uint value, int flags);

    [LibraryImport("libc")] private static partial nint read(int descriptor, void* into, nuint count);

    [LibraryImport("libc")] private static partial nint write(int descriptor, void* from, nuint count);

    [LibraryImport("libc", SetLastError = true)] private static partial nint recv(int socket, byte* into, nuint count, int flags);

    [LibraryImport("libc", SetLastError = true)] private static partial nint send(int socket, byte* from, nuint count, int flags);

    [LibraryImport("libc", SetLastError = true)] private static partial int connect(int socket, byte* address, uint length);
}
