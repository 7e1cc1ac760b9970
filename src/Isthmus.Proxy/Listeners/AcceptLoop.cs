using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.Listeners;

/// <summary>
/// Accepts the connections of one listener until its socket closes, on one event loop or several. When the process or the machine has no descriptors left it
/// pauses, longer each time: the connection stays in the queue, so without a pause each attempt would fail again at once and use up a core.
/// </summary>
internal sealed partial class AcceptLoop(string name, TimeProvider time, ILogger log)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private long _accepted;
    private long _pauses;
    private int _isExhausted;

    public long Accepted => Interlocked.Read(ref _accepted);

    /// <summary>How often it waited for descriptors.</summary>
    public long Pauses => Interlocked.Read(ref _pauses);

    public async Task RunAsync(Func<ValueTask<Socket>> accept, Action<Socket> begin, CancellationToken stop)
    {
        var pause = TimeSpan.Zero;
        while (!stop.IsCancellationRequested)
        {
            Socket socket;
            try
            {
                socket = await accept().ConfigureAwait(false);
            }
            catch (Exception e) when (e is ObjectDisposedException or OperationCanceledException
                or SocketException { SocketErrorCode: SocketError.OperationAborted or SocketError.InvalidArgument })
            {
                return;
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable)
            {
                if (Interlocked.Exchange(ref _isExhausted, 1) == 0) LogExhausted(name, e.Message);
                pause = pause == TimeSpan.Zero ? FirstPause : pause * 2 < LongestPause ? pause * 2 : LongestPause;
                Interlocked.Increment(ref _pauses);
                await Task.Delay(pause, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                continue;
            }
            catch (SocketException e)
            {
                // The client left while it was in the queue; the next one may be fine.
                LogAcceptFailed(name, e.Message);
                continue;
            }
            pause = TimeSpan.Zero;
            Volatile.Write(ref _isExhausted, 0);
            Interlocked.Increment(ref _accepted);
            Begin(socket, begin);
        }
    }

    private void Begin(Socket socket, Action<Socket> begin)
    {
        try
        {
            begin(socket);
        }
#pragma warning disable CA1031 // Last resort: a bug costs one connection, not the listener.
        catch (Exception bug)
#pragma warning restore CA1031
        {
            socket.Dispose();
            LogBug(name, bug);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Listener {Name} pauses: no file descriptors left ({Reason}); new connections wait in the queue")]
    private partial void LogExhausted(string name, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Listener {Name} could not accept a connection: {Reason}")]
    private partial void LogAcceptFailed(string name, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Listener {Name}: internal error; connection closed")]
    private partial void LogBug(string name, Exception bug);
}
