using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Net;

namespace Isthmus.Capture;

/// <summary>A selection of ports or address ranges: all, none, or a list.</summary>
internal sealed record Choice<T>(bool All, ValueList<T> Items)
{
    public static Choice<T> Nothing { get; } = new(false, []);

    public static Choice<T> Everything { get; } = new(true, []);
}

/// <summary>A reason why a connection is not captured, and the annotation that causes it.</summary>
internal sealed record CaptureException(string Annotation, string What);

/// <summary>Which traffic goes through the proxy, from the flags of Istio's init container.</summary>
internal sealed record CaptureSettings
{
    public int OutboundPort { get; init; } = Ports.Outbound;
    public int InboundPort { get; init; } = Ports.Inbound;
    public int TunnelPort { get; init; } = 15008;
    public int DnsPort { get; init; } = Ports.SidecarDns;
    /// <summary>Users and groups whose traffic is the proxy's own.</summary>
    public ValueList<int> Users { get; init; } = [ProxyUser.Id];
    public ValueList<int> Groups { get; init; } = [ProxyUser.Id];
    public Choice<int> InboundPorts { get; init; } = Choice<int>.Nothing;
    public ValueList<int> ExcludedInboundPorts { get; init; } = [];
    public Choice<Cidr> OutboundRanges { get; init; } = Choice<Cidr>.Nothing;
    public ValueList<Cidr> ExcludedOutboundRanges { get; init; } = [];
    /// <summary>Captured regardless of the address.</summary>
    public Choice<int> OutboundPorts { get; init; } = Choice<int>.Nothing;
    public ValueList<int> ExcludedOutboundPorts { get; init; } = [];
    public ValueList<string> ExcludedInterfaces { get; init; } = [];
    public bool Dns { get; init; }
    /// <summary>Captures queries to every server, not only to those in resolv.conf.</summary>
    public bool AllDns { get; init; }
    /// <summary>Prints the rules instead of loading them.</summary>
    public bool DryRun { get; init; }
    /// <summary>Another program has loaded the rules.</summary>
    public bool SkipApply { get; init; }
    /// <summary>Checks that the rules are in effect.</summary>
    public bool Validate { get; init; }
    /// <summary>A port where nobody listens, for that check.</summary>
    public int ProbePort { get; init; } = 15002;

    /// <summary>Why a connection of the application bypasses the proxy, in the order of the rules (<see
    /// cref="CaptureRules"/>); null when it does not.</summary>
    public CaptureException? ExceptionFor(System.Net.IPEndPoint destination)
    {
        if (ExcludedOutboundPorts.Contains(destination.Port))
            return new("traffic.sidecar.istio.io/excludeOutboundPorts", $"port {destination.Port} is excluded");
        if (System.Net.IPAddress.IsLoopback(destination.Address)) return new("", "it is an address of the Pod itself");
        foreach (var range in ExcludedOutboundRanges)
            if (range.Contains(destination.Address)) return new("traffic.sidecar.istio.io/excludeOutboundIPRanges", $"{range} is excluded");
        if (OutboundPorts.All || OutboundPorts.Items.Contains(destination.Port) || OutboundRanges.All) return null;
        foreach (var range in OutboundRanges.Items)
            if (range.Contains(destination.Address)) return null;
        return new("traffic.sidecar.istio.io/includeOutboundIPRanges", $"only {string.Join(", ", OutboundRanges.Items)} is captured");
    }
}
