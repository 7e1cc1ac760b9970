using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>What the caller itself does so that its call does not get to the host that it means: where its names lead, what it sends, and what its proxy
/// asks for.</summary>
internal sealed class CallerCauses(TraceFacts facts, CallerConfig config)
{
    /// <summary>The caller's Pod has an address of its own for a host of the mesh.</summary>
    public const string Aliased = "ISM2140";

    /// <summary>The caller's Pod has another address for a host of the mesh than the mesh; null: it has that, or the name is of no host.</summary>
    /// <param name="index">Of the entry of <c>spec.hostAliases</c>.</param>
    /// <param name="address">Where the entry leads.</param>
    /// <param name="inMesh">Where the name leads in the mesh.</param>
    public Problem? Alias(MeshHost? host, int index, IPAddress address, IReadOnlyList<IPAddress> inMesh)
    {
        if (host is null || inMesh.Contains(address)) return null;
        var own = host.Services is [var first, ..] ? first.Name
            : $"ServiceEntry {host.Entries[0].Namespace}/{host.Entries[0].Name} in {config.At.Context}";
        var owner = OwnersOf(address).Select(service => $", that of {service.Name}").FirstOrDefault() ?? "";
        return Faults.Of(Aliased, facts.Client.ToString(), $"spec.hostAliases[{index}]",
            $"gives {facts.Target.Host} the address {address}{owner}, to which the application connects; in the mesh, the name is of {own}"
                + (inMesh.Count > 0 ? $", at {string.Join(", ", inMesh)}" : ""),
            $"remove {facts.Target.Host} from hostAliases of the Pod's template" + (inMesh.Count > 0 ? $", or write {inMesh[0]} there" : ""));
    }

    /// <summary>The caller's proxy does not ask for endpoints of a network; null: it does.</summary>
    public Problem? NotViewed(string network)
    {
        var pod = facts.ClientPod;
        if (NetworkView.Of(pod.Spec, pod.Metadata.Annotations) is not { } view || view.Networks.Contains(network)) return null;
        return Faults.Of("ISM2142", facts.Client.ToString(), view.Path,
            $"lets its proxy ask for endpoints in {string.Join(", ", view.Networks)} only (ISTIO_META_REQUESTED_NETWORK_VIEW), and not for those in "
                + network,
            $"add {network} to ISTIO_META_REQUESTED_NETWORK_VIEW in the Pod's template or in meshConfig.defaultConfig.proxyMetadata, or remove it");
    }

    /// <summary>The request names a host that the mesh does not have, so that the caller's proxy passes it on to the address that is called, where no
    /// Pod is; null: it names another one, or there are Pods.</summary>
    public Problem? ForeignHost(TracedCall call)
    {
        var named = call.Authority.LastIndexOf(':') is > 0 and var colon ? call.Authority[..colon] : call.Authority;
        if (!call.IsPlainHttp || call.Host is not { Services.Count: > 0 } host || named == facts.Target.Host
            || facts.Host(named, facts.Client.Namespace) is not null) return null;
        var there = Beyond(host, call.Port);
        return there.Count == 0 ? null : Faults.Of("ISM2143", $"host {named}", "",
            $"is what the request names in its header Host, and it is not a host of the mesh: the caller's proxy passes the request on unchanged to "
                + $"{call.Destination}, which leads to Pods of {facts.Home.Context} only, "
                + $"and the ready Pods of {host.Fqdn} are in {string.Join(" and ", there)}",
            $"send the host that is called, {facts.Target.Host} (behind nginx: proxy_set_header Host {facts.Target.Host})");
    }

    /// <summary>Bytes at a port of requests, which the caller's proxy passes on to the address that is called, where no Pod is; null for others, and where one
    /// is.</summary>
    public Problem? PassedOn(TracedCall call)
    {
        if (call.Kind != CallKinds.Tcp || DeclaredPort.Of(call, facts.Home.Context) is not { } declared || !declared.Protocol.IsHttp()
            || call.Host is not { } host || Beyond(host, call.Port) is not { Count: > 0 } there) return null;
        return Faults.Of("ISM2093", declared.Object, declared.Field,
            $"declares {declared.Name}, and the call is a plain TCP connection, in which proxies find no request: the caller's proxy passes it on unchanged to "
                + $"{call.Destination}, which leads to Pods of {facts.Home.Context} only, "
                + $"and the ready Pods of {host.Fqdn} are in {string.Join(" and ", there)}",
            $"if the application does not speak HTTP, {declared.Declare("tcp")}, in all clusters");
    }

    /// <summary>No proxy leads the call from the address of a Service to the ready Pods, which are elsewhere; null where the Service has none there, or where
    /// the caller's cluster has some.</summary>
    public Problem? BeyondHome(TracedCall call, Kubernetes.Objects.ServicePort port)
    {
        if (call.Host is not { } host || host.In(facts.Home) is not { } own) return null;
        if (ServicePods.Ready(own, port.Port).FirstOrDefault() is { } ready)
            return Faults.Of("ISM2040", own.Name, "endpoints", $"has no ready endpoint in its EndpointSlices, although Pod {ready.Key} is ready",
                $"kubectl --context={facts.Home.Context} -n {own.Service.Metadata.Namespace} get endpointslices");
        if (Beyond(host, call.Port) is not { Count: > 0 } there) return null;
        var leads = $"the address of {own.Name}, which leads to Pods of {facts.Home.Context} only, and the ready Pods of {host.Fqdn} are in "
            + string.Join(" and ", there);
        const string Code = "ISM2028";
        if (ClusterObjects.Sidecar(facts.ClientPod) is not null)
            return Faults.Of(Code, own.Name, "", $"the call goes without the caller's proxy to {leads}",
                $"let the caller's proxy take the call, or run Pods in {facts.Home.Context}");
        var without = Sidecarless.Of(facts.Home, facts.ClientPod);
        return Faults.Of(Code, without.Object, without.Field, $"{without.Because}has no sidecar, so that its calls go to {leads}",
            $"{without.Remedy}; or run Pods in {facts.Home.Context}");
    }

    /// <summary>The clusters other than the caller's with ready Pods of a host.</summary>
    private List<string> Beyond(MeshHost host, int port) => [.. host.Services.Where(service => service.Cluster != facts.Home && service.Port(port) is not null
        && ServicePods.Ready(service, port).Any()).Select(service => service.Cluster.Context)];

    /// <summary>The address is the ClusterIP of a Service of another cluster, and of none of the caller's; null for others.</summary>
    public Problem? OfOtherCluster(IPEndPoint address)
    {
        var owners = OwnersOf(address.Address).ToList();
        if (owners.Count == 0 || owners.Exists(service => service.Cluster == facts.Home)) return null;
        var (service, port) = (owners[0], owners[0].Port(address.Port));
        var name = $"{service.Service.Metadata.Name}.{service.Service.Metadata.Namespace}";
        return Faults.Of("ISM2144", string.Join(", ", owners.Select(owner => owner.Name)), "spec.clusterIP",
            $"is {address.Address}, and a ClusterIP leads to Pods only within its own cluster, while the caller is in {facts.Home.Context}",
            $"call {name}{(port is null ? "" : $":{port.Port}")} by its name"
                + (facts.Host(name)?.In(facts.Home) is not null ? ""
                    : $" (create the Service in {facts.Home.Context} as well, so that the DNS there has the name)"));
    }

    /// <summary>A ServiceEntry of another cluster has the name, and control planes read those of their own cluster only; null: none has it.</summary>
    public Problem? EntryElsewhere(string host)
    {
        foreach (var cluster in facts.Clusters.Where(other => other != config.At))
            if (cluster.Istio<ServiceEntry>().FirstOrDefault(one => one.Hosts.Any(name => Hosts.Covers(name, host))) is { } entry)
                return Faults.Of("ISM2145", $"ServiceEntry {entry.Namespace}/{entry.Name} in {cluster.Context}", "",
                    $"has {host}, and is in {cluster.Context}: for callers in {facts.Home.Context}, ServiceEntries of {config.At.Context} count, and none "
                        + "there has the name",
                    $"kubectl --context={cluster.Context} -n {entry.Namespace} get serviceentry {entry.Name} -o json | jq 'del(.metadata.uid, "
                        + $".metadata.resourceVersion, .status)' | kubectl --context={config.At.Context} apply -f -");
        return null;
    }

    private IEnumerable<ServiceInCluster> OwnersOf(IPAddress address)
    {
        var text = address.ToString();
        return from cluster in facts.Clusters
               from service in cluster.Services
               where service.Spec.ClusterIP == text
               orderby cluster == facts.Home descending
               select new ServiceInCluster(cluster, service);
    }
}
