using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Endpoints;
using Locality = Isthmus.Mesh.Model.Locality;

namespace Isthmus.Mesh.Generate;

/// <summary>Preference of near localities: by priority (only with outlier detection, which lets a proxy leave one) or by shares.</summary>
internal static class Localities
{
    private const int Levels = 4;

    public static void Apply(ClusterLoadAssignment assignment, EndpointInputs inputs, TrafficPolicy policy) =>
        Apply(assignment, inputs.Scope, inputs.Mesh, inputs.Endpoints, policy, 0);

    public static void Apply(ClusterLoadAssignment assignment, ProxyScope scope, MeshConfig mesh, ValueList<MeshEndpoint> members, TrafficPolicy policy, int port)
    {
        var setting = policy.Balancing?.Locality ?? mesh.LocalityLb;
        if (!setting.Enabled || scope.Locality.IsUnknown || assignment.Endpoints.Count == 0) return;
        if (!setting.Distribute.IsEmpty)
        {
            Distribute(assignment, scope.Locality, setting.Distribute);
            return;
        }
        if (policy.Outlier is null) return;
        if (!setting.FailoverPriority.IsEmpty) ByLabels(assignment, scope, members, setting.FailoverPriority);
        else ByLocality(assignment, scope.Locality, setting.Failover);
    }

    private static void Distribute(ClusterLoadAssignment assignment, Locality own, ValueList<LocalityDistribution> rules)
    {
        var rule = rules.FirstOrDefault(candidate => Matches(candidate.From, own));
        if (rule is null) return;
        var taken = new HashSet<LocalityLbEndpoints>(ReferenceEqualityComparer.Instance); // messages hash by content, and this changes it
        foreach (var (pattern, percent) in rule.To.OrderByDescending(target => target.Key.Length).ThenBy(target => target.Key, StringComparer.Ordinal))
        {
            var matched = assignment.Endpoints.Where(group => !taken.Contains(group) && Matches(pattern, Of(group))).ToList();
            if (matched.Count == 0) continue;
            var total = matched.Sum(group => (double)(group.LoadBalancingWeight ?? 0));
            foreach (var group in matched)
            {
                taken.Add(group);
                group.LoadBalancingWeight = (uint)Math.Max(1, Math.Ceiling(percent * (double)(group.LoadBalancingWeight ?? 0) / total));
            }
        }
        var left = assignment.Endpoints.Where(taken.Contains).ToList();
        assignment.Endpoints.Clear();
        assignment.Endpoints.AddRange(left);
    }

    private static void ByLocality(ClusterLoadAssignment assignment, Locality own, ValueList<RegionFailover> failover)
    {
        var priorities = assignment.Endpoints.Select(group => Distance(Of(group), own, failover)).ToList();
        Compact(assignment, priorities);
    }

    private static int Distance(Locality other, Locality own, ValueList<RegionFailover> failover)
    {
        if (other.Region == own.Region && other.Zone == own.Zone && other.Subzone == own.Subzone) return 0;
        if (other.Region == own.Region && other.Zone == own.Zone) return 1;
        if (other.Region == own.Region) return 2;
        var rule = failover.FirstOrDefault(candidate => candidate.From == own.Region);
        return rule is null || rule.To == other.Region ? Levels - 1 : Levels;
    }

    /// <summary>Priority is how many of the listed labels do not match, counted from the first that differs.</summary>
    private static void ByLabels(ClusterLoadAssignment assignment, ProxyScope scope, ValueList<MeshEndpoint> members, ValueList<string> labels)
    {
        var byAddress = members.GroupBy(member => member.Address).ToDictionary(group => group.Key, group => group.First());
        var groups = new List<(int Priority, LocalityLbEndpoints Group)>();
        foreach (var group in assignment.Endpoints)
        {
            foreach (var part in group.LbEndpoints.GroupBy(endpoint => Priority(endpoint, byAddress, scope, labels)))
            {
                var split = new LocalityLbEndpoints { Locality = group.Locality, LoadBalancingWeight = (uint)part.Sum(endpoint => endpoint.LoadBalancingWeight ?? 1) };
                split.LbEndpoints.AddRange(part);
                groups.Add((part.Key, split));
            }
        }
        assignment.Endpoints.Clear();
        var ordered = groups.OrderBy(item => item.Priority).ToList();
        assignment.Endpoints.AddRange(ordered.Select(item => item.Group));
        Compact(assignment, ordered.Select(item => item.Priority).ToList());
    }

    private static int Priority(LbEndpoint endpoint, Dictionary<string, MeshEndpoint> byAddress, ProxyScope scope, ValueList<string> labels)
    {
        var known = byAddress.GetValueOrDefault(endpoint.Endpoint.Address?.SocketAddress?.Address ?? "");
        for (var i = 0; i < labels.Count; i++)
        {
            var (key, wanted) = labels[i].Split('=', 2) is [var name, var value] ? (name, value) : (labels[i], OwnLabel(scope, labels[i]));
            if (wanted is null || known is null || !known.Labels.TryGetValue(key, out var has) || has != wanted) return labels.Count - i;
        }
        return 0;
    }

    private static string? OwnLabel(ProxyScope scope, string key) => key switch
    {
        Labels.Network => scope.Network,
        Labels.Cluster => scope.Cluster,
        Labels.Region => scope.Locality.Region,
        Labels.Zone => scope.Locality.Zone,
        Labels.Subzone => scope.Locality.Subzone,
        _ => scope.RuleLabels.TryGetValue(key, out var value) ? value : null,
    };

    /// <summary>Priorities must have no gaps: a proxy walks them one by one.</summary>
    private static void Compact(ClusterLoadAssignment assignment, List<int> priorities)
    {
        var levels = priorities.Distinct().Order().ToList();
        for (var i = 0; i < assignment.Endpoints.Count; i++) assignment.Endpoints[i].Priority = (uint)levels.IndexOf(priorities[i]);
    }

    private static Locality Of(LocalityLbEndpoints group) => new(group.Locality?.Region ?? "", group.Locality?.Zone ?? "", group.Locality?.SubZone ?? "");

    /// <summary>Patterns are <c>*</c>, <c>region/*</c>, <c>region/zone/*</c> or exact.</summary>
    private static bool Matches(string pattern, Locality locality)
    {
        var parts = pattern.Split('/');
        string[] own = [locality.Region ?? "", locality.Zone ?? "", locality.Subzone ?? ""];
        for (var i = 0; i < parts.Length && i < own.Length; i++)
        {
            if (parts[i] == "*") return true;
            if (parts[i] != own[i]) return false;
        }
        return true;
    }
}
