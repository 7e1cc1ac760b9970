using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Install;

/// <summary>Applies objects to a cluster in an order that works, and waits until they are in effect.</summary>
public sealed class Applier(KubeClient client, TimeProvider time)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>Pods are read less often than their Deployment.</summary>
    private const int PollsPerLook = 20;

    /// <summary>Definitions first, workloads last; within a rank the given order stays.</summary>
    private static int Rank(JsonObject value) => value["kind"]?.ToString() switch
    {
        "Namespace" => 0,
        "CustomResourceDefinition" => 1,
        "ServiceAccount" => 2,
        "ClusterRole" or "Role" => 3,
        "ClusterRoleBinding" or "RoleBinding" => 4,
        "ConfigMap" or "Secret" => 5,
        // Before its EndpointSlices: a controller would remove those whose Service it does not know.
        "Service" => 6,
        "Deployment" or "DaemonSet" => 8,
        // A webhook that fails closed before its server is up would reject that server's own Pods.
        "MutatingWebhookConfiguration" or "ValidatingWebhookConfiguration" => 9,
        _ => 7,
    };

    /// <summary>Applies the objects; those of one rank in parallel.</summary>
    public async Task ApplyAsync(IReadOnlyList<JsonObject> objects, CancellationToken stop)
    {
        foreach (var rank in objects.GroupBy(Rank).OrderBy(group => group.Key))
        {
            await Task.WhenAll(rank.Select(value => ApplyAsync(value, stop)));
            if (rank.Key == 1) await Task.WhenAll(rank.Select(crd => EstablishedAsync(crd, stop)));
        }
    }

    private async Task ApplyAsync(JsonObject value, CancellationToken stop)
    {
        var kind = KindOf(value);
        try
        {
            var copy = (JsonObject)value.DeepClone();
            if (value["kind"]?.ToString() is "MutatingWebhookConfiguration" or "ValidatingWebhookConfiguration") await KeepCaBundleAsync(kind, copy, stop);
            if (IsShared(copy)
                && await client.FindAsync(kind, copy["metadata"]!["namespace"]?.ToString(), copy["metadata"]!["name"]!.ToString(), stop) is { } present)
            {
                copy = Wanted(copy, present);
            }
            await client.ApplyAsync(kind, copy, stop);
        }
        catch (KubeException e)
        {
            throw new ProblemException($"{value["kind"]} {Name(value)} in {client.Access.Name}", e.Message,
                e.Code == 403 ? "use a kubeconfig user with the rights of cluster-admin" : "", e);
        }
    }

    /// <summary>What an object should be where a cluster has it: installations share definitions and the account of other clusters' control
    /// planes, and another one, such as Istio's, may own them.</summary>
    internal static JsonObject Wanted(JsonObject value, JsonObject present)
    {
        if (GatewayApiBundle.IsPart(value)) return GatewayApiBundle.Wanted(value, present);
        if (KindOf(value) == Kinds.CustomResourceDefinition) return DefinitionJoin.Of(present, value);
        // An account without a revision was made by 'create-remote-secret': no installation owns it.
        if (!IsShared(value) || present["metadata"]!["labels"]?[Labels.Revision] is null) return value;
        var wanted = (JsonObject)value.DeepClone();
        wanted["metadata"]!.AsObject().Remove("labels");
        return wanted;
    }

    private static bool IsShared(JsonObject value) =>
        GatewayApiBundle.IsPart(value) || KindOf(value) == Kinds.CustomResourceDefinition
        || (KindOf(value) == Kinds.ServiceAccount && value["metadata"]!["name"]!.ToString() == WellKnown.ReaderServiceAccount);

    /// <summary>A merge patch replaces lists; the CA bundle that the control plane wrote must survive a second install.</summary>
    private async Task KeepCaBundleAsync(ResourceKind kind, JsonObject value, CancellationToken stop)
    {
        if (await client.FindAsync(kind, null, value["metadata"]!["name"]!.ToString(), stop) is not { } existing) return;
        foreach (var webhook in (value["webhooks"] as JsonArray ?? []).OfType<JsonObject>())
        {
            var known = (existing["webhooks"] as JsonArray ?? []).FirstOrDefault(candidate => candidate?["name"]?.ToString() == webhook["name"]?.ToString());
            if (known?["clientConfig"]?["caBundle"] is not { } bundle) continue;
            webhook["clientConfig"]!["caBundle"] = bundle.DeepClone();
            // The control plane closes the webhooks of validation only.
            if (webhook["name"]?.ToString().EndsWith(WellKnown.HistoryWebhook, StringComparison.Ordinal) != true)
                webhook["failurePolicy"] = known["failurePolicy"]?.DeepClone();
        }
    }

    private async Task EstablishedAsync(JsonObject crd, CancellationToken stop)
    {
        var name = crd["metadata"]!["name"]!.ToString();
        while (true)
        {
            var current = await client.GetAsync(Kinds.CustomResourceDefinition, null, name, stop);
            if ((current["status"]?["conditions"] as JsonArray ?? [])
                .Any(condition => condition?["type"]?.ToString() == "Established" && condition["status"]?.ToString() == "True"))
                return;
            await Task.Delay(PollInterval, time, stop);
        }
    }

    /// <summary>Waits until every Deployment and DaemonSet runs its newest Pods. On a timeout, the reason of the first Pod that is not ready is
    /// reported.</summary>
    public async Task ReadyAsync(IReadOnlyList<JsonObject> objects, TimeSpan limit, CancellationToken stop)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(stop);
        deadline.CancelAfter(limit);
        foreach (var workload in objects.Where(value => value["kind"]?.ToString() is "Deployment" or "DaemonSet"))
        {
            var (kind, ns, name) = (workload["kind"]!.ToString(), workload["metadata"]!["namespace"]!.ToString(), workload["metadata"]!["name"]!.ToString());
            try
            {
                if (kind == "DaemonSet") await RolledOutAsync(ns, name, deadline.Token);
                else for (var polls = 1; await client.GetAsync<Deployment>(Kinds.Deployment, ns, name, deadline.Token) is var current
                    && !RolledOut(current); polls++)
                {
                    if (polls % PollsPerLook == 0) await new ImagePulls(client).CheckAsync(current, deadline.Token);
                    await Task.Delay(PollInterval, time, deadline.Token);
                }
            }
            catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
            {
                throw new ProblemException($"{kind} {ns}/{name} in {client.Access.Name}",
                    $"is not ready after {limit.TotalSeconds:0} s: {await WhyAsync(ns, workload, stop)}",
                    $"see why with 'kubectl --context={client.Access.Name} -n {ns} logs {kind.ToLowerInvariant()}/{name}' and '… describe "
                        + $"{kind.ToLowerInvariant()} {name}', then run the command again",
                    e);
            }
        }
    }

    /// <summary>Waits until the control plane has written its CA bundle into the webhooks among the objects.</summary>
    public async Task TrustedAsync(IReadOnlyList<JsonObject> objects, TimeSpan limit, CancellationToken stop)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(stop);
        deadline.CancelAfter(limit);
        foreach (var configuration in objects.Where(value => value["kind"]?.ToString() == "MutatingWebhookConfiguration"))
        {
            var name = configuration["metadata"]!["name"]!.ToString();
            try
            {
                while (!(await client.GetAsync(Kinds.MutatingWebhookConfiguration, null, name, deadline.Token) is { } current
                    && (current["webhooks"] as JsonArray ?? []).All(webhook => webhook?["clientConfig"]?["caBundle"]?.ToString() is { Length: > 0 })))
                {
                    await Task.Delay(PollInterval, time, deadline.Token);
                }
            }
            catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
            {
                throw new ProblemException($"MutatingWebhookConfiguration {name} in {client.Access.Name}", $"got no CA bundle within {limit.TotalSeconds:0} s",
                    "the control plane's log says why: kubectl -n istio-system logs deploy/istiod", e);
            }
        }
    }

    private async Task RolledOutAsync(string ns, string name, CancellationToken stop)
    {
        while (await client.GetAsync<DaemonSet>(Kinds.DaemonSet, ns, name, stop) is { Status: var status } current
            && (status.ObservedGeneration < current.Metadata.Generation || status.UpdatedNumberScheduled < status.DesiredNumberScheduled
                || status.NumberAvailable < status.DesiredNumberScheduled))
        {
            await Task.Delay(PollInterval, time, stop);
        }
    }

    private static bool RolledOut(Deployment deployment)
    {
        var wanted = deployment.Spec.Replicas ?? 1;
        var status = deployment.Status;
        return status.ObservedGeneration >= deployment.Metadata.Generation && status.UpdatedReplicas >= wanted
            && status.Replicas <= status.UpdatedReplicas && status.AvailableReplicas >= wanted;
    }

    private async Task<string> WhyAsync(string ns, JsonObject deployment, CancellationToken stop)
    {
        var selector = string.Join(",", (deployment["spec"]!["selector"]!["matchLabels"] as JsonObject ?? []).Select(label => $"{label.Key}={label.Value}"));
        var pods = await client.ListAllAsync<Pod>(Kinds.Pod, ns, new ListOptions { LabelSelector = selector }, stop);
        if (pods.Count == 0) return "it has no Pods";
        var pod = pods.FirstOrDefault(candidate => !candidate.Status.IsReady);
        if (pod is null) return "its Pods are ready, but not all of the newest template";
        var waiting = pod.Status.InitContainerStatuses.Concat(pod.Status.ContainerStatuses).FirstOrDefault(status => !status.Ready);
        var reason = waiting?.State.Waiting is { } state ? $"{state.Reason} {state.Message}".Trim()
            : waiting?.State.Terminated is { } ended ? $"exited with {ended.ExitCode}"
            : pod.Status.Phase == "Pending" ? "it is pending" : "its readiness probe fails";
        return $"Pod {pod.Metadata.Name}: {(waiting is null ? "" : $"container {waiting.Name}: ")}{reason}";
    }

    internal static ResourceKind KindOf(JsonObject value) => Manifests.KindOf(value)
        ?? throw new NotSupportedException($"kind {value["apiVersion"]}/{value["kind"]} is not known to the installer");

    internal static string Name(JsonObject value) =>
        value["metadata"]?["namespace"]?.ToString() is { Length: > 0 } ns ? $"{ns}/{value["metadata"]!["name"]}" : value["metadata"]?["name"]?.ToString() ?? "";
}
