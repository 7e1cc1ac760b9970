namespace Isthmus.Proxy.Clusters;

/// <summary>How new hosts get their share of the requests slowly (Envoy's <c>SlowStartConfig</c>).</summary>
/// <param name="Least">The part of its share that a host gets at once.</param>
internal sealed record SlowStartSettings(TimeSpan Window, double Aggression, double Least);

/// <summary>Whether hosts of a cluster are warming up, and how far they are.</summary>
internal sealed class Warmup(SlowStartSettings settings, TimeProvider time)
{
    private readonly double _window = settings.Window.TotalSeconds * time.TimestampFrequency;
    private readonly double _least = time.TimestampFrequency / 1000.0;
    private long _until;

    public bool IsActive(long now) => Volatile.Read(ref _until) > now;

    /// <summary>New hosts have joined.</summary>
    public void Begin(long now) => Volatile.Write(ref _until, now + (long)_window);

    /// <summary>The part of its share that a host gets now.</summary>
    public double Factor(Host host, long now)
    {
        var age = now - host.JoinedAt;
        if (age >= _window) return 1;
        var part = Math.Max(_least, age) / _window;
        return Math.Max(settings.Aggression == 1 ? part : Math.Pow(part, 1 / settings.Aggression), settings.Least);
    }
}
