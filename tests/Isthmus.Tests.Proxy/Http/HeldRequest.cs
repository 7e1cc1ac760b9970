using Isthmus.Proxy.Messages;

namespace Isthmus.Tests.Proxy.Http;

/// <summary>Keeps a request open until its client leaves or its stream ends.</summary>
internal sealed class HeldRequest : IWaiting
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal static Task UntilEndAsync(DownstreamStream stream)
    {
        var held = new HeldRequest();
        stream.Waiting = held;
        return held._ended.Task;
    }

    public void OnSuspected(UpstreamStream of)
    {
    }

    public void OnClientLeft() => _ended.TrySetResult();

    public void OnSecond()
    {
    }
}
