using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Nodes.Processes;

/// <summary>
/// One thread that polls all pipes, terminals and process descriptors. With .NET's asynchronous files, each of them would
/// block a pool thread.
/// </summary>
internal sealed class Reactor : IDisposable
{
    private const short In = 1, Out = 4, Error = 8, HangUp = 16;

    private readonly ConcurrentQueue<Waiter> _arrivals = new();
    private readonly Thread _thread;
    private readonly int _wakeRead, _wakeWrite;
    private volatile bool _stopped;

    internal Reactor()
    {
        (_wakeRead, _wakeWrite) = Descriptors.Pipe();
        Descriptors.SetNonBlocking(_wakeRead);
        Descriptors.SetNonBlocking(_wakeWrite);
        _thread = new Thread(Loop) { IsBackground = true, Name = "reactor" };
        _thread.Start();
    }

    /// <summary>Completes when a read would not block: there is data, the other end is gone, or the process has
    /// ended.</summary>
    internal Task ReadableAsync(int descriptor, CancellationToken stop) => WaitAsync(descriptor, In, stop);

    internal Task WritableAsync(int descriptor, CancellationToken stop) => WaitAsync(descriptor, Out, stop);

    public void Dispose()
    {
        _stopped = true;
        Wake();
        _thread.Join();
        _ = Libc.Close(_wakeRead);
        _ = Libc.Close(_wakeWrite);
    }

    private async Task WaitAsync(int descriptor, short events, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        var waiter = new Waiter(descriptor, events);
        await using var registration = stop.UnsafeRegister(_ =>
        {
            waiter.Ready.TrySetCanceled(stop);
            Wake();
        }, null);
        _arrivals.Enqueue(waiter);
        Wake();
        await waiter.Ready.Task;
    }

    private unsafe void Loop()
    {
        var waiters = new List<Waiter>();
        var entries = new Libc.PollEntry[64];
        while (!_stopped)
        {
            while (_arrivals.TryDequeue(out var arrival)) waiters.Add(arrival);
            waiters.RemoveAll(waiter => waiter.Ready.Task.IsCompleted);
            if (entries.Length <= waiters.Count) entries = new Libc.PollEntry[waiters.Count * 2];
            entries[0] = new Libc.PollEntry { Descriptor = _wakeRead, Events = In };
            for (var i = 0; i < waiters.Count; i++) entries[i + 1] = new Libc.PollEntry { Descriptor = waiters[i].Descriptor, Events = waiters[i].Events };
            fixed (Libc.PollEntry* first = entries)
            {
                if (Libc.Poll(first, (nuint)waiters.Count + 1, -1) < 0)
                {
                    var errno = Marshal.GetLastPInvokeError();
                    if (errno == LinuxException.EIntr) continue;
                    throw new LinuxException("poll", errno);
                }
            }
            if (entries[0].Returned != 0) Drain();
            for (var i = waiters.Count - 1; i >= 0; i--)
            {
                if ((entries[i + 1].Returned & (waiters[i].Events | Error | HangUp | 32)) == 0) continue;
                waiters[i].Ready.TrySetResult();
                waiters.RemoveAt(i);
            }
        }
        foreach (var waiter in waiters.Concat(_arrivals)) waiter.Ready.TrySetCanceled();
    }

    private unsafe void Wake()
    {
        byte one = 1;
        _ = Libc.Write(_wakeWrite, &one, 1);
    }

    private unsafe void Drain()
    {
        byte* buffer = stackalloc byte[256];
        while (Libc.Read(_wakeRead, buffer, 256) == 256) { }
    }

    private sealed class Waiter(int descriptor, short events)
    {
        internal int Descriptor => descriptor;
        internal short Events => events;
        internal TaskCompletionSource Ready { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
