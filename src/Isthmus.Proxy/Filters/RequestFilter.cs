using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Filters;

/// <summary>The moments at which a filter does something for a request. At the others it costs nothing.</summary>
[Flags]
internal enum FilterSteps
{
    None = 0,

    /// <summary>Nothing has been made of the request yet. Such a filter is on for all routes, since none is known then.</summary>
    Arrival = 1,

    /// <summary>The request may get an answer, or be changed.</summary>
    Request = 2,

    /// <summary>The cluster is chosen, and the request not yet changed for it.</summary>
    Forward = 4,

    /// <summary>A host has answered, and routes have changed the answer.</summary>
    Answer = 8,

    /// <summary>The client gets a response, whoever gives it: also where a filter before this one refused the request.</summary>
    Response = 16,
}

/// <summary>A filter of HTTP. It has its configuration and what it does at each step; all that belongs to one request is in the
/// <see cref="FilteredRequest"/>.</summary>
/// <param name="name">By which routes configure it, and switch it on and off.</param>
internal abstract class RequestFilter(string name)
{
    public string Name => name;

    /// <summary>Those of the methods below that it has.</summary>
    public abstract FilterSteps Steps { get; }

    /// <summary>It may refuse requests: where it cannot honour what a route says to it, the route is not served.</summary>
    public virtual bool IsPolicy => true;

    /// <summary>One cluster of several of a route may configure it, too.</summary>
    public virtual bool TakesShares => false;

    public virtual void OnArrival(FilteredRequest request)
    {
    }

    /// <returns>Null: the request goes on.</returns>
    public virtual ValueTask<FilterAnswer?> OnRequestAsync(FilteredRequest request) => default;

    public virtual void OnForward(FilteredRequest request)
    {
    }

    public virtual void OnAnswer(FilteredRequest request)
    {
    }

    public virtual void OnResponse(FilteredRequest request)
    {
    }

    /// <summary>Whether it has not done what has to be done for each request of a route, because the request got that route later.</summary>
    public virtual bool HasMissed(FilteredRequest request, RouteSettings route) => false;
}

/// <summary>What a filter answers; the head is in the response.</summary>
internal readonly record struct FilterAnswer(ReadOnlyMemory<byte> Body, string Details, EndReason Reason);

/// <summary>What a client gets instead of a response of the server.</summary>
internal sealed record Refusal(int Status, ReadOnlyMemory<byte> Body, string Details, EndReason Reason)
{
    public IReadOnlyList<HeaderEdit> Fields { get; init; } = [];

    /// <summary>The status for clients that speak gRPC; null: as it follows from the HTTP status.</summary>
    public int? GrpcStatus { get; init; }
}
