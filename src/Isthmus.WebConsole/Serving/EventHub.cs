using System.Collections.Concurrent;
using System.Threading.Channels;

namespace Isthmus.WebConsole.Serving;

/// <summary>A server-sent event.</summary>
internal sealed record PageEvent(string Name, byte[] Json);

/// <summary>Passes events to the open pages. A page that opens gets the last one of each name at once.</summary>
internal sealed class EventHub
{
    private const int Waiting = 16;

    private readonly ConcurrentDictionary<string, PageEvent> _last = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<Channel<PageEvent>, byte> _listeners = new();

    /// <summary>Called when a page opens.</summary>
    public Action? Opened { get; set; }

    /// <summary>Whether any page is open. Without one, there is nothing to ask the mesh for.</summary>
    public bool HasListeners => !_listeners.IsEmpty;

    public void Publish(PageEvent one)
    {
        _last[one.Name] = one;
        foreach (var listener in _listeners.Keys) listener.Writer.TryWrite(one);
    }

    /// <summary>The events for one page, until <paramref name="stop"/>. A page that is slow misses some.</summary>
    public async IAsyncEnumerable<PageEvent> ListenAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken stop)
    {
        var channel = Channel.CreateBounded<PageEvent>(new BoundedChannelOptions(Waiting) { FullMode = BoundedChannelFullMode.DropOldest });
        foreach (var last in _last.Values) channel.Writer.TryWrite(last);
        _listeners[channel] = 0;
        try
        {
            Opened?.Invoke();
            await foreach (var one in channel.Reader.ReadAllAsync(stop)) yield return one;
        }
        finally
        {
            _listeners.TryRemove(channel, out _);
        }
    }
}
