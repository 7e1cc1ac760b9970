namespace Isthmus.Output;

/// <summary>A yes-or-no question. Anything but yes, the end of input included, is no.</summary>
internal static class Question
{
    internal static Task<bool> AskAsync(string text, CancellationToken stop) => AskAsync(text, Console.In, Console.IsInputRedirected, Console.Out, stop);

    /// <param name="isSilent">Nobody types the end of the line.</param>
    internal static async Task<bool> AskAsync(string text, TextReader input, bool isSilent, TextWriter output, CancellationToken stop)
    {
        await output.WriteAsync($"{text} (y/N) ");
        await output.FlushAsync(stop);
        string? answer;
        try
        {
            // The console's reader looks at the token before it waits, and never again.
            answer = await Task.Run(input.ReadLine, stop).WaitAsync(stop);
        }
        catch (OperationCanceledException)
        {
            await output.WriteLineAsync();
            throw;
        }
        if (isSilent) await output.WriteLineAsync();
        return answer?.Trim().ToUpperInvariant() is "Y" or "YES";
    }
}
