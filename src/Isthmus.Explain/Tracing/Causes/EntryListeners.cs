using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>The listeners at which calls from outside arrive: those of Gateways that the Pod serves, and of ListenerSets that they take.</summary>
internal sealed class EntryListeners(TraceFacts facts, CallerConfig config)
{
    /// <summary>Several Gateways may share one Service.</summary>
    public IReadOnlyList<ApiGateway> Serving { get; } =
        [.. config.At.ApiGateways.Where(one => ApiGatewayCauses.Serves(one, facts.Home, facts.ClientPod))];

    public IEnumerable<EntryListener> All => Serving.SelectMany(gateway => Of(gateway, gateway.Source, gateway.Listeners)
        .Concat(SetsOf(gateway).Where(set => Takes(gateway, set)).SelectMany(set => Of(gateway, set.Source, set.Listeners))));

    public List<EntryListener> At(params IReadOnlyList<int> ports) => [.. All.Where(one => ports.Contains(one.Listener.Port))];

    /// <summary>The ListenerSets that name a Gateway.</summary>
    public IEnumerable<ListenerSet> SetsOf(ApiGateway gateway) => config.At.ListenerSets.Where(set => set.Parent.Kind == MeshApi.ApiGateway.Kind
        && set.Parent.Namespace == gateway.Namespace && set.Parent.Name == gateway.Name);

    /// <summary>Whether a Gateway allows listeners of a set.</summary>
    public bool Takes(ApiGateway gateway, ListenerSet set) => config.At.Refusal(set).Length == 0
        && NamespaceRules.Allow(gateway.AllowedListeners, gateway.Namespace, set.Namespace, LabelsOf);

    /// <summary>Whether a Gateway has listeners of sets that nobody has read.</summary>
    public bool HasUnread(ApiGateway gateway) => config.At.HasListenerSets(gateway) && !SetsOf(gateway).Any();

    public ValueMap<string> LabelsOf(string ns) => config.At.LabelsOf(ns).ToValueMap();

    private IEnumerable<EntryListener> Of(ApiGateway gateway, ObjectRef owner, ValueList<ApiListener> listeners) =>
        listeners.Index().Select(one => new EntryListener(gateway, owner, one.Index, one.Item, config.At.Context));
}

/// <summary>A listener of a Gateway, or of a ListenerSet that it takes.</summary>
/// <param name="Owner">The Gateway or ListenerSet.</param>
/// <param name="Index">Its place in <c>spec.listeners</c>.</param>
/// <param name="Context">The cluster.</param>
internal sealed record EntryListener(ApiGateway Gateway, ObjectRef Owner, int Index, ApiListener Listener, string Context)
{
    public string Kind => Owner.Kind.Split('.')[0];

    /// <summary>The owner, as problems name it.</summary>
    public string OwnerName => $"{Kind} {Owner.Namespace}/{Owner.Name} in {Context}";

    public string Field => $"spec.listeners[{Index}]";

    /// <summary>Whether it passes connections on as they are, of which it knows no requests.</summary>
    public bool PassesOn => Listener.Tls is { IsPassthrough: true } || Listener.Protocol == "TCP";

    /// <summary>What becomes of calls that no route takes.</summary>
    public string Then => Listener.Protocol is "HTTP" or "HTTPS" ? "the response is 404" : "the connection is closed";

    public bool Covers(string host) => Listener.Hostname.Length == 0 || Hosts.Covers(Listener.Hostname, host);

    /// <summary>Whether a parentRef means its owner.</summary>
    public bool IsNamedBy(ApiReference parent) => IsOfKind(parent) && parent.Namespace == Owner.Namespace && parent.Name == Owner.Name;

    /// <summary>Whether a parentRef is for an object of the owner's kind.</summary>
    public bool IsOfKind(ApiReference parent) => parent.Kind == Kind && parent.Group == MeshApi.ApiGateway.Group;

    /// <summary>Whether its protocol is for routes of a kind.</summary>
    public bool Fits(string route) => Listener.Protocol switch
    {
        "HTTP" or "HTTPS" => route is "HTTPRoute" or "GRPCRoute",
        "TLS" => route is "TLSRoute" or "TCPRoute",
        "TCP" => route is "TCPRoute",
        _ => true,
    };
}
