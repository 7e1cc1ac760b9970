using Isthmus.Output;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Commands;

public sealed class StepDisplayTests
{
    private const int Columns = 80;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(10)]
    public void Nothing_above_is_lost_and_each_finished_step_has_a_line(int steps)
    {
        var screen = new TerminalScreen(Columns);
        screen.Write("MARK1\nMARK2\n");
        Run(screen, "lab", steps);
        Run(screen, "mesh", steps);
        screen.Write("after\n");
        Assert.Equal(["MARK1", "MARK2", .. Finished("lab", steps), .. Finished("mesh", steps), "after", ""], screen.Lines);
    }

    [Fact]
    public void Steps_under_way_stand_in_one_line_below_those_that_are_finished()
    {
        var screen = new TerminalScreen(Columns);
        using var output = new StringWriter();
        var progress = new StepDisplay(output, "lab", () => Columns);
        progress.Show(new("cluster1", "API server ready", 0, false));
        progress.Show(new("cluster2", "API server ready", 0, false));
        progress.Show(new("cluster1", "API server ready", 1230, true));
        screen.Write(output.ToString());
        Assert.Equal(["✔ cluster1     API server ready                   1.23 s", "… cluster2 API server ready"], screen.Lines);
    }

    /// <summary>If the terminal wrapped a line, only half of it could be erased.</summary>
    [Theory]
    [InlineData(20)]
    [InlineData(2)]
    [InlineData(1)]
    public void Steps_under_way_never_fill_more_than_one_line(int columns)
    {
        var screen = new TerminalScreen(columns);
        using var output = new StringWriter();
        var progress = new StepDisplay(output, "lab", () => columns);
        for (var cluster = 1; cluster <= 9; cluster++) progress.Show(new($"cluster{cluster}", "control plane", 0, false));
        progress.End();
        screen.Write(output.ToString());
        Assert.Equal([""], screen.Lines);
    }

    [Fact]
    public void What_was_interrupted_leaves_no_line_half_written()
    {
        var screen = new TerminalScreen(Columns);
        using var output = new StringWriter();
        var progress = new StepDisplay(output, "lab", () => Columns);
        progress.Show(new("cluster1", "control plane", 0, false));
        screen.Write(output.ToString() + "^C");
        output.GetStringBuilder().Clear();
        progress.End();
        screen.Write(output + "Interrupted.\n");
        Assert.Equal(["Interrupted.", ""], screen.Lines);
    }

    [Fact]
    public void A_pipe_gets_finished_steps_and_no_escapes()
    {
        using var output = new StringWriter();
        var progress = new StepDisplay(output, "lab", width: null);
        progress.Show(new("", "machine checked", 0, false));
        progress.Show(new("", "machine checked", 40, true));
        progress.Show(new("cluster1", "node ready", 0, false));
        progress.End();
        Assert.Equal("lab          machine checked                    0.04 s\n", output.ToString());
    }

    private static void Run(TerminalScreen screen, string whole, int steps)
    {
        using var output = new StringWriter();
        var progress = new StepDisplay(output, whole, () => Columns);
        for (var step = 0; step < steps; step++) progress.Show(new("", $"a step with a long text {step}", 0, false));
        for (var step = 0; step < steps; step++) progress.Show(new("", $"a step with a long text {step}", 10, true));
        progress.End();
        screen.Write(output.ToString());
    }

    private static IEnumerable<string> Finished(string whole, int steps) =>
        Enumerable.Range(0, steps).Select(step => $"✔ {whole,-12} {$"a step with a long text {step}",-34} 0.01 s");
}
