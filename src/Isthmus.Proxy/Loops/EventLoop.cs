using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Isthmus.Proxy.Loops;

// The constructor refuses other systems than Linux.
#pragma warning disable CA1416

/// <summary>
/// One thread that waits for the readiness of its sockets (epoll(7)) and continues whoever waits for it in place, without the thread pool.
/// What runs here must never block. The process has one loop for each processor that the runtime may use.
/// </summary>
internal sealed unsafe class EventLoop
{
    private const int MostEvents = 256;

    /// <summary>How many reads in a row may complete at once before others get their turn.</summary>
    private const int ReadsPerTurn = 32;

    /// <summary>By how many connections a loop may be ahead of another.</summary>
    private const int MostAhead = 4;

    private const ulong WakerKey = ulong.MaxValue;

    [ThreadStatic] private static EventLoop? _current;

    private static readonly Lazy<EventLoop[]> Started = new(() => [.. Enumerable.Range(0, Environment.ProcessorCount).Select(i => new EventLoop(i))]);
    private static int _next;

    private readonly int _epoll;
    private readonly int _waker;
    private readonly ConcurrentQueue<Action> _posted = new();       // by other threads
    private readonly Queue<Action> _own = new();     // by the loop's thread, which alone uses it
    private readonly Dictionary<ulong, LoopSocket> _sockets = [];   // guarded by itself
    private volatile int _count;        // of _sockets
    private ulong _nextKey;     // guarded by _sockets
    private int _isWoken;
    private int _readsLeft;     // only for the loop's thread

    private EventLoop(int index)
    {
        if (!OperatingSystem.IsLinux()) throw new PlatformNotSupportedException("proxies run on Linux only");
        _epoll = Checked(Epoll.Create());
        _waker = Checked(Epoll.CreateWaker());
        Checked(Epoll.Watch(_epoll, _waker, Epoll.In, WakerKey));
        new Thread(Run) { IsBackground = true, Name = $"loop {index}" }.Start();
    }

    /// <summary>The loops of this process; the first use starts them.</summary>
    internal static IReadOnlyList<EventLoop> All => Started.Value;

    /// <summary>The loop of this thread; null on other threads.</summary>
    internal static EventLoop? Current => _current;

    /// <summary>The loop of this thread, or the next of all in turn.</summary>
    internal static EventLoop Choose() => _current ?? Next();

    /// <summary>Another loop for each call, in turn.</summary>
    internal static EventLoop Next() => Started.Value[(uint)Interlocked.Increment(ref _next) % (uint)Started.Value.Length];

    /// <summary>Whether a read may complete at once. A connection that always has more to read must leave time for the others.</summary>
    internal bool MayRead() => _current != this || --_readsLeft > 0;

    /// <summary>Whether this is the loop's thread.</summary>
    internal bool IsCurrent => _current == this;

    /// <summary>The loop for a connection that this one accepted: itself, except if it has many more connections than another has. Only then
    /// the connection changes threads.</summary>
    internal EventLoop ForAccepted()
    {
        var least = this;
        foreach (var loop in Started.Value)
            if (loop._count < least._count) least = loop;
        return _count > least._count + least._count / 8 + MostAhead ? least : this;
    }

    /// <summary>Runs an action on the loop's thread, after the events that the loop is handling now.</summary>
    internal void Post(Action action)
    {
        if (_current == this)
        {
            _own.Enqueue(action);
            return;
        }
        _posted.Enqueue(action);
        if (Interlocked.Exchange(ref _isWoken, 1) == 0) Epoll.Wake(_waker);
    }

    /// <summary>Watches a socket.</summary>
    /// <returns>The key that removes it.</returns>
    /// <exception cref="SocketException">The kernel has no room for it.</exception>
    internal ulong Add(LoopSocket socket, int descriptor, uint events)
    {
        ulong key;
        lock (_sockets)
        {
            key = _nextKey++;
            _sockets[key] = socket;
            _count = _sockets.Count;
        }
        if (Epoll.Watch(_epoll, descriptor, events | Epoll.EdgeTriggered, key) == 0) return key;
        var error = Marshal.GetLastPInvokeError();
        Remove(key);
        throw Errno.Failure(error);
    }

    internal void Remove(ulong key)
    {
        lock (_sockets)
        {
            _sockets.Remove(key);
            _count = _sockets.Count;
        }
    }

    private static int Checked(int result) => result >= 0 ? result : throw Errno.Failure(Marshal.GetLastPInvokeError());

    private void Run()
    {
        _current = this;
        var events = (byte*)NativeMemory.Alloc((nuint)(MostEvents * Epoll.EventSize));
        while (true)
        {
            var count = Epoll.Wait(_epoll, events, MostEvents, _own.Count > 0 ? 0 : -1);
            for (var i = 0; i < count; i++)
            {
                var ready = Epoll.Read(events, i);
                if (ready.Data == WakerKey) RunPosted();
                else Continue(ready);
            }
            // Twice: what has arrived continues requests, and what these wrote is then sent, many frames at once.
            RunOwn();
            RunOwn();
        }
    }

    private void Continue(Epoll.Event ready)
    {
        LoopSocket? socket;
        lock (_sockets) _sockets.TryGetValue(ready.Data, out socket);
        _readsLeft = ReadsPerTurn;
        socket?.OnReady(ready.Events);
    }

    // What these actions post in turn waits for the next round, so that sockets are not kept waiting.
    private void RunOwn()
    {
        for (var left = _own.Count; left > 0; left--)
        {
            _readsLeft = ReadsPerTurn;
            _own.Dequeue()();
        }
    }

    private void RunPosted()
    {
        Epoll.Rest(_waker);
        Interlocked.Exchange(ref _isWoken, 0);
        for (var left = _posted.Count; left > 0 && _posted.TryDequeue(out var action); left--)
        {
            _readsLeft = ReadsPerTurn;
            action();
        }
    }
}
