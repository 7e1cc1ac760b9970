using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>The addresses and ports that one write of a Service takes, set in the object; given back when the write fails.</summary>
internal sealed class ServiceReservation(ServiceAllocator allocator, WriteContext context, JsonObject service) : IWriteReservation
{
    private readonly List<string> _addresses = [];
    private readonly List<long> _ports = [];

    public static bool NeedsHealthPort(JsonNode? spec) =>
        spec.TextAt("type") == "LoadBalancer" && spec.TextAt("externalTrafficPolicy") == "Local";

    public void Commit() => allocator.Forget(_addresses, _ports);

    public void Release() => allocator.Forget(_addresses, _ports);

    /// <exception cref="ApiException">422: a requested address or port is not available.</exception>
    public void Take(JsonNode? old)
    {
        var spec = service.Ensure("spec");
        if (ServiceStrategy.NeedsAddress(spec))
        {
            Families(spec);
            TakeAddress(old, spec);
        }
        TakeNodePorts(old, spec);
        if (NeedsHealthPort(spec)) TakeHealthPort(old, spec);
    }

    private void Families(JsonObject spec)
    {
        var headless = Json.Text(spec["clusterIP"]) == "None";
        var policy = Json.Text(spec["ipFamilyPolicy"]);
        // Without a selector, users manage the endpoints, so both families are possible.
        if (headless && spec["selector"] is not JsonObject { Count: > 0 })
        {
            if (policy.Length == 0) spec["ipFamilyPolicy"] = "RequireDualStack";
            if (Json.Texts(spec["ipFamilies"]).IsEmpty)
                spec["ipFamilies"] = policy == "SingleStack" ? new JsonArray("IPv4") : new JsonArray("IPv4", "IPv6");
            return;
        }
        if (policy == "RequireDualStack")
            throw Invalid(FieldError.Invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services"));
        var families = Json.Texts(spec["ipFamilies"]);
        if (families.Contains("IPv6"))
            throw Invalid(FieldError.Invalid($"spec.ipFamilies[{(families[0] == "IPv6" ? 0 : 1)}]", "IPv6", "not configured on this cluster"));
        if (families.IsEmpty) spec["ipFamilies"] = new JsonArray("IPv4");
        if (policy.Length == 0) spec["ipFamilyPolicy"] = "SingleStack";
    }

    private void TakeAddress(JsonNode? old, JsonObject spec)
    {
        var wanted = Json.Text(spec["clusterIP"]);
        if (wanted == "None")
        {
            spec["clusterIPs"] = new JsonArray("None");
            return;
        }
        if (wanted.Length > 0 && wanted == old.TextAt("clusterIP")) return;
        if (wanted.Length == 0)
        {
            wanted = context.DryRun ? allocator.NetworkAddress
                : allocator.TakeAnyAddress() ?? throw ApiException.Internal($"failed to allocate a serviceIP: range is full ({allocator.Range})");
        }
        else if (allocator.TakeAddress(wanted) is { } problem)
        {
            throw Invalid(new("FieldValueInvalid", "spec.clusterIPs", $"Invalid value: []string{{\"{wanted}\"}}: failed to allocate IP {wanted}: {problem}"));
        }
        if (!context.DryRun || wanted != allocator.NetworkAddress) _addresses.Add(wanted);
        spec["clusterIP"] = wanted;
        spec["clusterIPs"] = new JsonArray(wanted);
    }

    private void TakeNodePorts(JsonNode? old, JsonObject spec)
    {
        var needed = ServiceStrategy.NeedsNodePorts(spec);
        var held = Json.Objects(old.At("ports")).Select(port => Json.Whole(port["nodePort"]) ?? 0).ToHashSet();
        // One number may serve two protocols of the same port, as DNS needs.
        var mine = new Dictionary<long, HashSet<string>>();
        var fake = ServiceAllocator.LastNodePort + 1;
        var i = 0;
        foreach (var port in Json.Objects(spec["ports"]))
        {
            var field = $"spec.ports[{i++}].nodePort";
            var number = Json.Whole(port["nodePort"]) ?? 0;
            if (number == 0 && needed)
                port["nodePort"] = number = context.DryRun ? ++fake : Any();
            else if (number > 0 && !held.Contains(number) && !mine.ContainsKey(number) && allocator.TakePort(number) is { } problem)
                throw Invalid(FieldError.Invalid(field, number, problem));
            else if (number > 0 && !held.Contains(number) && !mine.ContainsKey(number)) _ports.Add(number);
            if (number > 0 && !Uses(number).Add(Json.Text(port["protocol"]))) throw Invalid(FieldError.Duplicate(field, number));
        }

        HashSet<string> Uses(long number) => mine.TryGetValue(number, out var uses) ? uses : mine[number] = new(StringComparer.Ordinal);
    }

    private void TakeHealthPort(JsonNode? old, JsonObject spec)
    {
        var wanted = Json.Whole(spec["healthCheckNodePort"]) ?? 0;
        if (wanted > 0 && wanted == Json.Whole(old.At("healthCheckNodePort"))) return;
        if (wanted == 0) spec["healthCheckNodePort"] = context.DryRun ? ServiceAllocator.LastNodePort + 1 : Any();
        else if (allocator.TakePort(wanted) is { } problem)
            throw Invalid(FieldError.Invalid("spec.healthCheckNodePort", wanted, $"failed to allocate requested HealthCheck NodePort {wanted}: {problem}"));
        else _ports.Add(wanted);
    }

    private long Any()
    {
        var port = allocator.TakeAnyPort() ?? throw ApiException.Internal("failed to allocate a nodePort: range is full");
        _ports.Add(port);
        return port;
    }

    private ApiException Invalid(FieldError error) => ApiException.Invalid(context.Kind.Group, context.Kind.Kind, service.TextAt("metadata", "name"), [error]);
}
