namespace Isthmus.Proxy.Agent;

/// <summary>One path of the application that was asked for metrics.</summary>
/// <param name="asked">The answer, when its head is there.</param>
/// <param name="limit">Ends the call.</param>
/// <param name="patience">How long the application may take between two pieces.</param>
internal sealed class AppScrape(Task<HttpResponseMessage> asked, CancellationTokenSource limit, TimeSpan patience) : IDisposable
{
    /// <summary>No line is longer.</summary>
    private const int PieceBytes = 256 * 1024;

    /// <summary>What one path may add to a scrape, as in Istio.</summary>
    public const int MostBytes = 10 * 1024 * 1024;

    private static readonly Piece Failed = new(0, false);

    private readonly record struct Piece(int Count, bool IsComplete);

    /// <summary>
    /// Copies the complete lines of the answer; nothing unless it is successful. A line that the application does not finish would spoil those
    /// before it, and one without an end those of the next path.
    /// </summary>
    /// <returns>Whether everything came.</returns>
    public async ValueTask<bool> CopyLinesAsync(Func<ReadOnlyMemory<byte>, ValueTask> send, CancellationToken stop)
    {
        if (await BodyAsync(stop).ConfigureAwait(false) is not { } body) return false;
        var buffer = new byte[PieceBytes];
        for (int used = 0, left = MostBytes; used < buffer.Length;)
        {
            // The time of the application, not of the one who scrapes.
            limit.CancelAfter(patience);
            var read = await ReadAsync(body, buffer.AsMemory(used), stop).ConfigureAwait(false);
            if (read.Count == 0)
            {
                if (!read.IsComplete) return false;
                if (used > 0) buffer[used++] = (byte)'\n';
                await send(buffer.AsMemory(0, used)).ConfigureAwait(false);
                return true;
            }
            var lines = buffer.AsSpan(used, read.Count).LastIndexOf((byte)'\n') is >= 0 and var at ? used + at + 1 : 0;
            used += read.Count;
            if (lines == 0) continue;
            if (lines > left) return false;
            left -= lines;
            await send(buffer.AsMemory(0, lines)).ConfigureAwait(false);
            buffer.AsSpan(lines, used - lines).CopyTo(buffer);
            used -= lines;
        }
        return false;
    }

    public void Dispose()
    {
        limit.Cancel();
        // The answer may still be on its way.
        _ = asked.ContinueWith(
            static (answer, limit) =>
            {
                if (answer.IsCompletedSuccessfully) answer.Result.Dispose();
                _ = answer.Exception;
                ((CancellationTokenSource)limit!).Dispose();
            }, limit, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    private async ValueTask<Stream?> BodyAsync(CancellationToken stop)
    {
        try
        {
            var response = await asked.ConfigureAwait(false);
            return response.IsSuccessStatusCode ? await response.Content.ReadAsStreamAsync(limit.Token).ConfigureAwait(false) : null;
        }
        catch (Exception e) when (IsOfApplication(e, stop))
        {
            return null;
        }
    }

    private async ValueTask<Piece> ReadAsync(Stream body, Memory<byte> into, CancellationToken stop)
    {
        try
        {
            return new(await body.ReadAsync(into, limit.Token).ConfigureAwait(false), true);
        }
        catch (Exception e) when (IsOfApplication(e, stop))
        {
            return Failed;
        }
    }

    private static bool IsOfApplication(Exception e, CancellationToken stop) =>
        e is HttpRequestException or IOException or OperationCanceledException && !stop.IsCancellationRequested;
}
