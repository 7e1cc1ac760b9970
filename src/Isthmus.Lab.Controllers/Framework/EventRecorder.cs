using System.Globalization;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Controllers.Framework;

/// <summary>Writes Events beside the work, in order, and counts repetitions up instead of writing them again (as client-go's recorder does).</summary>
internal sealed class EventRecorder(KubeClient client, TimeProvider time, Action<string> log)
{
    private const int MaxKnown = 4096;

    private readonly Channel<(string Component, Note Note, DateTimeOffset At)> _waiting =
        Channel.CreateBounded<(string, Note, DateTimeOffset)>(new BoundedChannelOptions(1000) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });

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
        var ns = note.About.Metadata.Namespace.Length > 0 ? note.About.Metadata.Namespace : "default";
        try
        {
            if (_known.TryGetValue(key, out var known) && await CountUpAsync(ns, known, note, at, stop))
            {
                _known[key] = (known.Name, known.Count + 1);
                return;
            }
            var made = Build(component, note, ns, at);
            await client.CreateAsync(Kinds.Event, ns, made, stop);
            if (_known.Count >= MaxKnown) _known.Clear();
            _known[key] = ((string)made["metadata"]!["name"]!, 1);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException)
        {
            // A namespace that is being deleted takes no events, and a lost event must not stop the next one.
            if (e is not KubeException { Code: 403 or 404 }) log($"event {note.Reason} about {note.About.Key} is lost: {e.Message}");
        }
    }

    private async Task<bool> CountUpAsync(string ns, (string Name, int Count) known, Note note, DateTimeOffset at, CancellationToken stop)
    {
        try
        {
            var patch = note.Action.Length > 0
                ? new JsonObject { ["series"] = new JsonObject { ["count"] = known.Count + 1, ["lastObservedTime"] = Micros(at) } }
                : new JsonObject { ["count"] = known.Count + 1, ["lastTimestamp"] = Tree.Time(at) };
            await client.PatchAsync(Kinds.Event, ns, known.Name, patch, PatchType.Merge, stop);
            return true;
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return false;
        }
    }

    internal static JsonObject Build(string component, Note note, string ns, DateTimeOffset now)
    {
        var about = new JsonObject { ["kind"] = note.Kind.Kind };
        if (note.About.Metadata.Namespace.Length > 0) about["namespace"] = note.About.Metadata.Namespace;
        (about["name"], about["uid"], about["apiVersion"]) = (note.About.Metadata.Name, note.About.Metadata.Uid, note.Kind.ApiVersion);
        about["resourceVersion"] = note.About.Metadata.ResourceVersion;
        var json = new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Event",
            ["metadata"] = new JsonObject { ["name"] = EventNames.Of(note.About.Metadata.Name, now), ["namespace"] = ns },
            ["involvedObject"] = about, ["reason"] = note.Reason, ["message"] = note.Message, ["type"] = note.Type,
        };
        if (note.Action.Length > 0)
        {
            (json["eventTime"], json["action"]) = (Micros(now), note.Action);
        }
        else
        {
            json["source"] = new JsonObject { ["component"] = component };
            (json["firstTimestamp"], json["lastTimestamp"], json["count"]) = (Tree.Time(now), Tree.Time(now), 1);
        }
        (json["reportingComponent"], json["reportingInstance"]) = (component, note.Action.Length > 0 ? component : "");
        return json;
    }

    private static string Micros(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);
}
