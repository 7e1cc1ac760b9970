using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Trace;

/// <summary>Hands a traced call to the data plane of this process.</summary>
internal sealed class PlaneEntry(DataPlane plane) : ICallEntry
{
    /// <summary>How long the data plane may take to tell what it saw.</summary>
    private static readonly TimeSpan Telling = TimeSpan.FromSeconds(1);

    public async ValueTask<EnteredCall> EnterAsync(CallRequest call, CancellationToken limit, CancellationToken stop)
    {
        if (plane.State.Current.Listeners.Values.FirstOrDefault(l => l is { HandOff: true, Direction: Direction.Outbound }) is not { } listener)
            throw new IOException("the proxy has no outbound listener");
        var ended = new TaskCompletionSource<SeenTraffic>(TaskCreationOptions.RunContinuationsAsynchronously);
        var (ours, theirs) = await PairAsync(limit).ConfigureAwait(false);
        var source = new IPEndPoint(OwnAddress.Of(plane.Settings.Identity.NodeId) ?? IPAddress.Loopback, ((IPEndPoint)ours.LocalEndPoint!).Port);
        plane.Take(new Downstream(new SocketTransport(theirs), listener, call.To, source)
        {
            Ended = record => ended.TrySetResult(SeenTraffic.From(call.Id, Direction.Outbound, record, record.Duration, false)),
        }, stop);
        return new(ours, async (_, cancel) =>
        {
            await Task.WhenAny(ended.Task, Task.Delay(Telling, plane.Ports.Time, cancel)).ConfigureAwait(false);
            return ended.Task.IsCompletedSuccessfully ? TraceRoutes.Report(await ended.Task.ConfigureAwait(false)) : null;
        });
    }

    /// <summary>Both ends of one loopback connection.</summary>
    private async Task<(Socket Ours, Socket Theirs)> PairAsync(CancellationToken stop)
    {
        using var listener = plane.Ports.Sockets.Create(AddressFamily.InterNetwork);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        var ours = plane.Ports.Sockets.Create(AddressFamily.InterNetwork);
        try
        {
            await ours.ConnectAsync(listener.LocalEndPoint!, stop).ConfigureAwait(false);
            while (true)
            {
                var theirs = await listener.AcceptAsync(stop).ConfigureAwait(false);
                theirs.NoDelay = true;
                if (theirs.RemoteEndPoint!.Equals(ours.LocalEndPoint)) return (ours, theirs);
                theirs.Dispose();
            }
        }
        catch
        {
            ours.Dispose();
            throw;
        }
    }
}
