using System.Collections.Concurrent;
using System.Reflection;
using Xunit;
using Xunit.v3;

namespace Isthmus.Testing;

/// <summary>Cancels a test that runs for too long, so that it fails with the line at which it waits. Without this, a test that waits for
/// something that never happens would hold up the whole run.</summary>
[AttributeUsage(AttributeTargets.Assembly)]
public sealed class TimeLimitAttribute(int minutes) : BeforeAfterTestAttribute
{
    private readonly ConcurrentDictionary<string, Timer> _running = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public override void Before(MethodInfo methodUnderTest, IXunitTest test)
    {
        if (test.Traits.TryGetValue("runs", out var runs) && runs.Contains("soak")) return;
        var context = TestContext.Current;
        _running[test.UniqueID] = new(_ => context.CancelCurrentTest(), null, TimeSpan.FromMinutes(minutes), Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc/>
    public override void After(MethodInfo methodUnderTest, IXunitTest test)
    {
        if (_running.TryRemove(test.UniqueID, out var timer)) timer.Dispose();
    }
}
