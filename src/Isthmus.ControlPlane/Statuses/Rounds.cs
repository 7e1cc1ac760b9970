using Isthmus.ControlPlane.Push;
using Isthmus.Core.Tasks;

namespace Isthmus.ControlPlane.Statuses;

/// <summary>Work that changes make necessary: it runs at once, and for changes that follow quickly, after a pause.</summary>
/// <param name="pause">Null: a second.</param>
internal sealed class Rounds(TimeProvider time, TimeSpan? pause = null)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1), Retry = TimeSpan.FromSeconds(5);

    private readonly Signal _due = new();

    /// <summary>Something has changed. From any thread.</summary>
    public void Tell() => _due.Tell();

    /// <summary>Runs a first round, and another after each commit of an engine.</summary>
    /// <inheritdoc cref="RunAsync"/>
    public async Task AfterCommitsAsync(PushEngine engine, Func<CancellationToken, Task<bool>> round, CancellationToken stop)
    {
        engine.Committed += Tell;
        try
        {
            await RunAsync(round, stop).ConfigureAwait(false);
        }
        finally
        {
            engine.Committed -= Tell;
        }
    }

    /// <summary>Runs a first round, and another after changes.</summary>
    /// <param name="round">Whether all of it worked; otherwise, it runs again a little later.</param>
    /// <param name="stop">Ends it, and the running round.</param>
    public async Task RunAsync(Func<CancellationToken, Task<bool>> round, CancellationToken stop)
    {
        Tell();
        while (true)
        {
            await _due.NextAsync(stop).ConfigureAwait(false);
            if (await round(stop).ConfigureAwait(false))
            {
                await Task.Delay(pause ?? Pause, time, stop).ConfigureAwait(false);
                continue;
            }
            await Task.Delay(Retry, time, stop).ConfigureAwait(false);
            Tell();
        }
    }
}
