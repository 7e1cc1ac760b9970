using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

/// <summary>core/v1 Service.</summary>
public sealed class Service : KubeObject
{
    public ServiceSpec Spec { get; set => field = value ?? new(); } = new();
    public ServiceStatus Status { get; set => field = value ?? new(); } = new();
}

public sealed class ServiceSpec
{
    public string Type { get; set => field = value ?? "ClusterIP"; } = "ClusterIP";
    /// <summary>An address, <c>None</c> for a headless Service, or empty.</summary>
    public string ClusterIP { get; set => field = value ?? ""; } = "";
    public List<string> ClusterIPs { get; set => field = value ?? []; } = [];
    public List<ServicePort> Ports { get; set => field = value ?? []; } = [];
    public Dictionary<string, string> Selector { get; set => field = value ?? []; } = [];
    public string ExternalName { get; set => field = value ?? ""; } = "";
    public List<string> ExternalIPs { get; set => field = value ?? []; } = [];
    public string LoadBalancerIP { get; set => field = value ?? ""; } = "";
    public string? LoadBalancerClass { get; set; }
    public string SessionAffinity { get; set => field = value ?? ""; } = "";
    public SessionAffinityConfig? SessionAffinityConfig { get; set; }
    public List<string> IpFamilies { get; set => field = value ?? []; } = [];
    public string ExternalTrafficPolicy { get; set => field = value ?? ""; } = "";
    public string InternalTrafficPolicy { get; set => field = value ?? ""; } = "";
    public string TrafficDistribution { get; set => field = value ?? ""; } = "";
    public bool PublishNotReadyAddresses { get; set; }
    public bool? AllocateLoadBalancerNodePorts { get; set; }
}

public sealed class SessionAffinityConfig
{
    public ClientIpConfig? ClientIP { get; set; }
}

public sealed class ClientIpConfig
{
    public int? TimeoutSeconds { get; set; }
}

public sealed class ServicePort
{
    public string Name { get; set => field = value ?? ""; } = "";
    public int Port { get; set; }
    /// <summary>A number, the name of a container port, or null for the same number as <see cref="Port"/>.</summary>
    public JsonNode? TargetPort { get; set; }
    public string Protocol { get; set => field = value ?? "TCP"; } = "TCP";
    public int NodePort { get; set; }
    public string AppProtocol { get; set => field = value ?? ""; } = "";
}

public sealed class ServiceStatus
{
    public LoadBalancerStatus LoadBalancer { get; set => field = value ?? new(); } = new();
}

public sealed class LoadBalancerStatus
{
    public List<LoadBalancerIngress> Ingress { get; set => field = value ?? []; } = [];
}

public sealed class LoadBalancerIngress
{
    public string Ip { get; set => field = value ?? ""; } = "";
    public string Hostname { get; set => field = value ?? ""; } = "";
}

/// <summary>discovery.k8s.io/v1 EndpointSlice.</summary>
public sealed class EndpointSlice : KubeObject
{
    public string AddressType { get; set => field = value ?? "IPv4"; } = "IPv4";
    public List<SliceEndpoint> Endpoints { get; set => field = value ?? []; } = [];
    public List<SlicePort> Ports { get; set => field = value ?? []; } = [];
}

public sealed class SliceEndpoint
{
    public List<string> Addresses { get; set => field = value ?? []; } = [];
    public SliceConditions Conditions { get; set => field = value ?? new(); } = new();
    public string Hostname { get; set => field = value ?? ""; } = "";
    public string NodeName { get; set => field = value ?? ""; } = "";
    public string Zone { get; set => field = value ?? ""; } = "";
    public ObjectReference? TargetRef { get; set; }
}

public sealed class SliceConditions
{
    public bool? Ready { get; set; }
    public bool? Serving { get; set; }
    public bool? Terminating { get; set; }
}

public sealed class SlicePort
{
    public string Name { get; set => field = value ?? ""; } = "";
    public int? Port { get; set; }
    public string Protocol { get; set => field = value ?? "TCP"; } = "TCP";
    public string AppProtocol { get; set => field = value ?? ""; } = "";
}

/// <summary>core/v1 Endpoints.</summary>
public sealed class Endpoints : KubeObject
{
    public List<EndpointSubset> Subsets { get; set => field = value ?? []; } = [];
}

public sealed class EndpointSubset
{
    public List<EndpointAddress> Addresses { get; set => field = value ?? []; } = [];
    public List<EndpointAddress> NotReadyAddresses { get; set => field = value ?? []; } = [];
    public List<SlicePort> Ports { get; set => field = value ?? []; } = [];
}

public sealed class EndpointAddress
{
    public string Ip { get; set; } = "";
    public string Hostname { get; set => field = value ?? ""; } = "";
    public string NodeName { get; set => field = value ?? ""; } = "";
    public ObjectReference? TargetRef { get; set; }
}
