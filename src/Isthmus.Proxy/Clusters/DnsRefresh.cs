using System.Net;
using System.Net.Sockets;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Clusters;

/// <summary>Keeps the hosts of a cluster of names up to date with the resolver. Names that do not resolve keep their last
/// addresses.</summary>
internal sealed class DnsRefresh(ClusterState cluster, INameResolver resolver, TimeProvider time)
{
    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(1);

    /// <summary>How many addresses of a name are raced: each costs its own connection.</summary>
    private const int MostRaced = 16;

    private readonly Dictionary<string, IReadOnlyList<IPAddress>> _last = new(StringComparer.Ordinal);

    /// <summary>Resolves now and whenever the answers expire; <paramref name="warmed"/> is called after the first answers.</summary>
    public async Task RunAsync(Action warmed, CancellationToken stop)
    {
        var isFirst = true;
        while (!stop.IsCancellationRequested)
        {
            var wait = cluster.Config.DnsRefresh;
            foreach (var target in cluster.Config.DnsTargets)
            {
                var (addresses, life) = await ResolveAsync(target.Hostname, stop).ConfigureAwait(false);
                if (addresses.Count > 0) _last[target.Hostname] = addresses;
                if (life > TimeSpan.Zero && life < wait) wait = life < Shortest ? Shortest : life;
            }
            // The cluster may have been removed during the lookup: the answers must not add hosts to it again.
            if (stop.IsCancellationRequested) return;
            cluster.Update(Assignment());
            if (isFirst) warmed();
            isFirst = false;
            await Task.Delay(wait, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async ValueTask<(IReadOnlyList<IPAddress> Addresses, TimeSpan Life)> ResolveAsync(string name, CancellationToken stop)
    {
        if (IPAddress.TryParse(name, out var literal)) return ([literal], TimeSpan.Zero);
        try
        {
            return await resolver.ResolveAsync(name, stop).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or IOException or TimeoutException or OperationCanceledException or ArgumentException)
        {
            // The resolver throws the last one for text that cannot be a host name.
            return ([], TimeSpan.Zero);
        }
    }

    private LoadAssignment Assignment() => new(cluster.Config.Name, cluster.Config.DnsTargets.Select(target => target.Locality with
    {
        Endpoints = Endpoints(target).ToValueList(),
    }).ToValueList());

    private IEnumerable<Endpoint> Endpoints(DnsTarget target)
    {
        var all = _last.GetValueOrDefault(target.Hostname, []);
        if (cluster.Config.RacesAddresses)
        {
            var raced = Interleaved(all).Take(MostRaced).Select(address => (EndPoint)new IPEndPoint(address, target.Port)).ToList();
            return raced is [var first, .. var more] ? [target.Template with { Address = first, MoreAddresses = more.ToValueList() }] : [];
        }
        return Addresses(all).Select(address => target.Template with { Address = new IPEndPoint(address, target.Port) });
    }

    /// <summary>The families by turns, as RFC 8305 has them: where one of them does not work at all, every other attempt is of use.</summary>
    private static IEnumerable<IPAddress> Interleaved(IReadOnlyList<IPAddress> all)
    {
        var (first, others) = (all.Where(address => address.AddressFamily == all[0].AddressFamily).ToList(),
            all.Where(address => address.AddressFamily != all[0].AddressFamily).ToList());
        for (var i = 0; i < Math.Max(first.Count, others.Count); i++)
        {
            if (i < first.Count) yield return first[i];
            if (i < others.Count) yield return others[i];
        }
    }

    private IEnumerable<IPAddress> Addresses(IReadOnlyList<IPAddress> all)
    {
        var v4 = all.Where(a => a.AddressFamily == AddressFamily.InterNetwork).ToArray();
        var usable = v4.Length > 0 ? v4 : [.. all];
        return cluster.Config.Kind == ClusterKind.LogicalDns ? usable.Take(1) : usable;
    }
}
