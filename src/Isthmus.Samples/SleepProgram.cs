using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Core.Time;

namespace Isthmus.Samples;

/// <summary>Does nothing for the given time (<c>infinity</c>, or a number with <c>s</c>, <c>m</c>, <c>h</c> or <c>d</c>),
/// for root file systems without a sleep command.</summary>
public static class SleepProgram
{
    internal static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var total = TimeSpan.Zero;
        var endless = args.Length == 0;
        foreach (var word in args)
        {
            if (word is "infinity" or "inf") endless = true;
            else total += Parse(word) ?? throw new ProblemException("sleep", $"'{word}' is not a time", "give 'infinity' or a number with s, m, h or d");
        }
        try
        {
            await TimeProvider.System.DelayInFullAsync(endless ? TimeSpan.MaxValue : total, stop).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return 143;
        }
        return 0;
    }

    /// <summary>Parses one duration as sleep(1) does; null when invalid.</summary>
    public static TimeSpan? Parse(string word)
    {
        var unit = word.Length > 0 ? word[^1] : ' ';
        var factor = unit switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86400, _ => 0 };
        var number = factor == 0 ? word : word[..^1];
        if (!double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds)) return null;
        seconds *= factor == 0 ? 1 : factor;
        return seconds < TimeSpan.MaxValue.TotalSeconds ? TimeSpan.FromSeconds(seconds) : null;
    }
}
