using System.Collections.Concurrent;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Network;

/// <summary>Keeps EndpointSlices and Endpoints of Services with a selector in sync with their Pods.</summary>
internal sealed class EndpointController : Controller
{
    /// <summary>The Services seen since the start.</summary>
    private readonly ConcurrentDictionary<string, byte> _served = new(StringComparer.Ordinal);

    internal EndpointController(Runtime runtime) : base("endpoint-slice-controller", runtime)
    {
        View.Services.Listen(change =>
        {
            if (change.Object is not null) _served[change.Key] = 0;
            Enqueue(change.Key);
        });
        View.Pods.Listen(OnPod);
        View.Slices.Listen(change =>
        {
            if ((change.Object ?? change.Before) is not { } slice || slice.Metadata.Labels.GetValueOrDefault(EndpointPlan.ManagedBy) != EndpointPlan.Controller)
                return;
            if (slice.Metadata.Labels.TryGetValue(Core.Names.Labels.ServiceName, out var service)) Enqueue($"{slice.Metadata.Namespace}/{service}");
        });
        View.Endpoints.Listen(change => Enqueue(change.Key));
        // A changed zone affects every endpoint of the node.
        View.Nodes.Listen(change =>
        {
            if (change.Before is null || Zone(change.Object) != Zone(change.Before))
                foreach (var service in View.Services.Items) Enqueue(service.Key);
        });
    }

    private static string? Zone(Node? node) => node?.Metadata.Labels.GetValueOrDefault(Core.Names.Labels.Zone);

    private void OnPod(Change<Pod> change)
    {
        if (change is { Object: { } now, Before: { } before } && !Matters(now, before)) return;
        var pod = change.Object ?? change.Before!;
        foreach (var service in View.ServicesByNamespace[pod.Metadata.Namespace])
        {
            if (service.Spec.Selector.Count == 0) continue;
            if (Selects(service, change.Object) || Selects(service, change.Before)) Enqueue(service.Key);
        }
    }

    /// <summary>Whether a change affects where a Pod serves. Most changes (restarts, other conditions) do not.</summary>
    private static bool Matters(Pod now, Pod before) =>
        now.Status.PodIP != before.Status.PodIP || now.Status.IsReady != before.Status.IsReady || now.Status.Phase != before.Status.Phase
        || now.Metadata.DeletionTimestamp != before.Metadata.DeletionTimestamp || now.Spec.NodeName != before.Spec.NodeName
        || now.Metadata.Uid != before.Metadata.Uid || !SameLabels(now.Metadata.Labels, before.Metadata.Labels);

    private static bool SameLabels(Dictionary<string, string> left, Dictionary<string, string> right) =>
        left.Count == right.Count && left.All(pair => right.TryGetValue(pair.Key, out var value) && value == pair.Value);

    private static bool Selects(Service service, Pod? pod) =>
        pod is not null && service.Spec.Selector.All(pair => pod.Metadata.Labels.TryGetValue(pair.Key, out var value) && value == pair.Value);

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        var (ns, _) = Tree.Split(key);
        if (View.Services.Find(key) is not { } service)
        {
            await ForgetAsync(key, stop);
            return;
        }
        if (service.Metadata.DeletionTimestamp is not null) return;
        var plan = EndpointPlan.For(service, View.PodsByNamespace[ns], name => View.Nodes.Find(name), View.SlicesByService[key], View.Endpoints.Find(key));
        foreach (var write in plan.Writes)
        {
            try
            {
                await Runtime.DoAsync(write, stop);
            }
            catch (KubeException e) when (e.IsAlreadyExists)
            {
                // Written a moment ago and not in the list yet, or left over from before: patch the existing object.
                await Runtime.DoAsync(write with { Verb = WriteVerb.Patch }, stop);
            }
            catch (KubeException e) when (e.Code == 403 && View.Namespaces.Find(ns) is not { Metadata.DeletionTimestamp: null })
            {
                // The namespace is terminating: you cannot create objects in it.
                return;
            }
        }
    }

    /// <summary>Removes the addresses of a deleted Service: the slices that this controller created, and the Endpoints of
    /// the same name if they are ours.</summary>
    private async Task ForgetAsync(string key, CancellationToken stop)
    {
        foreach (var slice in View.SlicesByService[key].ToList())
        {
            if (slice.Metadata.Labels.GetValueOrDefault(EndpointPlan.ManagedBy) == EndpointPlan.Controller && slice.Metadata.DeletionTimestamp is null)
                await Runtime.DoAsync(Write.Delete(Kinds.EndpointSlice, slice), stop);
        }
        // As in Kubernetes, Endpoints go with the Service of the same name. Endpoints that never had a Service stay.
        if (_served.TryRemove(key, out _) && View.Endpoints.Find(key) is { } endpoints)
            await Runtime.DoAsync(Write.Delete(Kinds.Endpoints, endpoints), stop);
    }
}
