using System.Globalization;
using System.Net;
using Isthmus.Graph.Metrics;
using Isthmus.Graph.Settings;
using Isthmus.Core.Names;
using Isthmus.Wire.Limits;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Webhooks;

/// <summary>
/// Lets only API servers send reviews, as far as that can be known. With credentials, a caller must prove itself. Without them, its address
/// must be one of the configured sources or, if there are none, not that of a Pod of the cluster; then nothing that a review says is proven.
/// </summary>
/// <param name="credentials">Null: API servers have none.</param>
/// <param name="podAt">The Pod, as NAMESPACE/NAME, that has an address and does not belong to the cluster's own system; null if none has.</param>
public sealed partial class ReviewCallers(WebhookSettings settings, ReviewCredentials? credentials, Func<IPAddress, string?> podAt, ControlMetrics metrics,
    TimeProvider time, ILogger<ReviewCallers> log)
{
    /// <summary>Who sends refused reviews must not fill the log.</summary>
    private static readonly TimeSpan BetweenLines = TimeSpan.FromSeconds(10);

    private readonly SourceBudget _requests = new(settings.Requests, time);
    private readonly SourceBudget _bytes = new(settings.Bytes, time);
    private readonly Lock _guard = new(); // Guards the fields below.
    private DateTimeOffset _nextLine;
    private long _silent;

    /// <summary>Answers a review, or refuses it.</summary>
    /// <param name="answer">Gets whether the caller has proven that it is an API server.</param>
    public async Task TakeAsync(HttpContext http, Func<bool, Task> answer)
    {
        var address = AddressOf(http);
        var proven = credentials?.Prove(http.Connection.ClientCertificate, http.Request.Headers.Authorization is [{ } authorization] ? authorization : null);
        var (status, why) = proven switch
        {
            true => (StatusCodes.Status200OK, ""),
            false => (StatusCodes.Status401Unauthorized,
                $"reviews are taken from API servers with the client certificate or token of Secret {settings.CallersSecret}"),
            null => Sourced(address),
        };
        if (why.Length > 0)
        {
            Refused(http, "caller", why);
            await AdmissionReview.RefuseAsync(http, status, why);
            return;
        }
        var source = $"address {address}";
        BudgetSource[] requests = [new(source, settings.RequestsPerSource)], bytes = [new(source, settings.BytesPerSource)];
        if (_requests.TryTake(requests, 1) is { } full)
        {
            await BusyAsync(http, full, "ISTHMUS_WEBHOOK_REQUESTS");
            return;
        }
        try
        {
            var length = Math.Clamp(http.Request.ContentLength ?? 0, 0, AdmissionReview.Longest);
            if (await _bytes.TakeAsync(bytes, length, settings.Patience, http.RequestAborted) is { } heavy)
            {
                await BusyAsync(http, heavy, "ISTHMUS_WEBHOOK_BYTES");
                return;
            }
            try { await WithinAsync(http, () => answer(proven == true)); }
            finally { _bytes.Give(bytes, length); }
        }
        finally
        {
            _requests.Give(requests, 1);
        }
    }

    /// <summary>Counts a review that is not taken, and writes a line of the log, now and then.</summary>
    internal void Refused(HttpContext http, string reason, string why)
    {
        metrics.Count("isthmus_webhook_refused_total", $"reason=\"{reason}\"");
        long silent;
        lock (_guard)
        {
            var now = time.GetUtcNow();
            if (now < _nextLine)
            {
                _silent++;
                return;
            }
            (_nextLine, silent, _silent) = (now + BetweenLines, _silent, 0);
        }
        var path = http.Request.Path.StartsWithSegments(HistoryWebhook.Path) ? HistoryWebhook.Path : http.Request.Path == "/validate" ? "/validate" : "/inject";
        LogRefused(AddressOf(http)?.ToString() ?? "", path, Visible.Text(why),
            silent == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $" (and {silent} more since the last line)"));
    }

    private (int Status, string Why) Sourced(IPAddress? address)
    {
        // Through 'kubectl port-forward', for which one needs the right to use our Pod.
        if (address is null || IPAddress.IsLoopback(address)) return (StatusCodes.Status200OK, "");
        if (settings.Sources.Count > 0)
        {
            return settings.Sources.Any(range => range.Contains(address)) ? (StatusCodes.Status200OK, "")
                : (StatusCodes.Status403Forbidden, $"reviews are taken from API servers, and {address} is not within ISTHMUS_WEBHOOK_SOURCES");
        }
        return podAt(address) is { } pod
            ? (StatusCodes.Status403Forbidden,
                $"reviews are taken from API servers, and {address} is Pod {pod}: if API servers call through it, name its addresses in "
                    + $"ISTHMUS_WEBHOOK_SOURCES")
            : (StatusCodes.Status200OK, "");
    }

    private Task BusyAsync(HttpContext http, string full, string variable)
    {
        var why =
            $"too many reviews of {full} at once: try again, or raise {variable}{(full.StartsWith("address ", StringComparison.Ordinal) ? "_PER_SOURCE" : "")} "
                + $"of the control plane";
        Refused(http, "busy", why);
        http.Response.Headers.RetryAfter = "1";
        return AdmissionReview.RefuseAsync(http, StatusCodes.Status429TooManyRequests, why);
    }

    /// <summary>A body that does not arrive must not hold room for ever.</summary>
    private async Task WithinAsync(HttpContext http, Func<Task> answer)
    {
        var aborted = http.RequestAborted;
        using var patience = new CancellationTokenSource(settings.Longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, aborted);
        http.RequestAborted = either.Token;
        try
        {
            await answer();
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested && !aborted.IsCancellationRequested)
        {
            http.RequestAborted = aborted;
            Refused(http, "busy", "the body does not arrive");
            if (!http.Response.HasStarted) await AdmissionReview.RefuseAsync(http, StatusCodes.Status408RequestTimeout, "the body does not arrive");
        }
        finally
        {
            http.RequestAborted = aborted;
        }
    }

    private static IPAddress? AddressOf(HttpContext http) =>
        http.Connection.RemoteIpAddress is { IsIPv4MappedToIPv6: true } mapped ? mapped.MapToIPv4() : http.Connection.RemoteIpAddress;

    [LoggerMessage(Level = LogLevel.Warning, Message = "A review from {Peer} to {Path} is refused: {Why}{More}")]
    private partial void LogRefused(string peer, string path, string why, string more);
}
