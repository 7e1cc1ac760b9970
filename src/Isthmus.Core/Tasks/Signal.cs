using System.Threading.Channels;

namespace Isthmus.Core.Tasks;

/// <summary>Tells one waiter that something has changed since it last looked. However often it was told, it looks once.</summary>
public sealed class Signal
{
    private readonly Channel<bool> _told = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Something has changed. From any thread.</summary>
    public void Tell() => _told.Writer.TryWrite(true);

    /// <summary>Completes when it was told since the last call. What changes afterwards completes the next call.</summary>
    /// <exception cref="OperationCanceledException">The wait was stopped.</exception>
    public async Task NextAsync(CancellationToken stop) => await _told.Reader.ReadAsync(stop).ConfigureAwait(false);
}
