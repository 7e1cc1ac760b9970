namespace Isthmus.Wire.Xds;

/// <summary>
/// What clients may make a discovery server hold. A source is an address, or an account: thousands of proxies may share one. A Pod is one
/// proxy. Bytes are those of node messages, of names that no resource has, and of requests that are not answered yet.
/// </summary>
public sealed record XdsLimits
{
    /// <summary>Streams of all sources.</summary>
    public int Streams { get; init; } = 50_000;

    /// <summary>Streams of one address, and of one account.</summary>
    public int StreamsPerSource { get; init; } = 10_000;

    /// <summary>Streams of one Pod: a proxy has one, and applications that speak xDS themselves have one each.</summary>
    public int StreamsPerPod { get; init; } = 64;

    /// <summary>Bytes of all sources.</summary>
    public long Bytes { get; init; } = 256 << 20;

    /// <summary>Bytes of one address, and of one account.</summary>
    public long BytesPerSource { get; init; } = 64 << 20;

    /// <summary>Bytes of one Pod.</summary>
    public long BytesPerPod { get; init; } = 16 << 20;

    /// <summary>The largest node message: labels and annotations of a Pod, of which Kubernetes allows 256 KiB, and settings.</summary>
    public int NodeBytes { get; init; } = 512 << 10;

    /// <summary>How long a request waits for others to be answered first.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(10);
}

/// <summary>Who opened a stream, as far as that is proven; null or empty: unknown.</summary>
/// <param name="Account">The account, for people.</param>
/// <param name="Pod">Its Pod.</param>
public readonly record struct XdsSource(string? Account, string? Pod);
