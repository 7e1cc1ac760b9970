using System.Collections.Immutable;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>The collections that the scope of a proxy is made of.</summary>
public enum MeshPart
{
    /// <summary>By host.</summary>
    Services,

    /// <summary>DestinationRules, by their namespace and host; all wildcards of a namespace together.</summary>
    Rules,

    // Objects of Istio, by namespace.
    Peers,
    Authorizations,
    Tokens,
    Sidecars,
    Filters,
    Plugins,
    Telemetries,

    /// <summary>The keys of issuers, by where they are.</summary>
    Keys,

    /// <summary>Gateways, by a label that they select.</summary>
    Gateways,

    /// <summary>Services, by the cluster and namespace whose workloads they select.</summary>
    ClusterServices,

    /// <summary>Pods.</summary>
    Workloads,

    /// <summary>Workloads outside of Kubernetes, by account.</summary>
    Machines,
    Nodes,

    /// <summary>Certificates, by cluster and namespace.</summary>
    Credentials,

    /// <summary>What an account may read.</summary>
    Access,

    /// <summary>What objects ask for about callers.</summary>
    CallerTraits,
}

/// <summary>Something that was looked up, whether it was there or not.</summary>
public readonly record struct MeshRead(MeshPart Part, object Key);

/// <summary>
/// The mesh as the scope of one proxy is resolved from it. It is the only way to read anything, and remembers what was read: a change of
/// anything else cannot make a difference. MeshConfig is not among it, since every scope depends on that.
/// </summary>
public sealed class MeshReads(MeshView view)
{
    private readonly HashSet<MeshRead> _all = [];

    /// <summary>What was read so far.</summary>
    public IReadOnlySet<MeshRead> All => _all;

    public MeshConfig Mesh => view.Mesh;

    /// <summary>Whether some object asks for this about callers.</summary>
    public bool Counts(CallerTrait trait) => Get(MeshPart.CallerTraits, view.CallerTraits, trait) is not null;

    /// <summary>As if it were ready: scopes do not depend on it.</summary>
    public Workload? Workload(ObjectRef source) => Get(MeshPart.Workloads, view.Workloads.Workloads, source);

    public ValueList<Workload> MachinesOf(AccountKey account) => Get(MeshPart.Machines, view.Workloads.Machines, account);

    public NodeFacts? Node(ObjectKey node) => Get(MeshPart.Nodes, view.Workloads.Nodes, node);

    public ValueList<ClusterService> ServicesIn(string cluster, string ns) => Get(MeshPart.ClusterServices, view.Workloads.ClusterServices, (cluster, ns));

    public ValueList<Sidecar> SidecarsIn(string ns) => Get(MeshPart.Sidecars, view.Proxies.Sidecars, ns);

    /// <summary>The EnvoyFilters of a namespace, and of the root namespace.</summary>
    public IEnumerable<EnvoyFilter> FiltersFor(string ns) => WithRoot(ns, place => Get(MeshPart.Filters, view.Proxies.Filters, place));

    /// <summary>The WasmPlugins of a namespace, and of the root namespace.</summary>
    public IEnumerable<WasmPlugin> PluginsFor(string ns) => WithRoot(ns, place => Get(MeshPart.Plugins, view.Proxies.Plugins, place));

    public ValueList<PeerAuthentication> PeersIn(string ns) => Get(MeshPart.Peers, view.Security.Peers, ns);

    /// <summary>The Gateways that may select these labels.</summary>
    public IEnumerable<Gateway> GatewaysFor(ValueMap<string> labels) => labels.Select(label => ProxyConfigs.Selected(label.Key, label.Value)).Append("")
        .SelectMany(label => Get(MeshPart.Gateways, view.Proxies.GatewaysByLabel, label));

    public SecretAccess? AccessOf(AccountKey account) => Get(MeshPart.Access, view.Proxies.SecretAccess, account);

    /// <summary>The certificates and CAs of a namespace, which somebody else keeps.</summary>
    public void NoteCredentials(string cluster, string ns) => _all.Add(new(MeshPart.Credentials, (cluster, ns)));

    /// <inheritdoc cref="MeshView.RuleFor"/>
    public DestinationRule? RuleFor(MeshService service, ProxyScope scope)
    {
        string[] hosts = [service.Hostname, service.ExportOf, service.Pod?.PlainName ?? "", service.Pod?.Hostname ?? "", RuleKey.AnyWildcard];
        foreach (var ns in (string[])[scope.Namespace, service.Namespace, Mesh.RootNamespace])
            foreach (var host in hosts)
                if (host.Length > 0) _all.Add(new(MeshPart.Rules, new RuleKey(ns, host)));
        return view.RuleFor(service, scope);
    }

    public MeshService? Service(string host) => Get(MeshPart.Services, view.Registry.Services, host);

    /// <summary>What a workload of a scope requires of its callers: the policies of the root namespace and of its own.</summary>
    public WorkloadSecurity? SecurityOf(ProxyScope scope, ValueMap<string> labels)
    {
        var security = WorkloadSecurity.Of(Of(MeshPart.Authorizations, view.Security.Authorizations, scope.Namespace),
            Of(MeshPart.Tokens, view.Security.Tokens, scope.Namespace), labels, rule => Issued(rule, scope), name => Reach(name, scope));
        return ReferenceEquals(security, WorkloadSecurity.None) ? null : security;
    }

    /// <summary>The Telemetries that apply to a workload, the most general first.</summary>
    internal IEnumerable<Telemetry> TelemetriesOf(string ns, ValueMap<string> labels)
    {
        var (root, own) = (Get(MeshPart.Telemetries, view.Proxies.Telemetries, Mesh.RootNamespace), Get(MeshPart.Telemetries, view.Proxies.Telemetries, ns));
        return root.IsEmpty && own.IsEmpty ? []
            : Telemetry.For(root, ns == Mesh.RootNamespace ? own.Where(item => !item.Selector.IsEmpty).ToValueList() : own, labels);
    }

    /// <summary>The host of a provider's service, <c>HOST</c> or <c>NAMESPACE/HOST</c>, if the scope can call that port of it.</summary>
    internal string? HostOf(string service, int port, ProxyScope scope)
    {
        var parts = service.Split('/', 2);
        return MeshView.FullNames(parts[^1], scope.Namespace,
            scope.Domain.IndexOf(".svc.", StringComparison.Ordinal) is > 0 and var at ? scope.Domain[(at + 1)..] : WellKnown.DefaultDomainSuffix)
            .FirstOrDefault(host => Service(host) is { } known && (parts.Length == 1 || known.Namespace == parts[0])
                && SidecarHosts.Visible(scope, known)?.Port(port) is not null);
    }

    private IEnumerable<T> Of<T>(MeshPart part, ImmutableDictionary<string, ValueList<T>> policies, string ns) where T : IWorkloadPolicy
    {
        var (root, own) = (Get(part, policies, Mesh.RootNamespace), Get(part, policies, ns));
        return Mesh.RootNamespace == ns ? own : root.Where(policy => policy.Reaches(ns, Mesh.RootNamespace)).Concat(own);
    }

    private IEnumerable<T> WithRoot<T>(string ns, Func<string, ValueList<T>> find) =>
        ns == Mesh.RootNamespace ? find(ns) : find(ns).Concat(find(Mesh.RootNamespace));

    /// <summary>Keys that the control plane fetched are part of the rule; those of a host in the mesh are fetched through its cluster.</summary>
    private IssuedTokens Issued(TokenRule rule, ProxyScope scope)
    {
        if (rule.Jwks.Length > 0) return new(rule, "");
        var keys = Get(MeshPart.Keys, view.Security.Keys, rule.Place);
        return keys is null ? new(rule, ClusterOf(rule.JwksUri, scope)) : new(rule with { Jwks = keys.Jwks }, "");
    }

    /// <summary>The cluster that leads to a URI's host, which may be a short name in the scope's namespace; empty when the
    /// mesh does not know the host.</summary>
    private string ClusterOf(string uri, ProxyScope scope)
    {
        if (!Uri.TryCreate(uri, UriKind.Absolute, out var parsed)) return "";
        return HostOf(parsed.Host, parsed.Port, scope) is { } host ? ResourceNames.Outbound(parsed.Port, "", host) : "";
    }

    private ReachedAuthorizer? Reach(string name, ProxyScope scope) =>
        Mesh.Authorizers.TryGetValue(name, out var authorizer) && HostOf(authorizer.Service, authorizer.Port, scope) is { } host
            ? new(authorizer, host, ResourceNames.Outbound(authorizer.Port, "", host)) : null;

    private T? Get<TKey, T>(MeshPart part, ImmutableDictionary<TKey, T> items, TKey key) where TKey : notnull
    {
        _all.Add(new(part, key));
        return items.GetValueOrDefault(key);
    }
}
