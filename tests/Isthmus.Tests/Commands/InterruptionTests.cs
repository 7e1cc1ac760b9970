using Isthmus.Output;
using Xunit;

namespace Isthmus.Tests.Commands;

public sealed class InterruptionTests
{
    [Fact]
    public async Task Who_interrupts_is_told_what_stays()
    {
        using var stop = new CancellationTokenSource();
        using var error = new StringWriter();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Interruption.TellAsync<int>(async () =>
        {
            await stop.CancelAsync();
            stop.Token.ThrowIfCancellationRequested();
            return 0;
        }, () => "What was made stays.", error, stop.Token));
        Assert.Equal("What was made stays.\n", error.ToString());
    }

    [Fact]
    public async Task Work_that_ends_or_gives_up_by_itself_tells_nothing()
    {
        using var error = new StringWriter();
        Assert.Equal(3, await Interruption.TellAsync(() => Task.FromResult(3), () => "stays", error, CancellationToken.None));
        await Assert.ThrowsAsync<OperationCanceledException>(() => Interruption.TellAsync<int>(() => throw new OperationCanceledException(), () => "stays",
            error, CancellationToken.None));
        Assert.Empty(error.ToString());
    }
}
