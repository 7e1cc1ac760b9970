using Isthmus.Core.Names;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Resolve;

/// <summary>What can be told about a caller.</summary>
public enum CallerFact
{
    Label,
    Locality,
    Node,

    /// <summary>Sidecars weigh zones against each other: they must know where the endpoints of their own host are.</summary>
    Zones,
}

/// <summary>Something about callers that objects of the mesh ask for. Only what is asked for becomes part of the scope of a proxy, so that proxies which
/// differ in nothing else share theirs.</summary>
/// <param name="Label">The key of a label; empty for other facts.</param>
public readonly record struct CallerTrait(CallerFact Fact, string Label = "")
{
    public static CallerTrait OfLabel(string key) => new(CallerFact.Label, key);

    /// <summary>What a route asks for: the labels of callers in its matches.</summary>
    public static IEnumerable<CallerTrait> Of(RouteSet routes) => routes.CallerLabels.SelectMany(OfKey);

    /// <summary>What a DestinationRule asks for.</summary>
    public static IEnumerable<CallerTrait> Of(DestinationRule rule) => rule.WorkloadSelector.Keys.SelectMany(OfKey)
        .Concat(rule.Subsets.Select(subset => subset.Policy).Append(rule.Policy).OfType<TrafficPolicy>()
            .SelectMany(policy => policy.Ports.Select(port => port.Policy).Append(policy)).SelectMany(Of));

    /// <summary>What a host asks for: those of the same Node, or nearer ones, may be called first.</summary>
    public static IEnumerable<CallerTrait> Of(MeshService service)
    {
        if (service.Distribution != TrafficDistribution.Any) yield return new(CallerFact.Locality);
        if (service.NodeLocal || service.Distribution == TrafficDistribution.SameNode) yield return new(CallerFact.Node);
    }

    /// <summary>What MeshConfig asks for.</summary>
    public static IEnumerable<CallerTrait> Of(MeshConfig mesh)
    {
        var spread = mesh.LocalityLb;
        if (!spread.Distribute.IsEmpty || mesh.DefaultPolicy.Outlier is not null || spread.Zones is not null) yield return new(CallerFact.Locality);
        foreach (var trait in OfSetting(spread)) yield return trait;
    }

    private static IEnumerable<CallerTrait> Of(TrafficPolicy policy)
    {
        if (policy.Outlier is not null || policy.Balancing?.Locality is not null) yield return new(CallerFact.Locality);
        if (policy.Balancing?.Locality is not { } spread) yield break;
        foreach (var trait in OfSetting(spread)) yield return trait;
    }

    private static IEnumerable<CallerTrait> OfSetting(LocalityLbSetting spread) =>
        (spread is { Enabled: true, Zones: not null } ? [new CallerTrait(CallerFact.Zones)] : Enumerable.Empty<CallerTrait>())
            .Concat(spread.FailoverPriority.SelectMany(label => OfKey(label.Split('=', 2)[0])));

    /// <summary>The name of its Node counts as a label of a caller.</summary>
    private static IEnumerable<CallerTrait> OfKey(string key) => key == Labels.Hostname ? [OfLabel(key), new(CallerFact.Node)] : [OfLabel(key)];
}

/// <summary>A trait that some object asks for.</summary>
public sealed record CountedTrait(CallerTrait Trait);
