using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>What a gateway lacks, and other Pods or another cluster have: gateways serve the objects that select them, and that their own control plane reads.
/// </summary>
internal sealed class EntryElsewhere(TraceFacts facts, CallerConfig config)
{
    private const string Code = "ISM2152";

    private IEnumerable<ClusterObjects> Others => facts.Clusters.Where(other => other != config.At);

    private string Rule => facts.Home == config.At ? $"the gateway in {facts.Home.Context} serves the objects of {config.At.Context}"
        : $"the gateway in {facts.Home.Context} serves the objects of {config.At.Context}, its primary";

    /// <summary>A Gateway with the host of the call selects other Pods than those that are called, or none; null where no other one has the host.</summary>
    public Problem? Astray(string host, int port)
    {
        var labels = facts.ClientPod.Metadata.Labels.ToValueMap();
        var having = config.At.Istio<Gateway>().Where(gateway => !Selectors.Matches(gateway.Selector, labels)
            && gateway.Servers.Any(server => server.Port == port && server.Hosts.Any(pattern => Hosts.Covers(EntryCauses.Bare(pattern), host)))).ToList();
        var selected = having.Select(gateway => config.At.Pods.FirstOrDefault(pod => Selectors.Matches(gateway.Selector, pod.Metadata.Labels.ToValueMap())))
            .ToList();
        if (having.Count == 0) return null;
        // One that selects no Pod at all is more likely the mistake.
        var index = Math.Max(selected.IndexOf(null), 0);
        var (meant, other) = (having[index], selected[index]);
        var differing = meant.Selector.Where(wanted => labels.GetValueOrDefault(wanted.Key) != wanted.Value).ToList();
        return Faults.Of("ISM2052", $"Gateway {meant.FullName} in {config.At.Context}", "spec.selector",
            $"has {host}, but selects {string.Join(", ", differing.Select(wanted => $"{wanted.Key}={wanted.Value}"))}: "
                + (other is null ? "no Pod has that, and " : $"Pod {other.Metadata.Namespace}/{other.Metadata.Name} serves it, and ")
                + $"{facts.Client} has "
                + string.Join(", ", differing.Select(wanted => $"{wanted.Key}={labels.GetValueOrDefault(wanted.Key, "no such label")}")),
            other is null ? "give the selector labels of this Pod" : "call a Service of the Pods that it selects, or give the selector labels of this Pod");
    }

    /// <summary>Another cluster has a Gateway of these Pods for the host; null when none has.</summary>
    /// <param name="ports">Those at which a server may be meant for the call.</param>
    public Problem? Gateway(string host, params ReadOnlySpan<int> ports)
    {
        var labels = facts.ClientPod.Metadata.Labels.ToValueMap();
        foreach (var other in Others)
            foreach (var gateway in other.Istio<Gateway>().Where(gateway => Selectors.Matches(gateway.Selector, labels)))
                foreach (var server in gateway.Servers)
                {
                    if (!ports.Contains(server.Port) || !server.Hosts.Any(pattern => Hosts.Covers(EntryCauses.Bare(pattern), host))) continue;
                    var routing = Routing(other, gateway, host).Select(service => $"VirtualService {service.Namespace}/{service.Name}").ToList();
                    return Faults.Of(Code, $"Gateway {gateway.FullName} in {other.Context}", "",
                        $"has {host}, and {Rule}, which has no Gateway for this host",
                        Apply(routing.Count > 0 ? $"{string.Join(", ", routing)} as well" : "", other));
                }
        return null;
    }

    /// <summary>Another cluster has a VirtualService for the host and the Gateway; null when none has.</summary>
    public Problem? Routes(Gateway gateway, string host)
    {
        foreach (var other in Others)
            if (Routing(other, gateway, host).FirstOrDefault() is { } service)
                return Faults.Of(Code, $"VirtualService {service.Namespace}/{service.Name} in {other.Context}", "",
                    $"routes {host} for Gateway {gateway.FullName}, and {Rule}, which has no VirtualService for this host: the response is 404",
                    Apply("", other));
        return null;
    }

    /// <summary>A route of the Gateway API names a Gateway of Istio, for which another kind has the name; null when none does.</summary>
    public Problem? Unattachable(Gateway gateway, string host)
    {
        if (config.At.ApiGateways.Any(other => other.Namespace == gateway.Namespace && other.Name == gateway.Name)) return null;
        foreach (var route in config.At.ApiRoutes)
            foreach (var (index, parent) in route.Parents.Index())
                if (parent.Group == MeshApi.ApiGateway.Group && parent.Kind == MeshApi.ApiGateway.Kind
                    && (parent.Namespace, parent.Name) == (gateway.Namespace, gateway.Name)
                    && (route.Hostnames.IsEmpty || route.Hostnames.Any(name => Hosts.Covers(name, host))))
                    return Faults.Of("ISM2085", $"{route.Source.Kind} {route.Namespace}/{route.Name} in {config.At.Context}", $"spec.parentRefs[{index}].name",
                        $"names {parent.Name}, and Gateway {gateway.FullName}, which accepts the call, is one of Istio ({MeshApi.Gateway.Group}): "
                            + $"{route.Source.Kind}s attach to Gateways of {MeshApi.ApiGateway.Group} only, so that {host} has no route: the response is 404",
                        $"create a VirtualService with host {host} and gateway {gateway.FullName}; or a Gateway of {MeshApi.ApiGateway.Group}, and call its "
                            + "Service");
        return null;
    }

    private static IEnumerable<VirtualService> Routing(ClusterObjects other, Gateway gateway, string host) => other.Istio<VirtualService>()
        .Where(service => EntryCauses.IsBound(service, gateway) && service.Hosts.Any(pattern => Hosts.Covers(pattern, host)));

    private string Apply(string also, ClusterObjects other) =>
        $"apply its manifest with --context={config.At.Context}{(also.Length > 0 ? $", and that of {also}" : "")}; or call the gateway of {other.Context}";
}
