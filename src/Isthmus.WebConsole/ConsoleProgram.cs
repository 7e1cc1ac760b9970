using System.ComponentModel;
using System.Diagnostics;
using Isthmus.Kubernetes.Client;
using Isthmus.WebConsole.Answers;
using Isthmus.WebConsole.Reading;
using Isthmus.WebConsole.Serving;
using Isthmus.WebConsole.Traffic;

namespace Isthmus.WebConsole;

/// <param name="Clusters">The clusters of the mesh.</param>
/// <param name="Port">0 chooses a free one.</param>
/// <param name="OpensBrowser">Whether to open the page in the user's browser.</param>
public sealed record ConsoleSettings(IReadOnlyList<ClusterAccess> Clusters, string IstioNamespace, int Port, bool OpensBrowser)
{
    public PrometheusChoice Prometheus { get; init; } = PrometheusChoice.Found;
}

/// <summary><c>isthmus console</c>: serves the page until it is stopped.</summary>
public static class ConsoleProgram
{
    /// <param name="opened">Called with the address of the page, which opens it once.</param>
    public static async Task RunAsync(ConsoleSettings settings, TimeProvider time, Action<Uri> opened, CancellationToken stop)
    {
        var events = new EventHub();
        using var reader = new MeshStateReader(settings.Clusters, settings.IstioNamespace, time);
        using var watch = new MeshWatch(reader, new MeshAnalysis(settings.Clusters, settings.IstioNamespace, reader, time),
            new PrometheusTraffic(settings.Prometheus, settings.IstioNamespace, reader.Client, time), events, time);
        var answers = new PageAnswers(settings.Clusters, settings.IstioNamespace, reader, time);
        // The clusters are read while the server and the browser start.
        var watching = watch.RunAsync(stop);
        var entrance = new Entrance(events, answers.All(() => watch.Mesh, () => watch.Problems, watch.ReadNow));
        await using var server = new ConsoleServer(entrance, ConsoleSite.Loopback(settings.Port));
        await server.StartAsync(stop);
        var address = new Uri($"http://127.0.0.1:{server.Port}/#token={entrance.Token}");
        opened(address);
        if (settings.OpensBrowser) Open(address);
        await watching.WaitAsync(stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        // A failure of the watch is not the user's interruption.
        if (!stop.IsCancellationRequested) await watching;
    }

    /// <summary>Opens an address in the user's browser, if there is one.</summary>
    public static void Open(Uri address)
    {
        var (program, arguments) = OperatingSystem.IsWindows()
            ? ("cmd", (string[])["/c", "start", "", address.ToString()])
            : OperatingSystem.IsMacOS()
            ? ("open", [address.ToString()])
            : ("xdg-open", [address.ToString()]);
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true });
        }
        catch (Win32Exception)
        {
            // There is no browser here: the address was printed.
        }
    }
}
