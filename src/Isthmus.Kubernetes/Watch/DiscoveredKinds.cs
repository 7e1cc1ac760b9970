using System.Collections.Concurrent;
using System.Net;
using Isthmus.Core.Time;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Kubernetes.Watch;

/// <summary>
/// The kinds that an API server has without a definition. They change when it is upgraded, or gets other flags: nothing reports that, so it is
/// asked now and then, by a list of one object: servers need not have the older lists of resources.
/// </summary>
public sealed class DiscoveredKinds(KubeClient client, TimeProvider time) : IServedVersions
{
    /// <summary>An answer is as old as this at most.</summary>
    public static readonly TimeSpan AskAgain = TimeSpan.FromMinutes(1);

    /// <summary>So many answers in a row must be without a kind that was served: the servers behind one address may differ while they are
    /// upgraded.</summary>
    public const int Doubts = 3;

    private static readonly TimeSpan FirstWait = TimeSpan.FromMilliseconds(100), LongestWait = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<string, (string Version, int Doubts)> _known = new(StringComparer.Ordinal);

    public Exception? LastError { get; private set; }

    public async Task<(string? Version, Task Changed)> FindAsync(ResourceKind kind, IReadOnlyList<string> wanted, CancellationToken stop)
    {
        var wait = FirstWait;
        while (true)
        {
            try
            {
                var version = Believed(kind, wanted, await AskAsync(kind, wanted, stop));
                LastError = null;
                return (version, Task.Delay(AskAgain, time, CancellationToken.None));
            }
            catch (Exception e) when (!stop.IsCancellationRequested)
            {
                LastError = e;
            }
            await Task.Delay(wait, time, stop);
            wait = wait * 2 < LongestWait ? wait * 2 : LongestWait;
        }
    }

    private string? Believed(ResourceKind kind, IReadOnlyList<string> wanted, string? answer)
    {
        var key = $"{kind.Group}/{kind.Plural}";
        if (answer is not null)
        {
            _known[key] = (answer, 0);
            return answer;
        }
        if (!_known.TryGetValue(key, out var known)) return null;
        if (known.Doubts + 1 < Doubts && wanted.Contains(known.Version))
        {
            _known[key] = known with { Doubts = known.Doubts + 1 };
            return known.Version;
        }
        _known.TryRemove(key, out _);
        return null;
    }

    private async Task<string?> AskAsync(ResourceKind kind, IReadOnlyList<string> wanted, CancellationToken stop)
    {
        foreach (var version in wanted)
        {
            try
            {
                await client.RawAsync(HttpMethod.Get, $"/apis/{kind.Group}/{version}/{kind.Plural}?limit=1", null, stop);
                return version;
            }
            catch (KubeException e) when (e.IsNotFound)
            {
                // The server has no such version of the kind.
            }
            catch (KubeException e) when (e.Code == (int)HttpStatusCode.Forbidden)
            {
                return wanted[0];
            }
        }
        return null;
    }
}
