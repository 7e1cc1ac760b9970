using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Graph.History;

/// <summary>Whom an object concerns, as it says itself.</summary>
/// <param name="Hosts">Hosts whose callers it concerns; they may begin with <c>*</c>.</param>
/// <param name="Namespace">Workloads of this namespace, or of all if it is the root namespace; null: no workloads.</param>
/// <param name="Selector">Only workloads with these labels.</param>
/// <param name="IsEverything">It may concern every call.</param>
public sealed record Reach(ValueList<string> Hosts, string? Namespace = null, ValueMap<string> Selector = default, bool IsEverything = false)
{
    /// <summary>It may concern every call.</summary>
    public static readonly Reach Everything = new(default, IsEverything: true);

    /// <summary>It concerns hosts only at gateways: calls from one workload to another do not see it.</summary>
    public bool IsAtGateways { get; init; }

    /// <summary>The callers of hosts.</summary>
    public static Reach OfHosts(params IEnumerable<string> hosts) => new(hosts.Distinct().ToValueList());

    /// <summary>Workloads of a namespace, all or some.</summary>
    public static Reach OfWorkloads(string ns, ValueMap<string> selector) => new(default, ns, selector);

    /// <summary>Workloads that a policy selects; of several Gateways, all of the namespace: a change too many is named rather than one too few.</summary>
    public static Reach OfWorkloads(string ns, WorkloadSelector selector) => OfWorkloads(ns, selector.Gateways.Count != 1 ? selector.Labels
        : new Dictionary<string, string> { [GatewayNaming.GatewayLabel] = selector.Gateways[0] }.ToValueMap());

    /// <summary>What both concern.</summary>
    public Reach With(Reach? other) => other is null || this == other ? this
        : IsEverything || other.IsEverything ? Everything
        : new(Hosts.Concat(other.Hosts).Distinct().ToValueList(), Namespace ?? other.Namespace, Selector == other.Selector ? Selector : default)
        {
            IsAtGateways = IsAtGateways && other.IsAtGateways,
        };

    /// <summary>Whether one of its hosts stands for this one.</summary>
    public bool Covers(string host)
    {
        foreach (var pattern in Hosts)
        {
            if (pattern == host || (pattern.StartsWith('*') && host.EndsWith(pattern[1..], StringComparison.Ordinal))) return true;
        }
        return false;
    }
}
