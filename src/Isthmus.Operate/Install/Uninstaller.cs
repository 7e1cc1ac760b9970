using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install.Render;

namespace Isthmus.Operate.Install;

/// <summary>One object that an uninstall will remove.</summary>
public sealed record Removal(ResourceKind Kind, string? Namespace, string Name)
{
    public override string ToString() => Namespace is null ? $"{Kind.Kind} {Name}" : $"{Kind.Kind} {Namespace}/{Name}";
}

/// <summary>Removes an installation: all of it, one revision, or what one file describes. The namespace and <c>cacerts</c> stay, as in Istio.</summary>
public sealed class Uninstaller(KubeClient client)
{
    /// <summary>Everything of every revision, with definitions, leader locks and the root certificates in all namespaces.</summary>
    public async Task<IReadOnlyList<Removal>> PlanPurgeAsync(CancellationToken stop)
    {
        var plan = await PlanAsync($"{ObjectLabels.Release}=istio,{ObjectLabels.Component}", stop);
        var own = await PlanMadeByControlPlaneAsync(stop);
        return [.. plan.Concat(own).Distinct()];
    }

    public Task<IReadOnlyList<Removal>> PlanRevisionAsync(string revision, CancellationToken stop) =>
        PlanAsync($"{ObjectLabels.Release}=istio,{Labels.Revision}={revision},{ObjectLabels.Component}!=Base", stop);

    public async Task<IReadOnlyList<Removal>> PlanSpecAsync(OperatorSpec spec, CancellationToken stop)
    {
        var plan = new List<Removal>();
        foreach (var value in Manifests.Render(spec).SelectMany(component => component.Objects))
        {
            var removal = Removal(Applier.KindOf(value), value);
            if (removal.Kind != Kinds.CustomResourceDefinition && await client.FindAsync(removal.Kind, removal.Namespace, removal.Name, stop) is not null) plan.Add(removal);
        }
        return [.. plan.OrderBy(removal => Installed.KindsInOrder.ToList().IndexOf(removal.Kind))];
    }

    public async Task RunAsync(IReadOnlyList<Removal> plan, Action<Removal> removed, CancellationToken stop)
    {
        foreach (var removal in plan)
        {
            if (await client.DeleteAsync(removal.Kind, removal.Namespace, removal.Name, stop)) removed(removal);
        }
        foreach (var removal in plan.Where(removal => removal.Kind == Kinds.Deployment))
        {
            await GoneAsync(removal, stop);
        }
    }

    private static readonly TimeSpan PodPatience = TimeSpan.FromSeconds(60);

    /// <summary>Pods still write things (root certificates, locks) until they are gone.</summary>
    private async Task GoneAsync(Removal deployment, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(PodPatience);
        try
        {
            await PodsGoneAsync(deployment, limit.Token);
        }
        catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
        {
            throw new ProblemException($"Deployment {deployment.Namespace}/{deployment.Name} in {client.Access.Name}", $"is removed, but its Pods are still there after {PodPatience.TotalSeconds:0} s",
                $"see why with 'kubectl --context={client.Access.Name} -n {deployment.Namespace} get pods', then run the command again", e);
        }
    }

    private async Task PodsGoneAsync(Removal deployment, CancellationToken stop)
    {
        while ((await client.ListAllAsync<Pod>(Kinds.Pod, deployment.Namespace, new ListOptions(), stop))
            .Any(pod => pod.Metadata.Name.StartsWith($"{deployment.Name}-", StringComparison.Ordinal) && pod.Metadata.OwnerReferences.Any(owner => owner.Kind == "ReplicaSet" && owner.Name.StartsWith($"{deployment.Name}-", StringComparison.Ordinal))))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), stop);
        }
    }

    private async Task<IReadOnlyList<Removal>> PlanAsync(string selector, CancellationToken stop)
    {
        var plan = new List<Removal>();
        await foreach (var (kind, item) in Installed.FindAsync(client, selector, stop)) plan.Add(Removal(kind, item));
        return plan;
    }

    /// <summary>What a running control plane writes: root certificates everywhere, its own CA, leader locks, its tables.</summary>
    private async Task<IReadOnlyList<Removal>> PlanMadeByControlPlaneAsync(CancellationToken stop)
    {
        var plan = new List<Removal>();
        foreach (var map in await client.ListAllAsync<JsonObject>(Kinds.ConfigMap, null, new ListOptions { LabelSelector = $"{Labels.IstioConfig}=true" }, stop))
            plan.Add(Removal(Kinds.ConfigMap, map));
        foreach (var map in await client.ListAllAsync<JsonObject>(Kinds.ConfigMap, null, new ListOptions { LabelSelector = $"{WellKnown.OwnDomain}/made-by=discovery" }, stop))
            plan.Add(Removal(Kinds.ConfigMap, map));
        foreach (var secret in await client.ListAllAsync<JsonObject>(Kinds.Secret, null, new ListOptions { FieldSelector = $"metadata.name={WellKnown.SelfSignedCa}" }, stop))
            plan.Add(Removal(Kinds.Secret, secret));
        foreach (var lease in await client.ListAllAsync<JsonObject>(Kinds.Lease, null, new ListOptions { LabelSelector = $"{WellKnown.OwnDomain}/made-by=discovery" }, stop))
            plan.Add(Removal(Kinds.Lease, lease));
        return plan;
    }

    private static Removal Removal(ResourceKind kind, JsonObject value) =>
        new(kind, value["metadata"]!["namespace"]?.ToString(), value["metadata"]!["name"]!.ToString());
}
