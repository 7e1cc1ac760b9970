namespace Isthmus.Output;

/// <summary>A yes-or-no question. Anything but yes, the end of input included, is no.</summary>
internal static class Question
{
    /// <summary>Asks, and says so when the command ends here.</summary>
    internal static async Task<bool> ConfirmAsync(string text, CancellationToken stop)
    {
        if (await AskAsync(text, stop)) return true;
        Console.WriteLine("Cancelled.");
        return false;
    }

    internal static Task<bool> AskAsync(string text, CancellationToken stop) => AskAsync(text, Terminal.Input, Console.IsInputRedirected, Console.Out, stop);

    /// <param name="isSilent">The input is not a terminal, so no one ends the line by typing.</param>
    internal static async Task<bool> AskAsync(string text, TextReader input, bool isSilent, TextWriter output, CancellationToken stop)
    {
        await output.WriteAsync($"{text} (y/N) ");
        await output.FlushAsync(stop);
        string? answer;
        try
        {
            // The console's reader checks the token only before it waits.
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
