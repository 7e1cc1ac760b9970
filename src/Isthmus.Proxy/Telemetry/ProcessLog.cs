using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Isthmus.Proxy.Telemetry;

/// <summary>The program's own log: one line per message on standard error, with a level that can change at run time.</summary>
internal sealed class ProcessLog(TextWriter writer, TimeProvider time) : ILoggerFactory
{
    private readonly ConcurrentDictionary<string, Category> _categories = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();   // guards the writer
    private readonly int[] _levels = Enumerable.Repeat((int)LogLevel.Warning, EnvoyLoggers.All.Length).ToArray(); // in the order of the names

    /// <summary>Sets the level of all loggers.</summary>
    public LogLevel Level
    {
        set
        {
            for (var i = 0; i < _levels.Length; i++) Volatile.Write(ref _levels[i], (int)value);
        }
    }

    /// <summary>Envoy's names of loggers, with their levels.</summary>
    public IEnumerable<(string Name, LogLevel Level)> Loggers => EnvoyLoggers.All.Select((name, i) => (name, (LogLevel)Volatile.Read(ref _levels[i])));

    /// <returns>False when there is no such logger.</returns>
    public bool TrySet(string logger, LogLevel level)
    {
        var at = Array.IndexOf(EnvoyLoggers.All, logger);
        if (at >= 0) Volatile.Write(ref _levels[at], (int)level);
        return at >= 0;
    }

    /// <summary>Parses a level by Envoy's or Istio's name.</summary>
    public static LogLevel? ParseLevel(string name) => name.ToLowerInvariant() switch
    {
        "trace" => LogLevel.Trace,
        "debug" => LogLevel.Debug,
        "info" => LogLevel.Information,
        "warning" or "warn" => LogLevel.Warning,
        "error" => LogLevel.Error,
        "critical" or "fatal" => LogLevel.Critical,
        "off" or "none" => LogLevel.None,
        _ => null,
    };

    public static string Name(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace",
        LogLevel.Debug => "debug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warning",
        LogLevel.Error => "error",
        LogLevel.Critical => "critical",
        _ => "off",
    };

    public ILogger CreateLogger(string categoryName) =>
        _categories.GetOrAdd(categoryName[(categoryName.LastIndexOf('.') + 1)..], static (name, log) => new Category(log, name), this);

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("There is one destination.");

    public void Dispose() => writer.Flush();

    private void Write(LogLevel level, string category, string message, Exception? exception)
    {
        var line =
            $"{time.GetUtcNow().UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture)}\t{Name(level)}\t{category}\t{message}";
        lock (_lock)
        {
            writer.WriteLine(line);
            if (exception is not null) writer.WriteLine(exception);
            writer.Flush();
        }
    }

    private sealed class Category(ProcessLog log, string name) : ILogger
    {
        private readonly int[] _loggers = [.. EnvoyLoggers.Of(name).Select(logger => Array.IndexOf(EnvoyLoggers.All, logger))];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel)
        {
            if (logLevel == LogLevel.None) return false;
            foreach (var logger in _loggers)
                if ((int)logLevel >= Volatile.Read(ref log._levels[logger])) return true;
            return false;
        }

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel)) log.Write(logLevel, name, formatter(state, exception), exception);
        }
    }
}
