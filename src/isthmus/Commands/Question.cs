namespace Isthmus.Commands;

/// <summary>A yes-or-no question. Anything but yes, the end of input included, is no.</summary>
internal static class Question
{
    internal static async Task<bool> AskAsync(string text, CancellationToken stop)
    {
        await Console.Out.WriteAsync($"{text} (y/N) ");
        await Console.Out.FlushAsync(stop);
        var answer = await Console.In.ReadLineAsync(stop);
        if (Console.IsInputRedirected) await Console.Out.WriteLineAsync();
        return answer?.Trim().ToUpperInvariant() is "Y" or "YES";
    }
}
