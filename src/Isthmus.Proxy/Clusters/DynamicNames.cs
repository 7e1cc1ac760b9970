using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Clusters;

/// <summary>
/// The hosts of a cluster whose names requests bring along (a dynamic forward proxy): each is resolved when a request first asks for it, and again
/// when its answer expires. The names are those of strangers, so their number has a limit, they must be in the cluster's domain, and none leads to an
/// address that belongs to the proxy's own machine. The port is the cluster's, or, where it has none, that of the request.
/// </summary>
internal sealed class DynamicNames(ClusterState cluster, DynamicSettings settings, TimeProvider time)
{
    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(1), LookupLimit = TimeSpan.FromSeconds(5);

    private const int LongestName = 253;

    private readonly Lock _guard = new(); // Guards _names.
    private readonly Dictionary<string, Lookup> _names = new(StringComparer.OrdinalIgnoreCase);

    /// <param name="Until">When the answer expires; a lookup that still runs does not.</param>
    private sealed record Answer(IReadOnlyList<IPAddress> Addresses, long Until);

    private sealed record Lookup(Task<Answer> Task)
    {
        public bool HasExpired(long now) => Task.IsCompleted && (!Task.IsCompletedSuccessfully || Task.Result.Until <= now);
    }

    /// <summary>Chooses a host for a name; null when it is not in the cluster's domain, does not resolve, or leads where it must not.</summary>
    /// <param name="authority">The name, perhaps with a port, which counts only where the cluster has none.</param>
    public async ValueTask<Host?> PickAsync(string authority, ProxyPorts ports, IReadOnlyList<Host>? tried)
    {
        var name = NameIn(authority);
        if (!settings.Covers(name) || PortOf(authority) is not { } port || Begin(name, ports) is not { } lookup) return null;
        var addresses = (await lookup.Task.ConfigureAwait(false)).Addresses;
        Host? first = null;
        foreach (var address in addresses)
        {
            var host = cluster.At(new IPEndPoint(address, port));
            if (tried?.Contains(host) != true) return host;
            first ??= host;
        }
        return first;
    }

    /// <summary>The lookup of a name, which others may share; null when there are too many names.</summary>
    private Lookup? Begin(string name, ProxyPorts ports)
    {
        var now = time.GetTimestamp();
        lock (_guard)
        {
            if (_names.TryGetValue(name, out var known) && !known.HasExpired(now)) return known;
            if (known is null && _names.Count >= settings.MaxHosts)
            {
                foreach (var gone in _names.Where(item => item.Value.HasExpired(now)).Select(item => item.Key).ToList()) _names.Remove(gone);
                if (_names.Count >= settings.MaxHosts) return null;
            }
            return _names[name] = new(ResolveAsync(name, known?.Task, ports));
        }
    }

    /// <summary>A name that does not resolve for the moment keeps its last addresses.</summary>
    private async Task<Answer> ResolveAsync(string name, Task<Answer>? before, ProxyPorts ports)
    {
        await Task.Yield(); // The caller holds the lock.
        var (addresses, life) = await AskAsync(name, ports).ConfigureAwait(false);
        if (addresses is null) (addresses, life) = (before is { IsCompletedSuccessfully: true } ? before.Result.Addresses : [], Shortest);
        else if (addresses.Count == 0) life = Shortest;
        else if (life <= TimeSpan.Zero || life > settings.Refresh) life = settings.Refresh;
        if (life < Shortest) life = Shortest;
        return new(addresses, time.GetTimestamp() + (long)(life.TotalSeconds * time.TimestampFrequency));
    }

    /// <returns>No addresses at all when nobody answered.</returns>
    private async Task<(IReadOnlyList<IPAddress>? Addresses, TimeSpan Life)> AskAsync(string name, ProxyPorts ports)
    {
        using var limit = new CancellationTokenSource(LookupLimit, time);
        try
        {
            var (all, life) = await ports.Resolver.ResolveAsync(name, limit.Token).AsTask().WaitAsync(limit.Token).ConfigureAwait(false);
            var allowed = all.Where(address => !ports.IsForbidden(address)).ToList();
            var v4 = allowed.Where(address => address.AddressFamily == AddressFamily.InterNetwork).ToList();
            return (v4.Count > 0 ? v4 : allowed, life);
        }
        catch (Exception e) when (e is SocketException or IOException or TimeoutException or OperationCanceledException or ArgumentException)
        {
            return (null, TimeSpan.Zero);
        }
    }

    /// <summary>Null: the port is not a valid number.</summary>
    private int? PortOf(string authority)
    {
        if (settings.Port is { } own) return own;
        var colon = authority.LastIndexOf(':');
        if (colon < 0) return settings.DefaultPort;
        return ushort.TryParse(authority.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port > 0 ? port : null;
    }

    /// <summary>The name before the port; empty for what is not a host name.</summary>
    private static string NameIn(string authority)
    {
        var colon = authority.LastIndexOf(':');
        var name = (colon < 0 ? authority : authority[..colon]).TrimEnd('.');
        return name.Length <= LongestName && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_') ? name : "";
    }
}

/// <summary>How a cluster resolves names that requests bring along.</summary>
/// <param name="Domain">The name that it serves, which may begin with <c>*.</c>; empty: any.</param>
/// <param name="Port">The port of all hosts; null: that of each request.</param>
/// <param name="MaxHosts">How many names it knows at once.</param>
/// <param name="Refresh">How long an answer counts at most.</param>
internal sealed record DynamicSettings(string Domain, int? Port, int MaxHosts, TimeSpan Refresh)
{
    /// <summary>The port of requests that name none.</summary>
    public int DefaultPort { get; init; } = 80;

    public bool Covers(string name) => name.Length > 0 && (Domain.Length == 0
        || (Domain.StartsWith('*')
            ? name.Length > Domain.Length - 1 && name.EndsWith(Domain[1..], StringComparison.OrdinalIgnoreCase)
            : name.Equals(Domain, StringComparison.OrdinalIgnoreCase)));
}
