using System.Globalization;
using System.Net.Sockets;
using Isthmus.Testing;
using Isthmus.Wire.Envoy.Listeners;
using Xunit;

namespace Isthmus.Tests.Proxy.Udp;

/// <summary>Datagrams through the proxy: sessions by client, and their limits.</summary>
public sealed class UdpProxyTests
{
    [Fact]
    public async Task A_client_keeps_its_host_and_clients_are_distributed()
    {
        using UdpServer first = new(), second = new();
        using var proxy = new UdpProxyRig();
        proxy.Endpoints("up", first.Port, second.Port);
        var seen = new HashSet<int>();
        for (var i = 0; i < 40 && seen.Count < 2; i++)
        {
            using var client = new UdpClient(proxy.Port);
            var server = await client.ServerAsync();
            seen.Add(server);
            for (var n = 0; n < 5; n++) Assert.Equal($"{server}:{n}", await client.AskAsync(n.ToString(CultureInfo.InvariantCulture)));
        }
        Assert.Equal(2, seen.Count);
        // Each session has a socket of its own, so that answers find their client.
        Assert.Equal(proxy.Stat("udp.in.downstream_sess_total"), first.Callers.Count + second.Callers.Count);
        Assert.Equal(proxy.Stat("udp.in.downstream_sess_total"), proxy.Stat("udp.in.downstream_sess_active"));
        Assert.True(proxy.Stat("udp.in.downstream_sess_rx_datagrams") >= 5);
        Assert.True(proxy.Stat("udp.in.downstream_sess_tx_bytes") > 0);
        Assert.True(proxy.Stat("cluster.up.upstream_cx_tx_bytes_total") > 0);
    }

    [Fact]
    public async Task The_largest_datagrams_pass_whole_and_empty_ones_too()
    {
        using var server = new UdpServer();
        using var proxy = new UdpProxyRig();
        proxy.Endpoints("up", server.Port);
        using var client = new UdpClient(proxy.Port);
        var large = new string('x', 60_000);
        Assert.Equal($"{server.Port}:{large}", await client.AskAsync(large));
        Assert.Equal($"{server.Port}:", await client.AskAsync(""));
    }

    [Fact]
    public async Task An_idle_session_ends_and_the_next_datagram_begins_another()
    {
        using var server = new UdpServer();
        using var proxy = new UdpProxyRig(UdpProxyRig.ToUp + """, "idle_timeout": "1s" """);
        proxy.Endpoints("up", server.Port);
        using var client = new UdpClient(proxy.Port);
        await client.ServerAsync();
        await Eventually.TrueAsync(() => proxy.Stat("udp.in.downstream_sess_active") == 0);
        Assert.Equal(1, proxy.Stat("udp.in.idle_timeout"));
        Assert.Equal(0, proxy.Stat("cluster.up.upstream_cx_active"));
        await client.ServerAsync();
        Assert.Equal(2, server.Callers.Count);
    }

    [Fact]
    public async Task A_host_that_leaves_loses_its_clients_to_others()
    {
        using UdpServer first = new(), second = new();
        using var proxy = new UdpProxyRig();
        proxy.Endpoints("up", first.Port);
        using var client = new UdpClient(proxy.Port);
        Assert.Equal(first.Port, await client.ServerAsync());
        proxy.Endpoints("up", second.Port);
        await Eventually.TrueAsync(async () => await client.ServerAsync() == second.Port);
    }

    [Fact]
    public async Task A_host_where_nobody_listens_is_avoided()
    {
        using var server = new UdpServer();
        using var proxy = new UdpProxyRig();
        proxy.Endpoints("up", UdpClient.FreePort(), server.Port);
        for (var i = 0; i < 10; i++)
        {
            using var client = new UdpClient(proxy.Port);
            Assert.Equal(server.Port, await client.ServerAsync());
        }
    }

    [Fact]
    public async Task The_port_of_the_client_chooses_the_cluster()
    {
        using UdpServer up = new(), other = new();
        using var proxy = new UdpProxyRig(Matcher("[0-9]*[0-4]"));
        proxy.Endpoints("up", up.Port);
        proxy.Endpoints("other", other.Port);
        var seen = new HashSet<int>();
        for (var i = 0; i < 60 && seen.Count < 2; i++)
        {
            using var client = new UdpClient(proxy.Port);
            var server = await client.ServerAsync();
            Assert.Equal(client.Port % 10 < 5 ? up.Port : other.Port, server);
            seen.Add(server);
        }
        Assert.Equal(2, seen.Count);
    }

    [Fact]
    public async Task A_changed_route_moves_sessions_and_a_removed_listener_frees_its_port()
    {
        using UdpServer up = new(), other = new();
        using var proxy = new UdpProxyRig();
        proxy.Endpoints("up", up.Port);
        proxy.Endpoints("other", other.Port);
        using var client = new UdpClient(proxy.Port);
        Assert.Equal(up.Port, await client.ServerAsync());
        proxy.Route(""" "cluster": "other" """);
        await Eventually.TrueAsync(async () => await client.ServerAsync() == other.Port);
        proxy.Remove();
        await Eventually.TrueAsync(() =>
        {
            try
            {
                using var server = new UdpServer(proxy.Port);
                return true;
            }
            catch (SocketException)
            {
                return false;
            }
        });
        await Eventually.TrueAsync(() => proxy.Stat("udp.in.downstream_sess_active") == 0);
    }

    [Fact]
    public async Task What_has_no_way_is_dropped_and_counted()
    {
        using var proxy = new UdpProxyRig(""" "cluster": "nosuch" """);
        using var client = new UdpClient(proxy.Port);
        client.Send("x");
        await Eventually.TrueAsync(() => proxy.Stat("udp.in.downstream_sess_no_route") == 1);
        proxy.Route(UdpProxyRig.ToUp);
        client.Send("x");
        await Eventually.TrueAsync(() => proxy.Stat("cluster.up.upstream_cx_none_healthy") == 1);
        Assert.Equal(0, proxy.Stat("udp.in.downstream_sess_total"));
        Assert.Equal(0, proxy.Stat("cluster.up.upstream_cx_active"));
    }

    [Fact]
    public async Task Sessions_count_against_the_limit_of_the_cluster()
    {
        using var server = new UdpServer();
        using var proxy = new UdpProxyRig(limits: """, "circuit_breakers": {"thresholds": [{"max_connections": 1}]} """);
        proxy.Endpoints("up", server.Port);
        using UdpClient first = new(proxy.Port), second = new(proxy.Port);
        await first.ServerAsync();
        second.Send("x");
        await Eventually.TrueAsync(() => proxy.Stat("cluster.up.upstream_cx_overflow") == 1);
        Assert.Equal(server.Port, await first.ServerAsync());
        Assert.Single(server.Callers);
    }

    [Fact]
    public async Task A_proxy_that_drains_serves_clients_until_they_pause()
    {
        using var server = new UdpServer();
        using var proxy = new UdpProxyRig();
        proxy.Endpoints("up", server.Port);
        using var client = new UdpClient(proxy.Port);
        await client.ServerAsync();
        var drained = proxy.Plane.DrainAsync(TimeSpan.FromSeconds(4));
        Assert.Equal(server.Port, await client.ServerAsync());
        await drained.WaitAsync(TimeSpan.FromSeconds(50), TestContext.Current.CancellationToken);
        Assert.Equal(0, proxy.Stat("udp.in.downstream_sess_active"));
    }

    [Fact]
    public void A_port_that_is_taken_is_reported_and_tried_again()
    {
        using var proxy = new UdpProxyRig();
        using var holder = new UdpServer();
        proxy.Rejections(UdpProxyRig.Listener(holder.Port, UdpProxyRig.ToUp));
        Assert.Contains(holder.Port.ToString(CultureInfo.InvariantCulture), Assert.Single(proxy.Plane.ListenerFailures).Value, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(""" "cluster": "up", "use_original_src_ip": true """, "use_original_src_ip")]
    [InlineData(""" "cluster": "up", "use_per_packet_load_balancing": true """, "use_per_packet_load_balancing")]
    [InlineData(""" "matcher": {"matcher_list": {"matchers": [{"predicate": {"single_predicate": {"value_match": {"exact": "1"} } } }] } } """,
        "only a safe_regex of the client's port")]
    [InlineData(""" "matcher": {"on_no_match": {"matcher": {} } } """, "not a Route")]
    public void What_is_not_supported_is_refused_by_name(string route, string why)
    {
        using var proxy = new UdpProxyRig();
        Assert.Contains(why, string.Join(' ', proxy.Rejections(UdpProxyRig.Listener(proxy.Port, route))), StringComparison.Ordinal);
    }

    [Fact]
    public void Other_listeners_for_datagrams_are_refused()
    {
        using var proxy = new UdpProxyRig();
        var quic = UdpProxyRig.Listener(proxy.Port, UdpProxyRig.ToUp);
        quic.UdpListenerConfig = new() { QuicOptions = new() };
        Assert.Contains("quic_options", string.Join(' ', proxy.Rejections(quic)), StringComparison.Ordinal);
        var chains = UdpProxyRig.Listener(proxy.Port, UdpProxyRig.ToUp);
        chains.FilterChains.Add(new FilterChain());
        Assert.Contains("filter_chains", string.Join(' ', proxy.Rejections(chains)), StringComparison.Ordinal);
        var bare = UdpProxyRig.Listener(proxy.Port, UdpProxyRig.ToUp);
        bare.ListenerFilters.Clear();
        Assert.Contains("no filter takes the datagrams", string.Join(' ', proxy.Rejections(bare)), StringComparison.Ordinal);
    }

    private static string Matcher(string pattern) => $$"""
        "matcher": {"matcher_list": {"matchers": [{"predicate": {"single_predicate": {
            "input": {"name": "port", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.SourcePortInput"} },
            "value_match": {"safe_regex": {"regex": "{{pattern}}"} } } }, "on_match": {{To("up")}} }] }, "on_no_match": {{To("other")}} }
        """;

    private static string To(string cluster) =>
        $$"""
            {"action": {"name": "route",
              "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.Route", "cluster": "{{cluster}}"} } }
            """;
}
