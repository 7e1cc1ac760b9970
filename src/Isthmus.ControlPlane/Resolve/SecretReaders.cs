using Isthmus.ControlPlane.Push;
using Isthmus.Core.Tasks;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Resolve;

/// <summary>
/// Keeps current whether the accounts of connected gateways may list the Secrets of their namespaces: the API server of the gateway's own
/// cluster decides (SubjectAccessReview). While it cannot be asked, its last answer counts, and without one, an account may not.
/// </summary>
/// <param name="clientOf">The client of a cluster by its ID; null when the cluster is unknown.</param>
public sealed partial class SecretReaders(PushEngine engine, Func<string, KubeClient?> clientOf, TimeProvider time, ILogger<SecretReaders> log)
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Life = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    // Only the task of RunAsync touches it, and the task of each entry that entry.
    private readonly Dictionary<AccountKey, Entry> _entries = [];

    private sealed class Entry
    {
        public Task Asking { get; set; } = Task.CompletedTask;

        public DateTimeOffset Next { get; set; }

        public TimeSpan Retry { get; set; } = FirstRetry;

        /// <summary>The API server's last answer, or why there is none; null if it has said nothing yet.</summary>
        public SecretAccess? Known { get; set; }

        public bool IsAnswer { get; set; }
    }

    public async Task RunAsync(CancellationToken stop)
    {
        var connected = new Signal();
        engine.Published += connected.Tell;
        var changed = Task.CompletedTask;
        try
        {
            while (true)
            {
                stop.ThrowIfCancellationRequested();
                if (changed.IsCompleted)
                {
                    changed = connected.NextAsync(stop);
                    await FollowAsync(stop).ConfigureAwait(false);
                }
                // Each by itself: a cluster that takes its time does not delay the others.
                foreach (var (account, entry) in _entries)
                    if (entry.Asking.IsCompleted && entry.Next <= time.GetUtcNow()) entry.Asking = AskAsync(account, entry, stop);
                await (_entries.Count == 0 ? changed : Task.WhenAny(changed, Task.Delay(Tick, time, stop))).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
        finally
        {
            engine.Published -= connected.Tell;
        }
        await Task.WhenAll(_entries.Values.Select(entry => entry.Asking)).ConfigureAwait(false);
    }

    /// <summary>Adds the accounts of gateways that connected, and removes those without one.</summary>
    private async Task FollowAsync(CancellationToken stop)
    {
        var wanted = engine.Proxies.Where(proxy => proxy is { Proxy.Kind: ProxyKind.Router, Unproven: null }).Select(proxy => proxy.Proxy.Proof?.Account)
            .OfType<AccountKey>().ToHashSet();
        foreach (var account in wanted) _entries.TryAdd(account, new());
        foreach (var gone in _entries.Where(item => item.Value.Asking.IsCompleted && !wanted.Contains(item.Key)).Select(item => item.Key).ToList())
        {
            _entries.Remove(gone);
            await engine.PostAsync(writer => writer.RemoveSecretAccess(gone), stop).ConfigureAwait(false);
        }
    }

    private async Task AskAsync(AccountKey account, Entry entry, CancellationToken stop)
    {
        try
        {
            var access = await ReviewAsync(account, stop).ConfigureAwait(false);
            (entry.Retry, entry.Next, entry.IsAnswer) = (FirstRetry, time.GetUtcNow() + Life, true);
            await PutAsync(account, entry, access, stop).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
        // Whatever an API server answers: nobody gets a private key because of it.
        catch (Exception e)
        {
            entry.Next = time.GetUtcNow() + entry.Retry;
            entry.Retry = entry.Retry * 2 < Life ? entry.Retry * 2 : Life;
            var why = e is OperationCanceledException ? "it does not answer" : e.Message;
            if (!entry.IsAnswer)
                await PutAsync(account, entry, new($"cluster '{account.Cluster}' cannot be asked whether ServiceAccount {account} may list Secrets: {why}"),
                    stop)
                    .ConfigureAwait(false);
        }
    }

    private async Task PutAsync(AccountKey account, Entry entry, SecretAccess access, CancellationToken stop)
    {
        if (entry.Known == access) return;
        if (!access.IsGranted && IsDeployed(account)) LogOwn(account);
        else if (!access.IsGranted) LogDenied(account, access.Denial);
        entry.Known = access;
        await engine.PostAsync(writer => writer.PutSecretAccess(account, access), stop).ConfigureAwait(false);
    }

    /// <summary>Whether a Gateway's own Deployment has the account: the Gateway's certificates need no right.</summary>
    private bool IsDeployed(AccountKey account) => engine.Mesh.GatewayApi.Gateways.Items.Values
        .Any(gateway => (gateway.Source.Cluster, gateway.PodNamespace, gateway.Account) == (account.Cluster, account.Namespace, account.Name));

    private async Task<SecretAccess> ReviewAsync(AccountKey account, CancellationToken stop)
    {
        if (clientOf(account.Cluster) is not { } client) throw new InvalidOperationException("it is unknown here");
        using var patience = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stop);
        var review = await client.CreateAsync(Kinds.SubjectAccessReview,
            AccessReview.OfList(account.Namespace, account.Name, "", Kinds.Secret.Plural, account.Namespace), either.Token).ConfigureAwait(false);
        return AccessReview.Allows(review)
            ? SecretAccess.Granted : new($"ServiceAccount {account} of the gateway may not list Secrets in namespace {account.Namespace}");
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "ServiceAccount {Account} may not list Secrets: its gateways get those that their own Gateway refers to")]
    private partial void LogOwn(AccountKey account);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Gateways of ServiceAccount {Account} get no certificates of Secrets: {Why}")]
    private partial void LogDenied(AccountKey account, string why);
}
