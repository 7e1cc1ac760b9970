using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>References of the Gateway API that lead nowhere, or that nobody grants. Whether they do is the control plane's word. Pure.</summary>
public static class GatewayApiTargets
{
    private const string NotPermitted = "RefNotPermitted";

    public static Analyzer Analyzer { get; } = new("gatewayapi.ReferenceAnalyzer",
        "Checks that what Gateways, routes and policies of the Gateway API refer to exists, and that other namespaces permit it",
        [IstioCodes.ReferencedResourceNotFound, IstioCodes.InvalidGatewayCredential, OwnCodes.ReferenceNotGranted, IstioCodes.NegativeCondition], [],
        mesh => mesh.GatewayApis.SelectMany(api => Classes(api).Concat(Gateways(api)).Concat(Sets(api)).Concat(Routes(api)).Concat(Policies(api))
            .Concat(TrafficPolicies(api))));

    /// <summary>Whether a listener's certificates or its Gateway's CAs are faulty: these are reported here.</summary>
    internal static bool HasFaults(JudgedGatewayApi api, ObjectRef owner, ApiGateway gateway, ApiListener listener) =>
        (listener.Tls?.Certificates ?? default).Any(reference => api.Verdicts.References.PairFault(owner, reference, "") is not null)
        || Validations(gateway).SelectMany(item => item.Validation.CaCertificates).Any(reference => api.Verdicts.References.CaFault(gateway.Source,
            reference) is not null);

    private static IEnumerable<Finding> Classes(JudgedGatewayApi api) =>
        from item in api.Verdicts.Classes
        where GatewayClasses.IsOurs(item.Controller) && item.Parameters is not null
        from finding in Parameters(api, JudgedGatewayApi.Name(item.Source), "spec.parametersRef", item.Parameters!)
        select finding;

    private static IEnumerable<Finding> Gateways(JudgedGatewayApi api)
    {
        foreach (var gateway in api.Verdicts.Gateways.OrderBy(gateway => gateway.Source))
        {
            var name = JudgedGatewayApi.Name(gateway.Source);
            if (api.Verdicts.ControllerOf(gateway) is not { } controller)
            {
                if (UnservedGateways.Of(api, gateway) is { } unserved) yield return unserved;
                continue;
            }
            if (!GatewayClasses.Deploys(controller)) continue;
            if (gateway.Infrastructure.Parameters is { } parameters)
                foreach (var finding in Parameters(api, name, "spec.infrastructure.parametersRef", parameters)) yield return finding;
            foreach (var finding in Certificates(api, gateway.Source, gateway.Listeners)) yield return finding;
            if (gateway.BackendCertificate is { } shown && api.Verdicts.References.PairFault(gateway.Source, shown, "") is { } fault)
                foreach (var finding in Secret(api, name, "spec.tls.backend.clientCertificateRef", shown, fault)) yield return finding;
            foreach (var (path, validation) in Validations(gateway))
                foreach (var (i, ca) in validation.CaCertificates.Index())
                    if (api.Verdicts.References.CaFault(gateway.Source, ca) is { } wrong)
                        foreach (var finding in Secret(api, name, $"{path}.validation.caCertificateRefs[{i}]", ca, wrong)) yield return finding;
        }
    }

    private static IEnumerable<(string Path, FrontendValidation Validation)> Validations(ApiGateway gateway) =>
        (gateway.Frontend is { } all ? [("spec.tls.frontend.default", all)] : (IEnumerable<(string, FrontendValidation)>)[])
            .Concat(gateway.FrontendPorts.Index().Where(port => port.Item.Validation is not null).Select(port =>
                ($"spec.tls.frontend.perPort[{port.Index}].tls", port.Item.Validation!)));

    private static IEnumerable<Finding> Sets(JudgedGatewayApi api)
    {
        foreach (var set in api.Verdicts.ListenerSets.OrderBy(set => set.Source))
        {
            // Whatever others serve, they serve listeners of Gateways.
            if (set.Parent.Group == MeshApi.ApiGateway.Group && set.Parent.Kind != MeshApi.ApiGateway.Kind)
                yield return IstioCodes.ReferencedResourceNotFound.At(api.Cluster, JudgedGatewayApi.Name(set.Source), "spec.parentRef.kind",
                    $"Referenced {set.Parent.Kind} cannot take listeners: \"{set.Parent.Namespace}/{set.Parent.Name}\": nobody serves those of the ListenerSet",
                    $"name a Gateway (kind {MeshApi.ApiGateway.Kind})");
            else if (JudgedGatewayApi.KindOf(set.Parent) is { } kind && api.IsMissing(kind, set.Parent.Namespace, set.Parent.Name))
                yield return Parent(api, set.Source, "spec.parentRef", kind, set.Parent);
            else if (api.Verdicts.OfListenerSet(set.Source) is not null)
                foreach (var finding in Certificates(api, set.Source, set.Listeners)) yield return finding;
        }
    }

    private static IEnumerable<Finding> Certificates(JudgedGatewayApi api, ObjectRef owner, ValueList<ApiListener> listeners) =>
        from listener in listeners.Index()
        where listener.Item is { Protocol: "HTTPS" or "TLS", Tls.IsPassthrough: false }
        from reference in listener.Item.Tls!.Certificates.Index()
        let fault = api.Verdicts.References.PairFault(owner, reference.Item, "InvalidCertificateRef")
        where fault is not null
        from finding in Secret(api, JudgedGatewayApi.Name(owner), $"spec.listeners[{listener.Index}].tls.certificateRefs[{reference.Index}]", reference.Item,
            fault)
        select finding;

    private static IEnumerable<Finding> Secret(JudgedGatewayApi api, string name, string path, ApiReference reference, ApiFault fault)
    {
        if (fault.Reason == NotPermitted)
            return api.KnowsGrants ? [OwnCodes.ReferenceNotGranted.At(api.Cluster, name, path, fault.Message, Grant(name, reference))] : [];
        if (!KnowsBundles(api, reference)) return [];
        var isMissing = reference.Kind == "ConfigMap" ? api.Cluster.Find($"ConfigMap {reference.Namespace}/{reference.Name}") is null
            : reference.IsTrustBundle ? api.Cluster.Find($"{MeshApi.ClusterTrustBundle.Name} {reference.Name}") is null
            : reference is { Group: "", Kind: "Secret" } && api.Verdicts.References.Secret(new(reference.Namespace, reference.Name)) is null;
        return [isMissing
            ? IstioCodes.ReferencedResourceNotFound.At(api.Cluster, name, path, $"Referenced {reference.Kind} not found: {fault.Message}",
                reference.IsTrustBundle ? "create it, or correct the reference" : $"create it in namespace {reference.Namespace}, or correct the reference")
            : IstioCodes.InvalidGatewayCredential.At(api.Cluster, name, path, fault.Message,
                "refer to a Secret or ConfigMap that holds what the message names, or put it there")];
    }

    /// <summary>Whether the analysis may say that CAs are missing: who may not read an object does not know.</summary>
    private static bool KnowsBundles(JudgedGatewayApi api, ApiReference reference) =>
        reference is not { Kind: "ConfigMap" } and not { IsTrustBundle: true }
        || api.Cluster.Knows(reference.IsTrustBundle ? MeshApi.ClusterTrustBundle.Name : MeshApi.ConfigMap.Name);

    private static IEnumerable<Finding> Parameters(JudgedGatewayApi api, string name, string path, ApiReference reference)
    {
        if (!api.Cluster.Knows(MeshApi.ConfigMap.Name)) return [];
        var isThere = api.Cluster.Find($"ConfigMap {reference.Namespace}/{reference.Name}")?["data"] is JsonObject data
            && ParameterRules.Has(data.Select(item => item.Key));
        return ParameterRules.Fault(reference, isThere, name, path) is { } fault ? [IstioCodes.ReferencedResourceNotFound.At(api.Cluster, name, path,
            fault.Message, fault.Remedy)] : [];
    }

    private static Finding Parent(JudgedGatewayApi api, ObjectRef from, string path, KindDescriptor kind, ApiReference parent) =>
        // Two kinds have the name Gateway.
        kind == MeshApi.ApiGateway && api.Cluster.Find($"{MeshApi.Gateway.Name} {parent.Namespace}/{parent.Name}") is not null
        ? IstioCodes.ReferencedResourceNotFound.At(api.Cluster, JudgedGatewayApi.Name(from), $"{path}.name",
            $"Referenced {kind.Kind} not found: \"{parent.Namespace}/{parent.Name}\" is a Gateway of Istio ({MeshApi.Gateway.Group}), and {from.Kind}s attach "
                + $"to those of {kind.Group} only: it attaches nowhere",
            (from.Kind == MeshApi.ListenerSet.Kind ? "" : $"write a VirtualService with gateways: [{parent.Namespace}/{parent.Name}], or ")
                + $"create a Gateway of {kind.Group}")
        : IstioCodes.ReferencedResourceNotFound.At(api.Cluster, JudgedGatewayApi.Name(from), $"{path}.name",
            $"Referenced {kind.Kind} not found: \"{parent.Namespace}/{parent.Name}\": it attaches nowhere",
            api.Elsewhere(kind, parent.Name) is { } ns ? $"set {path}.namespace to {ns}, or create the {kind.Kind}"
                : $"create the {kind.Kind}, or correct the name");

    private static IEnumerable<Finding> Routes(JudgedGatewayApi api)
    {
        foreach (var (route, attached) in api.Verdicts.Routes.OrderBy(item => item.Route.Source))
        {
            foreach (var (i, parent) in route.Parents.Index())
                if (parent.Group == MeshApi.ServiceImport.Group && parent.Kind == MeshApi.ServiceImport.Kind)
                    yield return IstioCodes.ReferencedResourceNotFound.At(api.Cluster, JudgedGatewayApi.Name(route.Source), $"spec.parentRefs[{i}].kind",
                        $"Referenced ServiceImport cannot have routes: \"{parent.Namespace}/{parent.Name}\": the route applies to "
                        + "nothing there", "name the Service (group \"\", kind Service)");
                else if (ReferenceGroups.Meant(parent) is { } meant)
                    yield return IstioCodes.ReferencedResourceNotFound.At(api.Cluster, JudgedGatewayApi.Name(route.Source), $"spec.parentRefs[{i}].group",
                        $"Referenced {parent.Kind} not found: group \"{parent.Group}\""
                        + $"{(parent.Written.HasFlag(ReferenceFields.Group) ? "" : ", that of all parents without a group,")} has no such kind: the route does "
                        + $"not apply to {parent.Kind} {parent.Namespace}/{parent.Name}", $"write group: {(meant.Length > 0 ? meant : "\"\"")}");
                else if (JudgedGatewayApi.KindOf(parent) is { } kind && api.IsMissing(kind, parent.Namespace, parent.Name))
                    yield return Parent(api, route.Source, $"spec.parentRefs[{i}]", kind, parent);
            // What others serve is theirs to judge.
            if (api.Verdicts.OfRoute(route.Source) is null) continue;
            foreach (var finding in Backends(api, route, needsGrant: attached.Count > 0)) yield return finding;
        }
    }

    private static IEnumerable<Finding> Backends(JudgedGatewayApi api, ApiRoute route, bool needsGrant)
    {
        var rules = api.Find(route.Source)?["spec"]?["rules"] as JsonArray;
        foreach (var (i, rule) in route.Rules.Index())
        {
            foreach (var (path, to) in References(rules is { } all && i < all.Count ? all[i] : null, $"spec.rules[{i}]", rule))
                if (api.Verdicts.TargetOf(route, to, needsGrant).Fault is { } fault && Backend(api, route, path, to,
                    fault) is { } finding) yield return finding;
        }
    }

    private static IEnumerable<(string Path, ApiReference To)> References(JsonNode? written, string path, ApiRule rule)
    {
        foreach (var mirror in Mirrors(written, path, rule.Mirrors)) yield return mirror;
        foreach (var (i, backend) in rule.Backends.Index())
        {
            yield return ($"{path}.backendRefs[{i}]", backend.To);
            foreach (var mirror in Mirrors((written?["backendRefs"] as JsonArray)?[i], $"{path}.backendRefs[{i}]", backend.Mirrors)) yield return mirror;
        }
    }

    /// <summary>Mirrors are among the filters, in their order.</summary>
    private static IEnumerable<(string Path, ApiReference To)> Mirrors(JsonNode? written, string path, ValueList<ApiMirror> mirrors) =>
        (written?["filters"] as JsonArray ?? []).Index().Where(filter => filter.Item?["requestMirror"] is not null).Zip(mirrors)
            .Select(pair => ($"{path}.filters[{pair.First.Index}].requestMirror.backendRef", pair.Second.To));

    private static Finding? Backend(JudgedGatewayApi api, ApiRoute route, string path, ApiReference to, ApiFault fault)
    {
        var name = JudgedGatewayApi.Name(route.Source);
        return fault.Reason switch
        {
            NotPermitted => api.KnowsGrants ? OwnCodes.ReferenceNotGranted.At(api.Cluster, name, path,
                $"{fault.Message}: {Loss(route, path)}", Grant(name, to)) : null,
            "BackendNotFound" when to.Kind == MeshApi.Service.Kind && IsMissing(api, route, to, fault)
                && api.Cluster.Services.FirstOrDefault(one => one.Metadata.Namespace == to.Namespace && one.Metadata.Name == to.Name) is { } there
                => IstioCodes.ReferencedResourceNotFound.At(api.Cluster, name, $"{path}.port",
                    $"Referenced backend not found: {fault.Message}: {Loss(route, path)}",
                    $"write a port of Service {to.Name}: {string.Join(" or ", there.Spec.Ports.Select(port => port.Port))}"),
            "BackendNotFound" when to.Kind == MeshApi.Service.Kind && IsMissing(api, route, to, fault) && MeantNamespace(route, to, api.Cluster.Services
                .Where(service => service.Metadata.Name == to.Name).Select(service => service.Metadata.Namespace)) is { } ns
                => IstioCodes.ReferencedResourceNotFound.At(api.Cluster, name, $"{path}.namespace",
                    $"Referenced backend not found: {fault.Message}: {Loss(route, path)}", $"write namespace: {ns}, where Service {to.Name} is"),
            "BackendNotFound" => IsMissing(api, route, to, fault) ? IstioCodes.ReferencedResourceNotFound.At(api.Cluster, name, path,
                $"Referenced backend not found: {fault.Message}: {Loss(route, path)}",
                to.Kind == MeshApi.ServiceImport.Kind ? $"create a ServiceExport {to.Namespace}/{to.Name} in each cluster whose Pods are meant, or name "
                    + "the Service (kind: Service, without the group)" : null) : null,
            "InvalidKind" when ReferenceGroups.Meant(to) is { } meant => IstioCodes.NegativeCondition.At(api.Cluster, name, $"{path}.group",
                $"ResolvedRefs is False ({fault.Reason}): {fault.Message}: {Loss(route, path)}", $"write group: {(meant.Length > 0 ? meant : "\"\"")}"),
            _ => IstioCodes.NegativeCondition.At(api.Cluster, name, path, $"ResolvedRefs is False ({fault.Reason}): {fault.Message}",
                "refer to a Service, a ServiceImport or a Hostname, and to a port of the route's protocol"),
        };
    }

    /// <summary>The namespace that a reference was probably meant to have, which says none: that of a Service whose callers the route is for, or the only one
    /// with such a Service; null when it says one, or nobody knows.</summary>
    /// <param name="having">The namespaces with a Service of the name.</param>
    public static string? MeantNamespace(ApiRoute route, ApiReference to, IEnumerable<string> having)
    {
        if (to.Namespace != route.Namespace || to.Written.HasFlag(ReferenceFields.Namespace)) return null;
        var all = having.Distinct().ToList();
        return route.Parents.Where(parent => parent is { Kind: "Service", Group: "" } && all.Contains(parent.Namespace)).Select(parent => parent.Namespace)
            .FirstOrDefault() ?? (all is [var only] ? only : null);
    }

    /// <summary>What the clusters that were read lack, others may have: their control plane knows.</summary>
    private static bool IsMissing(JudgedGatewayApi api, ApiRoute route, ApiReference to, ApiFault fault) =>
        api.SaidOfReferences(route.Source) is { } said ? said.Any(message => message.Contains(fault.Message, StringComparison.Ordinal)) : api.Knows(to);

    /// <summary>What happens to what is sent to a backend that cannot be used.</summary>
    private static string Loss(ApiRoute route, string path) => path.Contains("requestMirror", StringComparison.Ordinal) ? "copies of requests are lost"
        : route.Source.Kind == MeshApi.UdpRoute.Name ? "datagrams that it would get are dropped"
        : route.Source.Kind == MeshApi.TcpRoute.Name || route.Source.Kind == MeshApi.TlsRoute.Name ? "connections that it would get, end"
        : "requests that it would get, get 500";

    /// <summary>BackendTLSPolicies that do nothing for a target, or that are not accepted.</summary>
    internal static IEnumerable<Finding> Policies(JudgedGatewayApi api)
    {
        foreach (var policy in api.Verdicts.Policies.OrderBy(policy => policy.Source))
        {
            var name = JudgedGatewayApi.Name(policy.Source);
            foreach (var finding in Targets(api, policy)) yield return finding;
            var conditions = api.Verdicts.ConditionsOf(policy);
            var unresolved = conditions.FirstOrDefault(condition => condition is { Type: "ResolvedRefs", Status: false });
            if (unresolved is not null && policy.CaCertificates.All(reference => KnowsBundles(api, reference)))
                yield return IstioCodes.ReferencedResourceNotFound.At(api.Cluster, name, "spec.validation.caCertificateRefs",
                    $"{unresolved.Message} ({unresolved.Reason}): without a CA, calls to the targets fail",
                        "refer to a ConfigMap of the policy's namespace with ca.crt, or to a ClusterTrustBundle");
            else if (unresolved is null && conditions.FirstOrDefault(condition => condition is { Type: "Accepted", Status: false }) is { } refused)
                yield return IstioCodes.NegativeCondition.At(api.Cluster, name, refused.Reason == "Conflicted" ? "spec.targetRefs" : "spec.validation",
                    $"Accepted is False ({refused.Reason}): {refused.Message}",
                    ConditionRemedies.OfPolicy(policy, api.Verdicts.Policies, refused.Reason, "spec.validation"));
        }
    }

    /// <summary>The same of XBackendTrafficPolicies.</summary>
    internal static IEnumerable<Finding> TrafficPolicies(JudgedGatewayApi api)
    {
        foreach (var policy in api.Verdicts.TrafficPolicies.OrderBy(policy => policy.Source))
        {
            foreach (var finding in Targets(api, policy)) yield return finding;
            if (api.Verdicts.ConditionsOf(policy).FirstOrDefault(condition => condition is { Type: "Accepted", Status: false }) is { } refused)
                yield return IstioCodes.NegativeCondition.At(api.Cluster, JudgedGatewayApi.Name(policy.Source),
                    refused.Reason == "Conflicted" ? "spec.targetRefs" : "spec.sessionPersistence", $"Accepted is False ({refused.Reason}): {refused.Message}",
                    ConditionRemedies.OfPolicy(policy, api.Verdicts.TrafficPolicies, refused.Reason, "spec.sessionPersistence and spec.retryConstraint"));
        }
    }

    /// <summary>Targets of a policy that it does nothing for.</summary>
    private static IEnumerable<Finding> Targets(JudgedGatewayApi api, IBackendPolicy policy)
    {
        foreach (var (i, target) in policy.Targets.Index())
        {
            var name = JudgedGatewayApi.Name(policy.Source);
            if (target is not { Group: "", Kind: "Service" })
                yield return IstioCodes.ReferencedResourceNotFound.At(api.Cluster, name, $"spec.targetRefs[{i}].kind",
                    $"Referenced {target.Kind} cannot have a policy: \"{target.Namespace}/{target.Name}\": the policy has no effect there",
                    "refer to a Service (group \"\")");
            else if (api.Knows(target) && !api.Verdicts.HasService(target.Namespace, target.Name))
                yield return IstioCodes.ReferencedResourceNotFound.At(api.Cluster, name, $"spec.targetRefs[{i}].name",
                    $"Referenced service not found: \"{target.Namespace}/{target.Name}\": the policy has no effect");
            else if (target.Section.Length > 0 && Ports(api, target) is { Count: > 0 } ports && !ports.Exists(port => port.Name == target.Section))
                yield return IstioCodes.ReferencedResourceNotFound.At(api.Cluster, name, $"spec.targetRefs[{i}].sectionName",
                    $"Referenced port not found: Service {target.Namespace}/{target.Name} has no port named \"{target.Section}\" "
                        + $"(its ports: {string.Join(", ", ports.Select(port => $"{port.Name} {port.Port}"))}): the policy has no effect there",
                    ports.Find(port => $"{port.Port}" == target.Section) is { Name.Length: > 0 } named ? $"write {named.Name}, the name of that port"
                        : "write the name of a port, or leave sectionName out for all ports");
        }
    }

    private static List<(string Name, int Port)> Ports(JudgedGatewayApi api, ApiReference target) =>
        [.. api.Cluster.Services.Where(service => service.Metadata.Namespace == target.Namespace && service.Metadata.Name == target.Name)
            .SelectMany(service => service.Spec.Ports).Select(port => (port.Name, port.Port))];

    /// <param name="from">As findings name it.</param>
    private static string Grant(string from, ApiReference to)
    {
        var (kind, ns) = (from.Split(' ')[0].Split('.')[0], from.Split(' ')[1].Split('/')[0]);
        return $"create a ReferenceGrant in namespace {to.Namespace} (spec.from: group {MeshApi.ApiGateway.Group}, kind {kind}, namespace {ns}; "
            + $"spec.to: group \"{to.Group}\", kind {to.Kind}), or refer to an object of namespace {ns}";
    }
}
