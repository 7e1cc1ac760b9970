using Isthmus.WebConsole.Picture;

namespace Isthmus.WebConsole.Answers;

/// <summary>One service in all clusters.</summary>
/// <param name="Knowing">The clusters whose control planes were asked what they know.</param>
internal sealed record ServicePage(
    string Namespace, string Name, IReadOnlyList<ServicePlace> Places, IReadOnlyList<EndpointRow> Endpoints, IReadOnlyList<string> Knowing,
    IReadOnlyList<RuleRow> Rules, IReadOnlyList<ProblemRow> Problems)
{
    /// <summary>Problems of its clusters as a whole, which may stop its calls.</summary>
    public IReadOnlyList<ProblemRow> Around { get; init; } = [];

    /// <summary>Kinds of rules that the user may not read.</summary>
    public IReadOnlyList<string> Withheld { get; init; } = [];
}

/// <summary>The Service in one cluster.</summary>
internal sealed record ServicePlace(string Cluster, string Type, string ClusterIp, IReadOnlyList<string> Ports, string Selector);

/// <summary>An endpoint, as its own cluster has it and as control planes know it.</summary>
/// <param name="Known">For each control plane that was asked: health and freshness; empty when it does not know the endpoint.</param>
internal sealed record EndpointRow(string Cluster, string Address, string Pod, bool IsReady, bool HasProxy, string Zone, string Network,
    IReadOnlyDictionary<string, string> Known)
{
    /// <summary>The image of its proxy, if that is not Isthmus.</summary>
    public string OtherProxy { get; init; } = "";
}

/// <summary>An object that decides what happens to calls of the service.</summary>
/// <param name="Effect">What it does.</param>
/// <param name="Conflict">Why it may not do that, such as an error in it; empty when nothing is wrong.</param>
internal sealed record RuleRow(string Cluster, string Kind, string Namespace, string Name, string Effect, string Conflict, string Yaml)
{
    /// <summary>What other rules may contradict: nothing of one that is not in force.</summary>
    internal RuleEffect Rule { get; init; } = RuleEffect.None;
}
