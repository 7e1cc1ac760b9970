using System.Collections.Immutable;
using System.Globalization;
using Isthmus.Graph.Derive;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Push;

/// <summary>Turns revisions of the mesh into every proxy's snapshot. Not thread-safe: one thread calls it.</summary>
public sealed class Publisher(TimeProvider time)
{
    private sealed record ViewKey(ProxyScope Scope, GatewayScope? Gateway);

    private readonly Dictionary<ViewKey, ScopeView> _views = [];
    private readonly Dictionary<(InboundScope Scope, MeshConfig Mesh), InboundResources> _inbound = [];
    private readonly SiblingScopes _siblings = new();
    private readonly ProxyIndex _proxies = new();
    private readonly GatewayCertificates _certificates = new();
    private readonly PublicationFailures _failures = new();
    private MeshView? _mesh;
    private long _counter;

    public int Scopes => _views.Count;

    /// <summary>What scopes have in common.</summary>
    internal SharedResources Shared { get; } = new();

    /// <summary>When the first of the changes happened that are published now; null if unknown.</summary>
    public DateTimeOffset? ChangedAt { get; set; }

    /// <summary>Sums up what the next publication changes; null: that is not needed.</summary>
    internal PushEffects? Effects { get; set; }

    /// <summary>How many times the scope of a proxy was resolved since the start.</summary>
    public long Resolved { get; private set; }

    /// <summary>A proxy connects: it gets what is published now, or the first publication.</summary>
    public void Join(ProxyFeed proxy)
    {
        _proxies.Add(proxy);
        if (_mesh is not { } mesh) return;
        Attach(proxy, mesh);
        SetSecrets(proxy);
        ChangedAt = null; // that a proxy connects is not a change of the mesh
        Offer(proxy, Version());
    }

    public void Leave(ProxyFeed proxy)
    {
        _proxies.Remove(proxy);
        _failures.Forget(proxy);
        if (proxy.Published is { } published) Release(proxy, published);
        proxy.Published = null;
    }

    /// <summary>Endpoints of some hosts changed, and nothing else.</summary>
    public void PublishEndpoints(MeshView mesh, IReadOnlyCollection<string> hosts)
    {
        if (_mesh is null) return; // the first publication is complete
        _mesh = mesh;
        _failures.Publish(false, () =>
        {
            var bugs = PublicationFailures.OfEach(_views.Values, view => view.UpdateEndpoints(mesh, hosts));
            Offer(RefreshOwn(mesh, hosts.Contains));
            return bugs;
        });
    }

    /// <param name="changes">Null: everything may have changed.</param>
    public void PublishAll(MeshView mesh, MeshChanges? changes)
    {
        var everything = _mesh is null || changes is null || _failures.LeftChanges;
        _mesh = mesh;
        _failures.Publish(true, () => PublishAll(mesh, changes, everything));
    }

    /// <returns>The bugs of single proxies and views.</returns>
    private List<Exception> PublishAll(MeshView mesh, MeshChanges? changes, bool everything)
    {
        _certificates.Follow(mesh.Proxies);
        var concerned = everything || changes!.Settings ? _proxies.All : _proxies.Concerned(changes.Reads);
        concerned = _failures.WithUnfinished(concerned);
        var unattached = Reattach(mesh, concerned);
        var ruled = RuledHosts.Of(mesh, everything ? [] : changes!.Rules);
        // Others take over what the first of their family has made.
        var views = _views.Values.ToLookup(view => ReferenceEquals(_siblings.FirstOf(view), view));
        List<Exception> bugs =
        [
            .. unattached,
            .. PublicationFailures.OfEach(views[true], view => view.UpdateAll(mesh, everything ? null : changes, ruled)),
            .. PublicationFailures.OfEach(views[false], view => view.UpdateAll(mesh, everything ? null : changes, ruled, _siblings.FirstOf(view))),
        ];
        // Which certificates a gateway needs depends on the rules of the hosts that it sees now, even where its clusters stay the same.
        List<ProxyFeed> moved = everything || !changes!.IsRoutesOnly
            ? [.. _views.Values.Where(view => view.IsGateway).SelectMany(view => view.Proxies).Where(SetSecrets)] : [];
        moved.AddRange(RefreshOwn(mesh, everything || changes!.Settings ? null : own => changes!.Endpoints.Contains(own)));
        Offer(moved.Count == 0 ? concerned : [.. concerned, .. moved.Except(concerned)]);
        return bugs;
    }

    /// <summary>Makes the endpoints of workloads' own hosts anew, and returns the proxies that get others.</summary>
    /// <param name="changed">Whether those of a host have changed; null: all may have.</param>
    private List<ProxyFeed> RefreshOwn(MeshView mesh, Predicate<string>? changed)
    {
        var moved = new Dictionary<InboundResources, InboundResources>(ReferenceEqualityComparer.Instance);
        foreach (var (key, made) in _inbound.ToList())
        {
            if (key.Scope.Own is not { } own || changed?.Invoke(own.Hostname) == false) continue;
            var endpoints = made.Endpoints.ReplacedBy([OwnEndpoints(own, mesh)]);
            if (!ReferenceEquals(endpoints, made.Endpoints)) moved[made] = _inbound[key] = made with { Endpoints = endpoints };
        }
        var proxies = moved.Count == 0 ? [] : _proxies.All.Where(proxy => proxy.Published?.Inbound is { } inbound && moved.ContainsKey(inbound)).ToList();
        foreach (var proxy in proxies) proxy.Published!.Inbound = moved[proxy.Published.Inbound!];
        return proxies;
    }

    private static XdsResource OwnEndpoints(OwnHost own, MeshView mesh) =>
        EncodedResource.Of(TypeUrls.Endpoints, ResourceNames.OwnEndpoints, EndpointGenerator.Own(own, mesh.EndpointsOf(own.Hostname).Endpoints));

    /// <summary>Gives proxies their new scopes. Unused shared parts are removed only after all proxies have moved.</summary>
    /// <returns>The bugs of proxies that keep their scopes.</returns>
    private List<Exception> Reattach(MeshView mesh, IReadOnlyCollection<ProxyFeed> proxies)
    {
        var bugs = new List<Exception>();
        var left = new List<(ProxyFeed Proxy, PublishedProxy Published)>();
        var inboundChanged = false;
        foreach (var proxy in proxies)
        {
            var (before, inbound) = (proxy.Published, proxy.Published?.Inbound);
            if (PublicationFailures.Of(() => Attach(proxy, mesh)) is { } bug) bugs.Add(bug);
            inboundChanged |= inbound is not null && !ReferenceEquals(inbound, proxy.Published!.Inbound);
            if (before is not null && !ReferenceEquals(before, proxy.Published)) left.Add((proxy, before));
        }
        foreach (var (proxy, published) in left) Release(proxy, published);
        if (!inboundChanged) return bugs;
        var used = _proxies.All.Select(proxy => proxy.Published?.Inbound).ToHashSet();
        foreach (var key in _inbound.Where(entry => !used.Contains(entry.Value)).Select(entry => entry.Key).ToList()) _inbound.Remove(key);
        return bugs;
    }

    private void Release(ProxyFeed proxy, PublishedProxy published)
    {
        if (ReferenceEquals(proxy.Published?.View, published.View) && _proxies.Contains(proxy)) return;
        published.View.Proxies.Remove(proxy);
        if (published.View.Proxies.Count > 0) return;
        _views.Remove(new(published.Resolved.Scope, published.Resolved.Gateway));
        _siblings.Remove(published.Resolved, published.View);
        published.View.Release();
    }

    private void Attach(ProxyFeed proxy, MeshView mesh)
    {
        Resolved++;
        var reads = new MeshReads(mesh);
        try
        {
            _failures.Finish(proxy, () => Attach(proxy, mesh, reads));
        }
        finally
        {
            // What it was resolved from up to a bug may be what has to change.
            _proxies.Watch(proxy, reads.All);
        }
    }

    private void Attach(ProxyFeed proxy, MeshView mesh, MeshReads reads)
    {
        proxy.Unproven = ClaimedWorkload.Of(proxy.Proxy, reads).ProblemOf(proxy.Proxy);
        if (proxy.Unproven is not null)
        {
            // Its Pod may be known in a moment, or be gone already: it keeps what it was given when it was proven, and gets nothing new.
            proxy.Served = default;
            return;
        }
        var resolved = ScopeResolver.Resolve(proxy.Proxy, reads);
        if (resolved.Gateway is { } gateway)
        {
            foreach (var ns in PlacesOf(proxy.Proxy, gateway)) reads.NoteCredentials(proxy.Proxy.Cluster, ns);
            proxy.Served = (
                gateway.Gateways.Where(item => item.Owner is null && item.Servers.Any(server => server.Tls is { Credentials.IsEmpty: false }))
                    .Select(item => item.FullName).ToValueList(),
                ProblemsOf(proxy.Proxy, gateway, mesh, reads));
            resolved = resolved with { Gateway = _certificates.Resolve(gateway, proxy.Proxy) };
        }
        if (proxy.Published is { } published && published.Resolved == resolved)
        {
            published.Inbound = InboundOf(resolved, mesh);
            published.Extensions = ExtensionsOf(proxy.Proxy, resolved, mesh, reads, published.Extensions);
            published.Bootstrap = BootstrapOf(resolved, published.Bootstrap);
            return;
        }
        // The view comes last: one without proxies would stay for good.
        var (inbound, extensions) = (InboundOf(resolved, mesh), ExtensionsOf(proxy.Proxy, resolved, mesh, reads, proxy.Published?.Extensions));
        var bootstrap = BootstrapOf(resolved, proxy.Published?.Bootstrap);
        var view = ViewOf(resolved, mesh);
        view.Proxies.Add(proxy);
        proxy.Published = new(resolved, view, inbound)
        {
            Secrets = proxy.Published?.Secrets ?? (resolved.Gateway is null ? ResourceSet.Empty : null), Earlier = proxy.Published?.Given ?? default,
            Extensions = extensions, Bootstrap = bootstrap,
        };
    }

    private ScopeView ViewOf(ResolvedProxy resolved, MeshView mesh)
    {
        var key = new ViewKey(resolved.Scope, resolved.Gateway);
        if (_views.TryGetValue(key, out var known)) return known;
        var view = new ScopeView(resolved.Scope, resolved.Gateway, Shared);
        try
        {
            if (_siblings.Find(resolved, mesh) is { } sibling) view.StartLike(sibling, mesh);
            else view.UpdateAll(mesh, null, ImmutableHashSet<string>.Empty);
        }
        catch
        {
            view.Release();
            throw;
        }
        _views[key] = view;
        _siblings.Add(resolved, view);
        view.TakeChange(null); // Whoever attaches the first proxy offers it everything.
        return view;
    }

    /// <summary>The configuration of a workload's plugins, and what EnvoyFilters add. Credentials of registries are only for who has proven to be
    /// that workload.</summary>
    private static ResourceSet? ExtensionsOf(ProxyIdentity proxy, ResolvedProxy resolved, MeshView mesh, MeshReads reads, ResourceSet? before)
    {
        var plugins = resolved.Scope.Plugins;
        var added = ExtensionPatches.Added(resolved.Scope.Patches);
        if (plugins.IsEmpty && added.Count == 0 && before is null) return null;
        var isProven = ClaimedWorkload.Of(proxy, reads).IsProven;
        foreach (var plugin in plugins.Where(plugin => plugin.Module.PullSecret.Length > 0)) reads.NoteCredentials(proxy.Cluster, plugin.Source.Namespace);
        string? PullSecret(WasmPlugin plugin) => !isProven ? null
            : mesh.Proxies.Credentials.GetValueOrDefault(new(proxy.Cluster, plugin.Source.Namespace, plugin.Module.PullSecret))?.Registries;
        return (before ?? ResourceSet.Empty)
            .ReplacedBy([.. plugins.Select(plugin => PluginFilters.Config(plugin, resolved.Scope.Software, PullSecret)).Concat(added)
                .Select(made => EncodedResource.Of(TypeUrls.ExtensionConfig, made.Name, made))]);
    }

    private static ResourceSet? BootstrapOf(ResolvedProxy resolved, ResourceSet? before) => !resolved.Scope.Software.IsEnvoy ? null
        : (before ?? ResourceSet.Empty)
            .ReplacedBy([EncodedResource.Of(TypeUrls.BootstrapPatch, BootstrapPatches.Name, BootstrapPatches.Of(resolved.Scope.Patches))]);

    /// <returns>Whether they are others.</returns>
    private bool SetSecrets(ProxyFeed proxy)
    {
        if (proxy.Published is not { } published || proxy.Unproven is not null) return false;
        // The mesh may be ahead of the certificates: endpoints are published before the rest.
        var inputs = new SecretInputs(_certificates.Version, AccessOf(proxy.Proxy, _mesh!), published.View.Rules.Version);
        if (published.Secrets is not null && published.SecretsFrom == inputs) return false;
        var before = published.Secrets;
        published.Secrets = published.Resolved.Gateway is not { } gateway ? ResourceSet.Empty
            // Before the answer, it gets no list: one without its certificates would be an answer, too.
            : AccessOf(proxy.Proxy, _mesh!) is not { } access ? null
            : (published.Secrets ?? ResourceSet.Empty).ReplacedBy([.. GatewayCredentials.Of(
                    gateway, access.IsGranted ? published.View.Rules : [], name => _certificates.Find(proxy.Proxy, name),
                    item => access.IsGranted || IsDeployedFor(item, proxy.Proxy))
                .Select(item => EncodedResource.Of(TypeUrls.Secret, item.Secret.Name, item.Secret))]);
        published.SecretsFrom = inputs;
        return !ReferenceEquals(before, published.Secrets);
    }

    /// <summary>The namespaces whose certificates a gateway may get: its own, and those that its Gateways name. ClusterTrustBundles have none.</summary>
    private static IEnumerable<string> PlacesOf(ProxyIdentity proxy, GatewayScope gateway) => gateway.Gateways
        .SelectMany(item => item.Servers.Select(server => server.Tls).OfType<ServerTls>().SelectMany(tls => tls.Credentials.Concat(tls.ClientCas))
            .Concat(item.BackendCredential is { } own ? [own] : []))
        .Where(credential => credential.Namespace.Length > 0 || credential.Holder == CredentialHolder.ClusterTrustBundle)
        .Select(credential => credential.Namespace).Append(proxy.Namespace).Distinct();

    /// <summary>Null: not known yet. Who has proven no account gets none.</summary>
    private static SecretAccess? AccessOf(ProxyIdentity proxy, MeshView mesh) =>
        proxy.Proof is { Account: var account } ? mesh.Proxies.SecretAccess.GetValueOrDefault(account) : null;

    /// <summary>Whether a Gateway's own Deployment runs the proxy: it gets that Gateway's certificates, and reads no Secrets.</summary>
    private static bool IsDeployedFor(Gateway gateway, ProxyIdentity proxy) => gateway.Account.Length > 0 && proxy.Proof is { Account: var account }
        && (account.Namespace, account.Name) == (gateway.PodNamespace, gateway.Account);

    private ValueList<Problem> ProblemsOf(ProxyIdentity proxy, GatewayScope gateway, MeshView mesh, MeshReads reads) => GatewayCredentials.Problems(
        gateway,
        new(proxy.Namespace, (proxy.Proof is { Account: var account } ? reads.AccessOf(account) : null)?.Denial ?? "",
            mesh.Proxies.SecretNamespaces is var read && (read.IsEmpty || read.Contains(proxy.Namespace))),
        name => mesh.Proxies.Credentials.GetValueOrDefault(new(proxy.Cluster, proxy.Namespace, name.Name)),
        (item, server, index) => _certificates.Serves(proxy, item, server, index))
        .ToValueList();

    private InboundResources? InboundOf(ResolvedProxy resolved, MeshView mesh)
    {
        if (resolved.Inbound is not { } scope) return null;
        if (_inbound.TryGetValue((scope, mesh.Mesh), out var made)) return made;
        made = MakeInbound(scope, mesh.Mesh);
        if (scope.Own is { } own) made = made with { Endpoints = ResourceSet.Empty.With([], [OwnEndpoints(own, mesh)]) };
        return _inbound[(scope, mesh.Mesh)] = made;
    }

    private static InboundResources MakeInbound(InboundScope scope, MeshConfig mesh)
    {
        var clusters = ResourceSet.Empty.With([], InboundClusters(scope, mesh));
        var listeners = ResourceSet.Empty.With([], InboundListeners(scope, mesh.For(scope)));
        return ScopePatches.Of(scope) is { } patches ? new(patches.Clusters(clusters), patches.Listeners(listeners)) : new(clusters, listeners);
    }

    private static IEnumerable<XdsResource> InboundListeners(InboundScope scope, MeshConfig settings)
    {
        Listener[] tunnels = scope.Tunnelled.IsEmpty ? [] : [TunnelGenerator.Terminate(settings), InboundGenerator.Tunnelled(scope, settings)];
        return tunnels.Prepend(InboundGenerator.Listener(scope, settings)).Select(made => EncodedResource.Of(TypeUrls.Listener, made.Name, made));
    }

    private static IEnumerable<XdsResource> InboundClusters(InboundScope scope, MeshConfig mesh) =>
        ClusterGenerator.Inbound(scope, mesh).Concat(scope.Tunnelled.IsEmpty ? [] : [TunnelGenerator.Inner()])
            .Select(cluster => EncodedResource.Of(TypeUrls.Cluster, cluster.Name, cluster));

    /// <summary>Offers a snapshot to the proxies of every view that changed, and to those whose own part may have.</summary>
    private void Offer(IReadOnlyCollection<ProxyFeed> reattached)
    {
        var version = Version();
        foreach (var view in _views.Values)
        {
            if (!view.TakeChange(Effects)) continue;
            foreach (var proxy in view.Proxies) Offer(proxy, version);
        }
        foreach (var proxy in reattached) Offer(proxy, version);
    }

    private string Version() =>
        $"{time.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture)}/{(++_counter).ToString(CultureInfo.InvariantCulture)}";

    /// <summary>Offers the proxy a snapshot if anything in it is new; unchanged types keep the same object.</summary>
    private void Offer(ProxyFeed proxy, string version)
    {
        if (proxy.Published is not { } published) return;
        var view = published.View;
        var now = new GivenResources(view.Clusters, view.Endpoints, view.Listeners, view.Routes, view.Names, published.Inbound,
            published.Secrets) { Extensions = published.Extensions, Bootstrap = published.Bootstrap };
        if (now == published.Given) return;
        var (last, types) = (published.Given, published.Types);
        Effects?.Add(last == default ? published.Earlier : last, now);
        published.Earlier = default;
        var isSidecar = published.Resolved.Scope.Kind == ProxyKind.Sidecar;
        if (!ReferenceEquals(now.Clusters, last.Clusters) || !ReferenceEquals(now.Inbound, last.Inbound))
            types = types.SetItem(TypeUrls.Cluster, Over(view.Clusters, published.Inbound?.Clusters));
        if (!ReferenceEquals(now.Endpoints, last.Endpoints) || !ReferenceEquals(now.Inbound?.Endpoints, last.Inbound?.Endpoints))
            types = types.SetItem(TypeUrls.Endpoints, Over(view.Endpoints, published.Inbound is { Endpoints: { Count: > 0 } own } ? own : null));
        if (!ReferenceEquals(now.Listeners, last.Listeners) || !ReferenceEquals(now.Inbound, last.Inbound))
            types = types.SetItem(TypeUrls.Listener, Listeners(proxy.Proxy, view, published));
        if (!ReferenceEquals(now.Routes, last.Routes)) types = types.SetItem(TypeUrls.Route, view.Routes);
        if (isSidecar && !ReferenceEquals(now.Names, last.Names)) types = types.SetItem(TypeUrls.NameTable, view.Names);
        // A sidecar has none, and must be told so: otherwise it would wait for those that a rule names.
        if (now.Secrets is not null && !ReferenceEquals(now.Secrets, last.Secrets)) types = types.SetItem(TypeUrls.Secret, published.Secrets!);
        if (now.Extensions is not null && !ReferenceEquals(now.Extensions, last.Extensions)) types = types.SetItem(TypeUrls.ExtensionConfig, now.Extensions);
        if (now.Bootstrap is not null && !ReferenceEquals(now.Bootstrap, last.Bootstrap)) types = types.SetItem(TypeUrls.BootstrapPatch, now.Bootstrap);
        (published.Given, published.Types) = (now, types);
        proxy.Offer(new(version, types), ChangedAt);
    }

    private static IXdsResources Over(ResourceSet shared, ResourceSet? own) =>
        own is null ? shared : new OverlaySet(shared, own, ImmutableHashSet<string>.Empty);

    /// <summary>A proxy has no outbound listener for its own address: what a workload sends to itself must reach its application.</summary>
    private static IXdsResources Listeners(ProxyIdentity proxy, ScopeView view, PublishedProxy published)
    {
        var prefixes = proxy.Addresses.Select(address => $"{address}_").ToArray();
        var own = view.Listeners.Items.Keys.Where(name => Array.Exists(prefixes, prefix => name.StartsWith(prefix, StringComparison.Ordinal)))
            .ToImmutableHashSet(StringComparer.Ordinal);
        return published.Inbound is null && own.Count == 0
            ? view.Listeners
            : new OverlaySet(view.Listeners, published.Inbound?.Listeners ?? ResourceSet.Empty, own);
    }
}
