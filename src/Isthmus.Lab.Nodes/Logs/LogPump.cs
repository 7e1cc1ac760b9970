using Isthmus.Lab.Nodes.Processes;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Nodes.Logs;

/// <summary>Copies a container's output into its log, and to attached clients.</summary>
internal sealed class LogPump(Reactor reactor, LogFile log, SafeFileHandle output, SafeFileHandle errors)
{
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private readonly Lock _guard = new(); // guards the listeners
    private readonly List<Action<ReadOnlyMemory<byte>, bool>> _listeners = [];

    internal LogFile Log => log;

    /// <summary>Completes when all output is in the log.</summary>
    internal Task Drained => _drained.Task;

    /// <summary>Calls the listener with each piece of output, and whether it is standard error, until disposed. The
    /// listener must not block.</summary>
    internal IDisposable Listen(Action<ReadOnlyMemory<byte>, bool> listener)
    {
        lock (_guard) _listeners.Add(listener);
        return new Subscription(this, listener);
    }

    /// <summary>Runs until all writers of both pipes are gone, or until stopped. It may be called again after a failure:
    /// the container must not wait for a reader.</summary>
    internal async Task RunAsync(CancellationToken stop)
    {
        await Task.WhenAll(CopyAsync(output, false, stop), CopyAsync(errors, true, stop));
        _drained.TrySetResult();
    }

    private async Task CopyAsync(SafeFileHandle pipe, bool isError, CancellationToken stop)
    {
        if (pipe.IsClosed) return;
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
            // This node stops. The rest of the data waits in the pipe for the next one.
        }
        pipe.Dispose();
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
