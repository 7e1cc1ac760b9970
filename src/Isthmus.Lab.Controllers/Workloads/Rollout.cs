using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Controllers.Workloads;

/// <summary>The next sizes of a Deployment's ReplicaSets. Pure arithmetic, so that tests can check its laws.</summary>
public static class Rollout
{
    /// <summary>One ReplicaSet as the arithmetic sees it.</summary>
    public sealed record Member(string Name, int Replicas, int Available, DateTimeOffset Created, int? MaxReplicas = null);

    /// <summary>The next size of the newest ReplicaSet: as large as the surge allows.</summary>
    public static int NextOfNewest(int wanted, int surge, int newest, int total)
    {
        if (newest >= wanted) return wanted;
        var room = wanted + surge - total;
        return room <= 0 ? newest : newest + Math.Min(room, wanted - newest);
    }

    /// <summary>The next sizes of the old ReplicaSets: unavailable Pods go first, then as many as the update can
    /// spare.</summary>
    public static IReadOnlyDictionary<string, int> NextOfOld(int wanted, int unavailable, Member? newest, IReadOnlyList<Member> old)
    {
        var next = old.ToDictionary(set => set.Name, set => set.Replicas, StringComparer.Ordinal);
        var total = old.Sum(set => set.Replicas) + (newest?.Replicas ?? 0);
        var least = wanted - unavailable;
        var notYet = newest is null ? 0 : Math.Max(0, newest.Replicas - newest.Available);
        var expendable = total - least - notYet;
        if (expendable <= 0) return next;
        var byAge = old.OrderBy(set => set.Created).ThenBy(set => set.Name, StringComparer.Ordinal).ToList();
        var cleaned = 0;
        foreach (var set in byAge)
        {
            var unhealthy = Math.Max(0, set.Replicas - set.Available);
            var take = Math.Min(expendable - cleaned, unhealthy);
            if (take <= 0) continue;
            next[set.Name] -= take;
            cleaned += take;
        }
        var spare = old.Sum(set => Math.Min(set.Available, set.Replicas)) + (newest is null ? 0 : Math.Min(newest.Available, newest.Replicas)) - least;
        foreach (var set in byAge)
        {
            var take = Math.Min(next[set.Name], spare);
            if (take <= 0) continue;
            next[set.Name] -= take;
            spare -= take;
        }
        return next;
    }

    /// <summary>The sizes after the Deployment itself was scaled during a rollout: each ReplicaSet changes in proportion to
    /// its size.</summary>
    public static IReadOnlyDictionary<string, int> Proportional(int wanted, int surge, IReadOnlyList<Member> active)
    {
        var allowed = wanted > 0 ? wanted + surge : 0;
        var total = active.Sum(set => set.Replicas);
        var open = allowed - total;
        // When growing, the newest goes first; when shrinking, the oldest.
        var order = open > 0
            ? active.OrderByDescending(set => set.Replicas).ThenByDescending(set => set.Created)
            : active.OrderByDescending(set => set.Replicas).ThenBy(set => set.Created);
        var sorted = order.ThenBy(set => set.Name, StringComparer.Ordinal).ToList();
        var next = sorted.ToDictionary(set => set.Name, set => set.Replicas, StringComparer.Ordinal);
        var added = 0;
        foreach (var set in sorted)
        {
            if (open == 0 || set.Replicas == 0) continue;
            var before = set.MaxReplicas is > 0 and var max ? max : Math.Max(total, 1);
            var share = (int)Math.Round((double)set.Replicas * allowed / before, MidpointRounding.AwayFromZero) - set.Replicas;
            share = open > 0 ? Math.Clamp(share, 0, open - added) : Math.Clamp(share, open - added, 0);
            next[set.Name] += share;
            added += share;
        }
        if (sorted.Count > 0 && open != added) next[sorted[0].Name] = Math.Max(0, next[sorted[0].Name] + open - added);
        return next;
    }
}
