using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>An endpoint, with what is known about where it is.</summary>
internal sealed record EndpointCandidate(EndpointView Endpoint, double Share, bool IsEjected, GatewayPlace? Gateway,
    (ClusterObjects Cluster, Pod Pod)? Pod, ServiceInCluster? Service)
{
    /// <summary>The object in which somebody has written the address: a ServiceEntry, WorkloadEntry, EndpointSlice or Endpoints; null when none has.</summary>
    public string? Entry { get; init; }

    /// <summary>The Service of a gateway whose address somebody has written into spec.externalIPs; null for others.</summary>
    private string? Written => Gateway is { Service: { } service, How: { } how } && how.StartsWith("spec.externalIPs", StringComparison.Ordinal)
        ? service.Name : null;

    /// <summary>Where the address of a gateway is from, for a text; empty when nobody has written it.</summary>
    public string Given => Written is null ? "" : $" (of spec.externalIPs of {Written})";

    /// <summary>What to do about addresses that somebody has written, for the end of a remedy.</summary>
    public static string Correct(IEnumerable<EndpointCandidate> failing) =>
        string.Concat(failing.Select(one => one.Written).OfType<string>().Distinct()
            .Select(name => $"; correct spec.externalIPs of {name}, or remove the address there"));

    public bool IsUsable => Endpoint.IsHealthy && !IsEjected;

    public string Kind =>
        Gateway is not null
            ? $"gateway {Endpoint.AddressText}"
            : Service is { } service
            ? service.Name
            : Pod is { } pod
            ? $"{pod.Cluster.Context} {Endpoint.Workload.Namespace}/{Endpoint.Workload.Name}"
            : "other";

    /// <param name="all">How many candidates are of the same kind.</param>
    public string Title(int all)
    {
        var more = all > 1 ? $", one of {all} alike" : "";
        if (Gateway is { } gateway) return $"{gateway.Network} through gateway {Endpoint.AddressText}";
        if (Service is { } service) return $"{service.Name} at {Endpoint.AddressText}{(Entry is null ? "" : $", an endpoint of {Entry}")}";
        var place = Endpoint.Locality.Length > 0 ? $", {Endpoint.Locality}" : "";
        return Pod is { } pod
            ? $"{pod.Cluster.Context}{TraceRecord.NetworkText(pod.Cluster.NetworkOf(pod.Pod))}{place}: Pod {pod.Pod.Key} at {Endpoint.AddressText}{more}"
            : $"{Endpoint.AddressText}{(Entry is null ? "" : $", an endpoint of {Entry}")}{place}{more}";
    }
}
