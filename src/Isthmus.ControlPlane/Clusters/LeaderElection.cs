using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>The Lease for leadership, and its durations (client-go's defaults).</summary>
/// <param name="Identity">The candidate: the same after a restart of the same Pod, which then leads again at once.</param>
public sealed record LeaseTerms(string Namespace, string Name, string Identity)
{
    /// <summary>After this time without a renewal, another candidate takes over.</summary>
    public TimeSpan Duration { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>A leader that could not renew for this long stops leading: before <see cref="Duration"/> ends, so that two
    /// never lead.</summary>
    public TimeSpan Deadline { get; init; } = TimeSpan.FromSeconds(10);

    public TimeSpan RenewEvery { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan TryEvery { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Labels of the Lease when this candidate creates it.</summary>
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();
}

/// <summary>
/// Runs work in at most one of several processes: the one that holds a Lease (coordination.k8s.io/v1). Clocks are not compared:
/// a holder is gone when its Lease was not seen to change for its duration.
/// </summary>
public sealed partial class LeaderElection(KubeClient client, LeaseTerms terms, TimeProvider time, ILogger log)
{
    private static readonly TimeSpan ReleaseLimit = TimeSpan.FromSeconds(2);

    private (string Holder, string Renewed) _seen;
    private long _seenAt;

    /// <summary>Whether the work runs here.</summary>
    public bool Leading { get; private set; }

    /// <summary>Why the Lease could not be read or written last; null while it can.</summary>
    public Exception? LastError { get; private set; }

    /// <summary>Runs <paramref name="lead"/> while holding the Lease, until stopped. It is cancelled when the Lease is
    /// lost; its exceptions are rethrown.</summary>
    public async Task RunAsync(Func<CancellationToken, Task> lead, CancellationToken stop)
    {
        try
        {
            while (true)
            {
                if (await TryHoldAsync(stop) == true)
                {
                    await LeadAsync(lead, stop);
                    continue;
                }
                await Task.Delay(terms.TryEvery, time, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    private async Task LeadAsync(Func<CancellationToken, Task> lead, CancellationToken stop)
    {
        using var term = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Leading = true;
        Begun(log, terms.Name, client.Access.Name);
        var work = lead(term.Token);
        try
        {
            await KeepAsync(work, stop);
        }
        finally
        {
            await term.CancelAsync();
            // Another candidate may start only after the work has ended.
            await work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Leading = false;
            await ReleaseAsync();
            Ended(log, terms.Name, client.Access.Name);
        }
        if (work.IsFaulted) await work;
    }

    /// <summary>Renews until the Lease is lost, the work ends or the election is stopped.</summary>
    private async Task KeepAsync(Task work, CancellationToken stop)
    {
        var renewed = time.GetTimestamp();
        while (time.GetElapsedTime(renewed) < terms.Deadline)
        {
            var wait = LastError is null ? terms.RenewEvery : terms.TryEvery;
            if (await Task.WhenAny(work, Task.Delay(wait, time, stop)) == work) return;
            stop.ThrowIfCancellationRequested();
            using var end = new CancellationTokenSource(TimeSpan.FromTicks(Math.Max(0, (terms.Deadline - time.GetElapsedTime(renewed)).Ticks)), time);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop, end.Token);
            switch (await TryHoldAsync(limit.Token))
            {
                case true: renewed = time.GetTimestamp(); break;
                case false: return;
            }
        }
    }

    /// <summary>True: this candidate holds the Lease. False: another one does. Null: unknown, the API server did not respond.</summary>
    private async Task<bool?> TryHoldAsync(CancellationToken stop)
    {
        try
        {
            var held = await HoldAsync(stop);
            LastError = null;
            return held;
        }
        catch (KubeException e) when (e.IsConflict || e.IsAlreadyExists)
        {
            return null; // a concurrent write: read again
        }
        catch (Exception e) when (e is KubeException or HttpRequestException or IOException or JsonException
            || (e is OperationCanceledException && !stop.IsCancellationRequested))
        {
            if (LastError?.Message != e.Message) Failed(log, terms.Name, client.Access.Name, e.Message);
            LastError = e;
            return null;
        }
        catch (OperationCanceledException e) when (Leading)
        {
            LastError = e;
            return null;
        }
    }

    private async Task<bool> HoldAsync(CancellationToken stop)
    {
        var now = time.GetUtcNow();
        if (await client.FindAsync(Kinds.Lease, terms.Namespace, terms.Name, stop) is not { } lease)
        {
            await client.CreateAsync(Kinds.Lease, New(now), stop);
            return true;
        }
        var spec = lease["spec"] as JsonObject ?? (JsonObject)(lease["spec"] = new JsonObject())!;
        var (holder, renewed) = ((string?)spec["holderIdentity"] ?? "", (string?)spec["renewTime"] ?? "");
        if (_seen != (holder, renewed)) (_seen, _seenAt) = ((holder, renewed), time.GetTimestamp());
        var ours = holder == terms.Identity;
        var duration = (int?)spec["leaseDurationSeconds"] is { } seconds ? TimeSpan.FromSeconds(seconds) : terms.Duration;
        if (holder.Length > 0 && !ours && time.GetElapsedTime(_seenAt) < duration) return false;
        if (!ours)
        {
            spec["acquireTime"] = ApiTime.Micros(now);
            spec["leaseTransitions"] = ((int?)spec["leaseTransitions"] ?? 0) + 1;
        }
        spec["holderIdentity"] = terms.Identity;
        spec["leaseDurationSeconds"] = (int)terms.Duration.TotalSeconds;
        spec["renewTime"] = ApiTime.Micros(now);
        await client.ReplaceAsync(Kinds.Lease, lease, stop);
        return true;
    }

    /// <summary>Releases the Lease, so that others need not wait for its end. If that fails, they only have to wait.</summary>
    private async Task ReleaseAsync()
    {
        using var limit = new CancellationTokenSource(ReleaseLimit, time);
        try
        {
            if (await client.FindAsync(Kinds.Lease, terms.Namespace, terms.Name, limit.Token) is not { } lease) return;
            if (lease["spec"] is not JsonObject spec || (string?)spec["holderIdentity"] != terms.Identity) return;
            spec["holderIdentity"] = "";
            spec["renewTime"] = ApiTime.Micros(time.GetUtcNow());
            await client.ReplaceAsync(Kinds.Lease, lease, limit.Token);
        }
        catch (Exception e) when (e is KubeException or HttpRequestException or IOException or JsonException or OperationCanceledException
            or ObjectDisposedException)
        {
            NotReleased(log, terms.Name, client.Access.Name, e.Message);
        }
    }

    private JsonObject New(DateTimeOffset now) => new()
    {
        ["apiVersion"] = Kinds.Lease.ApiVersion,
        ["kind"] = Kinds.Lease.Kind,
        ["metadata"] = new JsonObject
        {
            ["name"] = terms.Name,
            ["namespace"] = terms.Namespace,
            ["labels"] = new JsonObject(terms.Labels.Select(label => KeyValuePair.Create(label.Key, (JsonNode?)JsonValue.Create(label.Value)))),
        },
        ["spec"] = new JsonObject
        {
            ["holderIdentity"] = terms.Identity,
            ["leaseDurationSeconds"] = (int)terms.Duration.TotalSeconds,
            ["acquireTime"] = ApiTime.Micros(now),
            ["renewTime"] = ApiTime.Micros(now),
            ["leaseTransitions"] = 0,
        },
    };

    /// <summary>Kubernetes' MicroTime.</summary>
    [LoggerMessage(Level = LogLevel.Information, Message = "Became the leader for {Lease} in {Cluster}")]
    private static partial void Begun(ILogger log, string lease, string cluster);

    [LoggerMessage(Level = LogLevel.Information, Message = "No longer the leader for {Lease} in {Cluster}")]
    private static partial void Ended(ILogger log, string lease, string cluster);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Lease {Lease} in {Cluster} could not be read or written; retrying: {Error}")]
    private static partial void Failed(ILogger log, string lease, string cluster, string error);

    [LoggerMessage(Level = LogLevel.Information, Message = "Lease {Lease} in {Cluster} could not be released; it expires by itself: {Error}")]
    private static partial void NotReleased(ILogger log, string lease, string cluster, string error);
}
