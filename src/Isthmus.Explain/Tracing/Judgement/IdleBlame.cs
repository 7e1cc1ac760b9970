using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Core.Time;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Operate.Diagnose;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>A proxy on the way ended the connection, because it carried no bytes while the call waited for its answer.</summary>
internal static class IdleBlame
{
    public const string Code = "ISM2166";

    private const string OfRequests = "stream_idle_timeout";

    /// <summary>Proxies look for idle connections once a second.</summary>
    private const double Slack = 2000;

    /// <param name="way">The hops of the path that the call took.</param>
    /// <returns>Null for other ends.</returns>
    public static Problem? Of(TracedCall traced, CallTrace trace, MadeCall call, IEnumerable<Hop> way)
    {
        if (call.HasFlag("SI") && call.Detail.Contains(OfRequests, StringComparison.Ordinal))
            return Faults.Of("ISM2088", traced.Facts.Client.ToString(), OfRequests,
                $"its proxy gave up after {Taken(call)}, in which nothing came back for the request ({call.Flags} {call.Detail})",
                $"raise {OfRequests} in the EnvoyFilter that sets it for this Pod, or find out why the application is slow");
        if (call.Status > 0 || call.IsOutOfTime) return null;
        if (call.HasFlag("SI"))
        {
            if (LimitOf(trace.Hops.FirstOrDefault(hop => hop.Name == "filter chain")) is not { } limit) return null;
            var (_, port, subset, fqdn) = ProxyTables.Split(trace.Hops.FirstOrDefault(hop => hop.Name == "cluster")?.Summary.Split(' ', ':')[0] ?? "");
            var number = int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var called) ? called : traced.Port;
            var (owner, path) = new IdleCauses(traced.Facts, new(traced.Facts)).AtCaller(traced.Facts.Host(fqdn) ?? traced.Host, number,
                subset == "-" ? "" : subset, limit);
            return Of(owner, path, limit, $"the proxy of {traced.Facts.Client}", call);
        }
        // Another proxy ended it: the caller's sees an end like any other.
        if (MadeCall.Failures(call.Flags).Except(["UC"]).Any() || call.Upstream.Length == 0) return null;
        foreach (var hop in way)
            if (LimitOf(hop) is { } limit && call.Milliseconds >= limit.TotalMilliseconds && call.Milliseconds < limit.TotalMilliseconds + Slack
                && Told(hop, HopFacts.IdleOwnerFact).Split(": ") is [var owner, var path])
                return Of(owner, path, limit, $"the proxy of {Told(hop, "pod")}", call);
        return null;
    }

    private static Problem Of(string owner, string path, TimeSpan limit, string proxy, MadeCall call) => Faults.Of(Code, owner, path,
        $"is {Durations.Text(limit)}: {proxy} ends connections that carry no bytes for so long, and this one ended {Taken(call)} after it began, before there "
            + $"was an answer{(call.Flags is "" or "-" ? "" : $" ({call.Flags})")}",
        "raise it to more than the longest time that an answer takes, or remove it: the default is 1h");

    private static TimeSpan? LimitOf(Hop? hop) =>
        hop is not null && TimeSpan.TryParse(Told(hop, HopFacts.IdleFact), CultureInfo.InvariantCulture, out var limit) ? limit : null;

    private static string Told(Hop hop, string fact) => hop.Facts.FirstOrDefault(one => one.Name == fact)?.Value ?? "";

    private static string Taken(MadeCall call) => Durations.Text(TimeSpan.FromMilliseconds(Math.Round(call.Milliseconds / 100) * 100));
}
