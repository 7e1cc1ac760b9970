using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Machine.Network;
using Isthmus.Lab.Nodes.Pods;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Isthmus.Lab.Nodes.Server;

/// <summary>A raw tunnel to a port on the Pod's loopback address. The response is 101 once the port has accepted the connection.</summary>
internal static class PortForward
{
    internal static async Task ServeAsync(HttpContext http, PodWorker worker, CancellationToken stop)
    {
        if (!int.TryParse(http.Request.Query["port"], NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port is < 1 or > IPEndPoint.MaxPort)
        {
            await NodeServer.FailAsync(http, 400, "port must be a number from 1 to 65535");
            return;
        }
        if (http.Features.Get<IHttpUpgradeFeature>() is not { IsUpgradableRequest: true } upgrade)
        {
            await NodeServer.FailAsync(http, 400, $"the request must ask for Upgrade: {NodeSocket.Tunnel}");
            return;
        }
        using var socket = MakeSocket(worker);
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, port, stop);
        }
        catch (SocketException e)
        {
            await NodeServer.FailAsync(http, 502, $"failed to connect to localhost:{port} inside the Pod: {e.Message}");
            return;
        }
        http.Response.Headers.Upgrade = NodeSocket.Tunnel;
        await using var client = await upgrade.UpgradeAsync();
        await using var pod = new NetworkStream(socket);
        await RelayAsync(client, pod, socket, stop);
    }

    private static Socket MakeSocket(PodWorker worker)
    {
        // The Pod's namespace is found by name: the worker's own handle may close at any moment.
        var make = () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (worker.Pod.Spec.HostNetwork) return make();
        using var network = NamespaceHandle.Open(worker.NetworkPath, NamespaceKinds.Network);
        return NamespaceThread.Run(network, make);
    }

    private static async Task RelayAsync(Stream client, Stream pod, Socket socket, CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var toPod = CopyAsync(client, pod, () => socket.Shutdown(SocketShutdown.Send), over.Token);
        await CopyAsync(pod, client, () => { }, over.Token);
        await over.CancelAsync();
        await toPod;
    }

    private static async Task CopyAsync(Stream from, Stream to, Action atEnd, CancellationToken stop)
    {
        try
        {
            await from.CopyToAsync(to, stop);
            atEnd();
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // One side disconnected; the other side is closed too.
        }
    }
}
