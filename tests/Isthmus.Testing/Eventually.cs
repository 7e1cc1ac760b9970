using System.Diagnostics;
using System.Runtime.CompilerServices;
using Xunit;

namespace Isthmus.Testing;

/// <summary>Waits for what something else will make true.</summary>
public static class Eventually
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>How much earlier than asked for a timer may end: .NET reads a clock of Linux that advances once a jiffy.</summary>
    public static TimeSpan Jiffy { get; } = TimeSpan.FromMilliseconds(10);

    /// <summary>Completes when the condition holds, and fails with its text when it does not hold for too long.</summary>
    public static Task TrueAsync(Func<bool> holds,
        [CallerArgumentExpression(nameof(holds))] string condition = "") => TrueAsync(() => Task.FromResult(holds()), condition);

    /// <inheritdoc cref="TrueAsync(Func{bool}, string)"/>
    public static async Task TrueAsync(Func<Task<bool>> holds, [CallerArgumentExpression(nameof(holds))] string condition = "")
    {
        for (var begun = Stopwatch.GetTimestamp(); !await holds(); await Task.Delay(5, TestContext.Current.CancellationToken))
            Assert.True(Stopwatch.GetElapsedTime(begun) < Patience, $"does not come true: {condition}");
    }

    /// <summary>The first answer that is as wanted, and fails with what is said of the last one when none comes in time.</summary>
    public static async Task<T> AnswerAsync<T>(Func<Task<T>> ask, Func<T, bool> wanted, Func<T, string> failure, TimeSpan patience)
    {
        for (var begun = Stopwatch.GetTimestamp(); ;)
        {
            var asked = Stopwatch.GetTimestamp();
            var answer = await ask();
            if (wanted(answer)) return answer;
            Assert.True(Stopwatch.GetElapsedTime(begun) < patience, $"not within {patience.TotalSeconds} s: {failure(answer)}");
            // As long again as the question took: questions must not take the CPU from what they wait for.
            await Task.Delay(TimeSpan.FromMilliseconds(20) + Stopwatch.GetElapsedTime(asked), TestContext.Current.CancellationToken);
        }
    }

    /// <summary>The first value that is not null, and fails when none comes.</summary>
    public static async Task<T> ValueAsync<T>(Func<Task<T?>> find, [CallerArgumentExpression(nameof(find))] string what = "") where T : class
    {
        T? found = null;
        await TrueAsync(async () => (found = await find()) is not null, what);
        return found!;
    }
}
