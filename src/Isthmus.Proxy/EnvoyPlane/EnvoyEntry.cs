using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Isthmus.Proxy.Trace;
using Isthmus.Proxy.Transports;
using Isthmus.Reports;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>Hands a traced call to Envoy, at a listener for this call, and learns from the log of the listener what came of it.</summary>
/// <param name="own">The address of the Pod.</param>
internal sealed class EnvoyEntry(CallListeners listeners, CallReports reports, IPAddress? own, ProxyPorts ports) : ICallEntry
{
    /// <summary>The ports of callers by which Envoy's log tells calls apart. The kernel gives others to applications.</summary>
    private const int FirstPort = 61000, PortCount = 4000;

    /// <summary>How long the log may take after the call. A connection that its server leaves open has no end, and its beginning is logged before.</summary>
    private static readonly TimeSpan Telling = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan BetweenTries = TimeSpan.FromMilliseconds(10);

    private int _calls;

    public async ValueTask<EnteredCall> EnterAsync(CallRequest call, CancellationToken limit, CancellationToken stop)
    {
        var source = SourceOf(call.To);
        var open = await listeners.OpenAsync(call.To, call.Timeout, limit).ConfigureAwait(false);
        var expected = reports.Expect(source, call.Id);
        Socket? socket = null;
        try
        {
            socket = await ConnectAsync(open.Path, limit).ConfigureAwait(false);
            await socket.SendAsync(Header(source, call.To), SocketFlags.None, limit).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            socket?.Dispose();
            expected.Dispose();
            open.Dispose();
            if (e is SocketException) throw new IOException($"Envoy does not take the call: {e.Message}", e);
            throw;
        }
        return new(socket, SeenAsync);

        async Task<SeenReport?> SeenAsync(CallReport result, CancellationToken cancel)
        {
            using (open)
            using (expected)
                return await expected.SeenAsync(Telling, ports.Time, cancel).ConfigureAwait(false) is { } seen ? TraceRoutes.Report(seen) : null;
        }
    }

    /// <summary>Envoy has accepted the listener, and opens its socket in a moment.</summary>
    private async Task<Socket> ConnectAsync(string path, CancellationToken limit)
    {
        while (true)
        {
            var socket = ports.Sockets.Create(AddressFamily.Unix);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), limit).ConfigureAwait(false);
                return socket;
            }
            catch (SocketException)
            {
                socket.Dispose();
                await Task.Delay(BetweenTries, ports.Time, limit).ConfigureAwait(false);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
    }

    private IPEndPoint SourceOf(IPEndPoint to)
    {
        var address = own ?? IPAddress.Loopback;
        if (address.AddressFamily != to.AddressFamily)
            address = to.AddressFamily == AddressFamily.InterNetworkV6 ? address.MapToIPv6() : IPAddress.Loopback;
        return new(address, FirstPort + ((Interlocked.Increment(ref _calls) & int.MaxValue) % PortCount));
    }

    private static byte[] Header(IPEndPoint from, IPEndPoint to)
    {
        var family = to.AddressFamily == AddressFamily.InterNetworkV6 ? "TCP6" : "TCP4";
        return Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"PROXY {family} {from.Address} {to.Address} {from.Port} {to.Port}\r\n"));
    }
}
