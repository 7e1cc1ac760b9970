using System.Text.Json.Nodes;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>A destination of a VirtualService.</summary>
/// <param name="Path">The field that names it.</param>
public sealed record PlacedDestination(VirtualService Owner, string Path, Destination Destination)
{
    /// <summary>Whether requests go there, and not copies of them or connections.</summary>
    public bool IsHttpRoute => Path.StartsWith("spec.http[", StringComparison.Ordinal) && Path.Contains(".route[", StringComparison.Ordinal);

    /// <summary>Whether connections that begin TLS go there as they are.</summary>
    public bool IsTlsRoute => Path.StartsWith("spec.tls[", StringComparison.Ordinal);

    /// <summary>What happens to what is sent to a destination that does not exist.</summary>
    public string Loss => IsHttpRoute ? "requests get 503" : Path.Contains("mirror", StringComparison.Ordinal) ? "copies of requests are lost"
        : "connections end";

    /// <summary>How findings name the owner.</summary>
    public string Name => $"VirtualService {Owner.Namespace}/{Owner.Name}";
}

/// <summary>Where VirtualServices send requests and connections. Pure.</summary>
internal static class RouteDestinations
{
    /// <param name="config">The cluster that has the VirtualServices.</param>
    public static IEnumerable<PlacedDestination> Of(ConfigCluster config) => config.Cluster.Written<VirtualService>().SelectMany(owner => Of(config, owner));

    private static IEnumerable<PlacedDestination> Of(ConfigCluster config, VirtualService owner)
    {
        var written = config.Cluster.Find($"VirtualService {owner.Namespace}/{owner.Name}")?["spec"]?["http"] as JsonArray;
        foreach (var (i, route) in owner.Http.Index())
        {
            foreach (var placed in Routed("http", i, route.Destinations)) yield return placed;
            foreach (var (j, mirror) in route.Mirrors.Index())
                yield return new(owner,
                    written?.ElementAtOrDefault(i)?["mirror"] is not null && j == 0 ? $"spec.http[{i}].mirror" : $"spec.http[{i}].mirrors[{j}].destination",
                    mirror.Destination);
        }
        foreach (var (i, route) in owner.Tls.Index())
            foreach (var placed in Routed("tls", i, route.Destinations)) yield return placed;
        foreach (var (i, route) in owner.Tcp.Index())
            foreach (var placed in Routed("tcp", i, route.Destinations)) yield return placed;

        IEnumerable<PlacedDestination> Routed(string kind, int i, IEnumerable<RouteDestination> destinations) =>
            destinations.Index().Select(to => new PlacedDestination(owner, $"spec.{kind}[{i}].route[{to.Index}].destination", to.Item.Destination));
    }
}
