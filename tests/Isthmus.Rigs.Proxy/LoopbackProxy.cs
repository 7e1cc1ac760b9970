using System.Net;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Transports;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Endpoints;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.Routes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Rigs.Proxy;

/// <summary>A real data plane with one HTTP listener on the loopback interface.</summary>
internal sealed class LoopbackProxy : IDisposable
{
    private readonly StringBuilder _log = new();
    private readonly ReservedPort _port = new();

    /// <param name="clusters">CDS resources as JSON. Endpoints are inline or set with <see cref="Endpoints"/>.</param>
    /// <param name="route">The action of the only route, as JSON.</param>
    /// <param name="filters">HTTP filters before the router, each followed by a comma.</param>
    internal LoopbackProxy(string[] clusters, string route, string filters = "", string more = "", ISecretSource? secrets = null, string role = "router",
        string direction = "OUTBOUND", TimeProvider? time = null, ISocketFactory? sockets = null, StatsSelection? stats = null,
        int mostConnections = int.MaxValue, ProxyIdentity? identity = null, Func<string, string?>? files = null, ILoggerFactory? messages = null)
    {
        var ports = new ProxyPorts(time ?? TimeProvider.System, new ThreadRandom(), sockets ?? new ProcessSockets(),
            new SystemResolver()) { ReadText = files ?? (_ => null) };
        Plane = DataPlane.Build(ProxySettings.Default(identity ?? ProxyIdentity.Unknown,
            role) with
            {
                ListenerDrainTime = ListenerDrainTime, BatchTime = BatchTime, MaxConnections = mostConnections, Stats = stats ?? StatsSelection.Everything
            },
            ports, secrets ?? new NoSecrets(), new Log(_log), messages ?? NullLoggerFactory.Instance);
        Apply(TypeUrls.Cluster, [.. clusters.Select(c => WireTypes.Strict.Parse<Cluster>(c))], m => ((Cluster)m).Name);
        Route(route);
        Apply(TypeUrls.Listener, [WireTypes.Strict.Parse<Listener>($$$"""
            {"name": "in", "traffic_direction": "{{{direction}}}", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{Port}}} } },
             "filter_chains": [{"filters": [{"name": "http", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
               "stat_prefix": "in", "rds": {"config_source": {"ads": {} }, "route_config_name": "r"}, "upgrade_configs": [{"upgrade_type": "websocket"}], "normalize_path": true, {{{more}}}
               "access_log": [{"name": "f", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": "log",
                 "log_format": {"text_format_source": {"inline_string": "%REQ(:METHOD)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n"} } } }],
               "http_filters": [{{{filters}}} {"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"} }] } }] }] }
            """)], m => ((Listener)m).Name);
        Assert.Empty(Plane.ListenerFailures);
    }

    /// <summary>How long connections may continue after <see cref="Remove"/>.</summary>
    internal static TimeSpan ListenerDrainTime { get; } = TimeSpan.FromSeconds(2);

    /// <summary>Short, since tests wait for reports.</summary>
    internal static TimeSpan BatchTime { get; } = TimeSpan.FromMilliseconds(50);

    internal int Port => _port.Number;

    internal DataPlane Plane { get; }

    internal string LogText
    {
        get
        {
            lock (_log) return _log.ToString();
        }
    }

    /// <summary>The log, once a request is in it.</summary>
    internal async Task<string> LoggedAsync()
    {
        await Eventually.TrueAsync(() => LogText.Contains('\n', StringComparison.Ordinal));
        return LogText;
    }

    /// <param name="listeners">LDS resources as JSON.</param>
    internal void Listeners(params string[] listeners)
    {
        Apply(TypeUrls.Listener, [.. listeners.Select(one => WireTypes.Strict.Parse<Listener>(one))], m => ((Listener)m).Name);
        Assert.Empty(Plane.ListenerFailures);
    }

    internal void Clusters(params Cluster[] clusters) => Apply(TypeUrls.Cluster, clusters, m => ((Cluster)m).Name);

    internal void Route(string action) => Routes($$"""{"name": "only", "match": {"prefix": "/"}, {{action}} }""");

    /// <param name="routes">As JSON, with commas between them.</param>
    /// <param name="change">Writes what JSON cannot say.</param>
    internal void Routes(string routes, Action<RouteConfiguration>? change = null)
    {
        var table = WireTypes.Strict.Parse<RouteConfiguration>(
            $$"""{"name": "r", "virtual_hosts": [{"name": "all", "domains": ["*"], "include_request_attempt_count": true, "routes": [{{routes}}] }] }""");
        change?.Invoke(table);
        Apply(TypeUrls.Route, [table], m => ((RouteConfiguration)m).Name);
    }

    internal void Endpoints(string cluster, params int[] ports)
    {
        var assignment = new ClusterLoadAssignment { ClusterName = cluster };
        var group = new LocalityLbEndpoints();
        foreach (var port in ports)
            group.LbEndpoints.Add(new LbEndpoint
            {
                Endpoint = new() { Address = new() { SocketAddress = new() { Address = "127.0.0.1", PortValue = (uint)port } } }
            });
        assignment.Endpoints.Add(group);
        Apply(TypeUrls.Endpoints, [assignment], m => ((ClusterLoadAssignment)m).ClusterName);
    }

    /// <summary>Opens a port whose connections go to a cluster.</summary>
    /// <param name="cluster">Where connections go.</param>
    /// <param name="more">Fields of the filter, each after a comma.</param>
    internal ReservedPort Tcp(string cluster, string more = "")
    {
        var port = new ReservedPort();
        Tcp(cluster, port, more: more);
        return port;
    }

    /// <summary>The same for a port that may be open.</summary>
    /// <param name="cluster">Where connections go.</param>
    /// <param name="port">The port.</param>
    /// <param name="match">The match of the only filter chain, as JSON.</param>
    /// <param name="more">Fields of the filter, each after a comma.</param>
    internal void Tcp(string cluster, ReservedPort port, string match = "{}", string more = "")
    {
        Apply(TypeUrls.Listener, [WireTypes.Strict.Parse<Listener>($$$"""
            {"name": "tcp", "traffic_direction": "OUTBOUND", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{port.Number}}} } },
             "filter_chains": [{"filter_chain_match": {{{match}}},
               "filters": [{"name": "tcp", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                  "stat_prefix": "tcp", "cluster": "{{{cluster}}}" {{{more}}} } }] }] }
            """)], m => ((Listener)m).Name);
        Assert.Empty(Plane.ListenerFailures);
    }

    /// <summary>Hands connections of the application to a cluster, as the kernel would redirect them.</summary>
    internal void Capture(string cluster, ReservedPort port)
    {
        Apply(TypeUrls.Listener, [WireTypes.Strict.Parse<Listener>($$$"""
            {"name": "virtualOutbound", "use_original_dst": true, "traffic_direction": "OUTBOUND", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{port.Number}}} } },
             "filter_chains": [{"filters": [{"name": "tcp",
                 "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "tcp",
                  "cluster": "{{{cluster}}}"} }] }] }
            """)], m => ((Listener)m).Name);
        Assert.Empty(Plane.ListenerFailures);
    }

    /// <summary>Removes the listener with a name: "in", or "tcp".</summary>
    internal void Remove(string listener) => Assert.Empty(Plane.State.Apply(new(TypeUrls.Listener, [], [listener], "2")));

    internal static string Cluster(string name, bool http2 = false, string more = "", string connectTimeout = "30s") =>
        $$"""
        {"name": "{{name}}", "type": "EDS", "connect_timeout": "{{connectTimeout}}", "eds_cluster_config": {"eds_config": {"ads": {} } } {{more}} {{(http2 ? Http2 : "")}} }
        """;

    private const string Http2 = """
        , "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
          "explicit_http_config": {"http2_protocol_options": {} } } }
        """;

    /// <summary>Sends bytes unchanged, and reads until the proxy closes.</summary>
    internal async Task<string> RawAsync(string text)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, Port, TestContext.Current.CancellationToken);
        await socket.SendAsync(Encoding.Latin1.GetBytes(text), SocketFlags.None);
        var all = new StringBuilder();
        var buffer = new byte[16 * 1024];
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (await socket.ReceiveAsync(buffer, SocketFlags.None, patience.Token) is > 0 and var count)
            all.Append(Encoding.Latin1.GetString(buffer, 0, count));
        return all.ToString();
    }

    public void Dispose()
    {
        Plane.Dispose();
        _port.Dispose();
        Assert.Equal(0, Plane.FailedTasks);
    }

    private void Apply(string typeUrl, IReadOnlyList<IMessage> messages, Func<IMessage, string> name) =>
        Assert.Empty(Plane.State.Apply(new(typeUrl,
            [.. messages.Select(m => new NamedResource(name(m), "1", new Any { TypeUrl = typeUrl, Value = m.ToByteString() }))], [], "1")));

    private sealed class Log(StringBuilder into) : Stream, ILogFiles
    {
        public Stream Open(string path) => this;

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            lock (into) into.Append(Encoding.UTF8.GetString(buffer));
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}

/// <summary>A proxy without any internal listener.</summary>
internal sealed class NoInternals : IInternalListeners
{
    public ValueTask<SocketTransport> ConnectAsync(InternalEndPoint to, TakenAlong along, TimeSpan patience) =>
        throw new TransportException(TransportFailure.Unreachable, $"no internal listener is named {to.Listener}");
}

/// <summary>A proxy without any certificate.</summary>
internal sealed class NoSecrets : ISecretSource
{
    public event Action<string>? Changed
    {
        add { }
        remove { }
    }

    public CertificateSecret? FindCertificate(string name) => null;

    public RootSecret? FindRoots(string name) => null;

    public bool IsAbsent(string name) => true;

    public IReadOnlyList<SecretView> View() => [];
}
