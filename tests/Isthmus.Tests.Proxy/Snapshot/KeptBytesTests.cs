using System.Runtime.CompilerServices;
using Google.Protobuf;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Snapshot;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.Routes;
using Xunit;

namespace Isthmus.Tests.Proxy.Snapshot;

/// <summary>A proxy may have thousands of resources. Of each, it keeps the bytes and what it has decoded; the message in between would be the
/// largest part.</summary>
public sealed class KeptBytesTests
{
    private const string Cluster = """
        {
            "name": "outbound|80||a.example", "type": "EDS", "eds_cluster_config": {"eds_config": {"ads": {}}},
            "metadata": {"filter_metadata": {"istio": {"services": [{"host": "a.example", "name": "a", "namespace": "n"}], "alpn_override": "false"}}},
            "transport_socket_matches": [{"name": "plain", "match": {"tlsMode": "disabled"}, "transport_socket": {
                "name": "envoy.transport_sockets.raw_buffer",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"}}}]
        }
        """;

    private const string Listener = """
        {
            "name": "in", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 80}},
            "filter_chains": [{"filters": [{"name": "tcp", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "tcp", "cluster": "a"}}]}]
        }
        """;

    private const string Routes = """
        {"name": "80", "virtual_hosts": [{"name": "a", "domains": ["a.example"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "a"}}]}]}
        """;

    [Fact]
    public void Of_a_cluster_no_message_is_kept()
    {
        var (decoded, message) = Read<Cluster, ClusterSnapshot>(Cluster, ClusterDecoder.Decode);
        AssertGone(message);
        Assert.Equal(WireTypes.Strict.Parse<Cluster>(Cluster), decoded.Resource);
        Assert.True(decoded.KeepsAlpn);
        Assert.Equal("a.example", decoded.Service.Host);
        var bytes = decoded.Resource.ToByteString();
        Assert.Same(bytes, ClusterDecoder.Decode(bytes).Bytes);
    }

    [Fact]
    public void Of_a_listener_no_message_is_kept()
    {
        var (decoded, message) = Read<Listener, ListenerSnapshot>(Listener, ListenerDecoder.Decode);
        AssertGone(message);
        Assert.Equal(WireTypes.Strict.Parse<Listener>(Listener), decoded.Resource);
        var bytes = decoded.Resource.ToByteString();
        Assert.Same(bytes, ListenerDecoder.Decode(bytes).Bytes);
    }

    [Fact]
    public void Of_a_route_table_no_message_is_kept()
    {
        var (decoded, message) = Read<RouteConfiguration, RouteTable>(Routes, RouteDecoder.Decode);
        AssertGone(message);
        Assert.Equal(WireTypes.Strict.Parse<RouteConfiguration>(Routes), decoded.Resource);
    }

    /// <summary>In a method of its own, so that nothing holds the message afterwards.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static (T Decoded, WeakReference Message) Read<TMessage, T>(string json, Func<TMessage, T> decode)
        where TMessage : IMessage<TMessage>, new()
    {
        var message = WireTypes.Strict.Parse<TMessage>(json);
        return (decode(message), new(message));
    }

    private static void AssertGone(WeakReference message)
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        Assert.False(message.IsAlive);
    }
}
