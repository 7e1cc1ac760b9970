using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Steps;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>A hop with what calls have chosen by then.</summary>
/// <param name="Cluster">Of the call: the cluster whose endpoint answered, or did not.</param>
/// <param name="VirtualHost">Empty before there is one, and where nothing routes requests.</param>
/// <param name="Route">The name that proxies have for it; empty likewise.</param>
internal sealed record PlacedHop(Hop Hop, string Cluster, string VirtualHost, string Route)
{
    public static IEnumerable<PlacedHop> Of(CallTrace trace)
    {
        var (cluster, host, route) = ("", "", "");
        // That of a gateway on a path counts on that path.
        var (beyond, its, way) = ("", "", 0);
        foreach (var hop in trace.Hops)
        {
            if (hop.Name == "cluster") cluster = hop.Summary;
            if (hop.Name == "call" && trace.Call is { } call) cluster = ClusterOf(trace, call);
            if (hop.Name == "route" && hop.Summary.Split(", route ") is [var known, var name])
                (host, route) = (known, name.Split([',', ':'])[0].Split(" of ")[0]);
            if (hop.Name == TraceRecord.GatewayRoute && hop.Summary.Split(", route ") is [var there, var one])
                (beyond, its, way) = (there, one.Split([',', ':'])[0].Split(" of ")[0], hop.Way);
            yield return way > 0 && hop.Way == way ? new(hop, cluster, beyond, its) : new(hop, cluster, host, route);
        }
    }

    private static string ClusterOf(CallTrace trace, MadeCall call)
    {
        var clusters = trace.Hops.Index().Where(hop => hop.Item.Name == "cluster").ToList();
        var taken = trace.Hops.Index().FirstOrDefault(hop => hop.Item.Way > 0 && trace.Took(hop.Item.Way, call));
        return (taken.Item is null ? clusters.FirstOrDefault() : clusters.LastOrDefault(hop => hop.Index < taken.Index)).Item?.Summary ?? "";
    }
}
