using System.Globalization;
using Isthmus.Core.Names;

namespace Isthmus.Output;

/// <summary>One step of a command, done or awaited.</summary>
/// <param name="Cluster">Empty for the command as a whole.</param>
/// <param name="Milliseconds">How long it took; 0 while <paramref name="IsDone"/> is false.</param>
internal sealed record Step(string Cluster, string Text, double Milliseconds, bool IsDone);

/// <summary>Shows what a command is doing: one line for each finished step and, on a terminal, a last one for those under way, the only one that is
/// rewritten.</summary>
/// <param name="whole">What is shown for steps that belong to no cluster.</param>
/// <param name="width">Columns of the terminal; null if the output is not a terminal.</param>
internal sealed class StepDisplay(TextWriter output, string whole, Func<int>? width)
{
    private const string Cut = "…";
    private readonly List<Step> _underWay = [];

    internal static async Task RunAsync(Func<Action<Step>, Task> work, string whole)
    {
        var progress = new StepDisplay(Terminal.Painted, whole, Terminal.CanErase ? () => Terminal.Width : null);
        try
        {
            await work(progress.Show);
        }
        finally
        {
            progress.End();
        }
    }

    /// <summary>Must not be called concurrently: steps of several clusters arrive one after the other.</summary>
    internal void Show(Step step)
    {
        step = step with { Cluster = Visible.Text(step.Cluster), Text = Visible.Text(step.Text) };
        _underWay.RemoveAll(other => (other.Cluster, other.Text) == (step.Cluster, step.Text));
        if (!step.IsDone) _underWay.Add(step);
        var done = step.IsDone ? $"{Place(step),-12} {step.Text,-34} {Seconds(step)}\n" : "";
        output.Write(width is null ? done : $"{Terminal.EraseLine}{(step.IsDone ? "✔ " : "")}{done}{UnderWay(width())}");
        output.Flush();
    }

    /// <summary>Leaves the finished steps, and the cursor below them.</summary>
    internal void End()
    {
        if (width is not null && _underWay.Count > 0) output.Write(Terminal.EraseLine);
        output.Flush();
    }

    /// <summary>Fits into one line: if the terminal wraps a line, only its last row can be erased.</summary>
    private string UnderWay(int columns)
    {
        if (_underWay.Count == 0) return "";
        var text = $"… {string.Join(", ", _underWay.Select(step => $"{Place(step)} {step.Text}"))}";
        return text.Length < columns ? text : text[..Math.Max(0, columns - 1 - Cut.Length)] + Cut;
    }

    private string Place(Step step) => step.Cluster.Length == 0 ? whole : step.Cluster;

    private static string Seconds(Step step) => string.Create(CultureInfo.InvariantCulture, $"{step.Milliseconds / 1000:0.00} s");
}
