using System.Net;

namespace Isthmus.Proxy.Admin;

/// <summary>The ports of a proxy beside those of its listeners.</summary>
internal static class ProxyEndpoints
{
    /// <summary>Serves the endpoints of a data plane until <paramref name="stop"/>, then drains it. The configuration
    /// source runs alongside.</summary>
    /// <param name="secured">What ports with mesh TLS answer.</param>
    /// <param name="statusHandlers">What the status port answers beside metrics and readiness.</param>
    /// <param name="isPodEnding">Called when the drain begins (<see cref="IServedPlane.DrainAsync"/>).</param>
    public static async Task ServeAsync(IServedPlane plane, IReadOnlyList<AdminHandler> statusHandlers,
        IReadOnlyList<(IPEndPoint Address, AdminTls Tls, AdminHandler Handler)> secured, Func<bool> isPodEnding, CancellationToken stop)
    {
        // The endpoints stay open until the drain is over, so that you can watch it.
        using var end = new CancellationTokenSource();
        var servers = new List<Task>();
        void Serve(IPEndPoint? address, params IReadOnlyList<AdminHandler?> handlers)
        {
            var known = handlers.OfType<AdminHandler>().ToList();
            if (address is not null && known.Count > 0) servers.Add(new AdminServer(address, plane.Sockets, plane.ReportFailure, known).RunAsync(end.Token));
        }
        Serve(plane.Settings.Admin, plane.Admin);
        Serve(plane.Settings.Metrics, plane.Metrics);
        Serve(plane.Settings.Status, [.. statusHandlers, plane.Metrics, plane.Ready]);
        Serve(plane.Settings.Ready, plane.Ready);
        servers.AddRange(secured.Select(port => new AdminServer(port.Address, plane.Sockets, plane.ReportFailure,
            port.Handler) { Tls = port.Tls }.RunAsync(end.Token)));
        using var quit = CancellationTokenSource.CreateLinkedTokenSource(stop, plane.Quit);
        var stopped = Task.Delay(Timeout.Infinite, quit.Token);
        var first = await Task.WhenAny([stopped, .. servers]).ConfigureAwait(false);
        if (first != stopped) await first.ConfigureAwait(false);
        await plane.DrainAsync(plane.Settings.DrainTime, isPodEnding()).ConfigureAwait(false);
        await end.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(servers).ConfigureAwait(false);
    }
}
