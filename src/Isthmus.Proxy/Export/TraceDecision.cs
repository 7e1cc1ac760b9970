using System.Globalization;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Export;

/// <summary>Whether a request is traced, decided once per request of a client: the 15th character of its <c>x-request-id</c> tells all proxies on
/// its way, as those of Envoy do.</summary>
internal static class TraceDecision
{
    private const int Length = 36, At = 14;
    private const byte None = (byte)'4', Sampled = (byte)'9', Forced = (byte)'a', ByClient = (byte)'b';

    public static bool Of(TracingSettings settings, HeaderBlock headers)
    {
        if (!settings.UsesRequestId) return true;
        if (headers.IndexOf("x-request-id"u8) is not (>= 0 and var at) || headers.Value(at).Length != Length) return false;
        var id = headers.Value(at);
        var known = id[At] is Sampled or Forced or ByClient ? id[At] : None;
        var reason = known != None ? known : Reason(settings, headers, id);
        if (reason != None && !Hits(id, settings.OverallSampling)) reason = None;
        if (reason != known)
        {
            Span<byte> changed = stackalloc byte[Length];
            id.CopyTo(changed);
            changed[At] = reason;
            headers.Set("x-request-id"u8, changed);
        }
        return reason != None;
    }

    private static byte Reason(TracingSettings settings, HeaderBlock headers, ReadOnlySpan<byte> id)
    {
        if (headers.Contains("x-client-trace-id"u8) && Hits(id, settings.ClientSampling)) return ByClient;
        if (headers.Contains("x-envoy-force-trace"u8)) return Forced;
        return Hits(id, settings.RandomSampling) ? Sampled : None;
    }

    /// <summary>The beginning of the ID is random, and the same for all proxies.</summary>
    private static bool Hits(ReadOnlySpan<byte> id, double percent) =>
        percent >= 100
            || (percent > 0 && uint.TryParse(id[..8], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number)
                && number % 10_000 < percent * 100);
}
