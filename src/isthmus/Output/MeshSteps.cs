using Isthmus.Operate.MeshFile;

namespace Isthmus.Output;

/// <summary>Shows the steps of a mesh, and the notes at the end.</summary>
internal sealed class MeshSteps(Action<Step> onStep) : IMeshProgress
{
    private readonly List<string> _notes = [];

    internal static async Task RunAsync(Func<IMeshProgress, Task> work)
    {
        List<string> notes = [];
        await StepDisplay.RunAsync(async onStep =>
        {
            var steps = new MeshSteps(onStep);
            notes = steps._notes;
            await work(steps);
        }, whole: "mesh");
        foreach (var note in notes) Console.WriteLine($"  {note}");
    }

    public void Started(string cluster, string step) => onStep(new(cluster, step, 0, false));

    public void Finished(string cluster, string step, TimeSpan took) => onStep(new(cluster, step, took.TotalMilliseconds, true));

    public void Note(string cluster, string text) => _notes.Add(cluster.Length == 0 ? text : $"{cluster}: {text}");
}
