using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;

namespace Isthmus.Capture;

/// <summary>
/// Finds out whether the rules are in effect, as the proxy's user and without privileges: its connection to an address of this Pod must arrive
/// at the inbound port, whatever port it was opened to. Nothing else may listen there yet.
/// </summary>
internal static class CaptureValidation
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <returns>Why traffic is not captured; null if it is.</returns>
    internal static async Task<ProblemException?> RunAsync(CaptureSettings settings, CancellationToken stop)
    {
        if (OwnAddress() is not { } address) return Missing("this network namespace has no IPv4 address");
        using var listener = new TcpListener(IPAddress.Any, settings.InboundPort);
        listener.Start();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(Patience);
        using var client = MarkedSocket.Stream(AddressFamily.InterNetwork);
        try
        {
            await client.ConnectAsync(new IPEndPoint(address, settings.ProbePort), limit.Token).ConfigureAwait(false);
            while (true)
            {
                // Others may connect meanwhile.
                using var arrived = await listener.AcceptSocketAsync(limit.Token).ConfigureAwait(false);
                if (Equals(arrived.RemoteEndPoint, client.LocalEndPoint)) return null;
            }
        }
        catch (SocketException)
        {
            return Missing($"a connection to {address}:{settings.ProbePort} was not redirected to port {settings.InboundPort}");
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return Missing($"a connection to {address}:{settings.ProbePort} did not arrive at port {settings.InboundPort} within {Patience.TotalSeconds:0} s");
        }
    }

    // An interface that is up may still be reported as down: the kernel looks at its links once a second (RFC 2863 states, operstate).
    private static IPAddress? OwnAddress() =>
        NetworkInterface.GetAllNetworkInterfaces().Where(card => card.NetworkInterfaceType != NetworkInterfaceType.Loopback)
            .OrderBy(card => card.OperationalStatus == OperationalStatus.Down)
            .SelectMany(card => card.GetIPProperties().UnicastAddresses).Select(address => address.Address)
            .FirstOrDefault(address => address.AddressFamily == AddressFamily.InterNetwork);

    private static ProblemException Missing(string why) => new("traffic capture", $"is not in effect: {why}",
        "the CNI node agent (DaemonSet istio-cni-node) on this node captures the Pod and kubelet starts this container again; if it does not, see the agent's "
            + "log");
}
