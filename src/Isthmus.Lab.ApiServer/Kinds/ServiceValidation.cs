using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>Validates Services.</summary>
internal static class ServiceValidation
{
    public static IEnumerable<FieldError> Validate(JsonObject service)
    {
        var spec = service["spec"] as JsonObject ?? [];
        var type = Json.Text(spec["type"]);
        IEnumerable<FieldError>[] checks =
        [
            Ports(spec, type),
            SelectorOf(spec),
            Check.OneOf("spec.sessionAffinity", spec["sessionAffinity"], "ClientIP", "None"),
            Affinity(spec),
            Check.OneOf("spec.type", spec["type"], "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"),
            Addresses(spec, type),
            Policies(spec, type),
            Families(spec, type),
            Ingress(service, type),
        ];
        return checks.SelectMany(errors => errors);
    }

    public static IEnumerable<FieldError> ValidateUpdate(JsonObject old, JsonObject next)
    {
        var (held, spec) = (old["spec"], next["spec"]);
        if (!ServiceStrategy.NeedsAddress(held) || !ServiceStrategy.NeedsAddress(spec)) yield break;
        var (was, now) = (Json.Texts(held.At("clusterIPs")), Json.Texts(spec.At("clusterIPs")));
        if (!was.IsEmpty && !now.IsEmpty && was[0] != now[0])
            yield return new("FieldValueInvalid", "spec.clusterIPs[0]", $"Invalid value: {GoStrings(now)}: may not change once set");
    }

    private static string GoStrings(ValueList<string> texts) => $"[]string{{{string.Join(", ", texts.Select(GoText.Quote))}}}";

    private static IEnumerable<FieldError> Ports(JsonObject spec, string type)
    {
        var ports = Json.Objects(spec["ports"]).ToList();
        if (ports.Count == 0 && type != "ExternalName" && Json.Text(spec["clusterIP"]) != "None") yield return FieldError.Required("spec.ports");
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < ports.Count; i++)
        {
            var (port, at) = (ports[i], $"spec.ports[{i}]");
            var name = Json.Text(port["name"]);
            if (name.Length == 0 && ports.Count > 1) yield return FieldError.Required($"{at}.name");
            else if (name.Length > 0 && ObjectNames.LabelProblem(name) is { } problem) yield return FieldError.Invalid($"{at}.name", name, problem);
            else if (name.Length > 0 && !names.Add(name)) yield return FieldError.Duplicate($"{at}.name", name);
            foreach (var error in Check.Port($"{at}.port", port["port"])) yield return error;
            foreach (var error in Check.OneOf($"{at}.protocol", port["protocol"], "SCTP", "TCP", "UDP")) yield return error;
            foreach (var error in Check.PortOrName($"{at}.targetPort", port["targetPort"])) yield return error;
            if (type == "ExternalName" && port["nodePort"] is not null)
                yield return FieldError.Forbidden($"{at}.nodePort", "may not be used when `type` is 'ExternalName'");
            if (type == "ClusterIP" && Json.Whole(port["nodePort"]) is > 0)
                yield return FieldError.Forbidden($"{at}.nodePort", "may not be used when `type` is 'ClusterIP'");
        }
        foreach (var error in Duplicates(ports)) yield return error;
    }

    private static IEnumerable<FieldError> Duplicates(List<JsonObject> ports)
    {
        var seen = new HashSet<(long?, string)>();
        for (var i = 0; i < ports.Count; i++)
        {
            var (number, protocol) = (Json.Whole(ports[i]["port"]), Json.Text(ports[i]["protocol"]));
            // The text is the port as Go prints it, with nothing but what makes it a duplicate.
            if (!seen.Add((number, protocol)))
                yield return new("FieldValueDuplicate", $"spec.ports[{i}]",
                    $"Duplicate value: core.ServicePort{{Name:\"\", Protocol:\"{protocol}\", AppProtocol:(*string)(nil), Port:{number}, "
                        + $"TargetPort:intstr.IntOrString{{Type:0, IntVal:0, StrVal:\"\"}}, NodePort:0}}");
        }
    }

    private static IEnumerable<FieldError> SelectorOf(JsonObject spec)
    {
        foreach (var (key, value) in Json.Map(spec["selector"]))
        {
            if (Check.QualifiedNameProblem(key) is { } problem) yield return FieldError.Invalid("spec.selector", key, problem);
            if (Check.LabelValueProblem(value) is { } bad) yield return FieldError.Invalid("spec.selector", value, bad);
        }
    }

    private static IEnumerable<FieldError> Affinity(JsonObject spec)
    {
        if (Json.Whole(spec.At("sessionAffinityConfig", "clientIP", "timeoutSeconds")) is (<= 0 or > 86400) and var seconds)
            yield return FieldError.Invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, "must be greater than 0 and less than 86400");
    }

    private static IEnumerable<FieldError> Addresses(JsonObject spec, string type)
    {
        var address = Json.Text(spec["clusterIP"]);
        if (type == "ExternalName")
        {
            if (address.Length > 0) yield return FieldError.Invalid("spec.clusterIPs", new JsonArray(address), "may not be set when `type` is 'ExternalName'");
            if (Json.Text(spec["externalName"]).Length == 0) yield return FieldError.Required("spec.externalName");
            else if (ObjectNames.SubdomainProblem(Json.Text(spec["externalName"]).TrimEnd('.')) is { } problem)
                yield return FieldError.Invalid("spec.externalName", Json.Text(spec["externalName"]), problem);
            yield break;
        }
        if (address == "None" && type is "NodePort" or "LoadBalancer" && address == "None")
            yield return FieldError.Invalid("spec.clusterIPs[0]", "None", $"may not be set to 'None' for {type} services");
        else if (address is not ("" or "None"))
            foreach (var error in Check.Ip("spec.clusterIPs[0]", address)) yield return error;
        var i = 0;
        foreach (var ip in Json.Texts(spec["externalIPs"]))
            foreach (var error in Check.SharedIp($"spec.externalIPs[{i++}]", ip)) yield return error;
    }

    private static IEnumerable<FieldError> Policies(JsonObject spec, string type)
    {
        if (Json.Text(spec["externalTrafficPolicy"]) is { Length: > 0 } external)
        {
            if (type is not ("NodePort" or "LoadBalancer") && Json.Texts(spec["externalIPs"]).IsEmpty)
                yield return FieldError.Invalid("spec.externalTrafficPolicy", external, "may only be set for externally-accessible services");
            else foreach (var error in Check.OneOf("spec.externalTrafficPolicy", external, "Cluster", "Local")) yield return error;
        }
        if (Json.Text(spec["internalTrafficPolicy"]) is { Length: > 0 } inside)
            foreach (var error in Check.OneOf("spec.internalTrafficPolicy", inside, "Cluster", "Local")) yield return error;
        if (type != "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] is not null)
            yield return FieldError.Forbidden("spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'");
        if (type != "LoadBalancer" && Json.Text(spec["loadBalancerClass"]).Length > 0)
            yield return FieldError.Forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'");
        if (!ServiceReservation.NeedsHealthPort(spec) && Json.Whole(spec["healthCheckNodePort"]) is > 0 and var port)
            yield return FieldError.Invalid("spec.healthCheckNodePort", port,
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
    }

    private static IEnumerable<FieldError> Families(JsonObject spec, string type)
    {
        if (Json.Text(spec["ipFamilyPolicy"]) is { Length: > 0 } policy)
            foreach (var error in Check.OneOf("spec.ipFamilyPolicy", policy, "PreferDualStack", "RequireDualStack", "SingleStack")) yield return error;
        var i = 0;
        foreach (var family in Json.Texts(spec["ipFamilies"]))
            foreach (var error in Check.OneOf($"spec.ipFamilies[{i++}]", family, "IPv4", "IPv6")) yield return error;
        if (type == "ExternalName" && spec["ipFamilyPolicy"] is not null)
            yield return FieldError.Forbidden("spec.ipFamilyPolicy", "may not be set when `type` is 'ExternalName'");
    }

    private static IEnumerable<FieldError> Ingress(JsonObject service, string type)
    {
        if (service.At("status", "loadBalancer", "ingress") is not JsonArray { Count: > 0 } list) yield break;
        if (type != "LoadBalancer")
            yield return FieldError.Forbidden("status.loadBalancer.ingress", "may only be used when `spec.type` is 'LoadBalancer'");
        var i = 0;
        foreach (var ingress in Json.Objects(list))
        {
            var at = $"status.loadBalancer.ingress[{i++}]";
            if (Json.Text(ingress["ip"]) is { Length: > 0 } ip)
                foreach (var error in Check.Ip($"{at}.ip", ip)) yield return error;
        }
    }
}
