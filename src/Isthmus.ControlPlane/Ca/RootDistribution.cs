using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Wire.Tls;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Ca;

/// <summary>Keeps the ConfigMap <c>istio-ca-root-cert</c> in every namespace of one cluster: the roots that proxies trust
/// from the start, and what signs, which tells them when to renew.</summary>
public sealed partial class RootDistribution(KubeClient client, CaState ca, TimeProvider time, ILogger<RootDistribution> log)
{
    private static readonly HashSet<string> Ignored = new(StringComparer.Ordinal) { "kube-system", "kube-public", "kube-node-lease", "local-path-storage" };

    private readonly WorkQueue<string> _queue = new(time);
    private readonly ConcurrentDictionary<string, Exception> _failed = new(StringComparer.Ordinal);
    private volatile WatchedList<Namespace>? _namespaces;
    private volatile WatchedList<ConfigMap>? _maps;

    /// <summary>The last error that has not been resolved; null when there is none.</summary>
    public Exception? LastError => _namespaces?.Informer.LastError ?? _maps?.Informer.LastError ?? _failed.Values.FirstOrDefault();

    public async Task RunAsync(CancellationToken stop)
    {
        var namespaces = new WatchedList<Namespace>(client, Kinds.Namespace, new InformerSettings(), time)
            .Listen(change => { if (change.Object is not null) _queue.Add(change.Key); });
        var maps = new WatchedList<ConfigMap>(client, Kinds.ConfigMap, new InformerSettings { LabelSelector = $"{Labels.IstioConfig}=true" }, time)
            .Listen(change => _queue.Add(change.Key.Split('/')[0]));
        void Again(CaSnapshot _)
        {
            foreach (var item in namespaces.Items) _queue.Add(item.Metadata.Name);
        }
        (_namespaces, _maps) = (namespaces, maps);
        ca.Changed += Again;
        try
        {
            await Task.WhenAll(
                namespaces.RunAsync(stop), maps.RunAsync(stop),
                WorkAsync(namespaces, maps, stop));
        }
        finally
        {
            ca.Changed -= Again;
        }
    }

    private async Task WorkAsync(WatchedList<Namespace> namespaces, WatchedList<ConfigMap> maps, CancellationToken stop)
    {
        await Task.WhenAll(namespaces.Synced, maps.Synced, ca.Ready).WaitAsync(stop);
        await _queue.RunAsync(2, async (name, token) =>
        {
            if (Ignored.Contains(name) || ca.Current is not { } current) return;
            if (namespaces.Find(name) is { Status.Phase: not "Terminating" })
            {
                var map = maps.Find(name, WellKnown.RootCertConfigMap);
                var roots = HasRoots(map, current) ? map!.Data[WellKnown.RootCertKey] : current.RootsPem;
                if (map?.Data.GetValueOrDefault(WellKnown.RootCertKey) != roots || map.Data.GetValueOrDefault(WellKnown.IssuerCertKey) != current.IssuerPem)
                    await WriteAsync(name, roots, current, token);
            }
            _failed.TryRemove(name, out _);
        }, (name, error) =>
        {
            // A terminating or deleted namespace needs nothing.
            if (namespaces.Find(name) is not { Status.Phase: not "Terminating" } || error is KubeException { Code: 404 }) return;
            if (!_failed.TryGetValue(name, out var known) || known.Message != error.Message) WriteFailed(log, name, client.Access.Name, error.Message);
            _failed[name] = error;
        }, stop);
    }

    /// <summary>Istio's control plane writes the same roots as they are in its Secret. Their notation is not worth a write: each would
    /// undo the other's.</summary>
    private static bool HasRoots(ConfigMap? map, CaSnapshot current)
    {
        if (map?.Data.GetValueOrDefault(WellKnown.RootCertKey) is not { } text) return false;
        if (text == current.RootsPem) return true;
        try { return CertificateText.Write(CertificateText.ReadAny(text, WellKnown.RootCertConfigMap)) == current.RootsPem; }
        catch (ProblemException) { return false; }
    }

    private Task WriteAsync(string name, string roots, CaSnapshot current, CancellationToken stop) => client.ApplyAsync(Kinds.ConfigMap, new JsonObject
    {
        ["apiVersion"] = "v1",
        ["kind"] = "ConfigMap",
        ["metadata"] = new JsonObject
        {
            ["name"] = WellKnown.RootCertConfigMap, ["namespace"] = name, ["labels"] = new JsonObject { [Labels.IstioConfig] = "true" }
        },
        ["data"] = new JsonObject { [WellKnown.RootCertKey] = roots, [WellKnown.IssuerCertKey] = current.IssuerPem },
    }, stop);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Root certificate not written into namespace {Namespace} of {Cluster}: {Error}")]
    private static partial void WriteFailed(ILogger log, string @namespace, string cluster, string error);
}
