using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Graph.Intake;
using Isthmus.Graph.Settings;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Kubernetes.Yaml;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Webhooks;

/// <summary>Owns the injector's values and follows the ConfigMaps of mesh and injector. If a version cannot be read, the
/// previous one stays in effect.</summary>
public sealed partial class InjectorState(KubeClient client, DiscoverySettings settings, TimeProvider time, ILogger<InjectorState> log)
{
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _hasMesh;
    private volatile InjectorValues _current = InjectorValues.Empty;

    public InjectorValues Current => _current;

    public Task Ready => _ready.Task;

    public async Task RunAsync(CancellationToken stop)
    {
        var informer = new Informer<ConfigMap>(client, Kinds.ConfigMap,
            new InformerSettings { Namespace = settings.Namespace, ConsumerFailed = e => NotTaken(log, e) }, time);
        await informer.RunAsync(changes =>
        {
            foreach (var change in changes)
            {
                if (change.Object is { } map) Take(map);
            }
            _ready.TrySetResult();
            return ValueTask.CompletedTask;
        }, stop);
    }

    internal void Take(ConfigMap map)
    {
        try
        {
            if (map.Metadata.Name == settings.MeshConfigMap) _current = WithMesh(map);
            if (map.Metadata.Name == settings.InjectorConfigMap) _current = _current.WithValues(Parse(map.Data.GetValueOrDefault("values") ?? "{}"));
        }
        catch (Exception e) when (e is ProblemException or JsonException or InvalidOperationException)
        {
            NotRead(log, map.Key, e.Message);
        }
    }

    private InjectorValues WithMesh(ConfigMap map)
    {
        var mesh = YamlText.Parse(map.Data.GetValueOrDefault("mesh") ?? "", "mesh") as JsonObject ?? [];
        // One ConfigMap: proxies and the injector keep the same version of it. SettingsKind reports what is wrong.
        if (_hasMesh && !SettingsKind.StateOf(settings.ClusterId, map).IsValid) return _current;
        _hasMesh = true;
        return _current.WithMesh(mesh);
    }

    private static JsonObject Parse(string text) =>
        StrictJson.Parse(text) as JsonObject ?? throw new ProblemException("data[values]", "is not a JSON object");

    [LoggerMessage(Level = LogLevel.Error, Message = "ConfigMaps of mesh and injector could not be applied; retrying")]
    private static partial void NotTaken(ILogger log, Exception e);

    [LoggerMessage(Level = LogLevel.Error, Message = "ConfigMap {Map} could not be applied; the last good version stays in effect: {Error}")]
    private static partial void NotRead(ILogger log, string map, string error);
}
