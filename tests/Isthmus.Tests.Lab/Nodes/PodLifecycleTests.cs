using Isthmus.Lab.Nodes.Pods;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class PodLifecycleTests
{
    [Theory]
    [InlineData("New Run -", "Adopt")]
    [InlineData("New Discard running", "Adopt")]
    [InlineData("Running Run -", "Run")]
    [InlineData("Running Run running", "Run")]
    [InlineData("Running Fail running", "Leave")]
    [InlineData("Running Remove running", "Leave")]
    [InlineData("Running Discard running", "Stop")]
    [InlineData("Running Remove -", "Complete")]
    [InlineData("Leaving Remove running", "Wait")]
    [InlineData("Leaving Discard running", "Stop")]
    [InlineData("Leaving Remove -", "Complete")]
    [InlineData("Stopping Fail running", "Stop")]
    [InlineData("Stopping Remove -", "Complete")]
    [InlineData("Completed Run -", "Wait")]
    [InlineData("Completed Fail -", "Wait")]
    [InlineData("Completed Remove running", "Stop")]
    [InlineData("Completed Remove -", "Remove")]
    [InlineData("Completed Discard -", "Remove")]
    [InlineData("Removed Discard -", "Wait")]
    public void Stage_goal_and_containers_decide_the_next_action(string situation, string action)
    {
        var words = situation.Split(' ');
        Assert.Equal(action, PodLifecycle.Decide(Enum.Parse<PodStage>(words[0]), Enum.Parse<PodGoal>(words[1]), words[2] == "running").ToString());
    }

    [Fact]
    public void Every_stage_of_a_deleted_Pod_leads_to_its_removal()
    {
        foreach (var first in Enum.GetValues<PodStage>().Where(stage => stage != PodStage.Removed))
        {
            var (stage, anyRunning) = (first, true);
            for (var steps = 0; stage != PodStage.Removed; steps++)
            {
                Assert.InRange(steps, 0, 10);
                (stage, anyRunning) = PodLifecycle.Decide(stage, PodGoal.Remove, anyRunning) switch
                {
                    PodAction.Adopt => (PodStage.Running, anyRunning),
                    PodAction.Leave => (PodStage.Leaving, anyRunning),
                    PodAction.Wait => (PodStage.Stopping, anyRunning),   // the endpoints have left
                    PodAction.Stop => (PodStage.Stopping, false),
                    PodAction.Complete => (PodStage.Completed, anyRunning),
                    PodAction.Remove => (PodStage.Removed, anyRunning),
                    var other => throw new InvalidOperationException($"{stage}: {other}"),
                };
            }
        }
    }
}
