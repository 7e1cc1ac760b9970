using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Kubernetes.Remote;

/// <summary>The addresses of a control plane elsewhere, behind the Service through which a remote cluster reaches it.</summary>
public static class ControlPlaneSlices
{
    /// <summary>Who writes these EndpointSlices (<see cref="Labels.SliceManager"/>): the controllers of Kubernetes leave them alone.</summary>
    public const string Manager = "isthmus";

    /// <summary>The EndpointSlices of such a Service, one for each IP family: every port of the Service at every address. They are named as in Istio.</summary>
    public static IReadOnlyList<JsonObject> Slices(JsonObject service, ValueList<Address> addresses)
    {
        var metadata = service["metadata"]!;
        var ports = (service["spec"]!["ports"] as JsonArray ?? []).Select(port => new JsonObject
        {
            ["name"] = port!["name"]?.DeepClone(), ["port"] = (port["targetPort"] ?? port["port"])!.DeepClone(), ["protocol"] = "TCP",
        }).ToList();
        return [.. addresses.GroupBy(address => !address.IsV4).OrderBy(family => family.Key).Select(family => Slice(metadata, family.Key, [.. family], ports))];
    }

    /// <summary>Gives such a Service its addresses, and takes those away that it had: also those of Endpoints, which an earlier version wrote.</summary>
    /// <returns>Whether there was anything to write.</returns>
    public static async Task<bool> WriteAsync(KubeClient client, JsonObject service, ValueList<Address> addresses, CancellationToken stop)
    {
        var (ns, name, written) = (service["metadata"]!["namespace"]!.ToString(), service["metadata"]!["name"]!.ToString(), false);
        var wanted = Slices(service, addresses).ToDictionary(slice => slice["metadata"]!["name"]!.ToString(), StringComparer.Ordinal);
        foreach (var slice in (string[])[name, V6(name)])
        {
            var present = await client.FindAsync(Kinds.EndpointSlice, ns, slice, stop);
            if (!wanted.TryGetValue(slice, out var now))
            {
                if (present?["metadata"]?["labels"]?[Labels.SliceManager]?.ToString() == Manager)
                    await client.DeleteAsync(Kinds.EndpointSlice, ns, slice, stop);
            }
            else if (!Addresses(present).SequenceEqual(Addresses(now), StringComparer.Ordinal))
            {
                await client.ApplyAsync(Kinds.EndpointSlice, now, stop);
                written = true;
            }
        }
        if (await client.FindAsync(Kinds.Endpoints, ns, name, stop) is not null) await client.DeleteAsync(Kinds.Endpoints, ns, name, stop);
        return written;
    }

    private static JsonObject Slice(JsonNode service, bool v6, IReadOnlyList<Address> addresses, IReadOnlyList<JsonObject> ports)
    {
        var name = service["name"]!.ToString();
        var labels = service["labels"]?.DeepClone() ?? new JsonObject();
        (labels[Labels.ServiceName], labels[Labels.SliceManager]) = (name, Manager);
        return new()
        {
            ["apiVersion"] = "discovery.k8s.io/v1",
            ["kind"] = "EndpointSlice",
            ["metadata"] = new JsonObject { ["name"] = v6 ? V6(name) : name, ["namespace"] = service["namespace"]!.DeepClone(), ["labels"] = labels },
            ["addressType"] = v6 ? "IPv6" : "IPv4",
            ["endpoints"] = new JsonArray([.. addresses.Select(address => (JsonNode)new JsonObject { ["addresses"] = new JsonArray(address.ToString()) })]),
            ["ports"] = new JsonArray([.. ports.Select(port => port.DeepClone())]),
        };
    }

    /// <summary>The family of a slice never changes, so each has a name of its own.</summary>
    private static string V6(string name) => $"{name}-ipv6";

    private static IEnumerable<string> Addresses(JsonObject? slice) => (slice?["endpoints"] as JsonArray ?? [])
        .SelectMany(endpoint => endpoint?["addresses"] as JsonArray ?? []).Select(address => address?.ToString() ?? "").Order(StringComparer.Ordinal);
}
