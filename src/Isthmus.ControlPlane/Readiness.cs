using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane;

/// <summary>Whether a control plane can serve, and what it waits for until then: in the answer to its probe, and in the log.</summary>
/// <param name="awaited">What is missing, a text for each; empty when nothing is known to be missing.</param>
internal sealed partial class Readiness(Func<IEnumerable<string>> awaited, TimeProvider time, ILogger log)
{
    /// <summary>A usual start takes less and is not worth a warning.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private volatile bool _isReady;

    public void Set() => _isReady = true;

    public Task AnswerAsync(HttpContext http)
    {
        http.Response.StatusCode = _isReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        return http.Response.WriteAsync(_isReady ? "ok\n" : $"not ready{string.Concat(awaited().Select(missing => $"\n- {missing}"))}\n", http.RequestAborted);
    }

    /// <summary>Logs what is missing, and again when that changes, until the control plane is ready.</summary>
    public async Task LogAsync(CancellationToken stop)
    {
        var logged = new HashSet<string>(StringComparer.Ordinal);
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false) && !_isReady)
        {
            var missing = awaited().ToHashSet(StringComparer.Ordinal);
            foreach (var text in missing.Where(text => !logged.Contains(text))) Waits(log, text);
            logged = missing;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Not ready: {Missing}")]
    private static partial void Waits(ILogger log, string missing);
}
