using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.WebConsole.Answers;
using Isthmus.WebConsole.Reading;
using Isthmus.WebConsole.Serving;
using Isthmus.WebConsole.Traffic;

namespace Isthmus.WebConsole.Viewers;

/// <summary>A person who looks at the mesh with rights of their own: what was read for one is never shown to another.</summary>
/// <param name="User">The name that the API server knows.</param>
/// <param name="Ends">When the token ends; null when it does not say.</param>
/// <param name="Clusters">The cluster of the console, with the viewer's token, and others, each with the credentials of a remote secret.</param>
/// <param name="Notes">What the viewer cannot see, and why.</param>
internal sealed record ViewerAccess(string User, DateTimeOffset? Ends, IReadOnlyList<ClusterAccess> Clusters, IReadOnlyList<string> Notes);

/// <summary>Watches the mesh for one viewer, until it is stopped.</summary>
internal sealed class Viewer : IAsyncDisposable
{
    private readonly MeshStateReader _reader;
    private readonly MeshWatch _watch;
    private readonly EventHub _events = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Action<string> _log;
    private Task _watching = Task.CompletedTask;

    public Viewer(ViewerAccess access, string istioNamespace, PrometheusChoice prometheus, TimeProvider time, Action<string> log)
    {
        (Access, _log) = (access, log);
        _reader = new(access.Clusters, istioNamespace, time);
        _watch = new(_reader, new MeshAnalysis(access.Clusters, istioNamespace, _reader, time),
            new PrometheusTraffic(prometheus, istioNamespace, _reader.Client, time), _events, time) { Refused = _stop.Cancel };
        var answers = new PageAnswers(access.Clusters, istioNamespace, _reader, time).All(() => _watch.Mesh, () => _watch.Problems, _watch.ReadNow);
        Visit = new(_events, answers, _stop.Token);
        var told = new JsonObject
        {
            ["user"] = access.User, ["ends"] = access.Ends?.ToString("O"), ["notes"] = new JsonArray([.. access.Notes.Select(note => (JsonNode)note)])
        };
        _events.Publish(new("viewer", System.Text.Encoding.UTF8.GetBytes(told.ToJsonString())));
    }

    public ViewerAccess Access { get; }

    public Visit Visit { get; }

    /// <summary>Whether a page is open.</summary>
    public bool IsWatched => _events.HasListeners;

    /// <summary>Whether the API server no longer accepts the token, or watching failed.</summary>
    public bool HasEnded => _stop.IsCancellationRequested;

    public void Start() => _watching = WatchAsync();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        _watch.Dispose();
        _reader.Dispose();
        _stop.Dispose();
    }

    private async Task WatchAsync()
    {
        try
        {
            await _watch.RunAsync(_stop.Token);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The session ended.
        }
        catch (Exception e)
        {
            // One viewer's failure is not that of others. The session ends, and the viewer can begin another one.
            _log($"the session of {Access.User} failed: {e}");
            await _stop.CancelAsync();
        }
    }
}
