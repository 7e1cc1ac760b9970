using Isthmus.Core.Time;
using Xunit;

namespace Isthmus.Tests.Libraries.Time;

public sealed class BackoffTests
{
    [Fact]
    public void Waits_double_up_to_the_cap_with_a_random_part_and_begin_anew_after_a_success()
    {
        var (first, longest) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10));
        var backoff = new Backoff(first, longest, new Random(1));
        for (var round = 0; round < 2; round++)
        {
            foreach (var step in (int[])[1, 2, 4, 8, 10, 10]) Assert.InRange(backoff.Next(), TimeSpan.FromSeconds(step) / 2, TimeSpan.FromSeconds(step));
            backoff.Reset();
        }
    }

    [Fact]
    public void Clients_that_failed_together_do_not_come_back_together()
    {
        var random = new Random(1);
        Assert.True(Enumerable.Range(0, 20).Select(_ => new Backoff(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), random).Next()).Distinct().Count() > 10);
    }
}
