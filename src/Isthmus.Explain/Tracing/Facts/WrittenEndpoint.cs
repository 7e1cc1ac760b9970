using System.Net;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>Endpoints of Services that somebody has written, instead of a controller that follows Pods.</summary>
internal static class WrittenEndpoint
{
    private const string Slice = "EndpointSlice", Older = "Endpoints", Controller = "endpointslice-controller.k8s.io",
        Mirror = "endpointslicemirroring-controller.k8s.io";

    /// <summary>The EndpointSlice with an address, or the Endpoints of which it is a copy, with its kind; null when none has it.</summary>
    public static string? Of(TraceFacts facts, EndPoint address, string host)
    {
        if (address is not IPEndPoint at || facts.Host(host) is not { } service) return null;
        var network = facts.Home.NetworkOf(facts.ClientPod);
        foreach (var one in service.Services.Where(one => one.Cluster == facts.Home || one.Cluster.Network == network))
            foreach (var slice in one.Slices())
            {
                var manager = slice.Metadata.Labels.GetValueOrDefault(Labels.SliceManager);
                if (manager != Controller && slice.Endpoints.Exists(endpoint => IsWritten(endpoint, at.Address)))
                    return manager == Mirror ? $"{Older} {one.Service.Key}" : $"{Slice} {slice.Key}";
            }
        return null;
    }

    /// <summary>Whether an entry is one of these, and not an object of the mesh.</summary>
    public static bool Is(string? entry) => entry?.StartsWith("Endpoint", StringComparison.Ordinal) == true;

    /// <summary>The object that lists an endpoint, with its cluster, and the field with the address.</summary>
    /// <param name="entry">Its kind and name.</param>
    public static (string Object, string Field) Place(TraceFacts facts, string entry)
    {
        if (!Is(entry))
            return ($"{entry} in {facts.ConfigOf(facts.Home).Context}",
                entry.StartsWith("Service", StringComparison.Ordinal) ? "spec.endpoints" : "spec.address");
        var isSlice = entry.StartsWith($"{Slice} ", StringComparison.Ordinal);
        var cluster = facts.Clusters.OrderByDescending(cluster => cluster == facts.Home).FirstOrDefault(cluster => isSlice
            ? cluster.Slices.Any(slice => entry == $"{Slice} {slice.Key}") : cluster.Services.Any(service => entry == $"{Older} {service.Key}"));
        return ($"{entry} in {(cluster ?? facts.Home).Context}", isSlice ? "endpoints[*].addresses" : "subsets[*].addresses");
    }

    private static bool IsWritten(SliceEndpoint endpoint, IPAddress address) => endpoint.TargetRef is not { Kind: "Pod" }
        && endpoint.Addresses.Exists(text => IPAddress.TryParse(text, out var own) && own.Equals(address));
}
