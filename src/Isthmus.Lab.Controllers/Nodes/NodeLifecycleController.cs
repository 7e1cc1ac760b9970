using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Nodes;

/// <summary>
/// Marks a node as not ready when its Lease is not renewed, and its Pods too. It deletes the Pods of nodes that are gone.
/// Time counts from when this process saw a renewal, so a restart of this process affects no node.
/// </summary>
internal sealed class NodeLifecycleController : Controller
{
    private const string LeaseNamespace = "kube-node-lease";
    private const string Unreachable = "node.kubernetes.io/unreachable";
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan GoneFor = TimeSpan.FromSeconds(40);

    private readonly ConcurrentDictionary<string, long> _renewed = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, long> _missing = new(StringComparer.Ordinal);

    internal NodeLifecycleController(Runtime runtime) : base("node-lifecycle-controller", runtime)
    {
        View.Watch<Lease>(Kinds.Lease, new() { Namespace = LeaseNamespace }).Listen(change =>
        {
            if (change.Object is not { } lease) return;
            _renewed[lease.Metadata.Name] = Runtime.Time.GetTimestamp();
            if (View.Nodes.Find(lease.Metadata.Name) is { } node && IsTainted(node)) Enqueue(lease.Metadata.Name);
        });
        View.Nodes.Listen(change =>
        {
            if (change.Object is not null) Enqueue(change.Key);
        });
    }

    internal override async Task RunAsync(CancellationToken stop)
    {
        var sweeping = SweepAsync(stop);
        await Task.WhenAll(base.RunAsync(stop), sweeping);
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (View.Nodes.Find(key) is not { } node) return;
        var since = _renewed.GetOrAdd(key, _ => Runtime.Time.GetTimestamp());
        var silent = Runtime.Time.GetElapsedTime(since) >= Runtime.Settings.NodeGracePeriod;
        if (!silent)
        {
            if (IsTainted(node)) await Runtime.DoAsync(Taints(node, node.Spec.Taints.Where(taint => taint.Key != Unreachable)), stop);
            EnqueueAfter(key, Runtime.Settings.NodeGracePeriod - Runtime.Time.GetElapsedTime(since) + TimeSpan.FromSeconds(1));
            return;
        }
        if (node.Status.Conditions.FirstOrDefault(condition => condition.Type == "Ready")?.Status != "Unknown") await LoseAsync(node, stop);
        foreach (var pod in View.PodsByNode[key].Where(pod => pod.Status.IsReady).ToList()) await Runtime.DoAsync(NotReady(pod, Runtime.Now), stop);
    }

    private async Task LoseAsync(Node node, CancellationToken stop)
    {
        Runtime.Record(Name, Note.Normal(Kinds.Node, node, "NodeNotReady", $"Node {node.Metadata.Name} status is now: NodeNotReady"));
        var conditions = new JsonArray(new JsonObject
        {
            ["type"] = "Ready", ["status"] = "Unknown", ["reason"] = "NodeStatusUnknown", ["message"] = "Kubelet stopped posting node status.",
            ["lastTransitionTime"] = ApiTime.Seconds(Runtime.Now),
        });
        await Runtime.DoAsync(Write.Status(Kinds.Node, node,
            new JsonObject { ["conditions"] = conditions }) with { PatchType = Kubernetes.Client.PatchType.Strategic },
            stop);
        if (!IsTainted(node))
            await Runtime.DoAsync(Taints(node,
                [.. node.Spec.Taints, new() { Key = Unreachable, Effect = "NoSchedule" }, new() { Key = Unreachable, Effect = "NoExecute" }]),
                stop);
    }

    private static bool IsTainted(Node node) => node.Spec.Taints.Any(taint => taint.Key == Unreachable);

    private static Write Taints(Node node, IEnumerable<Taint> taints)
    {
        var list = new JsonArray([.. taints.Select(taint => (JsonNode)new JsonObject
        {
            ["key"] = taint.Key, ["value"] = taint.Value.Length > 0 ? taint.Value : null, ["effect"] = taint.Effect
        })]);
        return Write.Patch(Kinds.Node, node, new JsonObject
        {
            ["metadata"] = new JsonObject { ["resourceVersion"] = node.Metadata.ResourceVersion },
            ["spec"] = new JsonObject { ["taints"] = list.Count > 0 ? Tree.WithoutNulls(list) : null },
        });
    }

    /// <summary>Marks the Pods of a silent node as not ready, which removes their endpoints.</summary>
    internal static Write NotReady(Pod pod, DateTimeOffset now) => Write.Status(Kinds.Pod, pod, new JsonObject
    {
        ["conditions"] = new JsonArray(new JsonObject
        {
            ["type"] = "Ready", ["status"] = "False", ["reason"] = "NodeNotReady", ["lastTransitionTime"] = ApiTime.Seconds(now),
        }),
    }) with { PatchType = Kubernetes.Client.PatchType.Strategic };

    private async Task SweepAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Look, Runtime.Time);
        try
        {
            while (await timer.WaitForNextTickAsync(stop)) await SweepOnceAsync(stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    private async Task SweepOnceAsync(CancellationToken stop)
    {
        foreach (var node in View.PodsByNode.Groups.Where(name => View.Nodes.Find(name) is null))
        {
            var since = _missing.GetOrAdd(node, _ => Runtime.Time.GetTimestamp());
            if (Runtime.Time.GetElapsedTime(since) < GoneFor) continue;
            foreach (var pod in View.PodsByNode[node].ToList())
            {
                try
                {
                    await Runtime.Client.DeleteAsync(Kinds.Pod, pod.Metadata.Namespace, pod.Metadata.Name, stop, gracePeriodSeconds: 0, uid: pod.Metadata.Uid);
                }
                catch (Exception e) when (e is Kubernetes.Client.KubeException or HttpRequestException)
                {
                    Runtime.Log($"{Name}: cannot delete {pod.Key} of the lost node {node}: {e.Message}");
                }
            }
        }
        foreach (var back in _missing.Keys.Where(name => View.Nodes.Find(name) is not null)) _missing.TryRemove(back, out _);
    }
}
