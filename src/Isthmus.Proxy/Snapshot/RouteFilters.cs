using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Names;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Policy;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Decodes what a route says to HTTP filters, by their names. The most specific level wins: the route, its virtual host, the table.</summary>
internal sealed class RouteFilters
{
    private readonly Dictionary<string, bool> _switches = new(StringComparer.Ordinal);
    private readonly Dictionary<string, IRouteOverride> _own = new(StringComparer.Ordinal);
    private readonly HashSet<string> _unread = new(StringComparer.Ordinal), _unreadOfShares = new(StringComparer.Ordinal);

    /// <exception cref="ResourceException">A rule or a filter's configuration cannot be used.</exception>
    public static RouteSnapshot Add(RouteSnapshot snapshot, Route route, VirtualHost host, RouteConfiguration table, List<string> notes)
    {
        var read = new RouteFilters();
        foreach (var level in (ReadOnlySpan<MapField<string, Any>>)[table.TypedPerFilterConfig, host.TypedPerFilterConfig, route.TypedPerFilterConfig])
            foreach (var (name, any) in level) read.Take(name, any, notes);
        foreach (var (name, any) in (route.Route_?.WeightedClusters?.Clusters ?? []).SelectMany(weight => weight.TypedPerFilterConfig))
            if (!HttpFilters.IsForShare(any, out _)) read.Lacks(name, "configuration for one cluster of several", notes)?._unreadOfShares.Add(name);
        // The proxy cannot do what the most specific level says.
        foreach (var name in read._unread)
            if (read._own.TryGetValue(name, out var told) && !told.Adds) read._own.Remove(name);
        if (read._switches.Count > 0) snapshot = snapshot with { Switches = read._switches };
        var (limits, cors) = (LimitDecoder.Of(route, host), CorsSettings.Of(route.Route_?.Cors));
        if (read._own.Count > 0 || limits is not null || cors is not null)
            snapshot = snapshot with { Filters = new(read._own) { Limits = limits, OldCors = cors } };
        // Control planes of earlier builds have filters with longer names.
        if (read._switches.FirstOrDefault(item => item.Value && item.Key.StartsWith(RouteFilterNames.Check, StringComparison.Ordinal)).Key is { } demanded)
            snapshot = snapshot with { Demanded = demanded };
        if (read._unreadOfShares.Count > 0) snapshot = snapshot with { UnreadOfShares = [.. read._unreadOfShares.Order(StringComparer.Ordinal)] };
        return read._unread.Count > 0 ? snapshot with { Unread = [.. read._unread.Order(StringComparer.Ordinal)] } : snapshot;
    }

    private void Take(string name, Any any, List<string> notes)
    {
        if (!TypedConfigs.TryForRoute(any, out var form, out var config, out var fault))
            Lacks(name, fault, notes, IsOptional(any))?._unread.Add(name);
        else if (form == RouteForm.Own) Take(name, any, config, notes);
        _switches[name] = form != RouteForm.Off;
    }

    private void Take(string name, Any any, Any config, List<string> notes)
    {
        if (HttpFilters.Read(config, name, notes) is not { } told)
        {
            Lacks(name, TypedConfigs.TypeOf(config), notes, IsOptional(any))?._unread.Add(name);
            return;
        }
        _own[name] = _own.TryGetValue(name, out var before) ? told.After(before) : told;
        if (!told.Adds) _unread.Remove(name);
    }

    /// <summary>A policy that is stricter for this route must not be skipped: where a listener has the filter, the route is refused.</summary>
    /// <returns>Null: the configuration may be ignored.</returns>
    private RouteFilters? Lacks(string name, string what, List<string> notes, bool isOptional = false)
    {
        notes.Add($"typed_per_filter_config '{name}' with {(what.Length > 0 ? what : "no configuration")} is not supported"
            + (isOptional ? "" : ": where that filter is a policy, requests of the route are refused"));
        return isOptional ? null : this;
    }

    private static bool IsOptional(Any any) => any.TryRead(out FilterConfig wrapped) && wrapped.IsOptional;
}
