using Isthmus.Proxy.Messages;
using Isthmus.Wire.Envoy.HttpFilters.GrpcStats;

namespace Isthmus.Proxy.Filters;

/// <summary>A grpc_stats filter: the messages of gRPC calls are counted.</summary>
internal sealed class MessageFilter(string name) : RequestFilter(name)
{
    public static readonly HttpFilterKind Kind = HttpFilterKind.Of<FilterConfig>("envoy.filters.http.grpc_stats",
        (messages, from) => messages.EmitFilterState ? new MessageFilter(from.Name) : null);

    public override FilterSteps Steps => FilterSteps.Arrival;

    public override bool IsPolicy => false;

    public override void OnArrival(FilteredRequest request)
    {
        if (GrpcCalls.Is(request.Head.Headers)) request.CountMessages();
    }
}
