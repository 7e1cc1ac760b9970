using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;

namespace Isthmus.Mesh.Model;

/// <summary>
/// What calls and is called, whichever object declares it: a Pod, or a program outside of Kubernetes that a WorkloadEntry stands for, reduced to
/// the fields that a mesh needs.
/// </summary>
/// <param name="Source">The Pod or WorkloadEntry; its cluster is the workload's.</param>
/// <param name="Name">The Deployment, StatefulSet … it belongs to, else its own name.</param>
/// <param name="Addresses">Its IP addresses, of both families; the first is dialled.</param>
/// <param name="Ports">Those of a Pod's containers by their own names, those of a WorkloadEntry by the names of the Service's ports.</param>
public sealed record Workload(ObjectRef Source, string Name, ValueMap<string> Labels, string ServiceAccount, ValueList<Address> Addresses, ValueMap<int> Ports)
{
    private const string PodKind = "Pod";

    public string Cluster => Source.Cluster;

    public string Namespace => Source.Namespace;

    public AccountKey Account => new(Source.Cluster, Source.Namespace, ServiceAccount);

    public bool IsPod => IsOfPod(Source);

    /// <summary>Where it is dialled: at the first of its IP addresses, or at what a WorkloadEntry names instead.</summary>
    public EndpointAddress Place => Addresses.IsEmpty ? Elsewhere : EndpointAddress.Of(Addresses[0]);

    /// <summary>The host name or socket of a WorkloadEntry that names no IP address.</summary>
    public EndpointAddress Elsewhere { get; private init; }

    /// <summary>Empty: it runs on none, or none is known.</summary>
    public string Node { get; init; } = "";

    /// <summary>Its own; null: as its labels, or else its Node, say.</summary>
    public Locality? Locality { get; init; }

    /// <summary>Its own; empty: as its labels, its address or its cluster say.</summary>
    public string Network { get; init; } = "";

    public uint Weight { get; init; } = 1;

    /// <summary>Ready unless its object says otherwise.</summary>
    public EndpointHealth Health { get; init; }

    /// <summary>A Pod whose containers have ended for good, as those of a finished Job. It has its Node still.</summary>
    public bool HasEnded { get; init; }

    /// <summary>The proxy that a Pod's container <c>istio-proxy</c> runs; null if unknown, or none.</summary>
    public ProxyKind? Runs { get; init; }

    /// <summary>spec.hostname of a Pod.</summary>
    public string Hostname { get; init; } = "";

    /// <summary>spec.subdomain of a Pod.</summary>
    public string Subdomain { get; init; } = "";

    /// <summary>Whether a workload accepts connections in tunnels (HBONE), as its labels say.</summary>
    public static bool AcceptsTunnels(ValueMap<string> labels) =>
        labels.TryGetValue(Core.Names.Labels.Tunnel, out var kinds) && kinds.Split(',').Contains(Core.Names.Labels.HttpTunnel);

    public static bool IsOfPod(ObjectRef source) => source.Kind == PodKind;

    /// <summary>Where a Pod is among workloads.</summary>
    public static ObjectRef KeyOfPod(ObjectKey pod) => new(pod.Cluster, PodKind, pod.Namespace, pod.Name);

    public static Workload Of(WorkloadEntry entry) =>
        Of(entry.Source, entry.Endpoint) with { Health = entry.IsUnhealthy ? EndpointHealth.NotReady : EndpointHealth.Ready };

    /// <summary>Also an endpoint that a ServiceEntry lists.</summary>
    public static Workload Of(ObjectRef source, EntryEndpoint endpoint) =>
        new(source, source.Name, endpoint.Labels, endpoint.ServiceAccount, endpoint.Address.Ip is { } ip ? [ip] : default, endpoint.Ports)
        {
            Elsewhere = endpoint.Address.Ip is null ? endpoint.Address : default,
            Locality = endpoint.Locality.Length > 0 ? Model.Locality.Parse(endpoint.Locality) : null, Network = endpoint.Network, Weight = endpoint.Weight,
        };

    /// <summary>The WorkloadEntry that it was made of.</summary>
    public WorkloadEntry ToEntry() => new(Source, new(Place, Ports, Labels, Network, Locality?.ToString() ?? "", Weight, ServiceAccount))
    {
        IsUnhealthy = Health != EndpointHealth.Ready,
    };

    /// <summary>The port at the workload; null when it is a name, and the Pod has no port of that name.</summary>
    public int? Target(ServicePort port)
    {
        var number = int.TryParse(port.TargetPort, NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given : (int?)null;
        if (!IsPod) return Ports.TryGetValue(port.Name, out var own) && own > 0 ? own : number ?? port.Number;
        if (port.TargetPort.Length == 0) return port.Number;
        return number ?? (Ports.TryGetValue(port.TargetPort, out var named) ? named : null);
    }
}

/// <summary>A Node, reduced to the fields that a mesh needs.</summary>
/// <param name="Labels">All: NodePort gateways may select by any.</param>
/// <param name="Kubelet">The version of its kubelet, which decides how proxies are injected.</param>
public sealed record NodeFacts(
    ObjectRef Source, Locality Locality, ValueMap<string> Labels, ValueList<EndpointAddress> ExternalAddresses,
    ValueList<EndpointAddress> InternalAddresses = default, string Kubelet = "");
