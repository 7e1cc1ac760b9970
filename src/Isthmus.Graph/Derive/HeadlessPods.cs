using Isthmus.Core.Collections;
using Isthmus.Core.Live;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Derive;

/// <summary>A host for a single Pod, with its endpoints.</summary>
internal sealed record PodHost(MeshService Service, ValueList<MeshEndpoint> Endpoints);

/// <summary>
/// Makes a host of every Pod behind a Service that other networks reach through a gateway, if any cluster defines it as headless. The Pod's own address is not
/// routable there, and a gateway distinguishes destinations by SNI alone: so each Pod needs its own name, and an address allocated for it.
/// </summary>
internal sealed class HeadlessPods(Live<string, MeshService> services, Live<string, GatewayTable> gateways)
{
    private const int LongestLabel = 63;

    public IEnumerable<KeyValuePair<string, PodHost>> Of(Reader read, ValueList<EndpointSet> sets)
    {
        if (read.Get(services, sets[0].Hostname) is not { ClusterLocal: false } service || !(service.Headless || service.HeadlessElsewhere)) return [];
        var table = read.Get(gateways, "") ?? GatewayTable.Empty;
        return sets.SelectMany(set => set.Endpoints)
            .Where(endpoint => !endpoint.Withheld && endpoint.Network.Length > 0 && table.Knows(endpoint.Network) && endpoint.Ports.Any(port => port.Mtls))
            .Select(endpoint => (Pod: PodOf(service, endpoint), Endpoint: endpoint))
            .Where(item => IsLabel(item.Pod.Name) && IsLabel(HeadlessPod.Label(item.Pod.Cluster)))
            .GroupBy(item => item.Pod)
            .Select(group => Make(service, group.Key, group.Select(item => item.Endpoint)))
            .DistinctBy(host => host.Service.Hostname)
            .Select(host => KeyValuePair.Create(host.Service.Hostname, host));
    }

    /// <summary>The longest name that DNS and SNI allow.</summary>
    private static bool IsLabel(string name) => name.Length is > 0 and <= LongestLabel;

    /// <summary>Pods without a hostname (those of Deployments) are named after their objects.</summary>
    private static HeadlessPod PodOf(MeshService service, MeshEndpoint endpoint) => new(
        service.Hostname,
        endpoint.PodHostname.Length > 0 ? endpoint.PodHostname : endpoint.PodName.Replace('.', '-'),
        endpoint.Cluster, endpoint.Network) { OnlyForGateways = !service.Headless };

    private static PodHost Make(MeshService service, HeadlessPod pod, IEnumerable<MeshEndpoint> endpoints)
    {
        var host = service with
        {
            Hostname = pod.FullName,
            Resolution = Resolution.Endpoints,
            Vips = default,
            Clusters = [pod.Cluster],
            Sources = service.Sources.Where(source => source.Cluster == pod.Cluster).ToValueList(),
            Pod = pod,
        };
        return new(host, endpoints.Select(endpoint => endpoint with { Hostname = host.Hostname }).ToValueList());
    }
}
