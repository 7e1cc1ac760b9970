using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Endpoints;
using Locality = Isthmus.Mesh.Model.Locality;

namespace Isthmus.Mesh.Generate;

/// <summary>
/// Locality preference: by priority (only with outlier detection, which lets a proxy leave a locality), by shares, or both:
/// then the shares divide the traffic, and what those localities cannot carry goes to the others in failover order.
/// </summary>
internal static class Localities
{
    private const int Levels = 4;

    /// <summary>What a rule says, otherwise the Service, otherwise the mesh.</summary>
    public static LocalityLbSetting Setting(MeshService service, MeshConfig mesh, TrafficPolicy policy) =>
        policy.Balancing?.Locality ?? LocalityLbSetting.Of(service.Distribution) ?? mesh.LocalityLb;

    public static void Apply(ClusterLoadAssignment assignment, EndpointInputs inputs, TrafficPolicy policy) => Apply(
        assignment, inputs.From, Setting(inputs.Service, inputs.Mesh, policy),
        inputs.Endpoints.Where(member => EndpointGenerator.IsDirect(inputs.From.Network, member.Network, inputs.Gateways)), inputs.Gateways, policy);

    /// <param name="members">Endpoints that are dialled directly: only their addresses and ports identify them.</param>
    public static void Apply(ClusterLoadAssignment assignment, Vantage from, LocalityLbSetting setting, IEnumerable<MeshEndpoint> members,
        GatewayTable gateways, TrafficPolicy policy)
    {
        if (setting.Zones is not null)
        {
            if (setting.Enabled && assignment.Endpoints.Count > 0) ByRegion(assignment, from, setting, new(from, members, gateways));
            return;
        }
        if (!setting.Enabled || assignment.Endpoints.Count == 0 || (from.Locality.IsUnknown && setting.FailoverPriority.IsEmpty)) return;
        var rule = setting.Distribute.FirstOrDefault(candidate => from.Locality.IsIn(candidate.From));
        var sharing = rule is null ? [] : Distribute(assignment, rule);
        // Shares without failover use those localities only.
        var fails = (policy.Outlier is not null || setting.IsOfService)
            && (setting.Distribute.IsEmpty || !setting.Failover.IsEmpty || !setting.FailoverPriority.IsEmpty);
        if (rule is not null && !fails) Keep(assignment, sharing);
        if (!fails) return;
        var others = assignment.Endpoints.Where(group => !sharing.Contains(group)).ToList();
        var ordered = setting.FailoverPriority.IsEmpty
            ? others.Select(group => (Priority: Distance(Of(group), from.Locality, setting.Failover), Group: group)).ToList()
            : ByLabels(others, new Matching(from, members, gateways), setting.FailoverPriority);
        Arrange(assignment, [.. assignment.Endpoints.Where(sharing.Contains)], ordered);
    }

    /// <summary>Sets the weights of the localities that have a share in the rule, and returns them.</summary>
    private static HashSet<LocalityLbEndpoints> Distribute(ClusterLoadAssignment assignment, LocalityDistribution rule)
    {
        var taken = new HashSet<LocalityLbEndpoints>(ReferenceEqualityComparer.Instance); // messages hash by content, and this changes it
        foreach (var (pattern, percent) in rule.To.OrderByDescending(target => target.Key.Length).ThenBy(target => target.Key, StringComparer.Ordinal))
        {
            var matched = assignment.Endpoints.Where(group => !taken.Contains(group) && Of(group).IsIn(pattern)).ToList();
            if (matched.Count == 0 || percent == 0) continue;
            var total = matched.Sum(group => (double)(group.LoadBalancingWeight ?? 0));
            foreach (var group in matched)
            {
                taken.Add(group);
                group.LoadBalancingWeight = (uint)Math.Max(1, Math.Ceiling(percent * (double)(group.LoadBalancingWeight ?? 0) / total));
            }
        }
        return taken;
    }

    private static void Keep(ClusterLoadAssignment assignment, HashSet<LocalityLbEndpoints> kept)
    {
        var left = assignment.Endpoints.Where(kept.Contains).ToList();
        assignment.Endpoints.Clear();
        assignment.Endpoints.AddRange(left);
    }

    /// <summary>The own region first, whose zones the proxy weighs against each other, then that of its failover, then all others. Labels come
    /// before.</summary>
    private static void ByRegion(ClusterLoadAssignment assignment, Vantage from, LocalityLbSetting setting, Matching matching)
    {
        const int Regions = 3;
        var own = from.Locality.Region ?? "";
        var next = setting.Failover.FirstOrDefault(rule => rule.From == own)?.To;
        var groups = setting.FailoverPriority.IsEmpty
            ? assignment.Endpoints.Select(group => (Priority: 0, Group: group))
            : ByLabels([.. assignment.Endpoints], matching, setting.FailoverPriority);
        Arrange(assignment, [],
            [.. groups.Select(item => ((item.Priority * Regions) + (Of(item.Group).Region is var region && region == own ? 0 : region == next ? 1 : 2),
                item.Group))]);
    }

    private static int Distance(Locality other, Locality own, ValueList<RegionFailover> failover)
    {
        if (other.Region == own.Region && other.Zone == own.Zone && other.Subzone == own.Subzone) return 0;
        if (other.Region == own.Region && other.Zone == own.Zone) return 1;
        if (other.Region == own.Region) return 2;
        var rule = failover.FirstOrDefault(candidate => candidate.From == own.Region);
        return rule is null || rule.To == other.Region ? Levels - 1 : Levels;
    }

    /// <summary>The priority is the number of listed labels from the first mismatch on; it splits a locality.</summary>
    private static List<(int Priority, LocalityLbEndpoints Group)> ByLabels(List<LocalityLbEndpoints> localities, Matching matching, ValueList<string> labels)
    {
        var groups = new List<(int Priority, LocalityLbEndpoints Group)>();
        foreach (var group in localities)
        {
            foreach (var part in group.LbEndpoints.GroupBy(endpoint => matching.Misses(endpoint, group, labels)))
            {
                var split = new LocalityLbEndpoints
                {
                    Locality = group.Locality,
                    LoadBalancingWeight = (uint)Math.Min(uint.MaxValue, part.Sum(endpoint => (long)(endpoint.LoadBalancingWeight ?? 1)))
                };
                split.LbEndpoints.AddRange(part);
                groups.Add((part.Key, split));
            }
        }
        return [.. groups.OrderBy(item => item.Priority)];
    }

    /// <summary>Those with shares first, then the others. Priorities must have no gaps: a proxy walks them one by one.</summary>
    private static void Arrange(ClusterLoadAssignment assignment, List<LocalityLbEndpoints> sharing, List<(int Priority, LocalityLbEndpoints Group)> others)
    {
        var levels = others.Select(item => item.Priority).Distinct().Order().ToList();
        var first = sharing.Count > 0 ? 1 : 0;
        foreach (var (priority, group) in others) group.Priority = (uint)(first + levels.IndexOf(priority));
        assignment.Endpoints.Clear();
        assignment.Endpoints.AddRange(sharing);
        assignment.Endpoints.AddRange(others.Select(item => item.Group));
    }

    /// <summary>How well the labels of endpoints match a client. Behind a gateway the workload's labels are unknown: only
    /// network, cluster and locality count.</summary>
    private sealed class Matching(Vantage from, IEnumerable<MeshEndpoint> members, GatewayTable gateways)
    {
        // Workloads of a ServiceEntry may share an address.
        private readonly Dictionary<(EndpointAddress Address, uint Port), MeshEndpoint> _members = members
            .SelectMany(member => member.Ports.Select(port => (Place: (member.Address, (uint)port.Target), Member: member)))
            .GroupBy(item => item.Place).ToDictionary(group => group.Key, group => group.First().Member);
        private readonly Dictionary<(EndpointAddress Address, uint Port), NetworkGateway> _gateways = gateways.Ready.Values.SelectMany(all => all)
            .GroupBy(gateway => (gateway.Address, (uint)gateway.Port)).ToDictionary(group => group.Key, group => group.First());

        public int Misses(LbEndpoint endpoint, LocalityLbEndpoints group, ValueList<string> labels)
        {
            for (var i = 0; i < labels.Count; i++)
            {
                var (key, wanted) = labels[i].Split('=', 2) is [var name, var value] ? (name, value) : (labels[i], OwnLabel(labels[i]));
                if (LabelOf(endpoint, group, key) != wanted) return labels.Count - i;
            }
            return 0;
        }

        /// <summary>An absent label equals an empty one.</summary>
        private string LabelOf(LbEndpoint endpoint, LocalityLbEndpoints group, string key)
        {
            var place = TunnelGenerator.PlaceOf(endpoint.Endpoint.Address);
            if (_gateways.TryGetValue(place, out var gateway))
            {
                return key switch
                {
                    Labels.Network => gateway.Network,
                    Labels.Cluster => gateway.Cluster,
                    Labels.Region => group.Locality?.Region ?? "",
                    Labels.Zone => group.Locality?.Zone ?? "",
                    Labels.Subzone => group.Locality?.SubZone ?? "",
                    _ => "",
                };
            }
            var member = _members.GetValueOrDefault(place);
            // Without a network, it is reached directly, as if it were in the caller's.
            if (key == Labels.Network && member is { Network.Length: 0 }) return from.Network;
            return (key == Labels.Hostname ? member?.Node : member?.Labels.Items.GetValueOrDefault(key)) ?? "";
        }

        private string OwnLabel(string key) => key switch
        {
            Labels.Network => from.Network,
            Labels.Cluster => from.Cluster,
            Labels.Region => from.Locality.Region,
            Labels.Zone => from.Locality.Zone,
            Labels.Subzone => from.Locality.Subzone,
            Labels.Hostname => from.Node,
            _ => from.Labels.TryGetValue(key, out var value) ? value : "",
        };
    }

    private static Locality Of(LocalityLbEndpoints group) => new(group.Locality?.Region ?? "", group.Locality?.Zone ?? "", group.Locality?.SubZone ?? "");
}
