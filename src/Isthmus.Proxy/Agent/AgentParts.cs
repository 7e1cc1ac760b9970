using Isthmus.Proxy.Dns;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Wire.Dns;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Istio;

namespace Isthmus.Proxy.Agent;

/// <summary>What an agent has for its data plane, whichever it is.</summary>
internal sealed record AgentParts
{
    public required AgentSettings Settings { get; init; }

    /// <summary>How the proxy introduces itself to the control plane.</summary>
    public required Node Node { get; init; }

    /// <summary>The settings of the proxy, with its ports.</summary>
    public required ProxySettings Proxy { get; init; }

    public required ControlPlaneDial Dial { get; init; }

    /// <summary>The certificates of the workload, and those in mounted files.</summary>
    public required WorkloadSecrets Secrets { get; init; }

    public required DiscoveredSecrets Discovered { get; init; }

    /// <summary>Resolves names past the capture of traffic.</summary>
    public required NameLookup Names { get; init; }

    public required ResolverSettings Resolver { get; init; }

    /// <summary>The names that the DNS proxy answers; null: DNS is not captured.</summary>
    public required Func<NameTables?>? Table { get; init; }

    /// <summary>Receives the names of the mesh for the DNS proxy.</summary>
    public required Action<NameTable> TakeNames { get; init; }

    public required ProxyPorts Ports { get; init; }

    public required AgentFiles Files { get; init; }

    public required ProcessLog Log { get; init; }
}
