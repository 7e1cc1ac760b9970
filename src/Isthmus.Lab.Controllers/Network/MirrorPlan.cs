using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Network;

/// <summary>EndpointSlices for Endpoints that a user wrote for a Service without a selector.</summary>
public static class MirrorPlan
{
    internal const string Controller = "endpointslicemirroring-controller.k8s.io";
    private const string SkipMirror = "endpointslice.kubernetes.io/skip-mirror";

    /// <param name="slices">The EndpointSlices that name this Service, whoever created them.</param>
    public static Plan For(Endpoints endpoints, Service? service, IEnumerable<EndpointSlice> slices)
    {
        var mine = slices.Where(slice => slice.Metadata.Labels.GetValueOrDefault(EndpointPlan.ManagedBy) == Controller).ToList();
        var wanted = new List<JsonObject>();
        if (service is { Spec.Selector.Count: 0 } && !endpoints.Metadata.Labels.ContainsKey(SkipMirror))
        {
            var index = 0;
            foreach (var subset in endpoints.Subsets)
                foreach (var family in (AddressFamily[])[AddressFamily.InterNetwork, AddressFamily.InterNetworkV6])
                    if (Slice(endpoints, subset, family, index) is { } slice)
                    {
                        wanted.Add(slice);
                        index++;
                    }
        }
        var writes = new List<Write>();
        foreach (var slice in wanted)
        {
            var found = mine.FirstOrDefault(one => one.Metadata.Name == (string)slice["metadata"]!["name"]!);
            if (found is null) writes.Add(Write.Create(Kinds.EndpointSlice, slice));
            else if (!Tree.Holds(slice, SliceJson.Of(found))) writes.Add(Write.Patch(Kinds.EndpointSlice, found, slice));
        }
        var names = wanted.Select(slice => (string)slice["metadata"]!["name"]!).ToHashSet(StringComparer.Ordinal);
        writes.AddRange(mine.Where(slice => !names.Contains(slice.Metadata.Name)).Select(slice => Write.Delete(Kinds.EndpointSlice, slice)));
        return new() { Writes = writes };
    }

    private static JsonObject? Slice(Endpoints owner, EndpointSubset subset, AddressFamily family, int index)
    {
        bool Fits(EndpointAddress address) => IPAddress.TryParse(address.Ip, out var ip) && ip.AddressFamily == family;
        var endpoints = subset.Addresses.Where(Fits).Select(address => Endpoint(address, true))
            .Concat(subset.NotReadyAddresses.Where(Fits).Select(address => Endpoint(address, false))).ToArray();
        if (endpoints.Length == 0) return null;
        var type = family == AddressFamily.InterNetworkV6 ? "IPv6" : "IPv4";
        var labels = Tree.Map(owner.Metadata.Labels);
        (labels[EndpointPlan.ManagedBy], labels[Labels.ServiceName]) = (Controller, owner.Metadata.Name);
        return new()
        {
            ["apiVersion"] = "discovery.k8s.io/v1", ["kind"] = "EndpointSlice",
            ["metadata"] = new JsonObject
            {
                ["name"] = EndpointPlan.SliceName(owner.Metadata, type, index), ["namespace"] = owner.Metadata.Namespace, ["labels"] = labels,
                ["ownerReferences"] = new JsonArray(Tree.OwnedBy(Kinds.Endpoints, owner)),
            },
            ["addressType"] = type,
            ["endpoints"] = new JsonArray(endpoints),
            ["ports"] = new JsonArray([.. subset.Ports.Select(SliceJson.Port)]),
        };
    }

    private static JsonNode Endpoint(EndpointAddress address, bool ready) => SliceJson.Endpoint(new()
    {
        Addresses = [address.Ip], Conditions = new() { Ready = ready }, Hostname = address.Hostname, NodeName = address.NodeName, TargetRef = address.TargetRef,
    });
}

/// <summary>Mirrors Endpoints that a user wrote into EndpointSlices.</summary>
internal sealed class MirrorController : Controller
{
    internal MirrorController(Runtime runtime) : base("endpoint-slice-mirroring-controller", runtime)
    {
        View.Endpoints.Listen(change => Enqueue(change.Key));
        View.Services.Listen(change => Enqueue(change.Key));
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        // Without Endpoints or Service the mirror is removed too. An empty object means that there is nothing to mirror.
        var (ns, name) = Tree.Split(key);
        var endpoints = View.Endpoints.Find(key) ?? new Endpoints { Metadata = new() { Namespace = ns, Name = name } };
        await DoAsync(key, MirrorPlan.For(endpoints, View.Services.Find(key), View.SlicesByService[key]), stop);
    }
}
