using System.Globalization;
using System.Net;
using Isthmus.Core.Names;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Explain.Tracing.Facts;

/// <summary>A Service in one cluster.</summary>
internal sealed record ServiceInCluster(ClusterObjects Cluster, Service Service)
{
    private static readonly IReadOnlyDictionary<string, string> All = new Dictionary<string, string>();

    /// <summary>The labels of a subset, where only that part of the Service is meant; empty: all of it is.</summary>
    public IReadOnlyDictionary<string, string> Within { get; init; } = All;

    public string Name => $"Service {Service.Key} in {Cluster.Context}";

    /// <summary>What follows a word for its Pods: the labels of the part that is meant.</summary>
    public string Part => Within.Count == 0 ? "" : $" with {ServicePods.Text(Within)}";

    public IReadOnlyList<Pod> Pods => Within.Count == 0 ? Cluster.Behind(Service)
        : [.. Cluster.Behind(Service).Where(pod => LabelSelector.Selects(Within, pod.Metadata.Labels))];

    public ServicePort? Port(int number) => Service.Spec.Ports.FirstOrDefault(port => port.Port == number && port.Protocol != "UDP");

    /// <summary>The port that is called at an address of the Service, of its load balancer, or of a Node; null: it has none there.</summary>
    public ServicePort? PortAt(IPEndPoint address) =>
        Service.Spec.ClusterIP == address.Address.ToString() || IsBalanced(address.Address) ? Port(address.Port) : NodePort(address.Port);

    /// <summary>Whether it is an address of its load balancer, or an external IP.</summary>
    public bool IsBalanced(IPAddress address) => address.ToString() is var ip
        && (Service.Status.LoadBalancer.Ingress.Any(ingress => ingress.Ip == ip) || Service.Spec.ExternalIPs.Contains(ip));

    /// <summary>The port that Nodes have under a number; null: there is none.</summary>
    public ServicePort? NodePort(int number) => Service.Spec.Ports.FirstOrDefault(port => number > 0 && port.NodePort == number && port.Protocol != "UDP");

    /// <summary>How a call of an address from outside comes to the Service.</summary>
    public string By(IPEndPoint address) => IsBalanced(address.Address) ? "its load balancer"
        : $"nodePort {address.Port.ToString(CultureInfo.InvariantCulture)} of a Node of {Cluster.Context}";

    /// <summary>Whether clients outside may come by addresses of Nodes, without one of a load balancer.</summary>
    public bool IsOnNodes => Service.Spec is { Type: "LoadBalancer", AllocateLoadBalancerNodePorts: not false }
        || Service.Spec.Ports.Exists(port => port.NodePort > 0)
        || Pods.Any(pod => pod.Spec.HostNetwork || pod.Spec.Containers.Exists(container => container.Ports.Exists(port => port.HostPort > 0)));

    public IEnumerable<EndpointSlice> Slices() => Cluster.Slices.Where(slice =>
        slice.Metadata.Namespace == Service.Metadata.Namespace && slice.Metadata.Labels.GetValueOrDefault(Labels.ServiceName) == Service.Metadata.Name);

    /// <summary>The ready Pods behind one of its ports, according to its EndpointSlices.</summary>
    public List<Callee> Callees(ServicePort port)
    {
        var found = new List<Callee>();
        foreach (var slice in Slices())
        {
            var target = slice.Ports.FirstOrDefault(candidate => candidate.Name == port.Name)?.Port ?? 0;
            foreach (var address in slice.Endpoints.Where(endpoint => endpoint.Conditions.Ready ?? true).SelectMany(endpoint => endpoint.Addresses))
                if (target > 0 && Cluster.PodAt(address) is { } pod) found.Add(new(Cluster, pod, new(IPAddress.Parse(address), target)));
        }
        return found;
    }

    /// <summary>The port of a Pod to which a port of its Service leads; 0 when there is none.</summary>
    public static int TargetOf(ServicePort? port, Pod pod)
    {
        if (port is null) return 0;
        var text = port.TargetPort?.ToString() ?? "";
        if (text.Length == 0) return port.Port;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
            : pod.Spec.Containers.Concat(pod.Spec.InitContainers).SelectMany(container => container.Ports)
                .FirstOrDefault(candidate => candidate.Name == text)?.Number
                ?? 0;
    }
}
