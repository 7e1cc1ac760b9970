using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Tasks;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.Udp;

/// <summary>The listeners for datagrams: opened and closed as they come and go.</summary>
internal sealed partial class UdpListeners(SnapshotState state, UdpReport report, ProxyPorts ports, BackgroundTasks background, ILogger log) : IDisposable
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(100), Still = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();   // guards what follows
    private readonly Dictionary<string, UdpListener> _open = new(StringComparer.Ordinal);
    private bool _isClosed;

    /// <summary>Listeners that could not be opened, with the reason.</summary>
    public IReadOnlyDictionary<string, string> Failures { get; private set; } = new Dictionary<string, string>();

    /// <summary>Opens, changes and closes listeners to match the snapshot. Called again, it retries what failed.</summary>
    public void Apply(ProxySnapshot snapshot)
    {
        lock (_lock)
        {
            if (_isClosed) return;
            var wanted = snapshot.Listeners.Values.Where(listener => listener is { BindToPort: true, Udp: not null })
                .ToDictionary(listener => listener.Name, StringComparer.Ordinal);
            foreach (var (name, open) in _open.ToArray())
            {
                if (wanted.TryGetValue(name, out var listener) && listener.SameSocket(open.Listener)
                    && listener.Udp!.StatPrefix == open.Listener.Udp!.StatPrefix)
                {
                    if (!ReferenceEquals(listener, open.Listener)) open.Change(listener);
                    continue;
                }
                open.Close();
                _open.Remove(name);
            }
            var failures = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var (name, listener) in wanted)
                if (!_open.ContainsKey(name) && Open(listener) is { } failure) failures[name] = failure;
            Failures = failures;
        }
    }

    /// <summary>Once a second.</summary>
    public void Look()
    {
        lock (_lock)
            foreach (var listener in _open.Values) listener.Look();
    }

    /// <summary>Goes on until no datagram came or went for a while, then closes.</summary>
    public async Task DrainAsync(Task deadline)
    {
        while (!deadline.IsCompleted && IsBusy()) await Task.WhenAny(deadline, Task.Delay(Step, ports.Time)).ConfigureAwait(false);
        Dispose();
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _isClosed = true;
            foreach (var listener in _open.Values) listener.Close();
            _open.Clear();
        }
    }

    private bool IsBusy()
    {
        lock (_lock) return _open.Values.Any(listener => ports.Time.GetElapsedTime(listener.LastActive) < Still);
    }

    private string? Open(ListenerSnapshot listener)
    {
        try
        {
            _open[listener.Name] = new(listener, report.Of(listener.Udp!.StatPrefix), state, ports, background);
            LogOpened(listener.Name, listener.Address);
            return null;
        }
        catch (SocketException e)
        {
            LogNotOpened(listener.Name, listener.Address, e.Message);
            return $"{listener.Address}: {e.Message}";
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Listener {Name} opened for UDP on {Address}")]
    private partial void LogOpened(string name, IPEndPoint address);

    [LoggerMessage(Level = LogLevel.Error, Message = "Listener {Name} could not be opened for UDP on {Address}: {Reason}")]
    private partial void LogNotOpened(string name, IPEndPoint address, string reason);
}
