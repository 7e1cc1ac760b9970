namespace Isthmus.Output;

/// <summary>Ctrl-C: says what remains of unfinished work, and how to continue.</summary>
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
