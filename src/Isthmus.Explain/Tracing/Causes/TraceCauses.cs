using Isthmus.Explain.Tracing.Facts;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Finds the object that causes a failure at a hop: it goes back from the proxies' configuration to what users
/// wrote. Each part of a call has its own family of causes.</summary>
internal sealed class TraceCauses
{
    public TraceCauses(TraceFacts facts, TraceNeeds needs)
    {
        Needs = needs;
        Config = new(facts);
        Callers = new(facts, Config);
        Tls = new(facts, needs, Config);
        Availability = new(facts, needs);
        Policies = new(facts);
        Entries = new(facts, Config, new(facts, needs, Config));
        Packets = new(facts);
        Addresses = new(facts, needs);
        Headers = new(facts, Config);
        PassedTls = new(facts, Config);
        Origination = new(facts, Config);
        var subsets = new SubsetCauses(facts, Config);
        Visibility = new(facts, Config);
        Gateways = new(facts, needs, Availability, subsets, Visibility);
        Networks = new(facts, Config, Gateways, Tls, Callers);
        Endpoints = new(facts, needs, Config, Visibility, Availability, subsets, Networks);
        Hosts = new(facts, needs, Config, Visibility, Availability, Endpoints, subsets);
    }

    /// <summary>What must be fetched before a cause is certain.</summary>
    public TraceNeeds Needs { get; }

    public CallerConfig Config { get; }

    public CallerCauses Callers { get; }

    public AvailabilityCauses Availability { get; }

    public HostCauses Hosts { get; }

    public VisibilityCauses Visibility { get; }

    public EndpointCauses Endpoints { get; }

    public EntryCauses Entries { get; }

    public NetworkCauses Networks { get; }

    public GatewayCauses Gateways { get; }

    public TlsCauses Tls { get; }

    public OriginationCauses Origination { get; }

    public PolicyCauses Policies { get; }

    public PacketCauses Packets { get; }

    public AddressCauses Addresses { get; }

    public ProxyHeaderCauses Headers { get; }

    public PassedTls PassedTls { get; }
}
