using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Network;

/// <summary>EndpointSlices and Endpoints as JSON: what to write, and the existing object to compare with.</summary>
internal static class SliceJson
{
    internal static JsonNode Endpoint(SliceEndpoint endpoint)
    {
        var conditions = new JsonObject();
        if (endpoint.Conditions.Ready is { } ready) conditions["ready"] = ready;
        if (endpoint.Conditions.Serving is { } serving) conditions["serving"] = serving;
        if (endpoint.Conditions.Terminating is { } terminating) conditions["terminating"] = terminating;
        var json = new JsonObject { ["addresses"] = Tree.Strings(endpoint.Addresses), ["conditions"] = conditions };
        if (endpoint.Hostname.Length > 0) json["hostname"] = endpoint.Hostname;
        if (endpoint.TargetRef is { } target) json["targetRef"] = Reference(target);
        if (endpoint.NodeName.Length > 0) json["nodeName"] = endpoint.NodeName;
        if (endpoint.Zone.Length > 0) json["zone"] = endpoint.Zone;
        return json;
    }

    internal static JsonNode Port(SlicePort port)
    {
        var json = new JsonObject { ["name"] = port.Name, ["protocol"] = port.Protocol };
        if (port.Name.Length == 0) json.Remove("name");
        if (port.Port is { } number) json["port"] = number;
        if (port.AppProtocol.Length > 0) json["appProtocol"] = port.AppProtocol;
        return json;
    }

    internal static JsonNode Reference(ObjectReference reference)
    {
        var json = new JsonObject { ["kind"] = reference.Kind };
        if (reference.Namespace.Length > 0) json["namespace"] = reference.Namespace;
        (json["name"], json["uid"]) = (reference.Name, reference.Uid);
        return json;
    }

    internal static JsonObject Of(EndpointSlice slice) => new()
    {
        ["apiVersion"] = "discovery.k8s.io/v1", ["kind"] = "EndpointSlice", ["metadata"] = Metadata(slice), ["addressType"] = slice.AddressType,
        ["endpoints"] = new JsonArray([.. slice.Endpoints.Select(Endpoint)]),
        ["ports"] = new JsonArray([.. slice.Ports.Select(Port)]),
    };

    internal static JsonObject Of(Endpoints endpoints)
    {
        var subsets = new JsonArray();
        foreach (var subset in endpoints.Subsets)
        {
            var json = new JsonObject();
            if (subset.Addresses.Count > 0) json["addresses"] = new JsonArray([.. subset.Addresses.Select(Address)]);
            if (subset.NotReadyAddresses.Count > 0) json["notReadyAddresses"] = new JsonArray([.. subset.NotReadyAddresses.Select(Address)]);
            if (subset.Ports.Count > 0) json["ports"] = new JsonArray([.. subset.Ports.Select(Port)]);
            subsets.Add((JsonNode)json);
        }
        return new() { ["apiVersion"] = "v1", ["kind"] = "Endpoints", ["metadata"] = Metadata(endpoints), ["subsets"] = subsets.Count > 0 ? subsets : null };
    }

    private static JsonNode Address(EndpointAddress address)
    {
        var json = new JsonObject { ["ip"] = address.Ip };
        if (address.Hostname.Length > 0) json["hostname"] = address.Hostname;
        if (address.NodeName.Length > 0) json["nodeName"] = address.NodeName;
        if (address.TargetRef is { } target) json["targetRef"] = Reference(target);
        return json;
    }

    private static JsonObject Metadata(KubeObject item) => new()
    {
        ["name"] = item.Metadata.Name, ["namespace"] = item.Metadata.Namespace, ["labels"] = Tree.Map(item.Metadata.Labels),
        ["ownerReferences"] = Workloads.Ownership.References(item.Metadata.OwnerReferences),
    };
}
