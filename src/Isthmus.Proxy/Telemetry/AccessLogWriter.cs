using System.Collections.Concurrent;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Messages;

namespace Isthmus.Proxy.Telemetry;

/// <summary>Opens the files that access logs are written to.</summary>
internal interface ILogFiles
{
    /// <exception cref="IOException">The file cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be written.</exception>
    Stream Open(string path);
}

/// <summary>Files and the standard streams of this process; the latter by handle, because a container may not be able to
/// open their paths.</summary>
internal sealed class ProcessLogFiles : ILogFiles
{
    public Stream Open(string path) => path switch
    {
        "/dev/stdout" => Console.OpenStandardOutput(),
        "/dev/stderr" => Console.OpenStandardError(),
        _ => new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0),
    };
}

/// <summary>Writes access logs. A line costs its request only a copy into a buffer; a background task writes it, and lines
/// that a slow disk cannot take are dropped and counted.</summary>
internal sealed class AccessLogWriter(ILogFiles files) : IDisposable
{
    private const int MaxWaiting = 4 * 1024 * 1024;

    /// <summary>How long a line waits for others: waking a thread for each would cost more than the line.</summary>
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(20);

    private readonly ConcurrentDictionary<string, LogFile> _files = new(StringComparer.Ordinal);

    [ThreadStatic] private static ByteWriter? _line;

    /// <summary>Takes what is for services; null if there is none yet.</summary>
    public ILogServices? Services { get; set; }

    /// <summary>Lines that files lost.</summary>
    public long Dropped => _files.Values.Sum(f => Interlocked.Read(ref f.Dropped));

    public void Write(ValueList<AccessLogSnapshot> logs, TrafficRecord record)
    {
        foreach (var log in logs)
        {
            if (log.Filter is { } takes && !takes(record)) continue;
            if (log is ServiceLog service) Services?.Add(service, record);
            else if (log is FileLog file) Write(file, record);
        }
    }

    private void Write(FileLog log, TrafficRecord record)
    {
        var line = _line ??= new ByteWriter();
        line.Clear();
        log.Format.Write(record, line);
        _files.GetOrAdd(log.Path, static (path, files) => new LogFile(files, path), files).Append(line);
    }

    /// <summary>Writes the waiting lines.</summary>
    public void Dispose()
    {
        foreach (var file in _files.Values) file.Dispose();
    }

    private sealed class LogFile : IDisposable
    {
        private readonly ILogFiles _files;
        private readonly string _path;
        private readonly Timer _timer;
        private readonly Lock _lock = new();        // guards the waiting buffer
        private readonly Lock _writing = new();     // one writer at a time, so that lines stay in order
        private ByteWriter _waiting = new();
        private ByteWriter _spare = new();
        private Stream? _stream;
        private bool _isScheduled;
        private bool _isClosed;
        public long Dropped;

        public LogFile(ILogFiles files, string path)
        {
            _files = files;
            _path = path;
            _timer = new Timer(static file => ((LogFile)file!).Drain(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        public void Append(ByteWriter line)
        {
            lock (_lock)
            {
                if (_isClosed || _waiting.Length > MaxWaiting)
                {
                    Interlocked.Increment(ref Dropped);
                    return;
                }
                _waiting.Write(line.Written.Span);
                if (_isScheduled) return;
                _isScheduled = true;
                _timer.Change(Delay, Timeout.InfiniteTimeSpan);
            }
        }

        public void Dispose()
        {
            lock (_lock) _isClosed = true;
            _timer.Dispose();
            Drain();
        }

        private void Drain()
        {
            lock (_writing)
            {
                while (true)
                {
                    ByteWriter full;
                    lock (_lock)
                    {
                        if (_waiting.Length == 0)
                        {
                            _isScheduled = false;
                            return;
                        }
                        full = _waiting;
                        _waiting = _spare;
                    }
                    WriteOut(full.Written.Span);
                    full.Dispose();
                    _spare = full;
                }
            }
        }

        private void WriteOut(ReadOnlySpan<byte> bytes)
        {
            try
            {
                _stream ??= _files.Open(_path);
                _stream.Write(bytes);
                _stream.Flush();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // The log itself cannot report this: the counter in the statistics does.
                Interlocked.Add(ref Dropped, bytes.Count((byte)'\n'));
                _stream?.Dispose();
                _stream = null;
            }
        }
    }
}
