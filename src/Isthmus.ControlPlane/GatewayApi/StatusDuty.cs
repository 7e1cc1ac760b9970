using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Settings;
using Isthmus.Core.Tasks;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>Keeps the statuses of Gateways, ListenerSets, routes and policies as the mesh says they are.</summary>
internal sealed class StatusDuty(ServedKinds served, ApiStatusWriter writer, PushEngine engine, TimeProvider time)
{
    private static readonly TimeSpan Readiness = TimeSpan.FromMilliseconds(200);

    private static readonly IReadOnlyDictionary<string, KindDescriptor> Kinds =
        MeshApi.All.Where(kind => kind.IsOfGatewayApi).ToDictionary(kind => kind.Name, StringComparer.Ordinal);

    private readonly Signal _due = new();
    private readonly StatusQueue _queue = new();
    private volatile bool _forget;

    /// <summary>Compares all statuses with the objects once more. From any thread.</summary>
    public void Again()
    {
        _forget = true;
        _due.Tell();
    }

    public async Task RunAsync(CancellationToken stop)
    {
        // Before all is known, Services and routes seem to be missing.
        while (!engine.IsReady) await Task.Delay(Readiness, time, stop).ConfigureAwait(false);
        var feed = await BeginAsync(stop).ConfigureAwait(false);
        try
        {
            while (true)
            {
                await WaitAsync(stop).ConfigureAwait(false);
                if (_forget)
                {
                    _forget = false;
                    _queue.Forget();
                    await EndAsync(feed).ConfigureAwait(false);
                    feed = await BeginAsync(stop).ConfigureAwait(false);
                }
                foreach (var (source, changed) in feed.Changes())
                {
                    if (changed.Status is null || changed.WasGone) _queue.Remove(source);
                    if (changed.Status is { } status) _queue.Put(status, changed.First, changed.Last);
                }
                foreach (var group in _queue.Take(time.GetUtcNow()).GroupBy(status => status.Source.Kind))
                    await WriteAsync(Kinds[group.Key], [.. group], stop).ConfigureAwait(false);
            }
        }
        finally
        {
            await EndAsync(feed).ConfigureAwait(false);
        }
    }

    private async Task WriteAsync(KindDescriptor kind, IReadOnlyList<ApiStatus> statuses, CancellationToken stop)
    {
        var (version, _) = await served.FindAsync(kind.Resource, kind.Versions, stop).ConfigureAwait(false);
        // Objects may be known before their definition is: whoever watches the one need not know the other yet.
        IReadOnlyCollection<ApiStatus> failed = version is null ? statuses
            : await writer.WriteAsync(kind.In(version), statuses, engine.Mesh.ApiStatuses.Count, stop).ConfigureAwait(false);
        foreach (var status in failed) _queue.Return(status, time.GetUtcNow());
    }

    /// <summary>Until something changes, or something that waits is due.</summary>
    private async Task WaitAsync(CancellationToken stop)
    {
        if (_queue.Next is not { } next)
        {
            await _due.NextAsync(stop).ConfigureAwait(false);
            return;
        }
        var pause = next - time.GetUtcNow();
        if (pause <= TimeSpan.Zero) return;
        using var limit = new CancellationTokenSource(pause, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, limit.Token);
        try
        {
            await _due.NextAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
        }
    }

    private Task<StatusFeed> BeginAsync(CancellationToken stop) =>
        engine.AskAsync(writer => new StatusFeed(writer.Mesh.Graph, writer.Mesh.ApiStatuses, _due, time), stop);

    /// <summary>The writer's thread may have ended already; then nobody is told any more.</summary>
    private async Task EndAsync(StatusFeed feed)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1), time);
        try
        {
            await engine.AskAsync(_ => { feed.End(); return true; }, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
        }
    }
}
