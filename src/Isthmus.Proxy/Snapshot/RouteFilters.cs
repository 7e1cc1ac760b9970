using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Names;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Faults;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.HttpFilters.Composites;
using Isthmus.Wire.Envoy.HttpFilters.HeaderMutations;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Wire.Envoy.XdsMatchers;
using CorsPolicy = Isthmus.Wire.Envoy.HttpFilters.CorsPolicy;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Decodes what a route says to HTTP filters, by their names. The most specific level wins: the route, its virtual host, the table.</summary>
internal sealed class RouteFilters
{
    private readonly Dictionary<string, bool> _switches = new(StringComparer.Ordinal);
    private readonly Dictionary<string, LocalLimit> _local = new(StringComparer.Ordinal);
    private readonly Dictionary<string, GlobalRouteLimit> _global = new(StringComparer.Ordinal);
    private readonly Dictionary<string, FaultSettings?> _faults = new(StringComparer.Ordinal);
    private readonly Dictionary<string, CorsSettings> _cors = new(StringComparer.Ordinal);
    private readonly Dictionary<string, RouteCheck> _checks = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ExternalCheck> _composed = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Dictionary<string, string>> _contexts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SessionSettings?> _sessions = new(StringComparer.Ordinal);
    private readonly Dictionary<string, IReadOnlyList<IReadOnlyList<HeaderEdits>>> _mutations = new(StringComparer.Ordinal);
    private readonly HashSet<string> _unread = new(StringComparer.Ordinal), _unreadOfShares = new(StringComparer.Ordinal);

    /// <exception cref="ResourceException">A rule or a filter's configuration cannot be used.</exception>
    public static RouteSnapshot Add(RouteSnapshot snapshot, Route route, VirtualHost host, RouteConfiguration table, List<string> notes)
    {
        var read = new RouteFilters();
        foreach (var level in (ReadOnlySpan<MapField<string, Any>>)[table.TypedPerFilterConfig, host.TypedPerFilterConfig, route.TypedPerFilterConfig])
            foreach (var (name, any) in level) read.Take(name, any, notes);
        foreach (var (name, any) in (route.Route_?.WeightedClusters?.Clusters ?? []).SelectMany(weight => weight.TypedPerFilterConfig))
            if (!HeaderMutationFilter.IsOne(any) && !SessionSettings.IsOne(any))
                read.Lacks(name, "configuration for one cluster of several", notes)?._unreadOfShares.Add(name);
        snapshot = snapshot with { Limits = LimitDecoder.Of(route, host, read._local, read._global), OldCors = OldCors(route.Route_?.Cors) };
        if (read._switches.Count > 0) snapshot = snapshot with { Switches = read._switches };
        if (read._faults.Count > 0) snapshot = snapshot with { Faults = read._faults };
        if (read._cors.Count > 0) snapshot = snapshot with { Cors = read._cors };
        if (read._checks.Count > 0)
            snapshot = snapshot with { Checks = read._checks.ToDictionary(check => check.Key, read.WithContext, StringComparer.Ordinal) };
        if (read._composed.Count > 0) snapshot = snapshot with { Composed = read._composed };
        // Control planes of earlier builds have filters with longer names.
        if (read._switches.FirstOrDefault(item => item.Value && item.Key.StartsWith(RouteFilterNames.Check, StringComparison.Ordinal)).Key is { } demanded)
            snapshot = snapshot with { Demanded = demanded };
        if (read._sessions.Count > 0) snapshot = snapshot with { Sessions = read._sessions };
        if (read._mutations.Count > 0) snapshot = snapshot with { Mutations = read._mutations };
        if (read._unreadOfShares.Count > 0) snapshot = snapshot with { UnreadOfShares = [.. read._unreadOfShares.Order(StringComparer.Ordinal)] };
        return read._unread.Count > 0 ? snapshot with { Unread = [.. read._unread.Order(StringComparer.Ordinal)] } : snapshot;
    }

    private void Take(string name, Any any, List<string> notes)
    {
        if (!TypedConfigs.TryForRoute(any, out var form, out var config, out var fault))
            Lacks(name, fault, notes, IsOptional(any))?.Forget(name)._unread.Add(name);
        else if (form == RouteForm.Own) Take(name, any, config, notes);
        _switches[name] = form != RouteForm.Off;
    }

    private void Take(string name, Any any, Any config, List<string> notes)
    {
        if (config.TryRead(out LocalRateLimit limit)) Forget(name)._local[name] = LimitDecoder.Local(limit, notes);
        else if (config.TryRead(out RateLimitPerRoute settings)) Forget(name)._global[name] = LimitDecoder.Global(settings);
        else if (config.TryRead(out HTTPFault faults)) Forget(name)._faults[name] = Fault(faults);
        else if (config.TryRead(out CorsPolicy cors)) Forget(name)._cors[name] = Cors(cors);
        else if (config.TryRead(out StatefulSessionPerRoute session)) Forget(name)._sessions[name] = SessionSettings.Of(session);
        // All levels count, not only the most specific one.
        else if (config.TryRead(out HeaderMutationPerRoute edits))
            _mutations[name] = [.. _mutations.GetValueOrDefault(name) ?? [], HeaderMutationFilter.Decode(edits.Mutations, notes)];
        else if (config.TryRead(out ExtAuthzPerRoute check))
        {
            Forget(name)._checks[name] = ExternalCheckDecoder.Decode(check);
            if (!_contexts.TryGetValue(name, out var context)) _contexts[name] = context = new(StringComparer.Ordinal);
            foreach (var (key, value) in check.CheckSettings?.ContextExtensions ?? []) context[key] = value;
        }
        else if (config.TryRead(out ExtensionWithMatcherPerRoute composed) && Composed(composed) is { } always)
            Forget(name)._composed[name] = ExternalCheckDecoder.Decode(always, name, "");
        else Lacks(name, TypedConfigs.TypeOf(config), notes, IsOptional(any))?.Forget(name)._unread.Add(name);
    }

    /// <summary>The check that a composite filter makes of every request of the route; null if it is anything else.</summary>
    private static ExtAuthz? Composed(ExtensionWithMatcherPerRoute composed) =>
        composed.XdsMatcher is { MatcherTypeCase: Matcher.MatcherTypeOneofCase.None, OnNoMatch.Action.TypedConfig: { } action }
        && action.TryRead(out ExecuteFilterAction execute) && execute is { SamplePercent: null, TypedConfig.TypedConfig: { } filter }
        && filter.TryRead(out ExtAuthz check) ? check : null;

    /// <summary>A policy that is stricter for this route must not be skipped: where a listener has the filter, the route is refused.</summary>
    /// <returns>Null: the configuration may be ignored.</returns>
    private RouteFilters? Lacks(string name, string what, List<string> notes, bool isOptional = false)
    {
        notes.Add($"typed_per_filter_config '{name}' with {(what.Length > 0 ? what : "no configuration")} is not supported"
            + (isOptional ? "" : ": where that filter is a policy, requests of the route are refused"));
        return isOptional ? null : this;
    }

    private static bool IsOptional(Any any) => any.TryRead(out FilterConfig wrapped) && wrapped.IsOptional;

    private RouteCheck WithContext(KeyValuePair<string, RouteCheck> check) => check.Value with { Context = _contexts[check.Key] };

    /// <summary>What levels say that are less specific.</summary>
    private RouteFilters Forget(string name)
    {
        _local.Remove(name);
        _global.Remove(name);
        _faults.Remove(name);
        _cors.Remove(name);
        _checks.Remove(name);
        _composed.Remove(name);
        _sessions.Remove(name);
        _unread.Remove(name);
        return this;
    }

    /// <summary>Null if there are none.</summary>
    /// <exception cref="ResourceException">A kind of fault that this proxy does not have.</exception>
    public static FaultSettings? Fault(HTTPFault fault)
    {
        if (fault.Delay is null && fault.Abort is null) return null;
        if (fault.Abort?.ErrorTypeCase == FaultAbort.ErrorTypeOneofCase.HeaderAbort) throw new ResourceException("fault: header_abort is not supported");
        int? grpc = fault.Abort?.ErrorTypeCase == FaultAbort.ErrorTypeOneofCase.GrpcStatus ? (int)Math.Min(fault.Abort.GrpcStatus, int.MaxValue) : null;
        var status = fault.Abort is null ? 0 : grpc is { } code ? HttpStatus(code) : fault.Abort.HttpStatus > 0 ? (int)fault.Abort.HttpStatus : 503;
        return new(
            fault.Delay?.FixedDelay?.ToTimeSpan() ?? TimeSpan.Zero, fault.Delay is null ? new(0) : MatchDecoder.Fraction(fault.Delay.Percentage ?? new()),
            status, fault.Abort is null ? new(0) : MatchDecoder.Fraction(fault.Abort.Percentage ?? new()),
            [.. fault.Headers.Select(MatchDecoder.Header)]) { GrpcStatus = grpc };
    }

    /// <summary>The HTTP status that stands for a status of gRPC.</summary>
    private static int HttpStatus(int grpc) => grpc switch
    {
        0 => 200, 1 => 499, 3 or 9 or 11 => 400, 4 => 504, 5 => 404, 6 or 10 => 409, 7 => 403, 8 => 429, 12 => 501, 14 => 503, 16 => 401, _ => 500,
    };

    private static CorsSettings Cors(CorsPolicy cors) =>
        new([.. cors.AllowOriginStringMatch.Select(TextMatch.From)], cors.AllowMethods, cors.AllowHeaders, cors.ExposeHeaders, cors.MaxAge,
            cors.AllowCredentials ?? false) { ForwardsUnmatched = cors.ForwardNotMatchingPreflights ?? true };

    private static CorsSettings? OldCors(Wire.Envoy.Routes.CorsPolicy? cors) => cors is null || cors.FilterEnabled?.DefaultValue?.Numerator == 0 ? null
        : new([.. cors.AllowOriginStringMatch.Select(TextMatch.From)], cors.AllowMethods, cors.AllowHeaders, cors.ExposeHeaders, cors.MaxAge,
            cors.AllowCredentials ?? false) { ForwardsUnmatched = cors.ForwardNotMatchingPreflights ?? true };
}
