using System.Globalization;
using Isthmus.Core.Names;
using Isthmus.Core.Time;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>VirtualServices that delay or abort calls on purpose: whoever did not write them looks for a broken network. Pure.</summary>
public static class InjectedFaults
{
    public static Analyzer Analyzer { get; } = new("virtualservice.InjectedFaultAnalyzer", "Names VirtualServices that delay or abort calls",
        [OwnCodes.FaultInjected], ["VirtualService"],
        mesh => mesh.Readable.SelectMany(cluster => cluster.Istio<VirtualService>().Where(service => HasRequests(cluster, service))
            .SelectMany(service => service.Http.Index()
            .Select(route => (route.Index, Effect: Effect(route.Item, $"the calls to {string.Join(", ", service.Hosts)}")))
            .Where(route => route.Effect.Length > 0)
            .Select(route => OwnCodes.FaultInjected.At(cluster, $"VirtualService {service.Namespace}/{service.Name}", $"spec.http[{route.Index}].fault",
                route.Effect)))));

    /// <summary>Whether a host has a port of which proxies know requests. Of others they copy the bytes, and inject nothing.</summary>
    private static bool HasRequests(ClusterInventory cluster, VirtualService routes) => routes.Hosts.Any(host =>
        cluster.Services.FirstOrDefault(
            service => $"{service.Metadata.Name}.{service.Metadata.Namespace}.svc.{WellKnown.DefaultDomainSuffix}" == host) is not { } service
        || service.Spec.Ports.Any(port => Protocols.Of(port.Protocol, port.AppProtocol, port.Name, port.Port) is var protocol
            && (protocol == Protocol.Auto || protocol.IsHttp())));

    /// <summary>What the fault of a route does to calls; empty when it does nothing.</summary>
    /// <param name="calls">How the calls are named, such as <c>the calls to orders</c>.</param>
    public static string Effect(HttpRoute route, string calls)
    {
        var parts = new List<string>();
        if (route.Fault?.Delay is { Percent: > 0 } delay && delay.Delay > TimeSpan.Zero)
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"delays {delay.Percent:0.####} % of {calls} by {Durations.Text(delay.Delay)}"));
        if (route.Fault?.Abort is { Percent: > 0 } abort)
            parts.Add(string.Create(CultureInfo.InvariantCulture,
                $"aborts {abort.Percent:0.####} % of {(parts.Count > 0 ? "them" : calls)} with "
                    + $"{(abort.GrpcStatus.Length > 0 ? $"gRPC status {abort.GrpcStatus}" : $"status {abort.HttpStatus}")}"));
        return parts.Count == 0 ? "" : string.Join(" and ", parts) + (route.Matches.IsEmpty ? "" : ", if they match the route");
    }
}
