using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Config;

/// <summary>Reads for which workloads an object is: those with labels, or the Pods of Gateways of the Gateway API that <c>targetRef</c> or
/// <c>targetRefs</c> name.</summary>
internal static class WorkloadTarget
{
    private const string Kind = "Gateway", Group = "gateway.networking.k8s.io";

    /// <summary>Refuses targets that cannot be one: an object without its target would apply to its whole namespace.</summary>
    /// <param name="labels">The field with the labels that select workloads.</param>
    public static WorkloadSelector Read(Field spec, Field labels)
    {
        var targets = spec["targetRefs"].Items.Prepend(spec["targetRef"]).Where(target => target.Exists).ToList();
        if (targets.Count == 0) return HostNames.ReadMatchedLabels(labels);
        foreach (var target in targets.Where(target => !IsOne(target)))
        {
            var (group, kind, name) = (target["group"].Text, target["kind"].Text, target["name"].Text);
            if (kind == Kind) target["group"].Error($"\"{group}\" has no kind Gateway that can be a target", $"set group: {Group}");
            else target.Error($"{kind} \"{name}\" cannot be a target: this mesh has no waypoints", "select workloads with spec.selector.matchLabels instead");
        }
        foreach (var far in targets.Select(target => target["namespace"]).Where(ns => ns.Text.Length > 0))
            far.Error("must be empty: objects of other namespaces cannot be targets", "leave it out, and write the object in the namespace of the Gateway");
        return new(default, targets.Select(target => GatewayNaming.LabelOf(target["name"].Text)).Distinct(StringComparer.Ordinal).ToValueList());
    }

    private static bool IsOne(Field target) => target["kind"].Text == Kind && target["group"].Text == Group;
}
