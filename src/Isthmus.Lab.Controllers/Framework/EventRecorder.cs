using System.Text.Json.Nodes;
using System.Threading.Channels;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Controllers.Framework;

/// <summary>Writes Events in the background, in order. A repeated Event increments the count of the existing one (as
/// client-go's recorder does).</summary>
internal sealed class EventRecorder(KubeClient client, TimeProvider time, Action<string> log)
{
    private const int MaxKnown = 4096;

    private readonly Channel<(string Component, Note Note, DateTimeOffset At)> _waiting =
        Channel.CreateBounded<(string, Note,
            DateTimeOffset)>(new BoundedChannelOptions(1000) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });

    private readonly Dictionary<(string Uid, string Type, string Reason, string Message), (string Name, int Count)> _known = [];

    internal void Add(string component, Note note) => _waiting.Writer.TryWrite((component, note, time.GetUtcNow()));

    internal async Task RunAsync(CancellationToken stop)
    {
        try
        {
            await foreach (var (component, note, at) in _waiting.Reader.ReadAllAsync(stop)) await WriteAsync(component, note, at, stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    private async Task WriteAsync(string component, Note note, DateTimeOffset at, CancellationToken stop)
    {
        var key = (note.About.Metadata.Uid, note.Type, note.Reason, note.Message);
        var made = Build(component, note, at);
        var ns = (string)made["metadata"]!["namespace"]!;
        try
        {
            if (_known.TryGetValue(key, out var known) && await CountUpAsync(ns, known, note, at, stop))
            {
                _known[key] = (known.Name, known.Count + 1);
                return;
            }
            await client.CreateAsync(Kinds.Event, ns, made, stop);
            if (_known.Count >= MaxKnown) _known.Clear();
            _known[key] = ((string)made["metadata"]!["name"]!, 1);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            // A namespace that is being deleted accepts no Events, and a lost Event must not stop the next one.
            if (e is not KubeException { Code: 403 or 404 }) log($"event {note.Reason} about {note.About.Key} is lost: {e.Message}");
        }
    }

    private async Task<bool> CountUpAsync(string ns, (string Name, int Count) known, Note note, DateTimeOffset at, CancellationToken stop)
    {
        try
        {
            var patch = note.Action.Length > 0
                ? new JsonObject { ["series"] = new JsonObject { ["count"] = known.Count + 1, ["lastObservedTime"] = ApiTime.Micros(at) } }
                : new JsonObject { ["count"] = known.Count + 1, ["lastTimestamp"] = ApiTime.Seconds(at) };
            await client.PatchAsync(Kinds.Event, ns, known.Name, patch, PatchType.Merge, stop);
            return true;
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return false;
        }
    }

    internal static JsonObject Build(string component, Note note, DateTimeOffset now) =>
        new EventReport(note.Kind, note.About.Metadata, note.Type, note.Reason, note.Message, component) { Action = note.Action }
            .ToJson(EventNames.Of(note.About.Metadata.Name, now), now);
}
