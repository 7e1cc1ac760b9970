using System.Text.Json.Nodes;

namespace Isthmus.Proxy.Policy;

internal enum ExternalOutcome { Allowed, Denied, Failed, TimedOut }

/// <summary>What an external authorizer decided, or that it could not be asked.</summary>
internal sealed record ExternalAnswer(ExternalOutcome Outcome)
{
    /// <summary>The status of a denial.</summary>
    public int Status { get; init; } = 403;

    /// <summary>The body of a denial.</summary>
    public ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>Changes of the request.</summary>
    public IReadOnlyList<HeaderEdit> ToUpstream { get; init; } = [];

    /// <summary>Fields that the request loses.</summary>
    public IReadOnlyList<byte[]> Removed { get; init; } = [];

    /// <summary>Changes of whatever response the client gets.</summary>
    public IReadOnlyList<HeaderEdit> ToClient { get; init; } = [];

    /// <summary>Query parameters that the request gets.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> QuerySet { get; init; } = [];

    /// <summary>Query parameters that the request loses.</summary>
    public IReadOnlyList<string> QueryRemoved { get; init; } = [];

    /// <summary>For later filters and logs.</summary>
    public JsonObject? Metadata { get; init; }
}

/// <summary>A request, or a connection, as an external authorizer sees it.</summary>
/// <param name="Facts">The request, and who sent it.</param>
/// <param name="Start">When it arrived.</param>
/// <param name="OwnIdentity">The SPIFFE ID of this proxy's certificate; empty without TLS.</param>
internal sealed record CheckedCall(PolicyFacts Facts, DateTimeOffset Start, string OwnIdentity)
{
    /// <summary>What the route says; null for nothing.</summary>
    public RouteCheck? Route { get; init; }

    /// <summary>What the authorizer gets of the body; null for nothing.</summary>
    public CheckedBody? Sends { get; init; }

    /// <summary>The body, or its beginning, where the authorizer gets it.</summary>
    public ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>The body goes on.</summary>
    public bool IsPart { get; init; }
}
