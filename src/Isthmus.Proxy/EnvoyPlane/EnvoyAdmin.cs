using System.Globalization;
using System.Net;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>The admin interface of Envoy, on the loopback of its Pod.</summary>
internal sealed class EnvoyAdmin(IPEndPoint address) : IDisposable
{
    private const int PieceBytes = 32 * 1024;

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, UseCookies = false, ActivityHeadersPropagator = null })
    {
        BaseAddress = new($"http://{address}"), Timeout = TimeSpan.FromSeconds(5),
    };

    /// <summary>Envoy says that it serves: its first configuration is in use.</summary>
    public async ValueTask<bool> IsLiveAsync(CancellationToken stop)
    {
        try
        {
            using var response = await _http.GetAsync(new Uri("/ready", UriKind.Relative), stop).ConfigureAwait(false);
            return response.StatusCode == HttpStatusCode.OK;
        }
        catch (Exception e) when (IsFailure(e, stop))
        {
            return false;
        }
    }

    /// <summary>How many connections of clients are open, those to the admin interface apart; null: Envoy does not answer.</summary>
    public async ValueTask<long?> ConnectionsAsync(CancellationToken stop)
    {
        try
        {
            var text = await _http.GetStringAsync(new Uri("/stats?filter=^listener%5C..*%5C.downstream_cx_active$", UriKind.Relative), stop)
                .ConfigureAwait(false);
            return text.Split('\n').Where(line => !line.StartsWith("listener.admin.", StringComparison.Ordinal))
                .Sum(line => long.TryParse(line.AsSpan(line.LastIndexOf(' ') + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var open) ? open : 0);
        }
        catch (Exception e) when (IsFailure(e, stop))
        {
            return null;
        }
    }

    /// <returns>Whether Envoy did it.</returns>
    public async ValueTask<bool> PostAsync(string path, CancellationToken stop)
    {
        try
        {
            using var response = await _http.PostAsync(new Uri(path, UriKind.Relative), null, stop).ConfigureAwait(false);
            return response.IsSuccessStatusCode;
        }
        catch (Exception e) when (IsFailure(e, stop))
        {
            return false;
        }
    }

    /// <summary>Envoy's metrics in Prometheus' text form; nothing while it does not answer.</summary>
    public async ValueTask CopyMetricsAsync(Func<ReadOnlyMemory<byte>, ValueTask> send, CancellationToken stop)
    {
        try
        {
            using var response = await _http.GetAsync(new Uri("/stats/prometheus", UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, stop)
                .ConfigureAwait(false);
            if (!response.IsSuccessStatusCode) return;
            var body = await response.Content.ReadAsStreamAsync(stop).ConfigureAwait(false);
            var piece = new byte[PieceBytes];
            while (await body.ReadAsync(piece, stop).ConfigureAwait(false) is > 0 and var count) await send(piece.AsMemory(0, count)).ConfigureAwait(false);
        }
        catch (Exception e) when (IsFailure(e, stop))
        {
            // The parts of agent and application follow.
        }
    }

    public void Dispose() => _http.Dispose();

    private static bool IsFailure(Exception e, CancellationToken stop) =>
        e is HttpRequestException or IOException || (e is OperationCanceledException && !stop.IsCancellationRequested);
}
