namespace Isthmus.Core.Tasks;

/// <summary>Work that belongs together: if one part ends, the others are stopped, and its error is thrown.</summary>
public static class Together
{
    public static async Task RunAsync(CancellationToken stop, params Func<CancellationToken, Task>[] parts)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var running = parts.Select(part => part(ended.Token)).ToList();
        await Task.WhenAny(running).ConfigureAwait(false);
        await ended.CancelAsync().ConfigureAwait(false);
        // What failed says why the others were cancelled.
        await Task.WhenAll(running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var part in running.Where(part => part.IsFaulted)) await part.ConfigureAwait(false);
    }
}
