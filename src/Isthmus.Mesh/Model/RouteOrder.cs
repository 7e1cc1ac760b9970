using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>The order in which the rules of a host are tried.</summary>
public static class RouteOrder
{
    /// <summary>
    /// Sets whose rules are in the order in which they are tried. Of those with <see cref="RoutePrecedence.Exactness"/>, there is one for
    /// each host and parent, in the place of the oldest; others stay as they are.
    /// </summary>
    public static IEnumerable<RouteSet> Settled(IEnumerable<RouteSet> sets)
    {
        var all = sets as IReadOnlyCollection<RouteSet> ?? [.. sets];
        if (all.All(set => set.Precedence == RoutePrecedence.Listed)) return all;
        var competing = all.Where(set => set.Precedence == RoutePrecedence.Exactness)
            .SelectMany(set => set.Hosts.SelectMany(host => set.Parents.Select(parent => (Host: host, Parent: parent, Set: set))))
            .GroupBy(item => (item.Host, item.Parent), item => item.Set)
            .Select(group => Merged(group.Key.Host, group.Key.Parent, group));
        return all.Where(set => set.Precedence == RoutePrecedence.Listed).Concat(competing).OrderBy(set => set.CreatedAt).ThenBy(set => set.Source);
    }

    /// <summary>One set of those that compete for a host of a parent.</summary>
    public static RouteSet Merged(string host, string parent, IEnumerable<RouteSet> competing) =>
        MergedInOrder(host, parent, [.. competing.OrderBy(set => set.CreatedAt).ThenBy(set => set.Source)]);

    private static RouteSet MergedInOrder(string host, string parent, IReadOnlyList<RouteSet> oldestFirst) => oldestFirst[0] with
    {
        Hosts = [host],
        Parents = [parent],
        Precedence = RoutePrecedence.Listed,
        // A stable sort: equally exact hosts and matches stay in the order of age, then name, then place in the object.
        Rules =
            oldestFirst.SelectMany(set => set.Rules.Select(rule => (Claim: ClaimOn(host, set),
                Rule: rule.Source is null ? rule with { Source = set.Source } : rule)))
            .SelectMany(item => item.Rule.Matches.IsEmpty
                ? [item]
                : item.Rule.Matches.Select(match => item with { Rule = item.Rule with { Matches = [match] } }))
            .OrderByDescending(item => item.Claim).ThenByDescending(item => Exactness.Of(item.Rule.Matches.IsEmpty ? null : item.Rule.Matches[0]))
            .Select(item => item.Rule).ToValueList(),
        Tls = oldestFirst.OrderByDescending(set => ClaimOn(host, set)).SelectMany(set => set.Tls).ToValueList(),
        Tcp = oldestFirst.SelectMany(set => set.Tcp).ToValueList(),
        Udp = oldestFirst.SelectMany(set => set.Udp).ToValueList(),
    };

    /// <summary>How exactly a set names a host: any name counts more than a wildcard, and a longer wildcard more than a shorter one.</summary>
    private static int ClaimOn(string host, RouteSet set)
    {
        var most = 0;
        foreach (var claim in set.Claims)
        {
            if (claim == host) return int.MaxValue;
            if (claim.StartsWith('*') && host.EndsWith(claim[1..], StringComparison.Ordinal)) most = Math.Max(most, claim.Length);
        }
        return most;
    }

    /// <summary>How narrow a match is, as the Gateway API compares them: path, then method, then headers, then query parameters.</summary>
    private readonly record struct Exactness(int PathKind, int PathLength, bool HasMethod, int Headers, int Queries) : IComparable<Exactness>
    {
        public static Exactness Of(HttpMatch? match)
        {
            // Without a path, a match is one of the prefix "/".
            var path = match?.Uri ?? new StringMatch(MatchKind.PathPrefix, "/");
            var kind = path.Kind switch { MatchKind.Exact => 2, MatchKind.Regex => 0, _ => 1 };
            return new(kind, path.Value.Length, match?.Method is not null, match?.Headers.Count ?? 0, match?.QueryParams.Count ?? 0);
        }

        public int CompareTo(Exactness other)
        {
            var order = PathKind.CompareTo(other.PathKind);
            if (order == 0) order = PathLength.CompareTo(other.PathLength);
            if (order == 0) order = HasMethod.CompareTo(other.HasMethod);
            if (order == 0) order = Headers.CompareTo(other.Headers);
            return order != 0 ? order : Queries.CompareTo(other.Queries);
        }
    }
}
