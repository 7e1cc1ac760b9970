
namespace Isthmus.Proxy.Policy;

/// <summary>A ratelimit filter: a rate limit service decides which requests are too many.</summary>
/// <param name="name">The name of the filter, by which routes have settings for it.</param>
/// <param name="cluster">Where the service is.</param>
/// <param name="domain">The domain of the descriptors.</param>
/// <param name="patience">How long the service may take.</param>
internal sealed class GlobalLimit(string name, string cluster, string domain, TimeSpan patience) : AccessFilter
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

    /// <summary>What a route has set for the filter; null for nothing.</summary>
    public GlobalRouteLimit? For(RouteLimits route) => route.Global.GetValueOrDefault(name);

    public string DomainFor(GlobalRouteLimit? route) => route is { Domain.Length: > 0 } ? route.Domain : domain;
}

/// <summary>Settings of a ratelimit filter for a route.</summary>
/// <param name="Rules">They take the place of those of the route; empty if they do not.</param>
internal sealed record GlobalRouteLimit(HostLimits Host, IReadOnlyList<LimitRule> Rules, string Domain);
