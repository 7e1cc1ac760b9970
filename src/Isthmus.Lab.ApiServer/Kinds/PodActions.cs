using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.ApiServer.VirtualResources;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary><c>pods/NAME/binding</c>: the scheduler gives a Pod its node, once.</summary>
internal sealed class PodBindingResource(IObjectStore store, TimeProvider time) : IVirtualResource
{
    public VirtualResourceDescriptor Descriptor { get; } = new("", "v1", "pods", "", "Binding", "binding", true, ["create"]);

    public async ValueTask<VirtualResponse> HandleAsync(VirtualRequest request, CancellationToken stop)
    {
        var (ns, name) = (request.Attributes.Namespace, request.Attributes.Name);
        var node = request.Body.TextAt("target", "name");
        if (node.Length == 0)
            throw ApiException.Invalid("", "Binding", name, [FieldError.Required("target.name")]);
        if (request.Body.TextAt("target", "kind") is not ("" or "Node") and var kind)
            throw ApiException.Invalid("", "Binding", name, [FieldError.NotSupported("target.kind", kind, ["Node", "<empty>"])]);
        if (store.Find(Resources.Pods, ns, name) is not { } pod) throw ApiException.NotFound(Resources.Pods, name);
        Check(pod.Parse(), name);
        if (request.DryRun) return Done();
        var stored = await store.ChangeAsync(Resources.Pods, ns, name, tree => Bind(tree, name, node), stop);
        return stored is null ? throw ApiException.NotFound(Resources.Pods, name) : Done();
    }

    private bool Bind(JsonObject pod, string name, string node)
    {
        Check(pod, name);
        pod.Ensure("spec")["nodeName"] = node;
        var status = pod.Ensure("status");
        if (status["conditions"] is not JsonArray conditions) status["conditions"] = conditions = [];
        foreach (var held in Json.Objects(conditions).Where(condition => Json.Text(condition["type"]) == "PodScheduled").ToList()) conditions.Remove(held);
        conditions.Add((JsonNode)new JsonObject
        {
            ["type"] = "PodScheduled",
            ["status"] = "True",
            ["lastProbeTime"] = null,
            ["lastTransitionTime"] = ApiTime.Seconds(time.GetUtcNow()),
        });
        return true;
    }

    private static void Check(JsonObject pod, string name)
    {
        if (pod.TextAt("spec", "nodeName") is { Length: > 0 } held)
            throw Conflict(name, $"pod {name} is already assigned to node \"{held}\"");
        if (pod.TextAt("metadata", "deletionTimestamp").Length > 0)
            throw Conflict(name, $"pod {name} is being deleted, cannot be assigned to a host");
    }

    private static ApiException Conflict(string name, string why) =>
        new(409, "Conflict", $"Operation cannot be fulfilled on pods/binding \"{name}\": {why}", new(Kind: "pods/binding", Name: name));

    private static VirtualResponse Done() => Outcome.Success();
}

/// <summary><c>pods/NAME/eviction</c>: deletes a Pod unless a disruption budget forbids it now (<c>kubectl drain</c>).</summary>
internal sealed class PodEvictionResource(IObjectStore store, TimeProvider time) : IVirtualResource
{
    private static readonly GroupResource Budgets = new("policy", "poddisruptionbudgets");

    public VirtualResourceDescriptor Descriptor { get; } = new("", "v1", "pods", "", "Eviction", "eviction", true, ["create"], "policy", "v1", "v1beta1");

    public async ValueTask<VirtualResponse> HandleAsync(VirtualRequest request, CancellationToken stop)
    {
        var (ns, name) = (request.Attributes.Namespace, request.Attributes.Name);
        while (true)
        {
            var pod = store.Find(Resources.Pods, ns, name) ?? throw ApiException.NotFound(Resources.Pods, name);
            var tree = pod.Parse();
            if (tree.TextAt("status", "phase") is not ("Pending" or "Succeeded" or "Failed")) CheckBudgets(pod);
            if (request.DryRun || tree.TextAt("metadata", "deletionTimestamp").Length > 0) return Outcome.Success();
            var grace = new PodStrategy().Grace(tree, Json.Whole(request.Body.At("deleteOptions", "gracePeriodSeconds"))).Seconds;
            if (await RemoveAsync(pod, tree, grace, stop) is not null) return Outcome.Success();
        }
    }

    private Task<StoredObject?> RemoveAsync(StoredObject pod, JsonObject tree, long? grace, CancellationToken stop)
    {
        var metadata = tree.Ensure("metadata");
        if (grace is null && Json.Texts(metadata["finalizers"]).IsEmpty) return store.DeleteAsync(Resources.Pods, pod, null, stop);
        metadata["deletionTimestamp"] = ApiTime.Seconds(time.GetUtcNow().AddSeconds(grace ?? 0));
        metadata["deletionGracePeriodSeconds"] = grace ?? 0;
        return store.UpdateAsync(Resources.Pods, tree, pod, stop);
    }

    private void CheckBudgets(StoredObject pod)
    {
        foreach (var stored in store.List(Budgets, pod.Namespace).Items)
        {
            var budget = stored.Parse();
            if (LabelSelector.Read(budget.At("spec", "selector")) is not { } selector || !selector.Matches(pod.Labels)) continue;
            if (Json.Whole(budget.At("status", "disruptionsAllowed")) > 0) continue;
            var (desired, healthy) = (Json.Whole(budget.At("status", "desiredHealthy")) ?? 0, Json.Whole(budget.At("status", "currentHealthy")) ?? 0);
            throw new ApiException(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.",
                new() { Causes = [new("DisruptionBudget", $"The disruption budget {stored.Name} needs {desired} healthy pods and has {healthy} currently")] });
        }
    }
}

/// <summary>The answer to an action: a Status.</summary>
internal static class Outcome
{
    public static VirtualResponse Success() => new(201, new()
    {
        ["kind"] = "Status",
        ["apiVersion"] = "v1",
        ["metadata"] = new JsonObject(),
        ["status"] = "Success",
        ["code"] = 201,
    });
}
