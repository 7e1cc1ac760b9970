using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>The workloads of a namespace that an object is for: those with labels, or the Pods of Gateways of the Gateway API.</summary>
/// <param name="Labels">They have all of these; empty: all workloads, unless there are Gateways.</param>
/// <param name="Gateways">They serve one of these, by the value of <see cref="GatewayLabel"/>; empty: labels decide.</param>
public readonly record struct WorkloadSelector(ValueMap<string> Labels, ValueList<string> Gateways)
{
    /// <summary>On Pods of a Gateway of the Gateway API: its name, cut to what a label may have.</summary>
    public const string GatewayLabel = "gateway.networking.k8s.io/gateway-name";

    public bool IsEmpty => Labels.Count == 0 && Gateways.IsEmpty;

    public bool IsOfGateways => !Gateways.IsEmpty;

    /// <summary>One for each Gateway, or this one.</summary>
    public IEnumerable<WorkloadSelector> Each => IsOfGateways ? Gateways.Select(gateway => new WorkloadSelector(default, [gateway])) : [this];

    /// <param name="labels">Those of a workload; of its own type, so that a map that is a value is not copied to the heap.</param>
    public bool Selects<T>(T labels) where T : IReadOnlyDictionary<string, string>
    {
        if (IsOfGateways) return labels.TryGetValue(GatewayLabel, out var served) && Gateways.Contains(served);
        foreach (var (key, value) in Labels.Items)
            if (!labels.TryGetValue(key, out var has) || has != value) return false;
        return true;
    }

    public override string ToString() => !IsOfGateways ? Labels.ToString()
        : Gateways.Count == 1 ? $"{GatewayLabel}={Gateways[0]}" : $"{GatewayLabel} in ({string.Join(",", Gateways)})";

    public static implicit operator WorkloadSelector(ValueMap<string> labels) => new(labels, default);
}
