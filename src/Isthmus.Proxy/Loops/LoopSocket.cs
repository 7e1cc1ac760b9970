using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;

namespace Isthmus.Proxy.Loops;

// Its loop refuses other systems than Linux.
#pragma warning disable CA1416

/// <summary>
/// Reads and writes of a socket that belongs to an event loop. One read and one write may be pending. They complete on the loop's thread,
/// or at once if the kernel has what they need.
/// </summary>
internal sealed class LoopSocket
{
    private readonly Socket _socket;
    private readonly EventLoop _loop;
    private readonly ulong _key;
    private readonly Direction _reading;
    private readonly Direction _writing;
    private int _closed;
    private bool _isNonBlocking;    // as far as splice(2) is concerned; other calls need no such setting
    private volatile bool _mayHaveEnded;
    private Action? _onEnd;
    private LoopSocket? _partner;
    private volatile bool _wasCut;    // by a reset of the partner

    /// <summary>A connection.</summary>
    internal LoopSocket(Socket socket, EventLoop loop) : this(socket, loop, Epoll.In | Epoll.Out | Epoll.PeerEnded)
    {
    }

    /// <param name="socket">The socket, which the result owns.</param>
    /// <param name="loop">The loop that waits for it.</param>
    /// <param name="events">What it waits for.</param>
    internal LoopSocket(Socket socket, EventLoop loop, uint events)
    {
        _socket = socket;
        _loop = loop;
        _reading = new(this);
        _writing = new(this);
        _key = loop.Add(this, (int)socket.SafeHandle.DangerousGetHandle(), events);
    }

    internal EventLoop Loop => _loop;

    /// <summary>Two sockets of this process that are connected to one another.</summary>
    /// <exception cref="SocketException">There are no descriptors left.</exception>
    internal static ((Socket Socket, LoopSocket Loop) One, (Socket Socket, LoopSocket Loop) Other) Pair(EventLoop loop)
    {
        var (one, other) = Epoll.CreatePair();
        if (one < 0) throw Errno.Failure(Marshal.GetLastPInvokeError());
        var (first, second) = (new Socket(new SafeSocketHandle(one, ownsHandle: true)), new Socket(new SafeSocketHandle(other, ownsHandle: true)));
        try
        {
            var (near, far) = (new LoopSocket(first, loop) { _isNonBlocking = true }, new LoopSocket(second, loop) { _isNonBlocking = true });
            (near._partner, far._partner) = (far, near);
            return ((first, near), (second, far));
        }
        catch (SocketException)
        {
            first.Dispose();
            second.Dispose();
            throw;
        }
    }

    /// <summary>Connects a socket that is not connected.</summary>
    /// <exception cref="SocketException">The peer refused, or cannot be reached.</exception>
    /// <exception cref="ObjectDisposedException">It took too long.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    internal static async ValueTask<LoopSocket> ConnectAsync(Socket socket, EndPoint address, TimeSpan timeout, TimeProvider time)
    {
        Epoll.SetNonBlocking((int)socket.SafeHandle.DangerousGetHandle());
        var serialized = address.Serialize();
        if (Epoll.Connect((int)socket.SafeHandle.DangerousGetHandle(), serialized.Buffer.Span[..serialized.Size]) < 0
            && Marshal.GetLastPInvokeError() is var error && error != Epoll.InProgress)
            throw Errno.Failure(error);
        // A socket that connects is ready only when that has ended.
        var loop = new LoopSocket(socket, EventLoop.Choose()) { _isNonBlocking = true };
        using (time.CreateTimer(static l => ((LoopSocket)l!).Close(), loop, timeout, Timeout.InfiniteTimeSpan))
            await loop._writing.WaitAsync(default).ConfigureAwait(false);
        if (!loop._mayHaveEnded) return loop;
        var failure = Errno.Of(socket);
        if (failure == 0) return loop;
        loop.Close();
        throw Errno.Failure(failure);
    }

    /// <summary>Whether the next read tries the kernel first. Set by those who ask the kernel themselves.</summary>
    internal bool MayHaveMore
    {
        set => _reading.IsReady = value;
    }

    /// <summary>Nothing has arrived that was not read, as far as the loop knows.</summary>
    internal bool IsQuiet => _closed == 0 && !_reading.IsReady;

    /// <summary>Receives what is there; 0 at the end of the peer's stream. With an empty buffer it takes nothing, and only waits until the kernel
    /// has something; reading that shows what it is.</summary>
    /// <exception cref="SocketException">The connection failed.</exception>
    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    internal ValueTask<int> ReceiveAsync(Memory<byte> into)
    {
        if (!_reading.IsReady) return _reading.WaitAsync(into);
        if (!_loop.MayRead()) return TakeTurnAsync(into);
        if (into.IsEmpty) return default;
        var count = Receive(into.Span);
        return count >= 0 ? new(count) : _reading.WaitAsync(into);
    }

    /// <summary>Moves what is there to an empty pipe; 0 at the end of the peer's stream, -1 when there is nothing.</summary>
    /// <exception cref="SocketException">The connection failed.</exception>
    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    internal async ValueTask<int> ReceiveAsync(Pipe into)
    {
        if (!_loop.MayRead() && _reading.IsReady) await TakeTurnAsync(default).ConfigureAwait(false);
        _reading.IsReady = false;
        var handle = Hold();
        try
        {
            PreparePipe(handle);
            while (true)
            {
                var count = into.TakeFrom((int)handle.DangerousGetHandle());
                if (count >= 0)
                {
                    // Fewer bytes than fit may mean that these are all, or that the pipe has no place for more pieces.
                    _reading.IsReady = true;
                    return count > 0 || !_wasCut ? count : throw Errno.Failure(Epoll.WasReset);
                }
                var error = Marshal.GetLastPInvokeError();
                if (error == Epoll.Again) return -1;
                if (error == Epoll.Interrupted) continue;
                _reading.IsReady = true;
                throw Errno.Failure(error);
            }
        }
        finally
        {
            handle.DangerousRelease();
        }
    }

    private ValueTask<int> TakeTurnAsync(Memory<byte> into)
    {
        var waiting = _reading.WaitForTurnAsync(into);
        _loop.Post(_reading.OnReady);
        return waiting;
    }

    /// <summary>Like the other, but a cancelled read ends and takes no bytes; the socket stays as it is.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled before anything arrived.</exception>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    internal async ValueTask<int> ReceiveAsync(Memory<byte> into, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        var read = ReceiveAsync(into);
        if (read.IsCompleted) return await read.ConfigureAwait(false);
        var pending = _reading.Version;
        using var cancellation = stop.UnsafeRegister(_ => _loop.Post(() => _reading.Cancel(pending, stop)), null);
        return await read.ConfigureAwait(false);
    }

    /// <summary>Receives what is there; 0 at the end of the peer's stream, -1 when there is nothing or it is the turn of others.</summary>
    internal int TryReceive(Span<byte> into) => _reading.IsReady && _loop.MayRead() ? Receive(into) : -1;

    /// <summary>Completes when <see cref="TrySend"/> may send more, or the socket is closed.</summary>
    internal ValueTask<int> WaitToSendAsync() => _writing.WaitAsync(default);

    /// <summary>Sends some of the bytes, at least one.</summary>
    /// <exception cref="SocketException">The connection failed.</exception>
    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    internal ValueTask<int> SendAsync(ReadOnlyMemory<byte> bytes)
    {
        var count = TrySend(bytes.Span);
        return count >= 0 ? new(count) : _writing.WaitAsync(MemoryMarshal.AsMemory(bytes));
    }

    /// <summary>Sends some of the bytes in a pipe, at least one.</summary>
    /// <exception cref="SocketException">The connection failed.</exception>
    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    internal ValueTask<int> SendAsync(Pipe bytes)
    {
        var count = Send(bytes);
        return count >= 0 ? new(count) : _writing.WaitAsync(default, bytes);
    }

    /// <summary>Has an action run as soon as the peer ends its direction or resets the connection, even if nobody reads, and at once if it has.
    /// It may run twice, and at the same time as a read.</summary>
    internal void OnEnd(Action action)
    {
        Interlocked.Exchange(ref _onEnd, action);
        if (_mayHaveEnded) action();
    }

    /// <summary>The peer has reset the connection.</summary>
    internal bool WasReset { get; private set; }

    internal void OnReady(uint events)
    {
        var hasEnded = (events & (Epoll.PeerEnded | Epoll.Error | Epoll.HangUp)) != 0;
        if (hasEnded) (WasReset, _mayHaveEnded) = (WasReset || _wasCut || (events & Epoll.Error) != 0, true);
        if ((events & (Epoll.In | Epoll.Error | Epoll.HangUp | Epoll.PeerEnded)) != 0) _reading.OnReady();
        if ((events & (Epoll.Out | Epoll.Error | Epoll.HangUp)) != 0) _writing.OnReady();
        if (!hasEnded) return;
        // Whoever sets the action now sees that the peer has ended, or is seen here.
        Interlocked.MemoryBarrier();
        _onEnd?.Invoke();
    }

    /// <summary>Pending reads and writes fail.</summary>
    /// <param name="reset">The peer sees a reset. A pair of sockets tells one another: the kernel does not, as it does for TCP.</param>
    internal void Close(bool reset = false)
    {
        if (Interlocked.Exchange(ref _closed, 1) != 0) return;
        if (reset && _partner is { } partner) partner._wasCut = true;
        _loop.Remove(_key);
        _socket.Dispose();
        // Whoever closes may hold locks, so those who wait continue on the loop.
        if (_reading.IsWaiting) _loop.Post(_reading.OnReady);
        if (_writing.IsWaiting) _loop.Post(_writing.OnReady);
    }

    // -1: nothing there.
    private int Receive(Span<byte> into)
    {
        _reading.IsReady = false;
        var handle = Hold();
        try
        {
            while (true)
            {
                var count = Epoll.Receive((int)handle.DangerousGetHandle(), into);
                if (count >= 0)
                {
                    // A full buffer may mean that there is more. The end may have been reported together with the last bytes, and stays the end.
                    if (count == into.Length || count == 0 || _mayHaveEnded) _reading.IsReady = true;
                    return count > 0 || !_wasCut || into.IsEmpty ? count : throw Errno.Failure(Epoll.WasReset);
                }
                var error = Marshal.GetLastPInvokeError();
                if (error == Epoll.Again) return -1;
                if (error != Epoll.Interrupted)
                {
                    _reading.IsReady = true;
                    throw Errno.Failure(error);
                }
            }
        }
        finally
        {
            handle.DangerousRelease();
        }
    }

    /// <summary>Sends some of the bytes; -1 when the kernel has no room.</summary>
    internal int TrySend(ReadOnlySpan<byte> bytes)
    {
        var handle = Hold();
        try
        {
            while (true)
            {
                var count = Epoll.Send((int)handle.DangerousGetHandle(), bytes);
                if (count >= 0) return count;
                var error = Marshal.GetLastPInvokeError();
                if (error == Epoll.Again) return -1;
                if (error != Epoll.Interrupted) throw Errno.Failure(error);
            }
        }
        finally
        {
            handle.DangerousRelease();
        }
    }

    private void PreparePipe(SafeSocketHandle handle)
    {
        if (_isNonBlocking) return;
        Epoll.SetNonBlocking((int)handle.DangerousGetHandle());
        _isNonBlocking = true;
    }

    private int Send(Pipe bytes)
    {
        var handle = Hold();
        try
        {
            PreparePipe(handle);
            while (true)
            {
                var count = bytes.GiveTo((int)handle.DangerousGetHandle());
                if (count >= 0) return count;
                var error = Marshal.GetLastPInvokeError();
                // The pipe has bytes, so it is the socket that has no room.
                if (error == Epoll.Again) return -1;
                if (error != Epoll.Interrupted) throw Errno.Failure(error);
            }
        }
        finally
        {
            handle.DangerousRelease();
        }
    }

    private SafeSocketHandle Hold()
    {
        var handle = _socket.SafeHandle;
        var held = false;
        handle.DangerousAddRef(ref held);
        return handle;
    }

    /// <summary>One direction: whether the kernel may have something, and who waits for it.</summary>
    private sealed class Direction(LoopSocket owner) : IValueTaskSource<int>
    {
        private const int Empty = 0, Ready = 1, Waiting = 2;

        private ManualResetValueTaskSourceCore<int> _source;
        private Memory<byte> _buffer;
        private Pipe? _pipe;
        private int _state;

        internal bool IsReady
        {
            get => Volatile.Read(ref _state) == Ready;
            // Whoever sets it reads, so nobody waits; an event may set it at the same time.
            set => Volatile.Write(ref _state, value ? Ready : Empty);
        }

        internal bool IsWaiting => Volatile.Read(ref _state) == Waiting;

        internal short Version => _source.Version;

        /// <summary>Ends a wait if it is still that one. Runs on the loop, where no other wait can begin before this returns.</summary>
        internal void Cancel(short version, CancellationToken stop)
        {
            if (_source.Version != version || Interlocked.CompareExchange(ref _state, Empty, Waiting) != Waiting) return;
            _buffer = default;
            _source.SetException(new OperationCanceledException(stop));
        }

        internal ValueTask<int> WaitAsync(Memory<byte> buffer, Pipe? pipe = null)
        {
            _source.Reset();
            _buffer = buffer;
            _pipe = pipe;
            var task = new ValueTask<int>(this, _source.Version);
            while (true)
            {
                if (Interlocked.CompareExchange(ref _state, Waiting, Empty) == Empty)
                {
                    // Whoever closed it before saw nobody who waits.
                    if (Volatile.Read(ref owner._closed) != 0) OnReady();
                    return task;
                }
                // Ready meanwhile.
                Interlocked.Exchange(ref _state, Empty);
                if (Try()) return task;
            }
        }

        /// <summary>Waits although the socket is ready: whoever calls this also posts <see cref="OnReady"/>.</summary>
        internal ValueTask<int> WaitForTurnAsync(Memory<byte> buffer)
        {
            _source.Reset();
            _buffer = buffer;
            var task = new ValueTask<int>(this, _source.Version);
            Volatile.Write(ref _state, Waiting);
            return task;
        }

        internal void OnReady()
        {
            if (Interlocked.Exchange(ref _state, Ready) != Waiting) return;
            while (true)
            {
                Interlocked.Exchange(ref _state, Empty);
                if (Try()) return;
                if (Interlocked.CompareExchange(ref _state, Waiting, Empty) != Empty) continue;
                // Whoever closed the socket during the attempt saw nobody who waits.
                if (Volatile.Read(ref owner._closed) == 0 || Interlocked.Exchange(ref _state, Ready) != Waiting) return;
            }
        }

        private bool Try()
        {
            var isRead = ReferenceEquals(this, owner._reading);
            int count;
            try
            {
                if (isRead && _buffer.IsEmpty)
                {
                    IsReady = true;
                    count = 0;
                }
                else
                {
                    if (owner._closed != 0) throw new ObjectDisposedException(nameof(Socket));
                    count = isRead ? owner.Receive(_buffer.Span) : _pipe is { } pipe ? owner.Send(pipe) : _buffer.IsEmpty ? 0 : owner.TrySend(_buffer.Span);
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                _buffer = default;
                _pipe = null;
                _source.SetException(e);
                return true;
            }
            if (count < 0) return false;
            _buffer = default;
            _pipe = null;
            _source.SetResult(count);
            return true;
        }

        int IValueTaskSource<int>.GetResult(short token) => _source.GetResult(token);

        ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _source.GetStatus(token);

        void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _source.OnCompleted(continuation, state, token, flags & ~ValueTaskSourceOnCompletedFlags.UseSchedulingContext);
    }
}
