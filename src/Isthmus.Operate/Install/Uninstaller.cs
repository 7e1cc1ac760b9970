using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.Install.Render;

namespace Isthmus.Operate.Install;

/// <summary>One object that an uninstall will remove.</summary>
public sealed record Removal(ResourceKind Kind, string? Namespace, string Name)
{
    internal static Removal Of(ResourceKind kind, JsonObject value) =>
        new(kind, value["metadata"]!["namespace"]?.ToString(), value["metadata"]!["name"]!.ToString());

    public override string ToString() => Namespace is null ? $"{Kind.Kind} {Name}" : $"{Kind.Kind} {Namespace}/{Name}";
}

/// <summary>Removes an installation: all of it, one revision, or what one file describes. The namespace and <c>cacerts</c> stay, as in Istio.</summary>
public sealed class Uninstaller(KubeClient client)
{
    /// <summary>Everything of every revision, with definitions, leader locks and the root certificates in all namespaces.</summary>
    /// <exception cref="ProblemException">The cluster has another control plane, whose objects have the same labels.</exception>
    public async Task<IReadOnlyList<Removal>> PlanPurgeAsync(CancellationToken stop)
    {
        await new OtherControlPlanes(client).CheckRemovalAsync("--purge", _ => true, "remove Isthmus's revisions one by one with --revision NAME", stop);
        var plan = await PlanAsync($"{ObjectLabels.Release}=istio,{ObjectLabels.Component}", stop);
        var own = await PlanMadeByControlPlaneAsync(stop);
        return [.. plan.Concat(own).Distinct()];
    }

    /// <summary>The objects of one revision only. Definitions, CNI agents and the account of other clusters' control planes are shared.</summary>
    /// <exception cref="ProblemException">The revision does not exist, but others are installed; or it is not Isthmus's.</exception>
    public async Task<IReadOnlyList<Removal>> PlanRevisionAsync(string revision, CancellationToken stop)
    {
        await new OtherControlPlanes(client).CheckRemovalAsync($"--revision {revision}", other => other.Revision == revision,
            "remove it with the program that installed it, such as istioctl", stop);
        var selector = $"{ObjectLabels.Release}=istio,{Labels.Revision}={revision},{ObjectLabels.Component}";
        IReadOnlyList<Removal> plan =
        [
            .. await PlanAsync($"{ObjectLabels.Release}=istio,{Labels.Revision}={revision},{ObjectLabels.Component} notin (Base,{CniObjects.Component})", stop),
            .. (await PlanAsync($"{selector}=Base", stop)).Where(removal => ReaderObjects.IsOf(revision, removal.Name)),
            .. (await PlanMadeAsync(Kinds.Lease, stop)).Concat(await PlanMadeAsync(Kinds.ConfigMap, stop))
                .Where(removal => removal.Name == WellKnown.WebhooksLease(revision) || removal.Name == WellKnown.History(revision)),
        ];
        if (plan.Count == 0 && await RevisionsAsync(stop) is { Count: > 0 } known)
            throw new ProblemException($"revision {revision}", $"is not installed in {client.Access.Name}", $"installed revisions: {string.Join(", ", known)}");
        return plan;
    }

    /// <summary>The revisions that have a control plane or an injection webhook.</summary>
    private async Task<IReadOnlyList<string>> RevisionsAsync(CancellationToken stop)
    {
        var options = new ListOptions { LabelSelector = $"{ObjectLabels.Release}=istio,{Labels.Revision}" };
        var (planes,
            webhooks) = (client.ListAllAsync<JsonObject>(Kinds.Deployment, null,
                options with { LabelSelector = $"{options.LabelSelector},app={WellKnown.Istiod}" }, stop),
            client.ListAllAsync<JsonObject>(Kinds.MutatingWebhookConfiguration, null, options, stop));
        return [.. (await planes).Concat(await webhooks).Select(item => item["metadata"]!["labels"]![Labels.Revision]!.ToString()).Distinct()
            .Order(StringComparer.Ordinal)];
    }

    public async Task<IReadOnlyList<Removal>> PlanSpecAsync(OperatorSpec spec, CancellationToken stop)
    {
        var plan = new List<Removal>();
        foreach (var value in Manifests.Render(spec).SelectMany(component => component.Objects))
        {
            var removal = Removal.Of(Applier.KindOf(value), value);
            if (removal.Kind != Kinds.CustomResourceDefinition && !GatewayApiBundle.IsPart(removal)
                && await client.FindAsync(removal.Kind, removal.Namespace, removal.Name, stop) is not null)
            {
                plan.Add(removal);
            }
        }
        return [.. plan.OrderBy(removal => Installed.KindsInOrder.ToList().IndexOf(removal.Kind))];
    }

    public async Task RunAsync(IReadOnlyList<Removal> plan, Action<Removal> removed, CancellationToken stop)
    {
        await StopAsync(plan, removed, stop);
        await RemoveAsync(plan, removed, stop);
    }

    /// <summary>Removes webhooks and workloads first, and waits for their Pods: until their containers end, they would recreate what is removed.</summary>
    public async Task StopAsync(IReadOnlyList<Removal> plan, Action<Removal> removed, CancellationToken stop)
    {
        await DeleteAsync(plan.Where(IsActive), removed, stop);
        await Task.WhenAll(plan.Where(removal => removal.Kind == Kinds.Deployment || removal.Kind == Kinds.DaemonSet)
            .Select(removal => EndedAsync(removal, stop)));
    }

    /// <summary>Removes the rest.</summary>
    public Task RemoveAsync(IReadOnlyList<Removal> plan, Action<Removal> removed, CancellationToken stop) =>
        DeleteAsync(plan.Where(removal => !IsActive(removal)).Concat(plan.SelectMany(Last)).Distinct(), removed, stop);

    /// <summary>What the Pods of a control plane may have written for the first time when they stopped, after everything was planned: the history. An earlier
    /// version also wrote a Lease for it, which stays until then.</summary>
    private static IEnumerable<Removal> Last(Removal workload)
    {
        if (workload.Kind != Kinds.Deployment || !workload.Name.StartsWith(WellKnown.Istiod, StringComparison.Ordinal)) return [];
        var history = WellKnown.History(workload.Name[WellKnown.Istiod.Length..].TrimStart('-'));
        return [new(Kinds.ConfigMap, workload.Namespace, history), new(Kinds.Lease, workload.Namespace, history)];
    }

    private static bool IsActive(Removal removal) =>
        removal.Kind == Kinds.MutatingWebhookConfiguration || removal.Kind == Kinds.ValidatingWebhookConfiguration || removal.Kind == Kinds.Deployment
            || removal.Kind == Kinds.DaemonSet;

    /// <summary>Removes objects of one kind in parallel.</summary>
    private async Task DeleteAsync(IEnumerable<Removal> plan, Action<Removal> removed, CancellationToken stop)
    {
        foreach (var kind in plan.GroupBy(removal => removal.Kind))
        {
            var removals = kind.ToList();
            var done = await Task.WhenAll(removals.Select(removal => client.DeleteAsync(removal.Kind, removal.Namespace, removal.Name, stop)));
            foreach (var (removal, _) in removals.Zip(done).Where(pair => pair.Second)) removed(removal);
        }
    }

    private static readonly TimeSpan PodPatience = TimeSpan.FromSeconds(60);

    /// <summary>Pods still write objects (root certificates, locks) until their containers end. CNI agents restore the chains of their nodes, and need their
    /// rights for it.</summary>
    private async Task EndedAsync(Removal workload, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(PodPatience);
        try
        {
            await PodsEndedAsync(workload, limit.Token);
        }
        catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
        {
            throw new ProblemException($"{workload.Kind.Kind} {workload.Namespace}/{workload.Name} in {client.Access.Name}",
                $"was removed, but its Pods still run after {PodPatience.TotalSeconds:0} s",
                $"see why with 'kubectl --context={client.Access.Name} -n {workload.Namespace} get pods', then run the command again", e);
        }
    }

    private async Task PodsEndedAsync(Removal workload, CancellationToken stop)
    {
        while ((await client.ListAllAsync<Pod>(Kinds.Pod, workload.Namespace, new ListOptions(), stop)).Any(pod => IsOf(workload, pod) && !HasEnded(pod)))
            await Task.Delay(TimeSpan.FromMilliseconds(100), stop);
    }

    // The name of another revision's ReplicaSet begins with the same words: istiod-abc, istiod-next-abc.
    internal static bool IsOf(Removal workload, Pod pod) => pod.Metadata.OwnerReferences.Any(owner => workload.Kind == Kinds.DaemonSet
        ? owner.Kind == "DaemonSet" && owner.Name == workload.Name
        : owner.Kind == "ReplicaSet" && owner.Name == $"{workload.Name}-{pod.Metadata.Labels.GetValueOrDefault("pod-template-hash")}");

    /// <summary>A kubelet can keep the object for minutes after the containers have ended: until it collects them as garbage.</summary>
    private static bool HasEnded(Pod pod) => pod.Metadata.DeletionTimestamp is not null && pod.Status.ContainerStatuses.Count > 0
        && pod.Status.ContainerStatuses.Concat(pod.Status.InitContainerStatuses).All(container => container.State.Terminated is not null);

    private async Task<IReadOnlyList<Removal>> PlanAsync(string selector, CancellationToken stop)
    {
        return [.. (await Installed.ListAsync(client, selector, stop)).Select(found => Removal.Of(found.Kind, found.Item))];
    }

    /// <summary>What a running control plane writes: root certificates everywhere, its own CA, leader locks, its tables, imports
    /// with their EndpointSlices, classes of Gateways.</summary>
    private async Task<IReadOnlyList<Removal>> PlanMadeByControlPlaneAsync(CancellationToken stop)
    {
        var plan = new List<Removal>();
        foreach (var map in await client.ListAllAsync<JsonObject>(Kinds.ConfigMap, null, new ListOptions { LabelSelector = $"{Labels.IstioConfig}=true" },
            stop))
            plan.Add(Removal.Of(Kinds.ConfigMap, map));
        plan.AddRange(await PlanMadeAsync(Kinds.ConfigMap, stop));
        foreach (var secret in await client.ListAllAsync<JsonObject>(Kinds.Secret, null,
            new ListOptions { FieldSelector = $"metadata.name={WellKnown.SelfSignedCa}" }, stop))
            plan.Add(Removal.Of(Kinds.Secret, secret));
        plan.AddRange(await PlanMadeAsync(Kinds.Lease, stop));
        plan.AddRange(await PlanMadeAsync(Kinds.EndpointSlice, stop));
        plan.AddRange(await PlanImportsAsync(stop));
        return [.. plan, .. await new GatewayApiBundle(client).ClassesAsync(stop)];
    }

    /// <summary>Their definitions are the user's, and may have one version only, or be missing.</summary>
    private async Task<IEnumerable<Removal>> PlanImportsAsync(CancellationToken stop)
    {
        foreach (var kind in MeshApi.ServiceImport.Versions.Select(MeshApi.ServiceImport.In))
        {
            try
            {
                var imports = await client.ListAllAsync<JsonObject>(kind, null, new ListOptions { LabelSelector = $"{Labels.ManagedImport}=true" }, stop);
                return imports.Select(import => Removal.Of(kind, import));
            }
            catch (KubeException e) when (e.IsNotFound)
            {
                continue;
            }
        }
        return [];
    }

    private async Task<IEnumerable<Removal>> PlanMadeAsync(ResourceKind kind, CancellationToken stop) =>
        (await client.ListAllAsync<JsonObject>(kind, null, new ListOptions { LabelSelector = $"{Labels.MadeBy}={Labels.Discovery}" }, stop))
            .Select(item => Removal.Of(kind, item));
}
