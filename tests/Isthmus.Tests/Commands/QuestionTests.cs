using Isthmus.Output;
using Xunit;

namespace Isthmus.Tests.Commands;

public sealed class QuestionTests
{
    [Theory]
    [InlineData("y\n", true)]
    [InlineData(" Yes \n", true)]
    [InlineData("no\n", false)]
    [InlineData("", false)]
    public async Task Anything_but_yes_is_no(string typed, bool answer)
    {
        using var input = new StringReader(typed);
        using var output = new StringWriter();
        Assert.Equal(answer, await Question.AskAsync("Proceed?", input, isSilent: true, output, CancellationToken.None));
        Assert.Equal("Proceed? (y/N) \n", output.ToString());
    }

    [Fact]
    public async Task Who_does_not_answer_can_interrupt()
    {
        using var stop = new CancellationTokenSource();
        using var input = new Silence();
        using var output = new StringWriter();
        var asked = Question.AskAsync("Proceed?", input, isSilent: false, output, stop.Token);
        await input.Waiting;
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked.WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None));
        Assert.Equal("Proceed? (y/N) \n", output.ToString());
    }

    /// <summary>A console without input.</summary>
    private sealed class Silence : TextReader
    {
        private readonly TaskCompletionSource _waiting = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly ManualResetEventSlim _typed = new();

        internal Task Waiting => _waiting.Task;

        public override string? ReadLine()
        {
            _waiting.SetResult();
            _typed.Wait();
            return null;
        }

        protected override void Dispose(bool disposing)
        {
            _typed.Set();
            base.Dispose(disposing);
        }
    }
}
