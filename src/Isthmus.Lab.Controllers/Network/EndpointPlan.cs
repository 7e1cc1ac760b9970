using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Controllers.Workloads;

namespace Isthmus.Lab.Controllers.Network;

/// <summary>The addresses that serve a Service: its EndpointSlices and, for clients that still read them, its
/// Endpoints.</summary>
public static class EndpointPlan
{
    internal const string ManagedBy = "endpointslice.kubernetes.io/managed-by";
    internal const string Controller = "endpointslice-controller.k8s.io";
    private const string Headless = "service.kubernetes.io/headless";

    /// <summary>As in Kubernetes.</summary>
    private const int MostInSlice = 100;
    private const int MostInEndpoints = 1000;

    /// <param name="pods">All Pods of the Service's namespace.</param>
    /// <param name="nodes">The nodes by name.</param>
    /// <param name="slices">The EndpointSlices that name this Service, whoever created them.</param>
    public static Plan For(Service service, IEnumerable<Pod> pods, Func<string, Node?> nodes, IEnumerable<EndpointSlice> slices, Endpoints? endpoints)
    {
        if (service.Spec.Type == "ExternalName" || service.Spec.Selector.Count == 0) return Plan.Nothing;
        var selector = new LabelSelector { MatchLabels = service.Spec.Selector };
        var members = pods.Where(pod => !PodStates.IsFinished(pod) && pod.Status.PodIP.Length > 0 && selector.Matches(pod.Metadata.Labels))
            .OrderBy(pod => pod.Metadata.Name, StringComparer.Ordinal)
            .Select(pod => new Member(pod, Ports(service, pod), nodes(pod.Spec.NodeName)?.Metadata.Labels.GetValueOrDefault(Labels.Zone) ?? ""))
            .ToList();
        var writes = Slices(service, members, [.. slices.Where(slice => slice.Metadata.Labels.GetValueOrDefault(ManagedBy) == Controller)]);
        if (Legacy(service, members, endpoints) is { } write) writes.Add(write);
        return new() { Writes = writes };
    }

    /// <summary>One Pod, with the ports that it serves.</summary>
    private sealed record Member(Pod Pod, List<SlicePort> Ports, string Zone)
    {
        internal string PortsKey { get; } = string.Join(',', Ports.Select(port => $"{port.Name}/{port.Protocol}/{port.Port}/{port.AppProtocol}"));
    }

    private static List<SlicePort> Ports(Service service, Pod pod)
    {
        var ports = new List<SlicePort>();
        foreach (var port in service.Spec.Ports)
            if (TargetPort(port, pod) is { } number)
                ports.Add(new() { Name = port.Name, Port = number, Protocol = port.Protocol, AppProtocol = port.AppProtocol });
        return ports;
    }

    /// <summary>The number of the Service's port on this Pod; null when the Pod has no port of that name.</summary>
    internal static int? TargetPort(ServicePort port, Pod pod)
    {
        switch (port.TargetPort)
        {
            case null:
                return port.Port;
            case JsonValue value when value.GetValueKind() == JsonValueKind.Number:
                return (int)value.GetValue<double>() is var number and > 0 ? number : port.Port;
        }
        var name = (string?)port.TargetPort ?? "";
        if (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var written)) return written;
        foreach (var container in pod.Spec.Containers.Concat(pod.Spec.InitContainers.Where(init => init.RestartPolicy == "Always")))
            foreach (var named in container.Ports)
                if (named.Name == name && named.Protocol == port.Protocol) return named.Number;
        return null;
    }

    private static List<Write> Slices(Service service, List<Member> members, List<EndpointSlice> present)
    {
        var wanted = new List<JsonObject>();
        foreach (var family in Families(service))
        {
            var index = 0;
            var groups = members.Where(member => Address(member.Pod, family) is not null).GroupBy(member => member.PortsKey)
                .OrderBy(group => group.Key, StringComparer.Ordinal);
            foreach (var chunk in groups.SelectMany(group => group.Chunk(MostInSlice)))
                wanted.Add(Slice(service, family, index++, chunk[0].Ports, chunk.Select(member => Endpoint(service, member, family))));
            if (index == 0) wanted.Add(Slice(service, family, 0, [], []));
        }
        var writes = new List<Write>();
        foreach (var slice in wanted)
        {
            var name = (string)slice["metadata"]!["name"]!;
            var found = present.FirstOrDefault(one => one.Metadata.Name == name);
            if (found is null) writes.Add(Write.Create(Kinds.EndpointSlice, slice));
            else if (!Tree.Holds(slice, SliceJson.Of(found))) writes.Add(Write.Patch(Kinds.EndpointSlice, found, slice));
        }
        var names = wanted.Select(slice => (string)slice["metadata"]!["name"]!).ToHashSet(StringComparer.Ordinal);
        writes.AddRange(present.Where(slice => !names.Contains(slice.Metadata.Name)).Select(slice => Write.Delete(Kinds.EndpointSlice, slice)));
        return writes;
    }

    private static IEnumerable<AddressFamily> Families(Service service)
    {
        var families = service.Spec.ClusterIPs.Where(ip => ip != "None")
            .Select(ip => IPAddress.TryParse(ip, out var address) ? address.AddressFamily : AddressFamily.InterNetwork).Distinct().ToList();
        return families.Count > 0 ? families : [AddressFamily.InterNetwork];
    }

    private static string? Address(Pod pod, AddressFamily family) =>
        pod.Status.PodIPs.Select(ip => ip.Ip).Append(pod.Status.PodIP)
            .FirstOrDefault(ip => IPAddress.TryParse(ip, out var address) && address.AddressFamily == family);

    private static JsonObject Slice(Service service, AddressFamily family, int index, List<SlicePort> ports, IEnumerable<SliceEndpoint> endpoints)
    {
        var type = family == AddressFamily.InterNetworkV6 ? "IPv6" : "IPv4";
        var labels = OwnLabels(service);
        (labels[ManagedBy], labels[Labels.ServiceName]) = (Controller, service.Metadata.Name);
        return new()
        {
            ["apiVersion"] = "discovery.k8s.io/v1", ["kind"] = "EndpointSlice",
            ["metadata"] = new JsonObject
            {
                ["name"] = SliceName(service.Metadata, type, index), ["namespace"] = service.Metadata.Namespace, ["labels"] = labels,
                ["ownerReferences"] = new JsonArray(Tree.OwnedBy(Kinds.Service, service)),
            },
            ["addressType"] = type,
            ["endpoints"] = new JsonArray([.. endpoints.Select(SliceJson.Endpoint)]),
            ["ports"] = new JsonArray([.. ports.Select(SliceJson.Port)]),
        };
    }

    /// <summary>The name of a slice. It is always the same, so a slice is never created twice, however late the list
    /// is.</summary>
    internal static string SliceName(ObjectMeta owner, string type, int index) =>
        $"{owner.Name[..Math.Min(owner.Name.Length, 57)]}-{PodTemplates.SafeName(PodTemplates.Fnv1a($"{owner.Uid}/{type}/{index}")).PadRight(5, 'x')[..5]}";

    private static JsonObject OwnLabels(Service service)
    {
        var labels = Tree.Map(service.Metadata.Labels);
        if (service.Spec.ClusterIP == "None") labels[Headless] = "";
        return labels;
    }

    private static SliceEndpoint Endpoint(Service service, Member member, AddressFamily family)
    {
        var terminating = member.Pod.Metadata.DeletionTimestamp is not null;
        var serving = member.Pod.Status.IsReady;
        return new()
        {
            Addresses = [Address(member.Pod, family)!],
            Conditions = new() { Ready = service.Spec.PublishNotReadyAddresses || (serving && !terminating), Serving = serving, Terminating = terminating },
            Hostname = Hostname(service, member.Pod), NodeName = member.Pod.Spec.NodeName, Zone = member.Zone, TargetRef = Target(member.Pod),
        };
    }

    private static string Hostname(Service service, Pod pod) => pod.Spec.Subdomain == service.Metadata.Name ? pod.Spec.Hostname : "";

    private static ObjectReference Target(Pod pod) =>
        new() { Kind = "Pod", Namespace = pod.Metadata.Namespace, Name = pod.Metadata.Name, Uid = pod.Metadata.Uid };

    private static Write? Legacy(Service service, List<Member> members, Endpoints? present)
    {
        var family = Families(service).First();
        var byPort = new SortedDictionary<string, (SlicePort? Port, List<(Member Member, bool Ready)> Members)>(StringComparer.Ordinal);
        foreach (var member in members.Where(member => Address(member.Pod, family) is not null).Take(MostInEndpoints))
        {
            var publish = service.Spec.PublishNotReadyAddresses;
            if (member.Pod.Metadata.DeletionTimestamp is not null && !publish) continue;
            var ready = member.Pod.Status.IsReady || publish;
            foreach (var port in member.Ports.Count > 0 ? [.. member.Ports] : service.Spec.Ports.Count == 0 ? (SlicePort?[])[null] : [])
            {
                var key = port is null ? "" : $"{port.Name}/{port.Protocol}/{port.Port}";
                if (!byPort.TryGetValue(key, out var entry)) byPort[key] = entry = (port, []);
                entry.Members.Add((member, ready));
            }
        }
        var subsets = new JsonArray();
        foreach (var group in byPort.Values.GroupBy(entry => string.Join(',', entry.Members.Select(one => $"{one.Member.Pod.Metadata.Uid}={one.Ready}"))))
        {
            var subset = new JsonObject();
            foreach (var (field, ready) in (ReadOnlySpan<(string, bool)>)[("addresses", true), ("notReadyAddresses", false)])
            {
                var addresses = group.First().Members.Where(one => one.Ready == ready).Select(one => LegacyAddress(service, one.Member, family)).ToArray();
                if (addresses.Length > 0) subset[field] = new JsonArray(addresses);
            }
            var ports = group.Where(entry => entry.Port is not null).Select(entry => SliceJson.Port(entry.Port!)).ToArray();
            if (ports.Length > 0) subset["ports"] = new JsonArray(ports);
            subsets.Add((JsonNode)subset);
        }
        var wanted = new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Endpoints",
            ["metadata"] = new JsonObject { ["name"] = service.Metadata.Name, ["namespace"] = service.Metadata.Namespace, ["labels"] = OwnLabels(service) },
            ["subsets"] = subsets.Count > 0 ? subsets : null,
        };
        if (present is null) return Write.Create(Kinds.Endpoints, wanted);
        return Tree.Holds(wanted, SliceJson.Of(present)) ? null : Write.Patch(Kinds.Endpoints, present, wanted);
    }

    private static JsonNode LegacyAddress(Service service, Member member, AddressFamily family)
    {
        var address = new JsonObject { ["ip"] = Address(member.Pod, family) };
        if (Hostname(service, member.Pod) is { Length: > 0 } hostname) address["hostname"] = hostname;
        if (member.Pod.Spec.NodeName.Length > 0) address["nodeName"] = member.Pod.Spec.NodeName;
        address["targetRef"] = SliceJson.Reference(Target(member.Pod));
        return address;
    }
}
