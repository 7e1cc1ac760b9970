using System.Globalization;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;

namespace Isthmus.Proxy;

/// <summary><c>isthmus wait</c>: returns when the proxy of this Pod is ready, so that the application starts after it. Takes the flags of Istio's <c>pilot-agent wait</c>.</summary>
public static class WaitProgram
{
    /// <exception cref="ProblemException">A wrong flag, or the proxy did not become ready in time.</exception>
    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var url = $"http://127.0.0.1:{Ports.ProxyReady}/healthz/ready";
        var (patience, period, request) = (TimeSpan.FromSeconds(60), TimeSpan.FromMilliseconds(500), TimeSpan.FromMilliseconds(500));
        for (var i = 0; i < args.Length; i++)
        {
            var equals = args[i].IndexOf('=', StringComparison.Ordinal);
            var flag = equals < 0 ? args[i] : args[i][..equals];
            var value = equals >= 0 ? args[i][(equals + 1)..] : ++i < args.Length ? args[i] : throw new ProblemException(flag, "the flag needs a value");
            switch (flag)
            {
                case "--url": url = value; break;
                case "--timeoutSeconds": patience = TimeSpan.FromSeconds(Number(flag, value)); break;
                case "--periodMillis": period = TimeSpan.FromMilliseconds(Number(flag, value)); break;
                case "--requestTimeoutMillis": request = TimeSpan.FromMilliseconds(Number(flag, value)); break;
                default: throw new ProblemException(flag, "the flag is not known", "known are --url, --timeoutSeconds, --periodMillis and --requestTimeoutMillis");
            }
        }
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = request };
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
            if (limit.IsCancellationRequested) throw new ProblemException(url, $"the proxy was not ready within {patience.TotalSeconds} s: {last}", "look at the log of the container istio-proxy");
        }
    }

    private static int Number(string flag, string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 ? number : throw new ProblemException(flag, $"'{value}' is not a positive number");
}
