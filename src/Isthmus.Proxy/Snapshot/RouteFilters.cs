using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Faults;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.Routes;
using CorsPolicy = Isthmus.Wire.Envoy.HttpFilters.CorsPolicy;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Decodes what a route says to HTTP filters, by their names. The most specific level wins: the route, its virtual host, the table.</summary>
internal sealed class RouteFilters
{
    private readonly Dictionary<string, LocalLimit?> _local = new(StringComparer.Ordinal);
    private readonly Dictionary<string, GlobalRouteLimit> _global = new(StringComparer.Ordinal);
    private readonly Dictionary<string, FaultSettings?> _faults = new(StringComparer.Ordinal);
    private readonly Dictionary<string, CorsSettings?> _cors = new(StringComparer.Ordinal);
    private readonly HashSet<string> _unread = new(StringComparer.Ordinal);

    /// <exception cref="ResourceException">A rule or a filter's configuration cannot be used.</exception>
    public static RouteSnapshot Add(RouteSnapshot snapshot, Route route, VirtualHost host, RouteConfiguration table, List<string> notes)
    {
        var read = new RouteFilters();
        foreach (var level in (ReadOnlySpan<MapField<string, Any>>)[table.TypedPerFilterConfig, host.TypedPerFilterConfig, route.TypedPerFilterConfig])
            foreach (var (name, any) in level) read.Take(name, any, notes);
        snapshot = snapshot with { Limits = LimitDecoder.Of(route, host, read._local, read._global), OldCors = OldCors(route.Route_?.Cors) };
        if (read._faults.Count > 0) snapshot = snapshot with { Faults = read._faults };
        if (read._cors.Count > 0) snapshot = snapshot with { Cors = read._cors };
        return read._unread.Count > 0 ? snapshot with { Unread = [.. read._unread.Order(StringComparer.Ordinal)] } : snapshot;
    }

    private void Take(string name, Any any, List<string> notes)
    {
        Forget(name);
        if (!TypedConfigs.TryForRoute(any, out var config, out var fault)) Lacks(fault);
        else if (config is null) (_local[name], _faults[name], _cors[name]) = (null, null, null);
        else if (config.TryRead(out LocalRateLimit limit)) _local[name] = LimitDecoder.Local(limit, notes);
        else if (config.TryRead(out RateLimitPerRoute settings)) _global[name] = LimitDecoder.Global(settings);
        else if (config.TryRead(out HTTPFault faults)) _faults[name] = Fault(faults);
        else if (config.TryRead(out CorsPolicy cors)) _cors[name] = Cors(cors);
        else Lacks(TypedConfigs.TypeOf(config));

        // A policy that is stricter for this route must not be skipped: where a listener has the filter, the route is refused.
        void Lacks(string what)
        {
            var isOptional = any.TryRead(out FilterConfig wrapped) && wrapped.IsOptional;
            notes.Add($"typed_per_filter_config '{name}' with {(what.Length > 0 ? what : "no configuration")} is not supported"
                + (isOptional ? "" : ": where that filter is a policy, requests of the route are refused"));
            if (!isOptional) _unread.Add(name);
        }
    }

    private void Forget(string name)
    {
        _local.Remove(name);
        _global.Remove(name);
        _faults.Remove(name);
        _cors.Remove(name);
        _unread.Remove(name);
    }

    /// <summary>Null: there are none.</summary>
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
