using System.Net;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Collections;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Reports;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>Reads proxies' reports about a call. Pure.</summary>
internal static class CallReading
{
    private const string Silent = "nothing";

    /// <summary>The server ended the connection without a byte.</summary>
    internal const string Closed = "closed";

    /// <param name="answer">The response of the caller's proxy to <c>/call</c>.</param>
    /// <param name="sightings">The reports of the other proxies.</param>
    /// <param name="isGateway">Whether a proxy is a gateway's, and not a callee's.</param>
    public static MadeCall Read(WantedCall wanted, CallReport answer, IReadOnlyList<Sighting> sightings, Func<PodRef, bool> isGateway)
    {
        var seen = answer.Seen;
        var (status, error) = (answer.Status ?? 0, Text(answer.Error));
        var flags = Text(seen?.Flags);
        var detail = string.Join("; ", ((string[])[error, Text(seen?.Details), Text(seen?.TransportFailure)]).Where(text => text.Length > 0).Distinct());
        // After an injected delay (DI), the call goes on. A caller that has its answer leaves, which proxies that only copy bytes tell as DC.
        var says = Text(answer.Says);
        var isConnected = Text(seen?.UpstreamLocal).Length > 0;
        // Of a connection whose bytes a proxy only copies, flags tell how it ended, which may be after the whole answer.
        var isCopied = wanted.Kind != CallKinds.Tcp && Text(seen?.Id).Length == 0 && status is >= 200 and < 400
            && MadeCall.Failures(flags).All(flag => flag is "UC" or "DC");
        var ended = MadeCall.Failures(flags).Count == 0 || (error.Length == 0 && (isCopied || !MadeCall.HasFailed(flags)));
        var answered = ended && (wanted.Kind != CallKinds.Tcp ? status > 0
            : error.Length == 0 && (says != Silent || isConnected) && !sightings.Any(sighting => !sighting.IsRequest && MadeCall.HasFailed(sighting.Flags)));
        // A status that the proxy itself generates is not the application's response.
        if (answered && status >= 400 && detail.StartsWith("rbac_access_denied", StringComparison.Ordinal)) answered = false;
        var what = wanted.Kind == CallKinds.Tcp
            ? $"connect to {wanted.To}"
            : $"{(wanted.IsWebSocket ? "WebSocket" : wanted.Method)} {wanted.Path} of {wanted.Authority}{(wanted.Kind == CallKinds.Tls ? " over TLS" : "")}";
        return new(what, answered, status, answer.TookMs ?? 0, Text(seen?.Upstream), flags, detail, Times(answer, sightings, isGateway).ToValueList())
        {
            // The proxy tells of a caller that leaves with DC. With any other flag, it ended the call itself.
            IsOutOfTime = answer.TimedOut == true && MadeCall.Failures(flags).All(flag => flag == "DC"),
            IsConnected = isConnected,
            IsAnsweredByCaller = answered && wanted.Kind != CallKinds.Tcp && seen is { Attempts: null or 0 } && Text(seen.Upstream).Length == 0,
            Says = says,
            IsTakenForRequest = wanted.Kind == CallKinds.Tcp && Text(answer.Body).StartsWith("HTTP/1.1 400", StringComparison.Ordinal),
            GrpcStatus = answer.GrpcStatus,
            IsTlsRefused = answer.TlsFailed == true,
            IsUpgraded = answer.Upgraded,
            Shown = (answer.Chain ?? []).Select(one => X509CertificateLoader.LoadCertificate(one)).ToValueList(),
        };
    }

    public static IEnumerable<Sighting> Sightings(PodRef proxy, IReadOnlyList<SeenReport> recent) => recent.Select(seen => new Sighting(
        proxy, Text(seen.Id).Length > 0, seen.DurationMs ?? 0, seen.ResponseAfterMs, seen.Status ?? 0, Text(seen.Flags), Text(seen.Details),
        Text(seen.TransportFailure), Text(seen.Upstream), Text(seen.UpstreamLocal), Text(seen.DownstreamRemote), Text(seen.ServerName), seen.Start));

    /// <summary>Selects what belongs to the call from everything that gateways saw: the connection on which the callee's
    /// proxy was called.</summary>
    /// <param name="addressOf">The address of a proxy's Pod; empty when it is not known.</param>
    public static IReadOnlyList<Sighting> Related(IReadOnlyList<Sighting> all, CallReport answer, Func<PodRef, string> addressOf)
    {
        var local = Text(answer.Seen?.UpstreamLocal);
        var requests = all.Where(sighting => sighting.IsRequest).ToList();
        var passed = all.Where(sighting => !sighting.IsRequest
            && (requests.Any(request => Leads(sighting, request))
            || (local.Length > 0 && sighting.DownstreamRemote == local)));
        return [.. requests, .. passed.GroupBy(sighting => (sighting.Proxy, sighting.DownstreamRemote)).Select(group => group.Last())];

        // Connections from one port may lead to several destinations: that which leads to the Pod itself is meant.
        bool Leads(Sighting passed, Sighting to) => to.DownstreamRemote.Length > 0 && to.DownstreamRemote == passed.UpstreamLocal && (Meets(passed, to)
            || !all.Any(other => !other.IsRequest && other.Proxy == passed.Proxy && other.UpstreamLocal == passed.UpstreamLocal && Meets(other, to)));

        bool Meets(Sighting passed, Sighting to) => IPEndPoint.TryParse(passed.Upstream, out var end) && end.Address.ToString() == addressOf(to.Proxy);
    }

    private static IEnumerable<TimedHop> Times(CallReport answer, IReadOnlyList<Sighting> sightings, Func<PodRef, bool> isGateway)
    {
        if (answer.Seen is { DurationMs: { } took } own)
            yield return new("caller's proxy", took,
                $"{own.Attempts ?? 0} attempt(s)"
                    + (own.ResponseAfterMs is { } first
                        ? FormattableString.Invariant($", first byte of the response after {first:0.#} ms")
                        : ""));
        foreach (var sighting in sightings.Where(sighting => !sighting.IsRequest))
        {
            // Reusing a connection of an earlier call costs this one nothing.
            var kept = (sighting.Start ?? default) < (answer.At ?? default);
            yield return new(isGateway(sighting.Proxy) ? $"gateway {sighting.Proxy}" : $"callee's proxy, {sighting.Proxy}", kept ? 0 : sighting.Milliseconds,
                $"{(kept ? "on a reused connection to" : "connected")} {sighting.Upstream}"
                    + (sighting.ServerName.Length > 0 ? $" for {sighting.ServerName}" : ""));
        }
        foreach (var sighting in sightings.Where(sighting => sighting.IsRequest))
        {
            var (where, from) = isGateway(sighting.Proxy) ? ($"gateway {sighting.Proxy}", "") : ($"callee's proxy, {sighting.Proxy}", " from the application");
            yield return new(where, sighting.Milliseconds, $"responded {sighting.Status}"
                + (sighting.ResponseAfter is { } after ? FormattableString.Invariant($", the first byte{from} after {after:0.#} ms") : ""));
        }
    }

    private static string Text(string? text) => text ?? "";
}
