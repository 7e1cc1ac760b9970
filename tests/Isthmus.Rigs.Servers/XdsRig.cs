using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Xds;

namespace Isthmus.Rigs.Servers;

internal static class XdsRig
{
    public static XdsResource Resource(string type, string name, string version) =>
        new(name, version, new Any { TypeUrl = type, Value = ByteString.CopyFromUtf8($"{name}@{version}") });

    public static XdsSnapshot Snapshot(string version, params (string Type, string Name, string Version)[] resources) =>
        new(version, resources.GroupBy(r => r.Type).ToDictionary(
            g => g.Key, IXdsResources (g) => new XdsResourceMap(g.Select(r => Resource(r.Type, r.Name, r.Version)))));

    public static string Text(this XdsResource resource) => resource.Body.Value.ToStringUtf8();
}

/// <summary>Requests the endpoints of every cluster that it has, and rejects resources named "bad".</summary>
internal sealed class ModelSink : IXdsSink
{
    public Dictionary<(string Type, string Name), string> Held { get; } = [];
    public List<XdsBatch> Batches { get; } = [];

    public XdsVerdict Apply(XdsBatch batch)
    {
        Batches.Add(batch);
        var bad = batch.Changed.Where(r => r.Version == "bad").ToArray();
        foreach (var resource in batch.Changed.Except(bad)) Held[(batch.TypeUrl, resource.Name)] = resource.Text();
        foreach (var name in batch.Removed) Held.Remove((batch.TypeUrl, name));
        var clusters = Held.Keys.Where(k => k.Type == TypeUrls.Cluster).Select(k => k.Name).ToHashSet();
        foreach (var left in Held.Keys.Where(k => k.Type == TypeUrls.Endpoints && !clusters.Contains(k.Name)).ToArray()) Held.Remove(left);
        return new(
            [.. bad.Select(r => new XdsRejection(r.Name, "is bad"))],
            new Dictionary<string, IReadOnlySet<string>> { [TypeUrls.Endpoints] = clusters });
    }
}

/// <summary>A delta client and a delta server, connected by two queues instead of a network.</summary>
internal sealed class DeltaPair
{
    private readonly Queue<DeltaDiscoveryRequest> _up = new();
    private readonly Queue<DeltaDiscoveryResponse> _down = new();
    private XdsSnapshot _snapshot = XdsSnapshot.Empty;
    private DeltaStream _server;
    private int _streams;

    public DeltaPair(params string[] wildcards)
    {
        Client = new(new Node { Id = "n" }, wildcards, Sink, TimeProvider.System);
        _server = Reconnect();
    }

    public ModelSink Sink { get; } = new();
    public DeltaClient Client { get; }
    public List<XdsEvent> Events { get; } = [];

    public DeltaStream Reconnect()
    {
        _up.Clear();
        _down.Clear();
        _server = new($"s{++_streams}", Events.Add);
        foreach (var response in _server.Update(_snapshot)) _down.Enqueue(response);
        foreach (var request in Client.Open()) _up.Enqueue(request.Clone());
        return _server;
    }

    public void Publish(XdsSnapshot snapshot)
    {
        _snapshot = snapshot;
        foreach (var response in _server.Update(snapshot)) _down.Enqueue(response);
    }

    /// <summary>Delivers one message in either direction; false when none is in flight.</summary>
    public bool Step(bool up)
    {
        if (up ? _up.Count == 0 : _down.Count == 0) up = !up;
        if (up && _up.TryDequeue(out var request))
        {
            foreach (var answer in _server.Receive(request)) _down.Enqueue(answer);
            return true;
        }
        if (!up && _down.TryDequeue(out var response))
        {
            foreach (var answer in Client.Receive(response)) _up.Enqueue(answer);
            return true;
        }
        return false;
    }

    public void Drain()
    {
        do
        {
            while (Step(up: true)) { }
            if (!Client.IsUnsettled) return;
            foreach (var request in Client.Settle()) _up.Enqueue(request);
        }
        while (true);
    }
}
