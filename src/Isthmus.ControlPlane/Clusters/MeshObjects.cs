using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Derive;
using Isthmus.ControlPlane.LastKnown;
using Isthmus.Core.Collections;
using Isthmus.Core.Live;
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
    // Both are touched by the writer's thread only.
    private readonly Dictionary<(string Cluster, string Kind), HashSet<string>> _known = [];
    private readonly Dictionary<(string Cluster, string Kind), long> _speakers = [];

    public ValueTask Replace<T>(WatchId watch, ResourceKind kind, IReadOnlyList<KeyValuePair<string, T>> items) where T : class => post(writer =>
    {
        var (cluster, number) = watch;
        if (_speakers.TryGetValue((cluster, kind.Kind), out var speaker) && speaker > number) return;
        _speakers[(cluster, kind.Kind)] = number;
        var known = Known(cluster, kind);
        foreach (var gone in known.Except(items.Select(item => item.Key)).ToList()) Remove(writer, cluster, kind, gone, known);
        foreach (var (key, value) in items) Put(writer, cluster, kind, key, value, known);
    });

    public ValueTask Apply<T>(WatchId watch, ResourceKind kind, IReadOnlyList<Change<T>> changes) where T : class => post(writer =>
    {
        var cluster = watch.Cluster;
        if (_speakers.GetValueOrDefault((cluster, kind.Kind)) != watch.Number) return;
        var known = Known(cluster, kind);
        foreach (var change in changes)
        {
            if (change.Object is { } value) Put(writer, cluster, kind, change.Key, value, known);
            else Remove(writer, cluster, kind, change.Key, known);
        }
    });

    public ValueTask Remove(WatchId watch) => post(writer =>
    {
        if (_speakers.Any(speaker => speaker.Key.Cluster == watch.Cluster && speaker.Value > watch.Number)) return;
        foreach (var key in _known.Keys.Where(key => key.Cluster == watch.Cluster).ToList()) _known.Remove(key);
        foreach (var key in _speakers.Keys.Where(key => key.Cluster == watch.Cluster).ToList()) _speakers.Remove(key);
        writer.RemoveCluster(watch.Cluster);
    });

    public ValueTask Contact(ClusterContact contact) => post(writer => writer.PutContact(contact));

    /// <summary>Takes what an earlier control plane knew of a cluster, kind by kind, until a watch has listed the kind: its list takes away what is gone.</summary>
    /// <param name="wanted">Asked on the writer's thread: the cluster may have left meanwhile.</param>
    public ValueTask Restore(ClusterSnapshot snapshot, Func<bool> wanted) => post(writer =>
    {
        if (!wanted()) return;
        var sources = writer.Mesh.Sources;
        Restore(snapshot.Cluster, Kinds.Service, snapshot.Services, service => service.Source, sources.Services);
        Restore(snapshot.Cluster, Kinds.EndpointSlice, snapshot.Slices, slice => slice.Source, sources.Slices);
        Restore(snapshot.Cluster, Kinds.Pod, snapshot.Pods, pod => pod.Source, sources.Pods);
        Restore(snapshot.Cluster, Kinds.Node, snapshot.Nodes, node => node.Source, sources.Nodes);
        Restore(snapshot.Cluster, Kinds.Namespace, snapshot.Namespaces, ns => ns.Source, sources.Namespaces);
        Restore(snapshot.Cluster, MultiClusterFacts.ExportKind(settings.MultiCluster), snapshot.Exports, export => export.Source, sources.Exports);
    });

    private void Restore<T>(string cluster, ResourceKind kind, ValueList<T> items, Func<T, ObjectRef> sourceOf, Source<ObjectKey, T> into) where T : IEquatable<T>
    {
        if (_speakers.ContainsKey((cluster, kind.Kind))) return;
        var known = Known(cluster, kind);
        foreach (var item in items)
        {
            var source = sourceOf(item);
            known.Add(source.Namespace.Length == 0 ? source.Name : $"{source.Namespace}/{source.Name}");
            into.Put(new(cluster, source.Namespace, source.Name), item);
        }
    }

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
            case Secret secret: writer.Put(cluster, secret); break;
            case ConfigMap map: Settings(writer, cluster, map); break;
            case JsonObject export when MultiClusterFacts.Kinds.Contains(kind.Kind): writer.PutMultiCluster(cluster, Versioned(kind, export)); break;
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
        if (MultiClusterFacts.Kinds.Contains(kind.Kind)) writer.RemoveMultiCluster(cluster, kind.Kind, ns, name);
        else if (IstioKind.Effective.Any(istio => istio.Kind == kind.Kind && istio.Group == kind.Group)) writer.RemoveConfig(cluster, kind.Kind, ns, name);
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
