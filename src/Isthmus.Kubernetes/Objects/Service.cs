using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

/// <summary>core/v1 Service.</summary>
public sealed class Service : KubeObject
{
    public ServiceSpec Spec { get; init => field = value ?? new(); } = new();
    public ServiceStatus Status { get; init => field = value ?? new(); } = new();
}

public sealed class ServiceSpec
{
    public string Type { get; init => field = value ?? "ClusterIP"; } = "ClusterIP";
    /// <summary>An address, <c>None</c> for a headless Service, or empty.</summary>
    public string ClusterIP { get; init => field = value ?? ""; } = "";
    public List<string> ClusterIPs { get; init => field = value ?? []; } = [];
    public List<ServicePort> Ports { get; init => field = value ?? []; } = [];
    public Dictionary<string, string> Selector { get; init => field = value ?? []; } = [];
    public string ExternalName { get; init => field = value ?? ""; } = "";
    public List<string> ExternalIPs { get; init => field = value ?? []; } = [];
    public string LoadBalancerIP { get; init => field = value ?? ""; } = "";
    public string? LoadBalancerClass { get; init; }
    public string SessionAffinity { get; init => field = value ?? ""; } = "";
    public string ExternalTrafficPolicy { get; init => field = value ?? ""; } = "";
    public string InternalTrafficPolicy { get; init => field = value ?? ""; } = "";
    public string TrafficDistribution { get; init => field = value ?? ""; } = "";
    public bool PublishNotReadyAddresses { get; init; }
    public bool? AllocateLoadBalancerNodePorts { get; init; }
}

public sealed class ServicePort
{
    public string Name { get; init => field = value ?? ""; } = "";
    public int Port { get; init; }
    /// <summary>A number, the name of a container port, or null for the same number as <see cref="Port"/>.</summary>
    public JsonNode? TargetPort { get; init; }
    public string Protocol { get; init => field = value ?? "TCP"; } = "TCP";
    public int NodePort { get; init; }
    public string AppProtocol { get; init => field = value ?? ""; } = "";
}

public sealed class ServiceStatus
{
    public LoadBalancerStatus LoadBalancer { get; init => field = value ?? new(); } = new();
}

public sealed class LoadBalancerStatus
{
    public List<LoadBalancerIngress> Ingress { get; init => field = value ?? []; } = [];
}

public sealed class LoadBalancerIngress
{
    public string Ip { get; init => field = value ?? ""; } = "";
    public string Hostname { get; init => field = value ?? ""; } = "";
}

/// <summary>discovery.k8s.io/v1 EndpointSlice.</summary>
public sealed class EndpointSlice : KubeObject
{
    public string AddressType { get; init => field = value ?? "IPv4"; } = "IPv4";
    public List<SliceEndpoint> Endpoints { get; init => field = value ?? []; } = [];
    public List<SlicePort> Ports { get; init => field = value ?? []; } = [];
}

public sealed class SliceEndpoint
{
    public List<string> Addresses { get; init => field = value ?? []; } = [];
    public SliceConditions Conditions { get; init => field = value ?? new(); } = new();
    public string Hostname { get; init => field = value ?? ""; } = "";
    public string NodeName { get; init => field = value ?? ""; } = "";
    public string Zone { get; init => field = value ?? ""; } = "";
    public ObjectReference? TargetRef { get; init; }
}

public sealed class SliceConditions
{
    public bool? Ready { get; init; }
    public bool? Serving { get; init; }
    public bool? Terminating { get; init; }
}

public sealed class SlicePort
{
    public string Name { get; init => field = value ?? ""; } = "";
    public int? Port { get; init; }
    public string Protocol { get; init => field = value ?? "TCP"; } = "TCP";
    public string AppProtocol { get; init => field = value ?? ""; } = "";
}

/// <summary>core/v1 Endpoints.</summary>
public sealed class Endpoints : KubeObject
{
    public List<EndpointSubset> Subsets { get; init => field = value ?? []; } = [];
}

public sealed class EndpointSubset
{
    public List<EndpointAddress> Addresses { get; init => field = value ?? []; } = [];
    public List<EndpointAddress> NotReadyAddresses { get; init => field = value ?? []; } = [];
    public List<SlicePort> Ports { get; init => field = value ?? []; } = [];
}

public sealed class EndpointAddress
{
    public string Ip { get; init; } = "";
    public string Hostname { get; init => field = value ?? ""; } = "";
    public string NodeName { get; init => field = value ?? ""; } = "";
    public ObjectReference? TargetRef { get; init; }
}
