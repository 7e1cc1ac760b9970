using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>Requests in HTTP/1.0, which proxies answer with 426 unless their control plane lets them serve it.</summary>
internal static class OldProtocol
{
    public const string Code = "ISM2179";

    private const string Remedy = "let it speak HTTP/1.1 (behind nginx: proxy_http_version 1.1), or set values.pilot.env.PILOT_HTTP10=true for the control "
        + "plane of its proxy, whose proxies then serve HTTP/1.0";

    /// <summary>A proxy that refused a request.</summary>
    /// <param name="at">The Pod of the proxy.</param>
    public static Problem Refused(string at) => Faults.Of(Code, at, "",
        "its proxy answers 426 (Upgrade Required) to a request in HTTP/1.0, which proxies of a mesh do not serve (low_version)",
        $"whatever sends it: {Remedy}");

    /// <summary>A trace calls in HTTP/1.1: who answers 426 to that may have got it for a request of its own.</summary>
    public static CallTrace Tell(CallTrace trace, MadeCall call)
    {
        if (call.Status != 426 || call.IsAnsweredByCaller) return trace;
        var at = trace.Hops.Where(hop => hop.Way == 0 || trace.Took(hop.Way, call))
            .Select(hop => hop.Facts.FirstOrDefault(fact => fact.Name == "pod")?.Value).LastOrDefault(pod => pod is not null);
        var problem = Faults.Of(Code, at ?? call.Upstream, "", "answers 426 (Upgrade Required) to a request in HTTP/1.1; proxies of a mesh answer so to "
            + "requests in HTTP/1.0, so that it may pass this one on in HTTP/1.0, as nginx does by default", $"if it passes requests on, {Remedy}");
        return trace with
        {
            Hops = [.. trace.Hops, new("answer", 0, HopStatus.Warning, "426 Upgrade Required", default, problem with { Severity = Severity.Warning })],
        };
    }
}
