using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Derive;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>Hands what watches see to the graph's writer, in order, one closure for each batch.</summary>
/// <param name="post">Runs the closure on the writer's thread.</param>
public sealed partial class MeshObjects(DiscoverySettings settings, Func<Action<MeshWriter>, ValueTask> post, ILogger<MeshObjects> log) : IClusterObjects
{
    // Touched by the writer's thread only.
    private readonly Dictionary<(string Cluster, string Kind), HashSet<string>> _known = [];

    public ValueTask Replace<T>(string cluster, ResourceKind kind, IReadOnlyList<KeyValuePair<string, T>> items) where T : class => post(writer =>
    {
        var known = Known(cluster, kind);
        foreach (var gone in known.Except(items.Select(item => item.Key)).ToList()) Remove(writer, cluster, kind, gone, known);
        foreach (var (key, value) in items) Put(writer, cluster, kind, key, value, known);
    });

    public ValueTask Apply<T>(string cluster, ResourceKind kind, IReadOnlyList<Change<T>> changes) where T : class => post(writer =>
    {
        var known = Known(cluster, kind);
        foreach (var change in changes)
        {
            if (change.Object is { } value) Put(writer, cluster, kind, change.Key, value, known);
            else Remove(writer, cluster, kind, change.Key, known);
        }
    });

    public ValueTask Remove(string cluster) => post(writer =>
    {
        foreach (var key in _known.Keys.Where(key => key.Cluster == cluster).ToList()) _known.Remove(key);
        writer.RemoveCluster(cluster);
    });

    public ValueTask Contact(ClusterContact contact) => post(writer => writer.PutContact(contact));

    private HashSet<string> Known(string cluster, ResourceKind kind) =>
        _known.TryGetValue((cluster, kind.Kind), out var known) ? known : _known[(cluster, kind.Kind)] = new(StringComparer.Ordinal);

    private void Put(MeshWriter writer, string cluster, ResourceKind kind, string key, object value, HashSet<string> known)
    {
        known.Add(key);
        switch (value)
        {
            case Service service: writer.Put(cluster, service); break;
            case EndpointSlice slice: writer.Put(cluster, slice); break;
            case Pod pod: writer.Put(cluster, pod); break;
            case Node node: writer.Put(cluster, node); break;
            case Namespace ns: writer.Put(cluster, ns); break;
            case ConfigMap map: Settings(writer, cluster, map); break;
            case JsonObject config: writer.PutConfig(cluster, Versioned(kind, config)); break;
            default: throw new NotSupportedException($"{kind} is not a kind of the mesh");
        }
    }

    /// <summary>The items of a list carry no apiVersion and kind of their own.</summary>
    private static JsonObject Versioned(ResourceKind kind, JsonObject config)
    {
        config["apiVersion"] ??= kind.ApiVersion;
        config["kind"] ??= kind.Kind;
        return config;
    }

    private static void Remove(MeshWriter writer, string cluster, ResourceKind kind, string key, HashSet<string> known)
    {
        known.Remove(key);
        var (ns, name) = key.Split('/', 2) is [var left, var right] ? (left, right) : ("", key);
        if (kind == Kinds.ConfigMap) return; // the last good settings stay
        if (IstioKind.Effective.Any(istio => istio.Kind == kind.Kind && istio.Group == kind.Group)) writer.RemoveConfig(cluster, kind.Kind, ns, name);
        else writer.Remove(cluster, kind, ns, name);
    }

    private void Settings(MeshWriter writer, string cluster, ConfigMap map)
    {
        if (map.Metadata.Name != settings.MeshConfigMap) return;
        try
        {
            var mesh = YamlText.Parse(map.Data.GetValueOrDefault("mesh") ?? "", "data[mesh]");
            var networks = YamlText.Parse(map.Data.GetValueOrDefault("meshNetworks") ?? "", "data[meshNetworks]");
            foreach (var problem in writer.PutSettings(cluster, mesh, networks)) SettingsOdd(log, map.Key, problem.ToString());
        }
        catch (ProblemException e)
        {
            SettingsOdd(log, map.Key, $"{e.Message}; the last good settings stay in force");
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "ConfigMap {Map}: {Problem}")]
    private static partial void SettingsOdd(ILogger log, string map, string problem);
}
