using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Admin;

/// <summary>The data plane of this process.</summary>
/// <param name="plane">Disposed with it.</param>
/// <param name="routes">Its admin interface.</param>
/// <param name="run">What provides its configuration until it is told to stop.</param>
internal sealed class OwnPlane(DataPlane plane, AdminRoutes routes, Func<CancellationToken, Task> run) : IServedPlane
{
    public ProxySettings Settings => plane.Settings;

    public ISocketFactory Sockets => plane.Ports.Sockets;

    public Action<string, Exception> ReportFailure => plane.ReportFailure;

    public AdminHandler? Admin => routes.HandleAsync;

    public AdminHandler Metrics => routes.HandleMetricsAsync;

    public AdminHandler Ready => routes.HandleReadyAsync;

    public AdminBody MetricsBody => routes.MetricsBody;

    public CancellationToken Quit => routes.Quit;

    public Task RunAsync(CancellationToken stop) => run(stop);

    public void Leave() => plane.Leave();

    public Task DrainAsync(TimeSpan longest, bool isPodEnding) => plane.DrainAsync(longest, isPodEnding);

    public void Dispose() => plane.Dispose();
}
