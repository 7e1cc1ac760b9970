using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>Services: defaults by type, addresses and node ports that are allocated once and kept.</summary>
internal sealed class ServiceStrategy(ServiceAllocator allocator) : ObjectStrategy
{
    private static readonly string[] LoadBalancerFields = ["allocateLoadBalancerNodePorts", "loadBalancerClass", "loadBalancerIP", "loadBalancerSourceRanges"];
    private static readonly string[] AddressFields = ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"];

    public override bool CreateOnUpdate => true;

    public override bool DeleteReturnsObject => true;

    /// <summary>As in Kubernetes since 1.37, names may begin with a digit.</summary>
    public override string? NameProblem(string name) => ObjectNames.LabelProblem(name);

    public static bool NeedsAddress(JsonNode? spec) => spec.TextAt("type") is "" or "ClusterIP" or "NodePort" or "LoadBalancer";

    public static bool NeedsNodePorts(JsonNode? spec) => spec.TextAt("type") switch
    {
        "NodePort" => true,
        "LoadBalancer" => Json.Truth(spec.At("allocateLoadBalancerNodePorts")) != false,
        _ => false,
    };

    public override void Default(JsonObject o)
    {
        var spec = o.Ensure("spec");
        spec.Default("sessionAffinity", "None");
        if (Json.Text(spec["sessionAffinity"]) == "None") spec.Remove("sessionAffinityConfig");
        else if (Json.Text(spec["sessionAffinity"]) == "ClientIP")
            spec.Ensure("sessionAffinityConfig").Ensure("clientIP").Default("timeoutSeconds", 10800);
        spec.Default("type", "ClusterIP");
        foreach (var port in Json.Objects(spec["ports"]))
        {
            port.Default("protocol", "TCP");
            if (port["targetPort"] is null || Json.Whole(port["targetPort"]) == 0 || Json.TextOrNull(port["targetPort"]) == "")
                port["targetPort"] = Json.Whole(port["port"]) ?? 0;
        }
        var type = Json.Text(spec["type"]);
        if (type is "NodePort" or "LoadBalancer" || HasExternalIps(spec)) spec.Default("externalTrafficPolicy", "Cluster");
        if (NeedsAddress(spec)) spec.Default("internalTrafficPolicy", "Cluster");
        if (type == "LoadBalancer") spec.Default("allocateLoadBalancerNodePorts", true);
        AlignAddresses(spec);
        o.Ensure("status").Default("loadBalancer", new JsonObject());
    }

    public override void PrepareForUpdate(JsonObject old, JsonObject next, WriteContext context)
    {
        if (context.Subresource == "status" || old["spec"] is not JsonObject held) return;
        var spec = next.Ensure("spec");
        AlignChangedAddress(held, spec);
        KeepAllocated(held, spec);
        DropForType(held, spec);
        if (spec.TextAt("type") != "LoadBalancer" && held.TextAt("type") == "LoadBalancer")
            next.Ensure("status")["loadBalancer"] = new JsonObject();
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context) => ServiceValidation.Validate(o);

    public override IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next, WriteContext context) =>
        context.Subresource == "status" ? [] : ServiceValidation.ValidateUpdate(old, next);

    public override IWriteReservation? Reserve(JsonObject? old, JsonObject? next, WriteContext context)
    {
        if (next is null || context.Subresource == "status") return null;
        var reservation = new ServiceReservation(allocator, context, next);
        try
        {
            reservation.Take(old?["spec"]);
            return reservation;
        }
        catch (ApiException)
        {
            reservation.Release();
            throw;
        }
    }

    protected override JsonObject InitialStatus(JsonObject o) => new() { ["loadBalancer"] = new JsonObject() };

    /// <summary><c>clusterIP</c> and the first of <c>clusterIPs</c> are one field with two names.</summary>
    private static void AlignAddresses(JsonObject spec)
    {
        var (one, many) = (Json.Text(spec["clusterIP"]), Json.Texts(spec["clusterIPs"]));
        if (one.Length > 0 && many.IsEmpty) spec["clusterIPs"] = new JsonArray(one);
        else if (one.Length == 0 && !many.IsEmpty) spec["clusterIP"] = many[0];
    }

    // A client that knows only one of the two names changed that one.
    private static void AlignChangedAddress(JsonObject held, JsonObject spec)
    {
        var (was, now) = (Json.Text(held["clusterIP"]), Json.Text(spec["clusterIP"]));
        if (was != now && JsonNode.DeepEquals(held["clusterIPs"], spec["clusterIPs"]))
        {
            if (now.Length == 0) spec.Remove("clusterIPs");
            else if (spec["clusterIPs"] is JsonArray { Count: > 0 } many) many[0] = now;
        }
        else if (was == now && now.Length > 0 && spec["clusterIPs"] is JsonArray { Count: 0 } or null)
        {
            spec.Remove("clusterIP");
        }
    }

    /// <summary>A PUT that omits allocated values keeps them.</summary>
    private static void KeepAllocated(JsonObject held, JsonObject spec)
    {
        if (NeedsAddress(held) && NeedsAddress(spec) && Json.Text(spec["clusterIP"]).Length == 0 && Json.Texts(spec["clusterIPs"]).IsEmpty)
        {
            Restore(held, spec, "clusterIP");
            Restore(held, spec, "clusterIPs");
        }
        if (NeedsNodePorts(held) && NeedsNodePorts(spec))
        {
            foreach (var port in Json.Objects(spec["ports"]).Where(port => (Json.Whole(port["nodePort"]) ?? 0) == 0))
                if (Json.Objects(held["ports"]).FirstOrDefault(before => SamePort(before, port)) is { } match && match["nodePort"] is { } number)
                    port["nodePort"] = number.DeepClone();
        }
        if (ServiceReservation.NeedsHealthPort(held) && ServiceReservation.NeedsHealthPort(spec) && (Json.Whole(spec["healthCheckNodePort"]) ?? 0) == 0)
            Restore(held, spec, "healthCheckNodePort");
    }

    /// <summary>Removes what only the former type needs, unless the client changed it.</summary>
    private static void DropForType(JsonObject held, JsonObject spec)
    {
        if (NeedsAddress(held) && !NeedsAddress(spec))
            foreach (var field in AddressFields) DropIfKept(held, spec, field);
        if (NeedsNodePorts(held) && !NeedsNodePorts(spec) && NodePorts(held).SequenceEqual(NodePorts(spec)))
            foreach (var port in Json.Objects(spec["ports"])) port.Remove("nodePort");
        if (ServiceReservation.NeedsHealthPort(held) && !ServiceReservation.NeedsHealthPort(spec)) DropIfKept(held, spec, "healthCheckNodePort");
        if (held.TextAt("type") == "LoadBalancer" && spec.TextAt("type") != "LoadBalancer")
            foreach (var field in LoadBalancerFields) DropIfKept(held, spec, field);
        if (held.TextAt("type") is "NodePort" or "LoadBalancer" && spec.TextAt("type") is not ("NodePort" or "LoadBalancer") && !HasExternalIps(spec))
            DropIfKept(held, spec, "externalTrafficPolicy");
    }

    private static void DropIfKept(JsonObject held, JsonObject spec, string field)
    {
        if (JsonNode.DeepEquals(held[field], spec[field])) spec.Remove(field);
    }

    private static IEnumerable<long> NodePorts(JsonObject spec) => Json.Objects(spec["ports"]).Select(port => Json.Whole(port["nodePort"]) ?? 0);

    private static bool SamePort(JsonObject a, JsonObject b) =>
        Json.Whole(a["port"]) == Json.Whole(b["port"]) && Protocol(a) == Protocol(b);

    private static string Protocol(JsonObject port) => Json.Text(port["protocol"]) is { Length: > 0 } protocol ? protocol : "TCP";

    private static bool HasExternalIps(JsonObject spec) => !Json.Texts(spec["externalIPs"]).IsEmpty;
}
