using System.Diagnostics;
using Isthmus.Core.Collections;
using Isthmus.Lab.Machine.Linux;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Supervisor;

/// <summary>Keeps a process running: starts it in a network namespace, restarts it with back-off when it ends, and writes
/// its output to a file.</summary>
internal sealed partial class SupervisedProcess : IAsyncDisposable
{
    private static readonly TimeSpan FirstBackoff = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestBackoff = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Healthy = TimeSpan.FromSeconds(20);
    private const long LongestLog = 16 << 20;

    private readonly CancellationTokenSource _stop = new();
    private readonly ILogger _log;
    private readonly string _name;
    private readonly string _logFile;
    private readonly NamespaceHandle _network;
    private readonly TimeProvider _time;
    private readonly ValueList<string> _command;
    private readonly Task _running;
    private volatile Process? _process;
    private volatile Hold? _hold;
    private int _restarts;

    /// <summary>Whether the process must stay down.</summary>
    private sealed class Hold
    {
        internal TaskCompletionSource Down { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
        internal TaskCompletionSource Over { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    internal SupervisedProcess(string name, NamespaceHandle network, IEnumerable<string> command, string logFile, TimeProvider time, ILogger log)
    {
        _name = name;
        _network = network;
        _command = command.ToValueList();
        _logFile = logFile;
        _time = time;
        _log = log;
        _running = RunAsync();
    }

    /// <summary>Null while it is down.</summary>
    internal int? ProcessId => _process?.Id;

    internal int Restarts => Volatile.Read(ref _restarts);

    /// <summary>Sends SIGTERM, and SIGKILL if the process does not end within <paramref name="patience"/>. It is not
    /// started again.</summary>
    internal async Task StopAsync(TimeSpan patience)
    {
        await _stop.CancelAsync();
        if (_process is { } process)
        {
            Signal(process, Signals.Term);
            try
            {
                await _running.WaitAsync(patience, _time);
            }
            catch (TimeoutException)
            {
                Signal(process, Signals.Kill);
            }
        }
        await _running;
    }

    /// <summary>Kills it, to simulate a fault, and keeps it down until <see cref="Release"/>.</summary>
    internal async Task HoldAsync(CancellationToken stop)
    {
        var hold = Interlocked.CompareExchange(ref _hold, new(), null) ?? _hold;
        if (_process is { } process) Signal(process, Signals.Kill);
        if (hold is not null) await hold.Down.Task.WaitAsync(stop);
    }

    /// <summary>Starts it again; false when it was not held.</summary>
    internal bool Release() => Interlocked.Exchange(ref _hold, null)?.Over.TrySetResult() ?? false;

    public async ValueTask DisposeAsync()
    {
        await StopAsync(TimeSpan.FromSeconds(1));
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        await Task.Yield();
        var backoff = FirstBackoff;
        while (!_stop.IsCancellationRequested)
        {
            if (_hold is { } hold)
            {
                hold.Down.TrySetResult();
                await hold.Over.Task.WaitAsync(_stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                backoff = FirstBackoff;
                continue;
            }
            var begun = _time.GetTimestamp();
            int code;
            using (var process = Start())
            {
                _process = process;
                // A stop request during the start did not see the process.
                if (_stop.IsCancellationRequested || _hold is not null) Signal(process, Signals.Kill);
                await process.WaitForExitAsync(CancellationToken.None);
                _process = null;
                code = process.ExitCode;
            }
            if (_stop.IsCancellationRequested) return;
            if (_hold is not null) continue;
            if (_time.GetElapsedTime(begun) > Healthy) backoff = FirstBackoff;
            LogEnded(_name, code, backoff.TotalSeconds, _logFile);
            Interlocked.Increment(ref _restarts);
            try
            {
                await Task.Delay(backoff, _time, _stop.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            backoff = TimeSpan.FromTicks(Math.Min(backoff.Ticks * 2, LongestBackoff.Ticks));
        }
    }

    private Process Start()
    {
        if (File.Exists(_logFile) && new FileInfo(_logFile).Length > LongestLog) File.Move(_logFile, _logFile + ".1", overwrite: true);
        // The shell only opens the files: a pipe through this process would break when this process ends.
        var start = new ProcessStartInfo("/bin/sh", ["-c", "exec >>\"$0\" 2>&1 </dev/null; exec \"$@\"", _logFile, .. _command]);
        foreach (var (key, value) in RuntimeSettings.Environment) start.Environment[key] = value;
        start.Environment["PATH"] = Programs.SearchPath(start.Environment["PATH"]);
        return NamespaceThread.Run(_network, () => Process.Start(start)!);
    }

    private static void Signal(Process process, int signal)
    {
        try
        {
            // The process object reaps the process, so the PID belongs to this process until its end is seen.
            if (!process.HasExited) ProcessImage.Kill(process.Id, signal);
        }
        catch (InvalidOperationException)
        {
            // It has ended, and its object is disposed.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Process} ended with code {Code}; starting it again in {Seconds:0.0} s (its log: {File})")]
    private partial void LogEnded(string process, int code, double seconds, string file);
}
