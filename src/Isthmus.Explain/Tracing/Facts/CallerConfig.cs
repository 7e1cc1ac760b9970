using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>The Istio objects that apply to the caller.</summary>
internal sealed class CallerConfig(TraceFacts facts)
{
    /// <summary>The cluster that holds the caller's Istio objects: its own, or its primary.</summary>
    public ClusterObjects At => facts.ConfigOf(facts.Home);

    /// <summary>Names an Istio object, with the cluster that it is in.</summary>
    /// <param name="name">As <c>namespace/name</c>, or with its own kind in front; when it is empty, the result is <paramref name="otherwise"/>.</param>
    public string Named(string kind, string name, string otherwise) =>
        name.Length == 0 ? otherwise : IstioMetadata.IsOfGatewayApi(name) ? $"{name} in {At.Context}" : $"{kind} {name} in {At.Context}";

    /// <summary>The field path of a destination in a VirtualService.</summary>
    public string RouteField(string rule, string fqdn, string subset, string field)
    {
        if (IstioMetadata.IsOfGatewayApi(rule)) return "spec.rules[*].backendRefs";
        var routes = At.Istio<VirtualService>().FirstOrDefault(candidate => $"{candidate.Namespace}/{candidate.Name}" == rule)?.Http ?? [];
        for (var i = 0; i < routes.Count; i++)
        {
            for (var j = 0; j < routes[i].Destinations.Count; j++)
            {
                var destination = routes[i].Destinations[j].Destination;
                if (destination.Subset == subset && (destination.Host == fqdn || fqdn.StartsWith($"{destination.Host}.", StringComparison.Ordinal)))
                    return $"spec.http[{i}].route[{j}].destination.{field}";
            }
        }
        return $"spec.http[*].route[*].destination.{field}";
    }

    /// <summary>Why a route of the Gateway API responds with 500.</summary>
    /// <param name="rule">Its kind and name, as <see cref="IstioMetadata.RuleOf"/> has them.</param>
    /// <param name="name">The name of the route that proxies have for one of its rules.</param>
    public Problem Failing(string rule, string name)
    {
        var owner = $"{rule} in {At.Context}";
        var route = At.ApiRoutes.FirstOrDefault(candidate => $"{candidate.Source.Kind} {candidate.Namespace}/{candidate.Name}" == rule);
        foreach (var (i, one) in (route?.Rules ?? default).Index())
        {
            if (name != one.Name && name != RouteConversion.NameOf(route!, one, i)) continue;
            if (one.Faults is [var fault, ..])
                return Faults.Of("ISM2025", owner, $"spec.rules[{i}]", $"cannot apply as it is written, and responds with status 500: {fault.Message}",
                    "correct what the message names");
            if (one.Backends.IsEmpty)
                return Faults.Of("ISM2025", owner, $"spec.rules[{i}].backendRefs", "is empty, so that the response is status 500", "add a backend");
            if (one.Backends.All(backend => backend.Weight == 0))
                return Faults.Of("ISM2025", owner, $"spec.rules[{i}].backendRefs[*].weight", "is 0 for all backends, so that the response is status 500",
                    "give one of them a weight of 1 or more");
            foreach (var (j, backend) in one.Backends.Index())
                if (WhyNot(backend.To) is { Length: > 0 } why)
                    return Faults.Of("ISM2025", owner, $"spec.rules[{i}].backendRefs[{j}]", $"{why}, so that the response is status 500",
                        "create what is missing, or correct the reference");
        }
        return Faults.Of("ISM2025", owner, "spec.rules[*]",
            "responds with status 500: the backend does not exist or is not permitted, or the rule cannot apply as it is written",
            "see the conditions in its status: ResolvedRefs, PartiallyInvalid");
    }

    /// <summary>What is wrong with a reference to a Service; empty when nothing is, or nobody knows.</summary>
    private string WhyNot(ApiReference to)
    {
        if (to.Kind != "Service" || to.Group.Length > 0) return "";
        if (facts.Host($"{to.Name}.{to.Namespace}") is not { Services: [_, ..] services })
            return $"names Service {to.Namespace}/{to.Name}, which does not exist";
        return to.Port == 0 || services.Any(service => service.Port(to.Port) is not null) ? ""
            : $"names port {to.Port} of {services[0].Name}, which has {ServicePods.Ports(services[0].Service)}";
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
            && Visibility.Allows(service.ExportTo, service.Namespace, facts.Client.Namespace));

    /// <summary>The VirtualServices with routes for requests to a host.</summary>
    public IEnumerable<VirtualService> RoutingRequests(MeshHost host) => At.Istio<VirtualService>().Where(service =>
        service.ForSidecars && !service.Http.IsEmpty && service.Hosts.Contains(host.Fqdn)
            && Visibility.Allows(service.ExportTo, service.Namespace, facts.Client.Namespace));

    /// <summary>The first route to a host that is left to a VirtualService which is not there; null when there is none.</summary>
    public (VirtualService Service, string Field, ObjectName Delegate)? Orphaned(MeshHost host)
    {
        foreach (var service in RoutingRequests(host))
        {
            for (var i = 0; i < service.Http.Count; i++)
            {
                if (service.Http[i].Delegate is { } name
                    && !At.Istio<VirtualService>().Any(other => other.Namespace == name.Namespace && other.Name == name.Name))
                    return (service, $"spec.http[{i}].delegate", name);
            }
        }
        return null;
    }

    /// <summary>The DestinationRules that the caller's proxy follows: those of its own namespace take the place of those of the host's, and those the place of
    /// the root namespace's.</summary>
    public IReadOnlyList<DestinationRule> RulesFor(MeshHost host)
    {
        var seen = RulesOf(At, host).Where(Sees).ToList();
        var own = facts.Client.Namespace == facts.RootNamespace ? host.Namespace : facts.Client.Namespace;
        foreach (var ns in (string[])[own, host.Namespace, facts.RootNamespace])
            if (seen.Where(rule => rule.Namespace == ns).ToList() is [_, ..] found) return found;
        return [];
    }

    /// <summary>Whether a rule is exported to the caller.</summary>
    public bool Sees(DestinationRule rule) => Visibility.Allows(rule.ExportTo, rule.Namespace, facts.Client.Namespace);

    /// <summary>All DestinationRules of a cluster for a host, also those that the caller does not get.</summary>
    public static IEnumerable<DestinationRule> RulesOf(ClusterObjects cluster, MeshHost host) => cluster.Istio<DestinationRule>().Where(rule =>
        Hosts.Covers(rule.Host, host.Fqdn)
        || (!rule.Host.Contains('.', StringComparison.Ordinal) && $"{rule.Host}.{rule.Namespace}.svc.{WellKnown.DefaultDomainSuffix}" == host.Fqdn));
}
