using System.Globalization;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Retries of VirtualServices that do not happen: because the timeout of the route ends before, or because nothing meets their conditions.
/// Pure.</summary>
public static class Tries
{
    private static readonly string[] OfGrpc = ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"];

    public static Analyzer Analyzer
    {
        get;
    } = new("virtualservice.TimeoutAnalyzer", "Checks that the timeouts of VirtualServices leave time for their retries", [OwnCodes.TriesBeyondTimeout],
        ["VirtualService"], mesh =>
        from cluster in mesh.Readable
        from routes in cluster.Istio<VirtualService>()
        from route in routes.Http.Index()
        let timeout = route.Item.Timeout ?? TimeSpan.Zero
        let perTry = route.Item.Retries?.PerTryTimeout ?? TimeSpan.Zero
        let tries = (route.Item.Retries?.Attempts ?? 0) + 1
        where tries > 1 && timeout > TimeSpan.Zero && perTry > TimeSpan.Zero && timeout < perTry * tries
        let fitting = (int)Math.Ceiling(timeout / perTry)
        select OwnCodes.TriesBeyondTimeout.At(cluster, $"VirtualService {routes.Namespace}/{routes.Name}", $"spec.http[{route.Index}].timeout",
            $"{Text(timeout)} is for all {tries} tries of a request together, each of which may take {Text(perTry)}: "
                + (fitting <= 1 ? "the first one may take it all, and what times out is never tried again"
                    : $"what times out is tried {fitting} times at most"),
            $"set spec.http[{route.Index}].timeout to {Text(perTry * tries)} or more, "
                + $"or perTryTimeout to {Text(TimeSpan.FromMilliseconds(Math.Floor((timeout / tries).TotalMilliseconds)))} or less"));

    public static Analyzer Conditions
    {
        get;
    } = new("virtualservice.RetryAnalyzer", "Checks that something meets the conditions of retries", [OwnCodes.RetriesWithoutCondition],
        ["VirtualService", "Service"], mesh =>
        from cluster in mesh.Readable
        from routes in cluster.Istio<VirtualService>()
        from route in routes.Http.Index()
        where route.Item.Retries is { Attempts: > 0 }
        let why = WhyNever(mesh, routes, route.Item, route.Item.Retries!.RetryOn)
        where why is not null
        select OwnCodes.RetriesWithoutCondition.At(cluster, $"VirtualService {routes.Namespace}/{routes.Name}", $"spec.http[{route.Index}].retries.retryOn",
            $"\"{route.Item.Retries!.RetryOn}\" {why}: nothing is tried again",
            "name what calls of the route meet, such as connect-failure,refused-stream,503, or leave retryOn out"));

    /// <summary>What the conditions alone show, readers say.</summary>
    private static string? WhyNever(MeshSnapshot mesh, VirtualService routes, HttpRoute route, string retryOn)
    {
        var all = retryOn.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (all.Length == 0 || !all.All(OfGrpc.Contains)) return null;
        var ports = (route.Destinations.IsEmpty ? routes.Hosts : route.Destinations.Select(to => to.Destination.Host)).SelectMany(mesh.Hosts.Find)
            .SelectMany(host => host.Protocols).Distinct().ToList();
        return ports.Count > 0 && ports.TrueForAll(port => port.Protocol == Protocol.Http)
            ? $"is for statuses of gRPC, and the destinations declare HTTP/1.1 ({string.Join(", ", ports.Select(port => port.Number).Distinct().Order())})"
            : null;
    }

    private static string Text(TimeSpan time) => time.TotalSeconds >= 1
        ? string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.###}s")
        : string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:0.###}ms");
}
