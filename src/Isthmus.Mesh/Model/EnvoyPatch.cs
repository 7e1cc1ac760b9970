using System.Text.RegularExpressions;
using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

public enum PatchTarget
{
    Listener, ListenerFilter, FilterChain, NetworkFilter, HttpFilter, RouteConfiguration, VirtualHost, HttpRoute, Cluster, ExtensionConfig,
    Bootstrap,
}

public enum PatchContext { Any, SidecarInbound, SidecarOutbound, Gateway }

/// <summary>How a patch changes a part. Of two ways to merge, one adds the items of lists, and the other replaces the lists.</summary>
public enum PatchOperation { Merge, MergeAndReplaceList, Add, Remove, InsertBefore, InsertAfter, InsertFirst, Replace }

/// <summary>One patch of an EnvoyFilter: which parts of which proxies' resources it changes, and how.</summary>
public sealed record EnvoyPatch(PatchTarget Target, PatchContext Context, PatchOperation Operation, PatchProxy Proxy, PatchValue? Value)
{
    /// <summary>It has configuration that only Envoy knows, discovers or starts with.</summary>
    public bool IsForEnvoys { get; init; }

    public ListenerMatch? Listener { get; init; }

    public RouteTableMatch? RouteTable { get; init; }

    public ClusterMatch? Cluster { get; init; }

    private bool IsOnceInSidecars => Target is PatchTarget.ExtensionConfig or PatchTarget.Bootstrap;

    public bool IsMerge => Operation is PatchOperation.Merge or PatchOperation.MergeAndReplaceList;

    /// <summary>Whether the patch is for one of these parts of a proxy's configuration. What filters discover, and its bootstrap, a sidecar has
    /// once, for both directions.</summary>
    public bool IsFor(PatchContext context) => Context == PatchContext.Any || Context == context
        || (IsOnceInSidecars && Context == PatchContext.SidecarInbound && context == PatchContext.SidecarOutbound);
}

/// <summary>The message of a patch.</summary>
/// <param name="Type">The full name of its type.</param>
/// <param name="Json">The message as protojson.</param>
public sealed record PatchValue(string Type, string Json);

/// <summary>Which proxies a patch is for.</summary>
/// <param name="Version">A regular expression that must be in their version of Istio; empty: any version.</param>
/// <param name="Metadata">Metadata of their node that must have these values.</param>
public sealed record PatchProxy(string Version, ValueMap<string> Metadata)
{
    public bool Matches(ProxyIdentity proxy) =>
        (Version.Length == 0
            || (proxy.Version.Length > 0 && Regex.IsMatch(proxy.Version, Version, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant)))
        && Metadata.All(wanted => proxy.Metadata.TryGetValue(wanted.Key, out var value) && value == wanted.Value);
}

/// <summary>Listeners, their filter chains and filters. Empty texts and zero match everything.</summary>
/// <param name="Filter">A network filter.</param>
/// <param name="SubFilter">An HTTP filter.</param>
public sealed record ListenerMatch(string Name, int Port, ChainPatchMatch Chain, string ListenerFilter, string Filter, string SubFilter);

/// <summary>Filter chains. Empty texts and zero match everything.</summary>
public sealed record ChainPatchMatch(string Name, string Sni, string TransportProtocol, ValueList<string> ApplicationProtocols, int DestinationPort);

/// <summary>Route tables, their virtual hosts and routes. Empty texts and zero match everything.</summary>
/// <param name="PortName">Of a Gateway's server.</param>
/// <param name="Gateway">The Gateway, as <c>namespace/name</c>.</param>
public sealed record RouteTableMatch(string Name, int Port, string PortName, string Gateway, string VirtualHost, string Domain, string Route,
    PatchRouteAction Action);

public enum PatchRouteAction { Any, Route, Redirect, DirectResponse }

/// <summary>Clusters. Empty texts and zero match everything.</summary>
public sealed record ClusterMatch(string Name, string Service, string Subset, int Port);
