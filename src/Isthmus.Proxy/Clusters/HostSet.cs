using Priority = Isthmus.Proxy.Clusters.HostPriority;

namespace Isthmus.Proxy.Clusters;

/// <summary>How a cluster spreads its requests.</summary>
public enum BalancingPolicy { RoundRobin, LeastRequest, Random, Hash }

/// <summary>The inputs of a host choice besides the hosts.</summary>
/// <param name="Now">The current timestamp.</param>
/// <param name="Tried">Hosts that already failed this request; they come last.</param>
/// <param name="Hash">Key of the request for consistent hashing; null when it has none.</param>
internal readonly record struct PickInputs(long Now, IReadOnlyList<Host>? Tried, ulong? Hash)
{
    /// <summary>After so many tried hosts, those of other priorities come first; 0: never.</summary>
    public int LeaveAfter { get; init; }
}

/// <summary>The hosts of a cluster at one moment, arranged for choosing. Immutable except for the hosts' own state.</summary>
internal sealed class HostSet
{
    internal const double Overprovisioning = 1.4;

    /// <summary>
    /// A threshold up to this percentage is about hosts that failed this proxy. Those that the control plane calls unhealthy get no request then,
    /// even if no other is left: their Pods are not ready.
    /// </summary>
    private const double LeastPanic = 1;

    internal readonly record struct Entry(Host Host, double Weight, int Locality);

    private readonly Priority[] _priorities;
    private readonly bool _hasUnhealthy;

    /// <summary>What is left of the priorities by what the control plane says, with the part of the requests that each takes: enough for a choice
    /// while nothing else is known against any host.</summary>
    private readonly (Priority Hosts, double Load)[] _told = [];
    private readonly KeyedHosts _keyed;
    private readonly Warmup? _warmup;

    /// <summary>How requests go to the zones of the first priority.</summary>
    private readonly (ZoneAwareness Rule, OwnZones Own)? _zones;

    private readonly Zone[] _zoneOf = [];

    /// <summary>The way to the zones of the first priority while all its hosts are healthy; null if they do not matter.</summary>
    private readonly ZoneRoute<Priority>? _route;

    /// <summary>Arranges the hosts; with <paramref name="weightLocalities"/> a locality's own weight decides its share.</summary>
    /// <param name="hashing">How to arrange them for consistent hashing.</param>
    /// <param name="warmup">How new ones get their share; null: at once.</param>
    /// <param name="zones">How requests keep to the zone of this proxy; null: zones do not matter.</param>
    public HostSet(IReadOnlyList<(LocalityEndpoints Locality, IReadOnlyList<Host> Hosts)> localities, bool weightLocalities, HashSettings? hashing = null,
        Warmup? warmup = null, (ZoneAwareness, OwnZones)? zones = null)
    {
        _warmup = warmup;
        All = [.. localities.SelectMany(l => l.Hosts).Distinct()];
        _hasUnhealthy = All.Any(h => h.Endpoint.Health != EndpointHealth.Healthy);
        var arranged = localities.GroupBy(l => l.Locality.Priority).OrderBy(g => g.Key)
            .Select(g => (Localities: g, Priority: Arrange([.. g], weightLocalities))).Where(item => item.Priority.Entries.Length > 0).ToList();
        _priorities = [.. arranged.Select(item => item.Priority)];
        _keyed = new(_priorities, hashing ?? HashSettings.Ring);
        if (_hasUnhealthy) _told = [.. Told()];
        if (zones is null || arranged.Count == 0) return;
        _zones = zones;
        _zoneOf = [.. arranged[0].Localities.Select(item => Zone.Of(item.Locality))];
        _route = RouteOf(_priorities[0]);
    }

    public static readonly HostSet Empty = new([], false);

    public IReadOnlyList<Host> All { get; }

    /// <summary>Chooses a host, or null when none may be used.</summary>
    /// <param name="impairedUntil">Up to this timestamp some host may be ejected or avoided; after it every choice is quick.</param>
    /// <param name="panicThreshold">Percentage of healthy hosts below which health is ignored; null: only when none is
    /// healthy; 0: never.</param>
    public Host? Pick(PickInputs inputs, BalancingPolicy policy, Random random, long impairedUntil, double? panicThreshold)
    {
        if (_priorities.Length == 0) return null;
        if (policy == BalancingPolicy.Hash)
            return _keyed.Pick(inputs, inputs.Hash ?? (ulong)random.NextInt64(long.MinValue, long.MaxValue), panicThreshold);
        if (!_hasUnhealthy && impairedUntil <= inputs.Now && inputs.Tried is not { Count: > 0 })
            return Choose(_route is null ? _priorities[0] : _route.Choose(random), policy, random, inputs.Now);
        if (_told.Length > 0 && _zones is null && impairedUntil <= inputs.Now && inputs.Tried is not { Count: > 0 } && !(panicThreshold > LeastPanic))
            return PickTold(policy, random, inputs.Now);
        return PickCarefully(inputs, policy, random, panicThreshold);
    }

    private IEnumerable<(Priority, double)> Told()
    {
        var total = 0.0;
        foreach (var priority in _priorities)
        {
            var load = Math.Min(Math.Min(1, Overprovisioning * priority.Entries.Count(entry => IsCalledHealthy(entry.Host)) / priority.Entries.Length),
                1 - total);
            total += load;
            if (load > 0) yield return (Narrow(priority, IsCalledHealthy, IsCalledHealthy), load);
        }
    }

    private Host? PickTold(BalancingPolicy policy, Random random, long now)
    {
        var chosen = 0;
        if (_told.Length > 1)
        {
            var total = 0.0;
            foreach (var (_, load) in _told) total += load;
            var at = random.NextDouble() * total;
            while (chosen < _told.Length - 1 && (at -= _told[chosen].Load) >= 0) chosen++;
        }
        return Choose(_told[chosen].Hosts, policy, random, now);
    }

    private static bool IsCalledHealthy(Host host) => host.Endpoint.Health == EndpointHealth.Healthy;

    /// <summary>Whether a host gets no request even where health is ignored.</summary>
    internal static bool IsSpared(Host host, double? panicThreshold) => panicThreshold <= LeastPanic && !IsCalledHealthy(host);

    private Host? PickCarefully(PickInputs inputs, BalancingPolicy policy, Random random, double? panicThreshold)
    {
        // Each pass relaxes the rules: healthy hosts, then those that just failed to connect, then those this request already tried.
        if (inputs.LeaveAfter > 0 && inputs.Tried is { } tried && tried.Count >= inputs.LeaveAfter && PickElsewhere(inputs, policy, random) is { } elsewhere)
            return elsewhere;
        if (panicThreshold is > 0 and var threshold && PriorityShares.Of(_priorities, inputs.Now) is { Total: < 1 } shares && shares.AnyPanics(threshold))
            return PickInPanic(shares, threshold, inputs, policy, random);
        return PickAmong(inputs, policy, random, avoidable: false, triable: false)
            ?? PickAmong(inputs, policy, random, avoidable: true, triable: false)
            ?? PickAmong(inputs, policy, random, avoidable: true, triable: true)
            ?? (panicThreshold is 0 ? null : Panic(inputs, policy, random, panicThreshold));
    }

    /// <summary>A host of the first priority without tried hosts that has one to offer. As in Envoy, hosts tried since the last full
    /// number of attempts do not count.</summary>
    private Host? PickElsewhere(PickInputs inputs, BalancingPolicy policy, Random random)
    {
        var counted = inputs.Tried!.Count / inputs.LeaveAfter * inputs.LeaveAfter;
        foreach (var priority in _priorities)
        {
            if (inputs.Tried.Take(counted).Any(tried => Array.Exists(priority.Entries, entry => ReferenceEquals(entry.Host, tried)))) continue;
            var narrow = Narrow(priority, inputs, avoidable: false, triable: false);
            if (Choose(narrow, policy, random, inputs.Now) is { } host) return host;
        }
        return null;
    }

    /// <summary>
    /// Envoy's panic: where too few hosts are healthy to take the requests, the others get their share, too. If that is so in each priority, hosts
    /// of all of them are chosen.
    /// </summary>
    private Host? PickInPanic(PriorityShares shares, double threshold, PickInputs inputs, BalancingPolicy policy, Random random)
    {
        var all = shares.AllPanic(threshold);
        double Load(int p) => all ? _priorities[p].Entries.Count(entry => !IsSpared(entry.Host, threshold)) : shares.Load[p];
        var at = random.NextDouble() * (all ? Enumerable.Range(0, _priorities.Length).Sum(Load) : shares.Total);
        var chosen = 0;
        while (chosen < _priorities.Length - 1 && (at -= Load(chosen)) >= 0) chosen++;
        var (from, now) = (_priorities[chosen], inputs.Now);
        foreach (var (avoidable, triable) in ((bool, bool)[])[(false, false), (true, false), (true, true)])
        {
            if (!shares.Panics(chosen, threshold))
            {
                if (Choose(Narrow(from, inputs, avoidable, triable), policy, random, now) is { } healthy) return healthy;
                continue;
            }
            var rest = Array.FindAll(from.Entries,
                entry => !IsSpared(entry.Host, threshold) && (avoidable || !entry.Host.IsAvoided(now)) && (triable || !IsTried(inputs, entry.Host)));
            if (rest.Length > 0)
                return Choose(rest.Length == from.Entries.Length ? from : new(rest, from.LocalityWeights, from.EqualWeights) { Turns = from.Turns }, policy,
                    random, now);
        }
        return null;
    }

    private Host? Panic(PickInputs inputs, BalancingPolicy policy, Random random, double? panicThreshold)
    {
        var first = _priorities[0];
        var any = Array.FindAll(first.Entries, entry => !IsSpared(entry.Host, panicThreshold));
        var untried = Array.FindAll(any, entry => !IsTried(inputs, entry.Host));
        return Choose(new Priority(untried.Length > 0 ? untried : any, first.LocalityWeights, false) { Turns = first.Turns }, policy, random, inputs.Now);
    }

    private Host? PickAmong(PickInputs inputs, BalancingPolicy policy, Random random, bool avoidable, bool triable)
    {
        Span<double> health = _priorities.Length <= 16 ? stackalloc double[_priorities.Length] : new double[_priorities.Length];
        Span<int> usable = _priorities.Length <= 16 ? stackalloc int[_priorities.Length] : new int[_priorities.Length];
        var total = 0.0;
        for (var p = 0; p < _priorities.Length; p++)
        {
            var healthy = 0;
            foreach (var entry in _priorities[p].Entries)
            {
                if (entry.Host.IsHealthy(inputs.Now)) healthy++;
                if (IsUsable(entry.Host, inputs, avoidable, triable)) usable[p]++;
            }
            // Envoy's rule: a priority keeps all its traffic until less than 1/1.4 of it is healthy, then it spills over.
            health[p] = usable[p] == 0 ? 0 : Math.Min(1, Overprovisioning * healthy / _priorities[p].Entries.Length);
            health[p] = Math.Min(health[p], 1 - total);
            total += health[p];
        }
        if (total <= 0) return null;
        var at = random.NextDouble() * total;
        var chosen = 0;
        while (chosen < _priorities.Length - 1 && (at -= health[chosen]) >= 0) chosen++;
        while (usable[chosen] == 0) chosen = (chosen + 1) % _priorities.Length;
        var narrow = Narrow(_priorities[chosen], inputs, avoidable, triable);
        return Choose(chosen == 0 && RouteOf(narrow) is { } route ? route.Choose(random) : narrow, policy, random, inputs.Now);
    }

    private ZoneRoute<Priority>? RouteOf(Priority from) =>
        _zones is { } zones
            ? ZoneRoute<Priority>.Of(zones, from, from.Entries, _zoneOf,
                entries => new(entries, from.LocalityWeights, AreEqual(entries)) { Turns = from.Turns })
            : null;

    private static bool AreEqual(IReadOnlyList<Entry> entries) => entries.All(entry => Math.Abs(entry.Weight - entries[0].Weight) < 1e-9);

    private static Priority Narrow(Priority from, PickInputs inputs, bool avoidable, bool triable) =>
        Narrow(from, host => host.IsHealthy(inputs.Now), host => IsUsable(host, inputs, avoidable, triable));

    private static Priority Narrow(Priority from, Func<Host, bool> isHealthy, Func<Host, bool> isUsable)
    {
        var count = new int[from.LocalityWeights.Length];
        var healthy = new int[from.LocalityWeights.Length];
        var weights = new double[from.LocalityWeights.Length];
        var kept = new List<Entry>();
        foreach (var entry in from.Entries)
        {
            count[entry.Locality]++;
            if (isHealthy(entry.Host)) healthy[entry.Locality]++;
            if (!isUsable(entry.Host)) continue;
            kept.Add(entry);
            weights[entry.Locality] += entry.Weight;
        }
        // A locality keeps its share while most of its hosts are healthy; the healthy ones carry that share.
        for (var i = 0; i < kept.Count; i++)
        {
            var locality = kept[i].Locality;
            if (from.LocalityWeights[locality] <= 0) continue;
            var share = from.LocalityWeights[locality] * Math.Min(1, Overprovisioning * healthy[locality] / count[locality]);
            kept[i] = kept[i] with { Weight = share * kept[i].Weight / weights[locality] };
        }
        return new Priority([.. kept], from.LocalityWeights, AreEqual(kept)) { Turns = from.Turns };
    }

    internal static bool IsTried(PickInputs inputs, Host host)
    {
        if (inputs.Tried is not { } tried) return false;
        for (var i = 0; i < tried.Count; i++)
            if (ReferenceEquals(tried[i], host)) return true;
        return false;
    }

    internal static bool IsUsable(Host host, PickInputs inputs, bool avoidable, bool triable) =>
        host.IsHealthy(inputs.Now) && (avoidable || !host.IsAvoided(inputs.Now)) && (triable || !IsTried(inputs, host));

    private Host? Choose(Priority from, BalancingPolicy policy, Random random, long now)
    {
        if (from.Entries.Length <= 1) return from.Entries.Length == 0 ? null : from.Entries[0].Host;
        if (_warmup is not null && _warmup.IsActive(now) && policy != BalancingPolicy.Random) return ChooseWarming(from, policy, random, now, _warmup);
        switch (policy)
        {
            case BalancingPolicy.RoundRobin:
                var turn = from.Turns.Next();
                // Steps of the golden ratio visit weighted hosts as evenly as their weights allow.
                return from.EqualWeights ? from.Entries[turn % from.Entries.Length].Host : At(from, turn * 0.6180339887498949 % 1.0);
            case BalancingPolicy.LeastRequest:
                var (first, second) = Two(from, random);
                return second.Active < first.Active ? second : first;
            default:
                return At(from, random.NextDouble());
        }
    }

    /// <summary>While hosts warm up, each is drawn by its weight; that of a busy one is smaller with <see cref="BalancingPolicy.LeastRequest"/>.</summary>
    private static Host ChooseWarming(Priority from, BalancingPolicy policy, Random random, long now, Warmup warmup)
    {
        double Weight(Entry entry) => entry.Weight * warmup.Factor(entry.Host, now) / (policy == BalancingPolicy.LeastRequest ? entry.Host.Active + 1 : 1);
        var at = random.NextDouble() * from.Entries.Sum(Weight);
        foreach (var entry in from.Entries)
            if ((at -= Weight(entry)) < 0) return entry.Host;
        return from.Entries[^1].Host;
    }

    /// <summary>
    /// Draws two candidates and takes the less busy one. Equal hosts are drawn without replacement: connections that
    /// live for hours must not all land on one of two hosts after a few unlucky draws.
    /// </summary>
    private static (Host First, Host Second) Two(Priority from, Random random)
    {
        if (!from.EqualWeights) return (At(from, random.NextDouble()), At(from, random.NextDouble()));
        var first = random.Next(from.Entries.Length);
        var second = random.Next(from.Entries.Length - 1);
        return (from.Entries[first].Host, from.Entries[second < first ? second : second + 1].Host);
    }

    private static Host At(Priority from, double share)
    {
        var target = share * from.Cumulative[^1];
        var at = Array.BinarySearch(from.Cumulative, target);
        if (at < 0) at = ~at;
        else at++;
        return from.Entries[Math.Min(at, from.Entries.Length - 1)].Host;
    }

    private static Priority Arrange((LocalityEndpoints Locality, IReadOnlyList<Host> Hosts)[] localities, bool weightLocalities)
    {
        var entries = new List<Entry>();
        var weights = new double[localities.Length];
        for (var i = 0; i < localities.Length; i++)
        {
            var (locality, hosts) = localities[i];
            // A locality without weight gets no traffic when localities are weighted (Envoy), unless none has one.
            var weighted = weightLocalities && localities.Any(l => l.Locality.Weight > 0);
            if (weighted && locality.Weight == 0) continue;
            weights[i] = weighted ? locality.Weight : 0;
            var sum = hosts.Sum(h => (double)Math.Max(1, h.Endpoint.Weight));
            foreach (var host in hosts)
            {
                var own = Math.Max(1, host.Endpoint.Weight);
                entries.Add(new(host, weighted ? locality.Weight * own / sum : own, i));
            }
        }
        return new Priority([.. entries], weights, entries.Count > 0 && AreEqual(entries));
    }
}
