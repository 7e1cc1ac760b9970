using Isthmus.Core.Collections;
using Isthmus.Core.Tasks;

namespace Isthmus.Proxy.Clusters;

/// <summary>How a check of a host ended.</summary>
internal enum CheckOutcome
{
    Passed,

    /// <summary>The answer says that the host is not healthy.</summary>
    Refused,

    /// <summary>The same, but it may pass: it counts as often as the threshold says.</summary>
    Retriable,

    /// <summary>There was no answer: no connection, or it ended.</summary>
    NetworkFailure,

    TimedOut,

    /// <summary>An answer to a request said so, not to a check.</summary>
    Passive,
}

/// <param name="Reason">Why it failed, for the log.</param>
internal readonly record struct CheckResult(CheckOutcome Outcome, string Reason)
{
    public static readonly CheckResult Passed = new(CheckOutcome.Passed, "");

    public bool IsPassed => Outcome == CheckOutcome.Passed;
}

/// <summary>What a check changed.</summary>
internal enum HealthTransition
{
    None,

    /// <summary>It would change the host's health if the next checks ended alike.</summary>
    Pending,

    Changed,
}

/// <summary>What active health checks say about one host. Like Envoy's, a host is unhealthy until its first check.</summary>
internal sealed class CheckMemory
{
    /// <summary>The host gets no requests, while there are others.</summary>
    public volatile bool IsFailed = true;

    /// <summary>It failed by not answering in time.</summary>
    public volatile bool IsTimedOut;

    public bool HasResult;
    public int Successes;
    public int Failures;
}

/// <summary>Turns the results of checks into the health of a cluster's hosts. It makes no checks itself.</summary>
internal sealed class ActiveHealth(ClusterState cluster, HealthCheckSettings settings)
{
    private readonly Lock _lock = new();   // guards the hosts' memories
    private volatile bool _hasFailed;

    public HealthCheckSettings Settings => settings;

    /// <summary>Some host may fail its checks, so choices must look at each.</summary>
    public bool HasFailed => _hasFailed;

    /// <summary>Told when hosts have joined or left.</summary>
    public Signal Changed { get; } = new();

    /// <summary>Hosts that pass their checks.</summary>
    public long Passing => cluster.Hosts.All.Count(host => host.Check is { IsFailed: false });

    /// <summary>Whether an endpoint is checked; those that are not count as healthy.</summary>
    public static bool Covers(Endpoint endpoint) => endpoint.Check is not { IsDisabled: true };

    /// <summary>What is known about a new host: nothing. As in Envoy, the host of a logical name stays what it was when its address changes.</summary>
    public CheckMemory Join(HostSet before) => cluster.Config.Kind == ClusterKind.LogicalDns && before.All is [{ Check: { } check }]
        ? new() { IsFailed = check.IsFailed, IsTimedOut = check.IsTimedOut, HasResult = check.HasResult } : new();

    /// <summary>The cluster gets other hosts.</summary>
    /// <param name="publish">Puts them in use.</param>
    public void Move(Action publish)
    {
        lock (_lock)
        {
            // Before, so that no choice overlooks a new host.
            _hasFailed = true;
            publish();
            Look();
        }
        Changed.Tell();
    }

    /// <summary>What the control plane names, and the hosts that it names no more but that still pass their checks: as in Envoy, these prove it
    /// wrong, until they fail.</summary>
    public LoadAssignment Keep(LoadAssignment next, LoadAssignment before, Func<Endpoint, Host?> find)
    {
        if (settings.RemovesHealthy || ReferenceEquals(next, before)) return next;
        var named = next.Localities.SelectMany(locality => locality.Endpoints).Select(ClusterState.Key).ToHashSet();
        var localities = next.Localities.ToList();
        foreach (var locality in before.Localities)
        {
            var kept = locality.Endpoints.Where(endpoint => !named.Contains(ClusterState.Key(endpoint)) && find(endpoint)?.Check is { IsFailed: false })
                .ToList();
            if (kept.Count == 0) continue;
            var at = localities.FindIndex(other => other.Text == locality.Text && other.Priority == locality.Priority);
            if (at < 0) localities.Add(locality with { Endpoints = kept.ToValueList() });
            else localities[at] = localities[at] with { Endpoints = localities[at].Endpoints.Concat(kept).ToValueList() };
            foreach (var endpoint in kept) find(endpoint)!.IsLeaving = true;
        }
        return localities.Count == next.Localities.Count && localities.SequenceEqual(next.Localities)
            ? next
            : next with { Localities = localities.ToValueList() };
    }

    /// <summary>Records a result of the host's checks, one after another.</summary>
    public HealthTransition Record(Host host, CheckResult result)
    {
        if (host.Check is not { } check) return HealthTransition.None;
        HealthTransition transition;
        lock (_lock)
        {
            transition = result.IsPassed ? Pass(check) : Fail(check, result.Outcome);
            check.HasResult = true;
            if (transition == HealthTransition.Changed) Look();
        }
        if (transition == HealthTransition.Changed && check.IsFailed && host.IsLeaving) cluster.Review();
        if (result.IsPassed && !check.IsFailed) cluster.Passed(host);
        return transition;
    }

    private HealthTransition Pass(CheckMemory check)
    {
        Interlocked.Increment(ref cluster.Counters.Checks.Successes);
        check.Failures = 0;
        if (!check.IsFailed) return HealthTransition.None;
        if (check.HasResult && ++check.Successes < settings.HealthyThreshold) return HealthTransition.Pending;
        check.IsFailed = check.IsTimedOut = false;
        return HealthTransition.Changed;
    }

    private HealthTransition Fail(CheckMemory check, CheckOutcome outcome)
    {
        Interlocked.Increment(ref cluster.Counters.Checks.Failures);
        if (outcome is CheckOutcome.NetworkFailure or CheckOutcome.TimedOut) Interlocked.Increment(ref cluster.Counters.Checks.NetworkFailures);
        if (outcome is CheckOutcome.Passive) Interlocked.Increment(ref cluster.Counters.Checks.PassiveFailures);
        check.Successes = 0;
        var before = check.IsFailed;
        if (!before && outcome is not (CheckOutcome.Refused or CheckOutcome.Passive) && ++check.Failures < settings.UnhealthyThreshold)
            return HealthTransition.Pending;
        check.IsTimedOut = outcome == CheckOutcome.TimedOut;
        check.IsFailed = true;
        return before ? HealthTransition.None : HealthTransition.Changed;
    }

    // Each change of a host's health, and of the hosts, is followed by this: the last one sees all.
    private void Look() => _hasFailed = cluster.Hosts.All.Any(host => host.Check is { IsFailed: true });
}

/// <summary>Counters of the health checks of one cluster, with the names of Envoy's statistics.</summary>
internal sealed class CheckCounters
{
    public long Attempts;
    public long Successes;
    public long Failures;
    public long NetworkFailures;
    public long PassiveFailures;
    public long VerifiedClusters;
}
