using Isthmus.Core.Problems;
using Isthmus.Dns.Config;

namespace Isthmus.Dns.Server;

/// <summary>Checks the Corefile twice a second and applies changes. An unusable one is reported once; the last good one stays.</summary>
public sealed class CorefileWatch(string path, int port, Func<string, string?> environment, DnsServer server, TimeProvider time, Action<string> log,
    Func<string, CancellationToken, Task> complain)
{
    /// <summary>Kubelets swap a symbolic link, which file watchers do not see reliably; reading a small file costs nothing.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    private string _text = "";

    /// <exception cref="ProblemException">The file cannot be read or used.</exception>
    public async Task StartAsync()
    {
        try
        {
            _text = await File.ReadAllTextAsync(path);
            await server.ApplyAsync(PlanReader.Read(_text, path, environment, port), path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ProblemException(path, $"cannot be read: {e.Message}", "specify the file with -conf", e);
        }
        catch (CorefileException e)
        {
            throw new ProblemException("", e.Message, "fix the Corefile", e);
        }
    }

    public async Task RunAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stop))
                if (server.Plan is { Reload: true }) await LookAsync(stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    public async Task LookAsync(CancellationToken stop)
    {
        string text;
        try
        {
            text = await File.ReadAllTextAsync(path, stop);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // In the middle of a swap: it is there at the next check, or the last good one stays.
            return;
        }
        if (text == _text) return;
        _text = text;
        try
        {
            await server.ApplyAsync(PlanReader.Read(text, path, environment, port), path);
            server.Metrics.Reloaded(failed: false);
            log("[INFO] Reloading complete");
        }
        catch (Exception e) when (e is CorefileException or ProblemException)
        {
            server.Metrics.Reloaded(failed: true);
            log($"[ERROR] Corefile changed but cannot be used, the last good one stays: {e.Message}");
            await complain(e.Message, stop);
        }
    }
}
