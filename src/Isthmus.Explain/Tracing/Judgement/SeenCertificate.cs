using System.Globalization;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Certificates;
using Isthmus.Mesh.Generate;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>What clients that check certificates would say of the one that the trace was shown: its own call checks none. Who issued it is not judged: the
/// CAs that clients trust are theirs alone.</summary>
internal static class SeenCertificate
{
    /// <summary>Warns at the call, which got through, unless the end of its way is known to show a certificate like that.</summary>
    public static CallTrace Tell(TracedCall traced, CallTrace trace, MadeCall call)
    {
        if (call.Shown is not [var leaf, ..]) return trace;
        var (facts, host) = (traced.Facts, traced.Facts.Target.Host.TrimEnd('.'));
        var refused = RefusedCertificate.Of(leaf, host, facts.Now);
        var told = refused is null ? trace : trace with { Call = call with { IsUnchecked = true } };
        var gap = refused is null && ChainGap.Find(leaf, call.Shown.Skip(1), []) is { IsCertain: true } found ? found : null;
        var (code, why) = refused is not null ? (refused.Code, $"{refused.Why}: clients that check certificates refuse it, and this call did not check")
            : gap is not null ? (RefusedCertificate.Unlinked, gap.Why) : ("", "");
        if (code.Length == 0 || trace.Hops.Any(hop => hop.Way > 0 && hop.Problem?.Code == code && trace.Took(hop.Way, call))) return told;
        var remedy = refused is null ? "let the application send the certificates of the CAs between it and the root after its own"
            : $"give the application {refused.Needed}{refused.Besides}"
                + (refused.Code == RefusedCertificate.Misnamed ? ", or call it by a name that its certificate has" : "");
        var problem = Faults.Of(code, Owner(traced, trace, call), "", $"shows the certificate {leaf.Subject}, which {why}", remedy) with
        {
            Severity = Severity.Warning,
        };
        return told with
        {
            Hops = trace.Hops.Select(hop => hop.Name == "call" ? hop with { Status = HopStatus.Warning, Problem = problem } : hop).ToValueList(),
        };
    }

    /// <summary>A certificate in a line.</summary>
    public static string Line(X509Certificate2 leaf) => string.Create(CultureInfo.InvariantCulture,
        $"{leaf.Subject}, valid from {leaf.NotBefore.ToUniversalTime():yyyy-MM-dd HH:mm}Z to {leaf.NotAfter.ToUniversalTime():yyyy-MM-dd HH:mm}Z, for "
            + $"{RefusedCertificate.Names(leaf)}, issued by {(leaf.Issuer == leaf.Subject ? "itself" : leaf.Issuer)}");

    /// <summary>Who showed it: the Pod, where only one can have; otherwise the part of the Service behind the address that the call went to.</summary>
    private static string Owner(TracedCall traced, CallTrace trace, MadeCall call)
    {
        var facts = traced.Facts;
        var way = trace.Ways.FirstOrDefault(one => one.Names(call.Upstream)) ?? (trace.Ways is [var only] ? only : null);
        if (IPEndPoint.TryParse(call.Upstream, out var upstream))
        {
            // A route may lead to another host than the one that is called.
            var chosen = PlacedHop.Of(trace).LastOrDefault(hop => hop.Hop.Name == "call")?.Cluster ?? "";
            if (ResourceNames.TryParseOutbound(chosen, out _, out _, out var host, out _)
                && GatewayPlace.Find(facts, upstream)?.Cluster is { } cluster && facts.Host(host)?.In(cluster) is { } there)
                return there.Pods.Where(pod => pod.Status.IsReady && pod.Metadata.DeletionTimestamp is null).ToList() is [var one]
                    ? $"{PodRef.Of(cluster, one)}" : there.Name;
            if (facts.PodAt(upstream.Address, "", facts.Home, facts.Home.NetworkOf(facts.ClientPod)) is var (at, pod) && !ClusterObjects.IsGateway(pod))
                return $"{PodRef.Of(at, pod)}";
        }
        return way?.Title ?? (call.Upstream.Length > 0 ? $"address {call.Upstream}" : facts.Target.Host);
    }
}
