using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>The Istio objects that apply to the caller.</summary>
internal sealed class CallerConfig(TraceFacts facts)
{
    /// <summary>The cluster that holds the caller's Istio objects: its own, or its primary.</summary>
    public ClusterObjects At => facts.ConfigOf(facts.Home);

    /// <summary>Names an Istio object, with the cluster that it is in.</summary>
    /// <param name="name">As <c>namespace/name</c>, or with its own kind in front; when it is empty, the result is <paramref name="otherwise"/>.</param>
    public string Named(string kind, string name, string otherwise) =>
        name.Length == 0 ? otherwise : name.Contains(' ', StringComparison.Ordinal) ? $"{name} in {At.Context}" : $"{kind} {name} in {At.Context}";

    /// <summary>The field path of a destination in a VirtualService.</summary>
    public string RouteField(string rule, string fqdn, string subset, string field)
    {
        if (IstioMetadata.IsOfGatewayApi(rule)) return "spec.rules[*].backendRefs";
        if (IstioMetadata.IsOfIngress(rule)) return "spec.rules[*].http.paths[*].backend";
        var service = At.Istio<VirtualService>().FirstOrDefault(candidate => $"{candidate.Namespace}/{candidate.Name}" == rule);
        var routes = service?.Http ?? [];
        for (var i = 0; i < routes.Count; i++)
        {
            for (var j = 0; j < routes[i].Destinations.Count; j++)
            {
                if (Is(routes[i].Destinations[j].Destination)) return $"spec.http[{i}].route[{j}].destination.{field}";
            }
        }
        for (var i = 0; i < routes.Count; i++)
        {
            if (routes[i].Mirrors.Any(mirror => Is(mirror.Destination)))
                return $"spec.http[{i}].{(routes[i].Mirrors.Count == 1 ? "mirror" : "mirrors[*].destination")}.{field}";
        }
        foreach (var (name, others) in ((string, ValueList<L4Route>)[])[("tcp", service?.Tcp ?? []), ("tls", service?.Tls ?? [])])
            foreach (var (i, route) in others.Index())
                foreach (var (j, to) in route.Destinations.Index())
                    if (Is(to.Destination)) return $"spec.{name}[{i}].route[{j}].destination.{field}";
        return $"spec.http[*].route[*].destination.{field}";

        bool Is(Destination to) => to.Subset == subset && (to.Host == fqdn || fqdn.StartsWith($"{to.Host}.", StringComparison.Ordinal));
    }

    /// <summary>The field path of the redirect of a route.</summary>
    public string RedirectField(string rule)
    {
        if (IstioMetadata.IsOfGatewayApi(rule)) return "spec.rules[*].filters[*].requestRedirect";
        var routes = At.Istio<VirtualService>().FirstOrDefault(candidate => $"{candidate.Namespace}/{candidate.Name}" == rule)?.Http ?? [];
        return routes.Index().Where(route => route.Item.Redirect is not null).ToList() is [var only] ? $"spec.http[{only.Index}].redirect"
            : "spec.http[*].redirect";
    }

    /// <summary>Why a route of the Gateway API responds with 500, or closes connections.</summary>
    /// <param name="rule">Its kind and name, as <see cref="IstioMetadata.RuleOf"/> has them.</param>
    /// <param name="name">The name of the route that proxies have for one of its rules.</param>
    public Problem Failing(string rule, string name)
    {
        var owner = $"{rule} in {At.Context}";
        var route = At.ApiRoutes.FirstOrDefault(candidate => $"{candidate.Source.Kind} {candidate.Namespace}/{candidate.Name}" == rule);
        var isHttp = rule.StartsWith("HTTP", StringComparison.Ordinal) || rule.StartsWith("GRPC", StringComparison.Ordinal);
        var (code, does, then) = isHttp ? ("ISM2025", "responds with status 500", "so that the response is status 500")
            : ("ISM2031", "closes connections", "so that connections are closed");
        foreach (var (i, one) in (route?.Rules ?? default).Index())
        {
            if (isHttp && name != one.Name && name != RouteConversion.NameOf(route!, one, i)) continue;
            if (one.Faults is [var fault, ..])
                return Faults.Of(code, owner, $"spec.rules[{i}]", $"cannot apply as it is written, and {does}: {fault.Message}",
                    "correct what the message names");
            if (one.Backends.IsEmpty) return Faults.Of(code, owner, $"spec.rules[{i}].backendRefs", $"is empty, {then}", "add a backend");
            if (one.Backends.All(backend => backend.Weight == 0))
                return Faults.Of(code, owner, $"spec.rules[{i}].backendRefs[*].weight", $"is 0 for all backends, {then}",
                    "give one of them a weight of 1 or more");
            foreach (var (j, backend) in one.Backends.Index())
                if (WhyNot(route!, backend.To) is var (field, why, remedy))
                    return Faults.Of(code, owner, $"spec.rules[{i}].backendRefs[{j}]{field}", $"{why}, {then}", remedy);
        }
        return Faults.Of(code, owner, "spec.rules[*]",
            $"{does}: the backend does not exist or is not permitted, or the rule cannot apply as it is written",
            "see the conditions in its status: ResolvedRefs, PartiallyInvalid");
    }

    /// <summary>What is wrong with a reference to a backend, at which field of it, and what helps; null when nothing is, or nobody knows.</summary>
    private (string Field, string Why, string Remedy)? WhyNot(ApiRoute route, ApiReference to)
    {
        var from = route.Source;
        if (ReferenceGroups.Meant(to) is { } meant)
            return (".group", $"is \"{to.Group}\", and {to.Kind} {to.Namespace}/{to.Name} is of group \"{meant}\"",
                $"write group: {(meant.Length > 0 ? meant : "\"\"")}");
        if (to is { Kind: "Service", Group: "" } && to.Namespace != from.Namespace && facts.Host($"{to.Name}.{to.Namespace}") is not { Services.Count: > 0 }
            && facts.Host($"{to.Name}.{from.Namespace}") is { Services.Count: > 0 })
            return (".namespace", $"names Service {to.Namespace}/{to.Name}, which does not exist",
                $"set namespace to {from.Namespace}, where Service {to.Name} is, or remove it");
        if (to is { Kind: "Service", Group: "" } && to.Namespace == from.Namespace && facts.Host($"{to.Name}.{to.Namespace}") is not { Services.Count: > 0 }
            && GatewayApiTargets.MeantNamespace(route, to, ServiceNamespaces(to.Name)) is { } ns)
            return (".namespace", $"is not written, so the reference names Service {to.Namespace}/{to.Name}, which does not exist",
                $"write namespace: {ns}, where Service {to.Name} is"
                    + (facts.Entry is not null && NotPermitted(from, to with { Namespace = ns }) is var (_, grant) ? $", and {grant}" : ""));
        // Within the mesh, routes need none.
        if (facts.Entry is not null && NotPermitted(from, to) is var (denied, remedy))
            return ("", $"names {to.Kind} {to.Namespace}/{to.Name}, and {denied}", remedy);
        if (to.Kind is not ("Service" or "ServiceImport")) return null;
        if (facts.Host($"{to.Name}.{to.Namespace}") is not { Services: [_, ..] services })
            return (".name", $"names {to.Kind} {to.Namespace}/{to.Name}, which does not exist", "create what is missing, or correct the reference");
        if (to.Kind == "ServiceImport" && Unexported(to)) return (".kind", $"is ServiceImport, and no cluster exports Service {to.Namespace}/{to.Name}",
            $"create a ServiceExport {to.Namespace}/{to.Name} in each cluster whose Pods are meant; or write kind: Service, without the group");
        if (to.Port == 0) return (".port", $"names no port of {to.Kind} {to.Namespace}/{to.Name}", "write the number of the port");
        if (services.Any(service => service.Port(to.Port) is not null)) return null;
        var ports = services[0].Service.Spec.Ports;
        return (".port", $"names port {to.Port} of {services[0].Name}, which has {ServicePods.Ports(services[0].Service)}",
            ports.Find(port => port.TargetPort?.ToString() == $"{to.Port}") is { } leading ? $"write {leading.Port}: {to.Port} is the port of its Pods"
                : ports is [var only] ? $"write {only.Port}" : "write one of its ports");
    }

    private IEnumerable<string> ServiceNamespaces(string name) => facts.Clusters.SelectMany(cluster => cluster.Services)
        .Where(service => service.Metadata.Name == name).Select(service => service.Metadata.Namespace);

    /// <summary>Whether nothing gives an import a host.</summary>
    private bool Unexported(ApiReference import) => facts.Clusters.All(cluster => cluster.Error.Length == 0)
        && facts.ControlPlanesOf(facts.Home) is [var plane, ..] && ControlPlaneDeployment.MultiCluster(plane.Deployments).Host
        && !facts.Clusters.Any(cluster => cluster.ServiceExports.Contains((import.Namespace, import.Name)));

    /// <summary>A route of the Gateway API that is meant for the calls of a host, and gives its parent a group that has no such kind; null for none.</summary>
    public (ApiRoute Route, int Parent, string Group)? Misgrouped(MeshHost host)
    {
        foreach (var route in At.ApiRoutes)
            foreach (var (index, parent) in route.Parents.Index())
                if (parent.Kind == "Service" && parent.Namespace == host.Namespace && parent.Name == host.Name && ReferenceGroups.Meant(parent) is { } meant)
                    return (route, index, meant);
        return null;
    }

    /// <summary>The mirrors of a rule of the Gateway API whose copies nobody gets.</summary>
    /// <param name="rule">The kind and name of its route.</param>
    /// <param name="name">The name of the route that proxies have for the rule.</param>
    public IEnumerable<Problem> LostMirrors(string rule, string name)
    {
        var route = At.ApiRoutes.FirstOrDefault(candidate => $"{candidate.Source.Kind} {candidate.Namespace}/{candidate.Name}" == rule);
        return from one in (route?.Rules ?? default).Index()
               where name == one.Item.Name || name == RouteConversion.NameOf(route!, one.Item, one.Index)
               from mirror in one.Item.Mirrors
               let why = WhyNot(route!, mirror.To)
               where why is not null
               select Faults.Of("ISM2010", $"{rule} in {At.Context}", $"spec.rules[{one.Index}].filters[*].requestMirror.backendRef",
                   $"{why.Value.Why}, so that copies of requests are not sent", why.Value.Remedy);
    }

    /// <summary>Why an object of the Gateway API may not refer to another namespace, and what permits it; null when it may, or nobody reads
    /// grants.</summary>
    public (string Why, string Remedy)? NotPermitted(ObjectRef from, ApiReference to)
    {
        if (!At.Knows(MeshApi.ReferenceGrant) || ReferenceGrants.Permit(from, to, At.ReferenceGrants)) return null;
        var kind = from.Kind.Split('.')[0];
        if (ReferenceGrants.Nearest(from, to, At.ReferenceGrants) is { } near) return (near.Why, $"{near.Remedy} in {At.Context}");
        return ($"no ReferenceGrant in namespace {to.Namespace} permits {kind}s of namespace {from.Namespace} to refer to it",
            $"create a ReferenceGrant in namespace {to.Namespace} of {At.Context}: from: [{{group: {MeshApi.ApiGateway.Group}, kind: {kind}, "
                + $"namespace: {from.Namespace}}}], to: [{{group: \"{to.Group}\", kind: {to.Kind}, name: {to.Name}}}]");
    }

    /// <summary>The BackendTLSPolicy by which callers begin TLS at a port of a Service, which comes before what DestinationRules say; null when there is
    /// none.</summary>
    public BackendTlsPolicy? BackendTls(string fqdn, int port)
    {
        if (At.BackendTlsPolicies.Count == 0 || facts.Host(fqdn) is not { Services: [_, ..] services } host) return null;
        var section = services.Select(service => service.Port(port)?.Name).FirstOrDefault(name => name is { Length: > 0 }) ?? "";
        var meant = BackendPolicies.Ordered(At.BackendTlsPolicies).SelectMany(policy => policy.Targets, (policy, target) => (Policy: policy, Target: target))
            .Where(one => one.Target is { Group: "", Kind: "Service" } && one.Target.Name == host.Name && one.Target.Namespace == host.Namespace).ToList();
        return (meant.Find(one => one.Target.Section.Length > 0 && one.Target.Section == section) is { Policy: { } ofPort } ? ofPort : null)
            ?? meant.Find(one => one.Target.Section.Length == 0).Policy;
    }

    /// <summary>The Sidecar that the control plane chooses: one that selects the Pod, then the namespace's, then the root
    /// namespace's; of several the oldest.</summary>
    public Sidecar? Sidecar() => SidecarOf(facts.Home, facts.ClientPod);

    /// <summary>The same for any Pod.</summary>
    public Sidecar? SidecarOf(ClusterObjects cluster, Pod pod)
    {
        var (at, labels) = (facts.ConfigOf(cluster), pod.Metadata.Labels.ToValueMap());
        var local = at.Istio<Sidecar>().Where(sidecar => sidecar.Namespace == pod.Metadata.Namespace).OrderBy(sidecar => sidecar.CreatedAt)
            .ThenBy(sidecar => sidecar.Source).ToList();
        return local.FirstOrDefault(sidecar => sidecar.Selector.Count > 0 && Selectors.Matches(sidecar.Selector, labels))
            ?? local.FirstOrDefault(sidecar => sidecar.Selector.Count == 0)
            ?? at.Istio<Sidecar>().Where(sidecar => sidecar.Namespace == facts.RootNamespace && sidecar.Selector.Count == 0)
                .OrderBy(sidecar => sidecar.CreatedAt).FirstOrDefault();
    }

    /// <summary>The VirtualServices that have no effect on a host for the caller, because an older one is for the same host.</summary>
    /// <param name="owner">The older one, as <c>namespace/name</c>; empty when there is none.</param>
    public IEnumerable<VirtualService> Overridden(string owner, MeshHost host) => owner.Length == 0 ? [] : At.Istio<VirtualService>().Where(service =>
        service.ForSidecars && $"{service.Namespace}/{service.Name}" != owner && service.Hosts.Contains(host.Fqdn)
            && Sees(service));

    /// <summary>The VirtualServices with routes for requests to a host.</summary>
    public IEnumerable<VirtualService> RoutingRequests(MeshHost host) => At.Istio<VirtualService>().Where(service =>
        service.ForSidecars && !service.Http.IsEmpty && service.Hosts.Contains(host.Fqdn) && Sees(service));

    /// <summary>The VirtualServices with routes for connections to a host.</summary>
    public IEnumerable<VirtualService> RoutingConnections(MeshHost host) => At.Istio<VirtualService>().Where(service =>
        service.ForSidecars && !(service.Tcp.IsEmpty && service.Tls.IsEmpty) && service.Hosts.Any(name => Hosts.Covers(name, host.Fqdn)) && Sees(service));

    /// <summary>The first route of VirtualServices that is left to one which is not there; null when there is none.</summary>
    public (VirtualService Service, string Field, ObjectName Delegate)? Orphaned(IEnumerable<VirtualService> routing)
    {
        foreach (var service in routing)
        {
            for (var i = 0; i < service.Http.Count; i++)
            {
                if (service.Http[i].Delegate is { } name && Service(name) is null) return (service, $"spec.http[{i}].delegate", name);
            }
        }
        return null;
    }

    /// <summary>A VirtualService; null when it is not there.</summary>
    public VirtualService? Service(ObjectName name) =>
        At.Istio<VirtualService>().FirstOrDefault(other => other.Namespace == name.Namespace && other.Name == name.Name);

    /// <summary>The DestinationRules that the caller's proxy follows: those of its own namespace take the place of those of the host's, and those the place of
    /// the root namespace's.</summary>
    public IReadOnlyList<DestinationRule> RulesFor(MeshHost host)
    {
        var seen = RulesOf(At, host).Where(rule => Sees(rule) && Selects(rule)).OrderBy(rule => rule.WorkloadSelector.Count == 0).ToList();
        var own = facts.Client.Namespace == facts.RootNamespace ? host.Namespace : facts.Client.Namespace;
        foreach (var ns in (string[])[own, host.Namespace, facts.RootNamespace])
            if (seen.Where(rule => rule.Namespace == ns).ToList() is [_, ..] found) return found;
        return [];
    }

    /// <summary>Whether a rule is exported to the caller.</summary>
    public bool Sees(DestinationRule rule) => Sees(rule.ExportTo, facts.Settings.Mesh.DefaultDestinationRuleExportTo, rule.Namespace);

    /// <summary>Whether a rule is for the caller's Pod, if it is for some Pods of its namespace only.</summary>
    public bool Selects(DestinationRule rule) => rule.WorkloadSelector.Count == 0 || (rule.Namespace == facts.Client.Namespace
        && Selectors.Matches(rule.WorkloadSelector, facts.ClientPod.Metadata.Labels.ToValueMap()));

    /// <summary>Whether a VirtualService is exported to the caller.</summary>
    public bool Sees(VirtualService service) => Sees(service.ExportTo, facts.Settings.Mesh.DefaultVirtualServiceExportTo, service.Namespace);

    private bool Sees(ValueList<string> told, ValueList<string> otherwise, string ns) =>
        Visibility.Allows(told.IsEmpty ? otherwise : told, ns, facts.Client.Namespace);

    /// <summary>All DestinationRules of a cluster for a host, also those that the caller does not get.</summary>
    public static IEnumerable<DestinationRule> RulesOf(ClusterObjects cluster, MeshHost host) => cluster.Istio<DestinationRule>().Where(rule =>
        Hosts.Covers(rule.Host, host.Fqdn)
        || (!rule.Host.Contains('.', StringComparison.Ordinal) && $"{rule.Host}.{rule.Namespace}.svc.{WellKnown.DefaultDomainSuffix}" == host.Fqdn));
}
