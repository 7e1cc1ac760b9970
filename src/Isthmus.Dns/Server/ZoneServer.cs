using System.Net;
using Isthmus.Dns.Cluster;
using Isthmus.Dns.Config;
using Isthmus.Dns.Plugins;
using Isthmus.Wire.Dns;

namespace Isthmus.Dns.Server;

/// <summary>All zones of one port: finds the zone of a query and runs its plugins, in CoreDNS' order.</summary>
internal sealed class ZoneServer : IDisposable
{
    private readonly List<(string Zone, DnsHandler Handler)> _zones = [];
    private readonly List<GrpcPlugin> _owned = [];
    private readonly DnsMetrics _metrics;

    /// <summary>The external dependencies of the plugins.</summary>
    internal sealed record Surroundings(TimeProvider Time, Random Random, DnsMetrics Metrics, Action<string> Log, string Source,
        Func<KubernetesPlan, ClusterSource> Cluster);

    /// <exception cref="CorefileException">A plugin cannot be created from its settings.</exception>
    internal ZoneServer(IEnumerable<ZonePlan> zones, Surroundings around)
    {
        _metrics = around.Metrics;
        // Longest first: the first zone that a name lies in is the most specific one.
        foreach (var zone in zones.OrderByDescending(zone => zone.Zone.Length)) _zones.Add((zone.Zone, Chain(zone, around)));
    }

    public void Dispose()
    {
        foreach (var one in _owned) one.Dispose();
    }

    /// <summary>Every gRPC server has answered.</summary>
    internal bool Ready => _owned.TrueForAll(plugin => plugin.Ready);

    internal ValueTask<DnsReply> AnswerAsync(DnsQuery query, CancellationToken stop)
    {
        foreach (var (zone, handler) in _zones)
            if (DnsName.IsWithin(query.Name, zone)) return CountAsync(zone, query, handler(query, stop));
        return CountAsync("", query, new(Replies.Failure(query, DnsCode.Refused)));
    }

    private ValueTask<DnsReply> CountAsync(string zone, DnsQuery query, ValueTask<DnsReply> pending)
    {
        if (!pending.IsCompletedSuccessfully) return CountLaterAsync(zone, query, pending);
        _metrics.Answered(zone, pending.Result.Message.Header.Code, query.OverTcp);
        return pending;
    }

    private async ValueTask<DnsReply> CountLaterAsync(string zone, DnsQuery query, ValueTask<DnsReply> pending)
    {
        var reply = await pending;
        _metrics.Answered(zone, reply.Message.Header.Code, query.OverTcp);
        return reply;
    }

    /// <summary>Folds the plugins, innermost first. The order is fixed, whatever the order in the Corefile (plugin.cfg of
    /// CoreDNS).</summary>
    private DnsHandler Chain(ZonePlan zone, Surroundings around)
    {
        DnsHandler handler = zone.Has<WhoamiPlan>() ? WhoamiPlugin.AnswerAsync : static (query, _) => new(Replies.Failure(query, DnsCode.Refused));
        foreach (var plan in zone.Plugins.OfType<GrpcPlan>().Reverse())
        {
            var plugin = new GrpcPlugin(plan, handler);
            _owned.Add(plugin);
            handler = plugin.AnswerAsync;
        }
        foreach (var plan in zone.Plugins.OfType<ForwardPlan>().Reverse()) handler = Forward(zone, plan, around, handler);
        foreach (var plan in zone.Plugins.OfType<KubernetesPlan>().Reverse())
        {
            handler = new KubernetesPlugin(plan, around.Cluster(plan), AnswerAsync, handler).AnswerAsync;
        }
        foreach (var plan in zone.Plugins.OfType<HostsPlan>().Reverse()) handler = new HostsPlugin(plan, handler).AnswerAsync;
        foreach (var plan in zone.Plugins.OfType<TemplatePlan>().Reverse()) handler = new TemplatePlugin(plan, around.Source, handler).AnswerAsync;
        if (zone.Has<MinimalPlan>()) handler = new MinimalPlugin(handler).AnswerAsync;
        foreach (var plan in zone.Plugins.OfType<CachePlan>().Reverse()) handler = new CachePlugin(plan, around.Time, around.Metrics, handler).AnswerAsync;
        if (zone.Has<LoadBalancePlan>()) handler = new LoadBalancePlugin(around.Random, handler).AnswerAsync;
        var log = zone.Plugins.OfType<LogPlan>().FirstOrDefault();
        if (log is not null || zone.Has<ErrorsPlan>()) handler = new LogPlugin(log, zone.Has<ErrorsPlan>(), around.Time, around.Log, handler).AnswerAsync;
        return handler;
    }

    private static DnsHandler Forward(ZonePlan zone, ForwardPlan plan, Surroundings around, DnsHandler next)
    {
        var plugin = new ForwardPlugin(plan, around.Time, around.Random, around.Metrics, next);
        if (zone.Has<LoopPlan>()
            && plugin.Upstreams().FirstOrDefault(upstream => IPAddress.IsLoopback(upstream.Address.Address) && upstream.Address.Port == zone.Port) is { } self)
            throw new CorefileException(around.Source, plan.Line,
                $"forward: {self.Address} is this server itself: every question would go round for ever (see the plugin loop)");
        return plugin.AnswerAsync;
    }
}
