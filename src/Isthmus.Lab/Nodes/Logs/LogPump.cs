using Isthmus.Lab.Nodes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Nodes.Logs;

/// <summary>Carries what a container writes into its log, and to those who are attached to it.</summary>
internal sealed class LogPump(Reactor reactor, LogFile log)
{
    private readonly Lock _guard = new(); // guards the listeners
    private readonly List<Action<ReadOnlyMemory<byte>, bool>> _listeners = [];

    internal LogFile Log => log;

    /// <summary>Calls back with every piece of output (and whether it is standard error) until disposed. The callback must not block.</summary>
    internal IDisposable Listen(Action<ReadOnlyMemory<byte>, bool> listener)
    {
        lock (_guard) _listeners.Add(listener);
        return new Subscription(this, listener);
    }

    /// <summary>Runs until all writers of the pipe are gone, or stopped.</summary>
    internal async Task RunAsync(SafeFileHandle pipe, bool isError, CancellationToken stop)
    {
        using var _ = pipe;
        var buffer = new byte[LogLine.LongestPart];
        var kept = 0;
        try
        {
            while (await Descriptors.ReadAsync(reactor, pipe, buffer.AsMemory(kept), stop) is var read and > 0)
            {
                Tell(buffer.AsMemory(kept, read), isError);
                kept = WriteLines(buffer, kept + read, isError);
                log.Flush();
            }
        }
        catch (OperationCanceledException)
        {
            // We go; what is in the pipe waits there for whoever comes next.
        }
        if (kept > 0) log.WriteLine(buffer.AsSpan(0, kept), isError, isPart: false);
        log.Flush();
    }

    // Returns how many bytes of an unfinished line stay at the front of the buffer.
    private int WriteLines(byte[] buffer, int length, bool isError)
    {
        var start = 0;
        while (buffer.AsSpan(start, length - start).IndexOf((byte)'\n') is var end and >= 0)
        {
            log.WriteLine(buffer.AsSpan(start, end), isError, isPart: false);
            start += end + 1;
        }
        var rest = length - start;
        if (rest == buffer.Length)
        {
            log.WriteLine(buffer, isError, isPart: true);
            return 0;
        }
        if (start > 0 && rest > 0) buffer.AsSpan(start, rest).CopyTo(buffer);
        return rest;
    }

    private void Tell(ReadOnlyMemory<byte> bytes, bool isError)
    {
        lock (_guard)
        {
            foreach (var listener in _listeners) listener(bytes, isError);
        }
    }

    private sealed class Subscription(LogPump pump, Action<ReadOnlyMemory<byte>, bool> listener) : IDisposable
    {
        public void Dispose()
        {
            lock (pump._guard) pump._listeners.Remove(listener);
        }
    }
}
