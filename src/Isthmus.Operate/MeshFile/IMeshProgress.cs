namespace Isthmus.Operate.MeshFile;

/// <summary>Receives the progress of each cluster, so that a terminal can show it. Calls never overlap.</summary>
public interface IMeshProgress
{
    /// <param name="cluster">Empty for the mesh as a whole.</param>
    void Started(string cluster, string step);

    void Finished(string cluster, string step, TimeSpan took);

    void Note(string cluster, string text);
}

/// <summary>Measures steps and reports them, one at a time.</summary>
internal sealed class StepLog(IMeshProgress progress, TimeProvider time)
{
    // Steps of several clusters can end at the same moment. The lock spares implementations from handling that.
    private readonly Lock _one = new();

    internal async Task RunAsync(string cluster, string step, Func<Task> work)
    {
        var begun = time.GetTimestamp();
        lock (_one) progress.Started(cluster, step);
        await work();
        lock (_one) progress.Finished(cluster, step, time.GetElapsedTime(begun));
    }

    internal void Note(string cluster, string text)
    {
        lock (_one) progress.Note(cluster, text);
    }
}
