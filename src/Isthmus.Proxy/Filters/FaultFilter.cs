using System.Runtime.CompilerServices;
using Isthmus.Core.Time;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Envoy.Faults;
using Isthmus.Wire.Envoy.HttpFilters;

namespace Isthmus.Proxy.Filters;

/// <summary>Faults to inject, for tests.</summary>
internal sealed record FaultSettings(
    TimeSpan Delay, Fraction DelayShare, int AbortStatus, Fraction AbortShare, IReadOnlyList<HeaderMatch> Headers)
{
    /// <summary>The status for clients that speak gRPC; null: as it follows from the HTTP status.</summary>
    public int? GrpcStatus { get; init; }

    /// <summary>Null if there are none.</summary>
    /// <exception cref="ResourceException">A kind of fault that this proxy does not have.</exception>
    public static FaultSettings? Of(HTTPFault fault)
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
}

/// <summary>The faults of a route.</summary>
/// <param name="Settings">Null for none, whatever the filter says.</param>
internal sealed record RouteFault(FaultSettings? Settings) : IRouteOverride;

/// <summary>A fault filter: it delays requests, and answers some in place of the server, as the route says, or else it.</summary>
/// <param name="settings">Null: it injects none of its own.</param>
internal sealed class FaultFilter(string name, FaultSettings? settings) : RequestFilter(name)
{
    private static readonly byte[] Text = "fault filter abort"u8.ToArray();

    public static readonly HttpFilterKind Kind = HttpFilterKind.Of<HTTPFault>("envoy.filters.http.fault",
        (fault, from) => new FaultFilter(from.Name, FaultSettings.Of(fault))).ForRoutes<HTTPFault>((fault, _) => new RouteFault(FaultSettings.Of(fault)));

    public override FilterSteps Steps => FilterSteps.Request;

    public override bool IsPolicy => false;

    /// <summary>Null: it injects none.</summary>
    public FaultSettings? For(RouteSettings? route) => route?.Of(Name) is RouteFault own ? own.Settings : settings;

    public override ValueTask<FilterAnswer?> OnRequestAsync(FilteredRequest request) =>
        For(request.TakeRoute()) is { } fault ? InjectAsync(fault, request) : default;

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    private static async ValueTask<FilterAnswer?> InjectAsync(FaultSettings fault, FilteredRequest request)
    {
        if (!fault.Headers.All(header => header.IsMatch(request.Head, request.Scheme))) return null;
        var (time, random) = (request.Ports.Time, request.Ports.Random);
        if (fault.Delay > TimeSpan.Zero && fault.DelayShare.Hits(random))
        {
            request.Record.DelayInjected = true;
            await time.DelayInFullAsync(fault.Delay).ConfigureAwait(false);
        }
        return fault.AbortStatus == 0 || !fault.AbortShare.Hits(random) ? null
            : request.Refuse(new(fault.AbortStatus, Text, "fault_filter_abort", EndReason.FaultInjected) { GrpcStatus = fault.GrpcStatus });
    }
}
