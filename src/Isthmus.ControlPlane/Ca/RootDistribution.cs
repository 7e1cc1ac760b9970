using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Ca;

/// <summary>Keeps ConfigMap <c>istio-ca-root-cert</c> in every namespace of one cluster: what proxies trust before they know anything else.</summary>
public sealed partial class RootDistribution(KubeClient client, CaState ca, TimeProvider time, ILogger<RootDistribution> log)
{
    private static readonly HashSet<string> Ignored = new(StringComparer.Ordinal) { "kube-system", "kube-public", "kube-node-lease", "local-path-storage" };

    private readonly WorkQueue<string> _queue = new(time);

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
            if (namespaces.Find(name) is not { } item || item.Status.Phase == "Terminating") return;
            if (maps.Find(name, WellKnown.RootCertConfigMap)?.Data.GetValueOrDefault(WellKnown.RootCertKey) == current.RootsPem) return;
            await client.ApplyAsync(Kinds.ConfigMap, new JsonObject
            {
                ["apiVersion"] = "v1",
                ["kind"] = "ConfigMap",
                ["metadata"] = new JsonObject { ["name"] = WellKnown.RootCertConfigMap, ["namespace"] = name, ["labels"] = new JsonObject { [Labels.IstioConfig] = "true" } },
                ["data"] = new JsonObject { [WellKnown.RootCertKey] = current.RootsPem },
            }, token);
        }, (name, error) =>
        {
            // A namespace that is going away, or has gone, needs nothing any more.
            if (error is not KubeException { Code: 403 or 404 }) WriteFailed(log, name, client.Access.Name, error.Message);
        }, stop);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Root certificate not written into namespace {Namespace} of {Cluster}: {Error}")]
    private static partial void WriteFailed(ILogger log, string @namespace, string cluster, string error);
}
