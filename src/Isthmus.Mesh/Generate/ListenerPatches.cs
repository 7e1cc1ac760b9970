using Google.Protobuf.WellKnownTypes;
using Isthmus.Mesh.Model;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Filter = Isthmus.Wire.Envoy.Listeners.Filter;

namespace Isthmus.Mesh.Generate;

/// <summary>Patches of listeners, filter chains and filters. As in Istio, all patches of a listener apply before those of its chains, and
/// filters are placed before filters are merged and removed.</summary>
internal sealed class ListenerPatches(ILookup<PatchTarget, ReadPatch> patches, PatchContext context)
{
    private readonly List<ReadPatch> _all = [.. PatchesOf(patches)];

    /// <summary>Whether there is any, also of the route tables inside listeners.</summary>
    public bool Any => _all.Count > 0 || (context == PatchContext.SidecarInbound && RoutePatches.Targets.Any(target => patches[target].Any()));

    public IEnumerable<Listener> Added => patches[PatchTarget.Listener].Where(patch => patch.AddsIn(context)).Select(patch => patch.Copy<Listener>());

    private static IEnumerable<ReadPatch> PatchesOf(ILookup<PatchTarget, ReadPatch> patches) =>
        new[]
        {
            PatchTarget.Listener, PatchTarget.ListenerFilter, PatchTarget.FilterChain, PatchTarget.NetworkFilter, PatchTarget.HttpFilter
        }.SelectMany(target => patches[target]);

    public Listener? Apply(Listener listener, RoutePatches routes)
    {
        foreach (var patch in For(PatchTarget.ListenerFilter, listener)) PlaceOrRemove(patch, listener);
        foreach (var patch in For(PatchTarget.Listener, listener))
        {
            if (patch.Operation == PatchOperation.Remove) return null;
            if (patch.IsMerge) patch.MergeInto(listener);
        }
        var chains = listener.FilterChains.Where(chain => Apply(chain, listener, routes)).ToList();
        listener.FilterChains.Clear();
        listener.FilterChains.AddRange(chains);
        if (listener.DefaultFilterChain is { } byDefault && !Apply(byDefault, listener, routes)) listener.DefaultFilterChain = null;
        foreach (var patch in For(PatchTarget.FilterChain, listener).Where(patch => patch.Operation == PatchOperation.Add))
            listener.FilterChains.Add(patch.Copy<FilterChain>());
        return listener;
    }

    private IEnumerable<ReadPatch> For(PatchTarget target, Listener listener) =>
        patches[target].Where(patch => patch.Patch.Listener is not { } match || Matches(match, listener, target));

    private static void PlaceOrRemove(ReadPatch patch, Listener listener)
    {
        var name = patch.Patch.Listener?.ListenerFilter ?? "";
        if (patch.Operation == PatchOperation.Remove)
        {
            foreach (var filter in listener.ListenerFilters.Where(filter => name.Length == 0 || filter.Name == name).ToList())
                listener.ListenerFilters.Remove(filter);
        }
        else patch.Place(listener.ListenerFilters, name.Length == 0 ? null : filter => filter.Name == name);
    }

    /// <summary>False when a patch removes the chain.</summary>
    private bool Apply(FilterChain chain, Listener listener, RoutePatches routes)
    {
        foreach (var patch in For(PatchTarget.FilterChain, listener, chain))
        {
            if (patch.Operation == PatchOperation.Remove) return false;
            if (!patch.IsMerge) continue;
            var value = patch.Copy<FilterChain>();
            if (value.TransportSocket?.TypedConfig is { } given && chain.TransportSocket?.TypedConfig is { } known
                && MessageMerge.Merged(known, given) is { } merged)
            {
                chain.TransportSocket = new() { Name = chain.TransportSocket.Name, TypedConfig = merged };
                value.TransportSocket = null;
            }
            patch.MergeInto(chain, value);
        }
        foreach (var patch in For(PatchTarget.NetworkFilter, listener, chain))
            patch.Place(chain.Filters, Named<Filter>(patch.Patch.Listener?.Filter, filter => filter.Name));
        var filters = chain.Filters.Where(filter => Apply(filter, listener, chain, routes)).ToList();
        chain.Filters.Clear();
        chain.Filters.AddRange(filters);
        return true;
    }

    private IEnumerable<ReadPatch> For(PatchTarget target, Listener listener, FilterChain chain) =>
        For(target, listener).Where(patch => patch.Patch.Listener is not { } match || Matches(match, listener, chain));

    /// <summary>False when a patch removes the filter.</summary>
    private bool Apply(Filter filter, Listener listener, FilterChain chain, RoutePatches routes)
    {
        foreach (var patch in For(PatchTarget.NetworkFilter, listener, chain)
            .Where(patch => patch.Patch.Listener is not { Filter.Length: > 0 } match || match.Filter == filter.Name))
        {
            if (patch.Operation == PatchOperation.Remove) return false;
            if (!patch.IsMerge || filter.TypedConfig is null) continue;
            var value = patch.Copy<Filter>();
            filter.TypedConfig = Merged(filter.TypedConfig, value.TypedConfig);
            if (value.Name.Length > 0) filter.Name = value.Name;
        }
        if (filter.TypedConfig is not { } config || !config.TryRead(out HttpConnectionManager manager)) return true;
        var isChanged = ApplyHttp(manager, filter, listener, chain);
        if (manager.RouteSpecifierCase == HttpConnectionManager.RouteSpecifierOneofCase.RouteConfig && routes.Any)
        {
            routes.Apply(manager.RouteConfig);
            isChanged = true;
        }
        if (isChanged) filter.TypedConfig = Parts.Pack(manager);
        return true;
    }

    private bool ApplyHttp(HttpConnectionManager manager, Filter filter, Listener listener, FilterChain chain)
    {
        var own = For(PatchTarget.HttpFilter, listener, chain)
            .Where(patch => patch.Patch.Listener is not { Filter.Length: > 0 } match || match.Filter == filter.Name).ToList();
        foreach (var patch in own) patch.Place(manager.HttpFilters, Named<HttpFilter>(patch.Patch.Listener?.SubFilter, item => item.Name));
        foreach (var patch in own)
        {
            foreach (var item in manager.HttpFilters.Where(item => patch.Patch.Listener is not { SubFilter.Length: > 0 } match || match.SubFilter == item.Name)
                .ToList())
            {
                if (patch.Operation == PatchOperation.Remove) manager.HttpFilters.Remove(item);
                if (!patch.IsMerge) continue;
                var value = patch.Copy<HttpFilter>();
                if (value.TypedConfig is not null && item.TypedConfig is not null)
                    (item.TypedConfig, value.TypedConfig) = (Merged(item.TypedConfig, value.TypedConfig), null);
                patch.MergeInto(item, value);
            }
        }
        return own.Count > 0;
    }

    /// <summary>As in Istio, configuration of another type changes nothing.</summary>
    private static Any Merged(Any known, Any? given) => given is null ? known : MessageMerge.Merged(known, given) ?? known;

    private static Func<T, bool>? Named<T>(string? name, Func<T, string> of) => string.IsNullOrEmpty(name) ? null : item => of(item) == name;

    private static bool Matches(ListenerMatch match, Listener listener, PatchTarget target)
    {
        if (match.Name.Length > 0 && match.Name != listener.Name) return false;
        // The ports of these listeners are in the matches of their chains.
        if (match.Port == 0 || (target != PatchTarget.Listener && IsVirtual(listener))) return true;
        return listener.Address?.SocketAddress is { } address && address.PortValue == (uint)match.Port;
    }

    private static bool Matches(ListenerMatch match, Listener listener, FilterChain chain)
    {
        var found = chain.FilterChainMatch ?? new();
        if (match.Port > 0 && IsVirtual(listener) && found.DestinationPort != (uint)match.Port) return false;
        var wanted = match.Chain;
        return (wanted.Name.Length == 0 || wanted.Name == chain.Name)
            && (wanted.Sni.Length == 0 || found.ServerNames.Contains(wanted.Sni))
            && (wanted.TransportProtocol.Length == 0 || wanted.TransportProtocol == found.TransportProtocol)
            && wanted.ApplicationProtocols.All(found.ApplicationProtocols.Contains)
            && (wanted.DestinationPort == 0 || found.DestinationPort is null || found.DestinationPort == (uint)wanted.DestinationPort);
    }

    private static bool IsVirtual(Listener listener) => listener.Name is ResourceNames.VirtualInbound or ResourceNames.VirtualOutbound;
}
