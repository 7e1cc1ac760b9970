namespace Isthmus.Proxy.Loops;

// Loops refuse other systems than Linux.
#pragma warning disable CA1416

/// <summary>
/// A pipe of the kernel: bytes pass through it from one socket to another without being copied into this process (splice(2)). Whoever moves
/// bytes borrows one, and gives it back when it is empty.
/// </summary>
internal sealed class Pipe : IDisposable
{
    /// <summary>Enough for what a socket has received at once. Larger pipes than 1 MiB need privileges.</summary>
    internal const int Capacity = 512 * 1024;

    /// <summary>The kernel gives an unprivileged user 64 MiB for pipes in all.</summary>
    private const int MostOpen = 96;

    private const int MostUnused = 16;

    private static readonly Stack<Pipe> Unused = new();   // guarded by itself
    private static int _open;

    private readonly int _reader;
    private readonly int _writer;
    private bool _isClosed;

    private Pipe(int reader, int writer)
    {
        _reader = reader;
        _writer = writer;
    }

    /// <summary>How many pipes this process has, in use and unused.</summary>
    internal static int Open => Volatile.Read(ref _open);

    /// <summary>How many of them wait for the next use.</summary>
    internal static int Idle
    {
        get
        {
            lock (Unused) return Unused.Count;
        }
    }

    /// <summary>Bytes that went in and not yet out.</summary>
    internal int Count { get; private set; }

    /// <summary>An empty pipe; null when the process, or the kernel, has no more.</summary>
    internal static Pipe? Rent()
    {
        lock (Unused)
        {
            if (Unused.TryPop(out var unused)) return unused;
        }
        if (Interlocked.Increment(ref _open) <= MostOpen && Epoll.CreatePipe(Capacity) is var (reader, writer) && reader >= 0) return new(reader, writer);
        Interlocked.Decrement(ref _open);
        return null;
    }

    /// <summary>Takes what a socket has received: the count, 0 at the end of its stream, or -1 with an error of the C library.</summary>
    internal int TakeFrom(int socket)
    {
        var count = Epoll.Splice(socket, _writer, Capacity);
        if (count > 0) Count += count;
        return count;
    }

    /// <summary>Gives bytes to a socket: the count, or -1 with an error of the C library.</summary>
    internal int GiveTo(int socket)
    {
        var count = Epoll.Splice(_reader, socket, Count);
        if (count > 0) Count -= count;
        return count;
    }

    /// <summary>Gives it back. What it still contains is lost.</summary>
    public void Dispose()
    {
        if (_isClosed) return;
        if (Count == 0)
        {
            lock (Unused)
            {
                if (Unused.Count < MostUnused)
                {
                    Unused.Push(this);
                    return;
                }
            }
        }
        _isClosed = true;
        Epoll.Close(_reader);
        Epoll.Close(_writer);
        Interlocked.Decrement(ref _open);
    }
}
