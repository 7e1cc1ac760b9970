using Isthmus.Core.Flags;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;

namespace Isthmus.Proxy.Programs;

/// <summary><c>isthmus wait</c>: returns when the proxy of this Pod is ready, so that the application starts after it.
/// Takes the flags of Istio's <c>pilot-agent wait</c>.</summary>
public static class WaitProgram
{
    private static readonly Flag<string> Url = Flag.Text("--url", "URL", $"http://127.0.0.1:{Ports.ProxyReady}/healthz/ready");

    private static readonly Flag<int>
        Patience = Flag.PositiveNumber("--timeoutSeconds", 60),
        Period = Flag.PositiveNumber("--periodMillis", 500),
        RequestTimeout = Flag.PositiveNumber("--requestTimeoutMillis", 500);

    private static readonly FlagSet Flags = new("isthmus wait", Url, Patience, Period, RequestTimeout);

    /// <exception cref="ProblemException">A flag is wrong, or the proxy did not become ready in time.</exception>
    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var flags = Flags.Read(args);
        var url = flags.Get(Url);
        var patience = TimeSpan.FromSeconds(flags.Get(Patience));
        var period = TimeSpan.FromMilliseconds(flags.Get(Period));
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromMilliseconds(flags.Get(RequestTimeout)) };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(patience);
        var last = "it was not asked";
        while (true)
        {
            try
            {
                using var response = await http.GetAsync(url, limit.Token).ConfigureAwait(false);
                if (response.IsSuccessStatusCode) return 0;
                last = $"it answered {(int)response.StatusCode}";
            }
            catch (HttpRequestException e)
            {
                last = e.Message;
            }
            catch (TaskCanceledException) when (!limit.IsCancellationRequested)
            {
                last = "it did not answer";
            }
            await Task.Delay(period, limit.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            stop.ThrowIfCancellationRequested();
            if (limit.IsCancellationRequested)
                throw new ProblemException(url, $"the proxy was not ready within {patience.TotalSeconds} s: {last}",
                    "check the log of the container istio-proxy");
        }
    }
}
