using System.Threading.Channels;

namespace Isthmus.ControlPlane.Push;

/// <summary>Work that changes make necessary: it runs at once, and for changes that follow quickly, after a pause.</summary>
/// <param name="pause">Null: a second.</param>
internal sealed class Rounds(TimeProvider time, TimeSpan? pause = null)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1), Retry = TimeSpan.FromSeconds(5);

    private readonly Channel<bool> _due = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Something has changed. From any thread.</summary>
    public void Tell() => _due.Writer.TryWrite(true);

    /// <summary>Runs a first round, and another after changes.</summary>
    /// <param name="round">Whether all of it worked; otherwise, it runs again a little later.</param>
    /// <param name="stop">Ends it, and the running round.</param>
    public async Task RunAsync(Func<CancellationToken, Task<bool>> round, CancellationToken stop)
    {
        Tell();
        while (await _due.Reader.WaitToReadAsync(stop).ConfigureAwait(false))
        {
            // Before the round: what changes meanwhile needs another one.
            _due.Reader.TryRead(out _);
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
