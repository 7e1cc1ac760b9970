using Isthmus.Core.Collections;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Config;

/// <summary>The workloads that an object is for: those with labels, or the Pods of a Gateway of the Gateway API that <c>targetRef</c> or
/// <c>targetRefs</c> names.</summary>
/// <param name="IsGateway">The labels are those of a Gateway's Pods in the object's own namespace.</param>
internal readonly record struct WorkloadTarget(ValueMap<string> Selector, bool IsGateway)
{
    private const string Kind = "Gateway", Group = "gateway.networking.k8s.io";

    /// <summary>Refuses targets that cannot be one: an object without its target would apply to its whole namespace.</summary>
    /// <param name="labels">The field with the labels that select workloads.</param>
    public static WorkloadTarget Read(Field spec, Field labels)
    {
        var targets = spec["targetRefs"].Items.Prepend(spec["targetRef"]).Where(target => target.Exists).ToList();
        if (targets.Count == 0) return new(HostNames.ReadMatchedLabels(labels), false);
        foreach (var target in targets.Where(target => !IsOne(target)))
        {
            var (group, kind, name) = (target["group"].Text, target["kind"].Text, target["name"].Text);
            if (kind == Kind) target["group"].Error($"\"{group}\" has no kind Gateway that can be a target", $"set group: {Group}");
            else target.Error($"{kind} \"{name}\" cannot be a target: this mesh has no waypoints", "select workloads with spec.selector.matchLabels instead");
        }
        foreach (var far in targets.Select(target => target["namespace"]).Where(ns => ns.Text.Length > 0))
            far.Error("must be empty: objects of other namespaces cannot be targets", "leave it out, and write the object in the namespace of the Gateway");
        foreach (var more in targets.Skip(1)) more.Error($"\"{more["name"].Text}\" is another target: an object applies to one Gateway here",
            "write an object for each Gateway");
        return new(new Dictionary<string, string> { [GatewayNaming.GatewayLabel] = GatewayNaming.LabelOf(targets[0]["name"].Text) }.ToValueMap(), true);
    }

    private static bool IsOne(Field target) => target["kind"].Text == Kind && target["group"].Text == Group;
}
