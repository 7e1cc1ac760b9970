using System.Globalization;
using System.Runtime.CompilerServices;
using Isthmus.Core.Time;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http;

/// <summary>Delays requests, and answers some in place of the server, as a route or listener prescribes for tests.</summary>
internal static class FaultInjection
{
    /// <summary>Waits, and prepares the response that takes the place of the server's.</summary>
    /// <returns>The body of that response; null when the request goes on.</returns>
    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public static async ValueTask<ReadOnlyMemory<byte>?> RunAsync(FaultSettings fault, RequestHead request, string scheme, ProxyPorts ports,
        TrafficRecord record, ResponseHead response)
    {
        if (!fault.Headers.All(header => header.IsMatch(request, scheme))) return null;
        if (fault.Delay > TimeSpan.Zero && fault.DelayShare.Hits(ports.Random))
        {
            record.DelayInjected = true;
            await ports.Time.DelayInFullAsync(fault.Delay).ConfigureAwait(false);
        }
        if (fault.AbortStatus == 0 || !fault.AbortShare.Hits(ports.Random)) return null;
        var body = LocalReply.Prepare(response, request, fault.AbortStatus, LocalReply.FaultAbort);
        if (fault.GrpcStatus is { } grpc && response.Headers.Contains("grpc-status"u8))
            response.Headers.Set("grpc-status"u8, grpc.ToString(CultureInfo.InvariantCulture));
        return body;
    }
}
