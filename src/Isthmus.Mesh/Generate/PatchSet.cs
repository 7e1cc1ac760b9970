using Google.Protobuf;
using Google.Protobuf.Collections;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Mesh.Generate;

/// <summary>A patch with its message.</summary>
/// <param name="Value">Null when the operation needs none. Never changed: what becomes part of a resource is a copy.</param>
internal sealed record ReadPatch(EnvoyPatch Patch, IMessage? Value)
{
    public PatchOperation Operation => Patch.Operation;

    public bool IsMerge => Patch.IsMerge;

    /// <summary>Merges the value, or what is left of a copy of it, into a part. Typed configuration is merged apart
    /// (<see cref="MessageMerge.Merged"/>): its lists always grow.</summary>
    public void MergeInto(IMessage target, IMessage? rest = null) =>
        MessageMerge.Into(target, rest ?? MessageMerge.Clone(Value!), Operation == PatchOperation.MergeAndReplaceList);

    /// <summary>Whether the patch adds a resource to that part of a proxy. What a patch for every part adds, a sidecar has once.</summary>
    public bool AddsIn(PatchContext context) => Operation == PatchOperation.Add && (Patch.Context == context || context != PatchContext.SidecarInbound);

    public T Copy<T>() where T : class, IMessage => (T)MessageMerge.Clone(Value!);

    /// <summary>Adds, inserts or replaces an item of a list.</summary>
    /// <param name="list">The items.</param>
    /// <param name="isMatch">Finds the item next to which, or in whose place, the value comes; null: the patch names none.</param>
    public void Place<T>(RepeatedField<T> list, Func<T, bool>? isMatch) where T : class, IMessage
    {
        var at = isMatch is null ? -1 : list.ToList().FindIndex(item => isMatch(item));
        switch (Operation)
        {
            case PatchOperation.Add: list.Add(Copy<T>()); break;
            case PatchOperation.InsertFirst: list.Insert(0, Copy<T>()); break;
            case PatchOperation.InsertBefore when isMatch is null: list.Insert(0, Copy<T>()); break;
            case PatchOperation.InsertBefore when at >= 0: list.Insert(at, Copy<T>()); break;
            case PatchOperation.InsertAfter when isMatch is null: list.Add(Copy<T>()); break;
            case PatchOperation.InsertAfter when at >= 0: list.Insert(at + 1, Copy<T>()); break;
            case PatchOperation.Replace when at >= 0: list[at] = Copy<T>(); break;
        }
    }
}

/// <summary>The patches of EnvoyFilters for the resources of one part of a proxy, in their order.</summary>
public sealed class PatchSet
{
    private readonly ListenerPatches _listeners;
    private readonly RoutePatches _routes;
    private readonly List<ReadPatch> _clusters;
    private readonly PatchContext _context;

    private PatchSet(PatchContext context, IEnumerable<ReadPatch> patches)
    {
        _context = context;
        var byTarget = patches.ToLookup(patch => patch.Patch.Target);
        _listeners = new(byTarget, context);
        _routes = new(byTarget, context);
        _clusters = [.. byTarget[PatchTarget.Cluster]];
    }

    /// <summary>Null when no patch is for that part.</summary>
    public static PatchSet? Of(ValueList<EnvoyPatch> patches, PatchContext context)
    {
        var own = patches.Where(patch => patch.IsFor(context) && patch.Target != PatchTarget.Bootstrap).ToList();
        return own.Count == 0
            ? null
            : new(context,
                own.Select(patch => new ReadPatch(patch,
                    patch.Value is { } value ? Read(value) : null)));
    }

    private static IMessage Read(PatchValue value)
    {
        var read = WireTypes.Strict.Parse(value.Json, WireTypes.Registry.Find(value.Type));
        EnabledFilters.Restore(read);
        return read;
    }

    public bool TouchesClusters => _clusters.Count > 0;

    public bool TouchesListeners => _listeners.Any;

    public bool TouchesRoutes => _routes.Any;

    /// <summary>Listeners that patches add.</summary>
    public IEnumerable<Listener> AddedListeners => _listeners.Added;

    /// <summary>Clusters that patches add.</summary>
    public IEnumerable<Cluster> AddedClusters => _clusters.Where(patch => patch.AddsIn(_context)).Select(patch => patch.Copy<Cluster>());

    /// <summary>The patched listener, with the route tables inside of it; null when a patch removes it. The given one is changed.</summary>
    public Listener? Apply(Listener listener) => _listeners.Apply(listener, _routes);

    /// <summary>The patched route table. The given one is changed.</summary>
    public RouteConfiguration Apply(RouteConfiguration table)
    {
        _routes.Apply(table);
        return table;
    }

    /// <summary>The patched cluster; null when a patch removes it. The given one is changed.</summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="hosts">The hosts of the workload that an inbound cluster leads to.</param>
    public Cluster? Apply(Cluster cluster, IReadOnlyCollection<string> hosts)
    {
        foreach (var patch in _clusters)
        {
            if (patch.Operation == PatchOperation.Add || (patch.Patch.Cluster is { } match && !Matches(match, cluster.Name, hosts))) continue;
            if (patch.Operation == PatchOperation.Remove) return null;
            var value = patch.Copy<Cluster>();
            if (value.TransportSocket is { TypedConfig: { } given } && cluster.TransportSocket?.TypedConfig is { } known
                && MessageMerge.Merged(known, given) is { } merged)
                (cluster.TransportSocket.TypedConfig, value.TransportSocket) = (merged, null);
            patch.MergeInto(cluster, value);
        }
        return cluster;
    }

    /// <summary>Whether a patch is for a cluster.</summary>
    /// <param name="hosts">The hosts of the workload that an inbound cluster leads to.</param>
    public static bool Matches(ClusterMatch match, string name, IReadOnlyCollection<string> hosts)
    {
        if (match.Name.Length > 0 && match.Name != name) return false;
        if (match.Service.Length == 0 && match.Subset.Length == 0 && match.Port == 0) return true;
        // direction|port|subset|host, or with _. between the parts and a dot after the direction
        var parts = name.Contains('|', StringComparison.Ordinal)
            ? name.Split('|')
            : name.Replace("outbound_.", "outbound_._.", StringComparison.Ordinal).Split("_.").Where((_, at) => at != 1).ToArray();
        if (parts.Length != 4) return false;
        var isInbound = parts[0] == "inbound";
        return (match.Service.Length == 0 || (isInbound ? hosts.Contains(match.Service) : match.Service == parts[3]))
            && (match.Subset.Length == 0 || match.Subset == parts[2])
            && (match.Port == 0 || parts[1] == ResourceNames.Port(match.Port));
    }
}
