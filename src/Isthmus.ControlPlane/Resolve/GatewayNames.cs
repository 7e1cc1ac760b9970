using System.Collections.Concurrent;
using Isthmus.Graph.Derive;
using Isthmus.Graph.Intake;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Core.Tasks;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Resolve;

/// <summary>What is known about a gateway's host name.</summary>
/// <param name="Clusters">Clusters with a gateway of this name; empty when meshNetworks names it.</param>
/// <param name="Addresses">The last addresses that the name resolved to.</param>
/// <param name="Answered">When the name was last resolved; null if never.</param>
/// <param name="Error">Why the last attempt failed; empty while they are fresh.</param>
public sealed record ResolvedName(string Host, ValueList<string> Clusters, ValueList<Address> Addresses, DateTimeOffset? Answered, DateTimeOffset Next,
    string Error);

/// <summary>
/// Keeps the current addresses of gateways whose load balancer has a host name and no address. It resolves a name again
/// when the answer expires. A name that cannot be resolved keeps its last addresses.
/// </summary>
public sealed partial class GatewayNames(PushEngine engine, INameClient client, TimeProvider time, ILogger<GatewayNames> log)
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan SettlePatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ShortestLife = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestLife = TimeSpan.FromHours(1);
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, ResolvedName> _names = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, TimeSpan> _retries = new(StringComparer.OrdinalIgnoreCase);
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _revision = -1;

    /// <summary>From any thread.</summary>
    public IReadOnlyCollection<ResolvedName> All => [.. _names.Values.OrderBy(name => name.Host, StringComparer.Ordinal)];

    /// <summary>What is wrong with the names of a cluster's gateways; empty when nothing is.</summary>
    public string ProblemOf(string cluster) =>
        _names.Values.Where(name => name.Error.Length > 0 && name.Clusters.Contains(cluster)).OrderBy(name => name.Host, StringComparer.Ordinal)
        .Select(
            name =>
                $"gateway host name {name.Host}: "
                    + $"{name.Error}{(name.Addresses.IsEmpty ? "" : $"; its last addresses stay in use: {string.Join(", ", name.Addresses)}")}")
        .FirstOrDefault("");

    /// <summary>Waits until every name has been resolved, or has failed, once. Proxies that get a configuration earlier
    /// would lose the gateways of such names for a moment.</summary>
    public async Task SettleAsync(CancellationToken stop)
    {
        using var patience = new CancellationTokenSource(SettlePatience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stop);
        try
        {
            while (true)
            {
                // Taken before the names are read: a change in between completes it.
                var changed = Volatile.Read(ref _changed).Task;
                var wanted = await engine.AskAsync(writer => writer.Mesh.GatewayHostNames, either.Token).ConfigureAwait(false);
                if (wanted.All(item => _names.TryGetValue(item.Host, out var name) && (name.Answered is not null || name.Error.Length > 0))) return;
                await changed.WaitAsync(either.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            // A name server that does not answer must not keep the control plane from its proxies.
        }
    }

    public async Task RunAsync(CancellationToken stop)
    {
        var committed = new Signal();
        engine.Committed += committed.Tell;
        try
        {
            while (true)
            {
                await FollowAsync(stop).ConfigureAwait(false);
                var due = _names.Values.Where(name => name.Next <= time.GetUtcNow()).ToList();
                await Task.WhenAll(due.Select(name => ResolveAsync(name, stop))).ConfigureAwait(false);
                if (_names.IsEmpty) await committed.NextAsync(stop).ConfigureAwait(false);
                await Task.Delay(Tick, time, stop).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
        finally
        {
            engine.Committed -= committed.Tell;
        }
    }

    /// <summary>Adds new names and removes those that are gone.</summary>
    private async Task FollowAsync(CancellationToken stop)
    {
        if (engine.Mesh.Graph.Revision == _revision) return;
        var (revision, wanted) = await engine.AskAsync(writer => (writer.Mesh.Graph.Revision, writer.Mesh.GatewayHostNames), stop).ConfigureAwait(false);
        foreach (var (host, clusters) in wanted)
        {
            _names.AddOrUpdate(host, _ => new(host, clusters, default, null, DateTimeOffset.MinValue, ""), (_, known) => known with { Clusters = clusters });
        }
        foreach (var gone in _names.Keys.Except(wanted.Select(item => item.Host), StringComparer.OrdinalIgnoreCase).ToList())
        {
            // The name leaves the graph first, then the list: code that no longer sees the name finds none of its addresses
            // either.
            await engine.PostAsync(writer => writer.RemoveResolved(gone), stop).ConfigureAwait(false);
            _names.TryRemove(gone, out _);
            _retries.Remove(gone);
        }
        _revision = revision;
        Announce();
    }

    private async Task ResolveAsync(ResolvedName name, CancellationToken stop)
    {
        var answer = await client.AskAsync(name.Host, stop).ConfigureAwait(false);
        var now = time.GetUtcNow();
        if (answer.Addresses.IsEmpty)
        {
            TimeSpan retry;
            lock (_retries)
                retry = _retries[name.Host] = _retries.TryGetValue(name.Host, out var last)
                    ? TimeSpan.FromTicks(Math.Min(last.Ticks * 2, LongestRetry.Ticks))
                    : FirstRetry;
            if (name.Error.Length == 0) LogFailed(name.Host, answer.Error, string.Join(", ", name.Addresses));
            Update(name with { Error = answer.Error, Next = now + retry });
            return;
        }
        lock (_retries) _retries.Remove(name.Host);
        var life = answer.Life < ShortestLife ? ShortestLife : answer.Life > LongestLife ? LongestLife : answer.Life;
        if (answer.Addresses != name.Addresses)
        {
            LogResolved(name.Host, string.Join(", ", answer.Addresses));
            // The graph gets the answer before it counts as resolved: code that waits for it then finds it there.
            await engine.PostAsync(writer => PutIfWanted(writer, name.Host, answer.Addresses), stop).ConfigureAwait(false);
        }
        Update(name with { Addresses = answer.Addresses, Answered = now, Next = now + life, Error = "" });
    }

    /// <summary>The name may have been removed while it was being resolved. The answer must not bring it back.</summary>
    private static void PutIfWanted(MeshWriter writer, string host, ValueList<Address> addresses)
    {
        if (writer.Mesh.GatewayHostNames.Any(wanted => string.Equals(wanted.Host, host, StringComparison.OrdinalIgnoreCase)))
            writer.PutResolved(host, addresses);
    }

    private void Update(ResolvedName name)
    {
        _names[name.Host] = name;
        Announce();
    }

    private void Announce() => Interlocked.Exchange(ref _changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();

    [LoggerMessage(Level = LogLevel.Information, Message = "Gateway host name {Host} resolves to {Addresses}")]
    private partial void LogResolved(string host, string addresses);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Gateway host name {Host} cannot be resolved: {Error}; its last addresses stay in use: {Addresses}")]
    private partial void LogFailed(string host, string error, string addresses);
}
