namespace Isthmus.Proxy.Policy;

/// <summary>A ratelimit filter: a rate limit service decides which requests are too many.</summary>
/// <param name="cluster">Where the service is.</param>
/// <param name="domain">The domain of the descriptors.</param>
/// <param name="patience">How long the service may take.</param>
internal sealed class GlobalLimit(string cluster, string domain, TimeSpan patience)
{
    public string Cluster => cluster;

    public TimeSpan Patience => patience;

    public required string Authority { get; init; }

    public int Stage { get; init; }

    /// <summary>Requests do not continue when the service cannot be asked.</summary>
    public bool FailsClosed { get; init; }

    public int Status { get; init; } = 429;

    public int StatusOnError { get; init; } = 500;

    /// <summary>The status of a refused call of gRPC; null: as it follows from the HTTP status.</summary>
    public int? GrpcStatus { get; init; }

    /// <summary>Clients learn what is left.</summary>
    public bool TellsClient { get; init; }

    /// <summary>Refusals do not say why.</summary>
    public bool IsSilent { get; init; }

    /// <summary>Fields of refusals.</summary>
    public IReadOnlyList<HeaderEdit> ToClient { get; init; } = [];

    /// <summary>What the names of the counters of a cluster end with.</summary>
    public string Stats { get; init; } = "";

    public string DomainFor(GlobalRouteLimit? route) => route is { Domain.Length: > 0 } ? route.Domain : domain;
}

/// <summary>Settings of a ratelimit filter for a route.</summary>
/// <param name="Rules">They take the place of those of the route; empty if they do not.</param>
internal sealed record GlobalRouteLimit(HostLimits Host, IReadOnlyList<LimitRule> Rules, string Domain) : IRouteOverride;

/// <summary>What a rate limit service decided.</summary>
/// <param name="IsOver">The request is one too many; null: the service could not be asked.</param>
internal sealed record LimitAnswer(bool? IsOver)
{
    public static readonly LimitAnswer Failed = new((bool?)null);

    public IReadOnlyList<HeaderEdit> ToUpstream { get; init; } = [];

    public IReadOnlyList<HeaderEdit> ToClient { get; init; } = [];

    /// <summary>How much is left.</summary>
    public IReadOnlyList<HeaderEdit> Quota { get; init; } = [];

    /// <summary>The body of a refusal.</summary>
    public ReadOnlyMemory<byte> Body { get; init; }
}
