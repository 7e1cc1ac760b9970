namespace Isthmus.Output;

/// <summary>Ctrl-C: what stays of work that was half done, and what to do about it.</summary>
internal static class Interruption
{
    /// <param name="hint">Asked when the work was interrupted.</param>
    internal static async Task<T> TellAsync<T>(Func<Task<T>> work, Func<string> hint, TextWriter error, CancellationToken stop)
    {
        try
        {
            return await work();
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            await error.WriteLineAsync(hint());
            throw;
        }
    }
}
