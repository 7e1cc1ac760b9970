using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Snapshot;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.Routes;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;
using Filter = Isthmus.Wire.Envoy.Listeners.Filter;
using TypedStruct = Isthmus.Wire.Envoy.XdsTypes.TypedStruct;

namespace Isthmus.Tests.Proxy.KnownKinds;

/// <summary>Filters that a future or foreign control plane sends: what they would see is refused, and the rest is served.</summary>
public sealed class UnknownFilterTests : IAsyncDisposable
{
    private const string Future = "type.googleapis.com/envoy.extensions.filters.future.v3.Future";

    private readonly ReservedPort _port = new();
    private OriginServer? _origin;
    private LoopbackProxy? _proxy;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        _proxy?.Dispose();
        _port.Dispose();
        if (_origin is not null) await _origin.DisposeAsync();
    }

    [Theory]
    [InlineData("any", false)]
    [InlineData("any", true)]
    [InlineData("struct", false)]
    [InlineData("discovery", false)]
    public async Task An_unknown_network_filter_closes_the_connections_of_its_chain_and_no_others(string form, bool isLast)
    {
        var listener = Listener();
        var closed = listener.DefaultFilterChain.Clone();
        (closed.Name, closed.FilterChainMatch) = ("closed", new() { SourcePrefixRanges = { new Isthmus.Wire.Envoy.CidrRange
        {
            AddressPrefix = "127.0.0.9", PrefixLen = 32,
        } } });
        if (isLast) closed.Filters.Clear();
        closed.Filters.Insert(0, form == "discovery" ? new Filter { Name = "future", ConfigDiscovery = new() }
            : new Filter { Name = "future", TypedConfig = form == "any" ? new Any { TypeUrl = Future } : Typed() });
        listener.FilterChains.Add(closed);
        await ServeAsync(listener);
        Assert.Equal("HTTP/1.1 200 OK", await CallAsync("127.0.0.1"));
        Assert.Equal("", await CallAsync("127.0.0.9"));
        var note = Assert.Single(_proxy!.Plane.State.Current.Listeners["tcp"].Notes);
        Assert.StartsWith("filter chain 'closed': network filter 'future' with ", note, StringComparison.Ordinal);
        await Eventually.TrueAsync(() => _proxy.LogText.Contains("unsupported_filter[future]\n", StringComparison.Ordinal));
        Shown(note, form == "discovery" ? "config_discovery" : Future);
    }

    [Fact]
    public async Task A_chain_that_gets_an_unknown_filter_ends_its_open_connections()
    {
        await ServeAsync(Listener());
        using var socket = await ConnectAsync("127.0.0.1");
        await socket.SendAsync("GET /echo HTTP/1.1\r\nhost: a\r\n\r\n"u8.ToArray(), SocketFlags.None);
        Assert.StartsWith("HTTP/1.1 200 OK", await ReadAsync(socket, "\r\n"), StringComparison.Ordinal);
        var listener = Listener();
        listener.DefaultFilterChain.Filters.Insert(0, new Filter { Name = "future", TypedConfig = new Any { TypeUrl = Future } });
        Apply(listener);
        await ReadAsync(socket, null);
        Assert.Equal("", await CallAsync("127.0.0.1"));
    }

    /// <summary>Connections that are kept get the new configuration with their next request.</summary>
    [Theory]
    [InlineData("before HTTP")]
    [InlineData("in place of HTTP")]
    [InlineData("listener")]
    [InlineData("policy")]
    public async Task A_kept_connection_of_HTTP_is_refused_when_its_chain_would_be(string change)
    {
        var proxy = _proxy = new([], "\"direct_response\": {\"status\": 204}");
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
        await socket.SendAsync("GET / HTTP/1.1\r\nhost: a\r\n\r\n"u8.ToArray(), SocketFlags.None);
        Assert.StartsWith("HTTP/1.1 204 ", await ReadAsync(socket, "\r\n\r\n"), StringComparison.Ordinal);
        var listener = proxy.Plane.State.Current.Listeners["in"].Resource.Clone();
        var future = new Any { TypeUrl = Future };
        if (change == "listener") listener.ListenerFilters.Add(new ListenerFilter { Name = "future", TypedConfig = future });
        else
        {
            if (change == "in place of HTTP") listener.FilterChains[0].Filters.Clear();
            listener.FilterChains[0].Filters.Insert(0, change == "policy"
                ? new Filter { Name = "rbac", TypedConfig = TypeNames.Pack(new Isthmus.Wire.Envoy.NetworkFilters.RBAC { Rules = new(), StatPrefix = "tcp." }) }
                : new Filter { Name = "future", TypedConfig = future });
        }
        Apply(listener);
        await socket.SendAsync("GET / HTTP/1.1\r\nhost: a\r\n\r\n"u8.ToArray(), SocketFlags.None);
        Assert.StartsWith("HTTP/1.1 403 ", await ReadAsync(socket, null), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task An_unknown_listener_filter_closes_the_connections_that_it_would_see(bool isDisabled, bool forThisPort)
    {
        var listener = Listener();
        var filter = new ListenerFilter { Name = "future", TypedConfig = forThisPort ? Typed() : new Any { TypeUrl = Future } };
        var port = forThisPort ? _port.Number : 1;
        if (isDisabled)
            filter.FilterDisabled = new() { DestinationPortRange = new() { Start = port, End = port + 1 } };
        listener.ListenerFilters.Add(filter);
        await ServeAsync(listener);
        Assert.Equal(forThisPort ? "HTTP/1.1 200 OK" : "", await CallAsync("127.0.0.1"));
        var note = Assert.Single(_proxy!.Plane.State.Current.Listeners["tcp"].Notes);
        Assert.StartsWith("listener filter 'future' with ", note, StringComparison.Ordinal);
        if (!forThisPort) await Eventually.TrueAsync(() => _proxy.LogText.Contains("unsupported_filter[future]\n", StringComparison.Ordinal));
        Shown(note, Future);
    }

    /// <summary>As the rest of a table, so the rest of the route applies.</summary>
    [Fact]
    public async Task Configuration_for_a_route_that_cannot_be_read_is_named()
    {
        await ServeAsync(Listener());
        _proxy!.Route($$"""
            "direct_response": {"status": 204}, "typed_per_filter_config": {"future": {{WireTypes.Json.Format(Typed())}}, "envoy.filters.http.cors": {
              "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"}, "other": {
              "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"} }
            """);
        const string consequence = "is not supported: where that filter is a policy, requests of the route are refused";
        Assert.Equal([$"typed_per_filter_config 'future' with a TypedStruct of envoy.extensions.filters.future.v3.Future {consequence}",
            $"typed_per_filter_config 'other' with type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC {consequence}"],
            _proxy.Plane.State.Current.Routes["r"].Notes.Order());
    }

    /// <summary>Protobuf has exceptions of its own for these.</summary>
    [Fact]
    public async Task What_has_a_form_but_no_meaning_is_refused_alone()
    {
        await ServeAsync(Listener());
        var listener = Listener();
        listener.ListenerFiltersTimeout = new() { Seconds = 1, Nanos = -1 };
        var cluster = new Cluster { Name = "odd", ConnectTimeout = new() { Seconds = -1, Nanos = 1 } };
        var table = new RouteConfiguration { Name = "r", VirtualHosts = { new VirtualHost { Name = "a", Domains = { "*" }, Routes = { new Route
        {
            Match = new() { Prefix = "/" }, Route_ = new() { Cluster = "origin", Timeout = new() { Nanos = int.MaxValue } },
        } } } } };
        foreach (var (type, name, message) in ((string, string, IMessage)[])
            [(TypeUrls.Listener, "tcp", listener), (TypeUrls.Cluster, "odd", cluster), (TypeUrls.Route, "r", table)])
            Assert.Equal(name, Assert.Single(_proxy!.Plane.State.Apply(Update(type, name, message))).Name);
        Assert.Equal("HTTP/1.1 200 OK", await CallAsync("127.0.0.1"));
    }

    /// <summary>The dump has the parts that are known, and names the types of others.</summary>
    private void Shown(string note, string type)
    {
        var dump = JsonNode.Parse(ConfigDumps.Write(_proxy!.Plane, new Dictionary<string, string>()))!;
        var shown = dump["configs"]!.AsArray().SelectMany(section => section!["dynamic_listeners"]?.AsArray() ?? [])
            .Single(listener => listener!["name"]!.ToString() == "tcp")!;
        Assert.Equal(note, shown["isthmus_notes"]![0]!.ToString());
        Assert.Equal(_port.Number, (int)shown["active_state"]!["listener"]!["address"]!["socket_address"]!["port_value"]!);
        Assert.Contains(type, shown.ToJsonString(), StringComparison.Ordinal);
        Assert.DoesNotContain("isthmus: not shown", shown.ToJsonString(), StringComparison.Ordinal);
    }

    private static Any Typed() =>
        TypeNames.Pack(new TypedStruct { TypeUrl = Future, Value = new() { Fields = { ["x"] = Value.ForNumber(1) } } });

    private Listener Listener() => WireTypes.Strict.Parse<Listener>($$$"""
        {"name": "tcp", "traffic_direction": "OUTBOUND", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{_port.Number}}} } },
         "access_log": [{"name": "f", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": "log",
           "log_format": {"text_format_source": {"inline_string": "%CONNECTION_TERMINATION_DETAILS%\n"} } } }],
         "default_filter_chain": {"name": "served", "filters": [{"name": "tcp", "typed_config": {
           "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "tcp", "cluster": "origin"} }] } }
        """);

    private async Task ServeAsync(Listener listener)
    {
        _origin = await OriginServer.StartAsync(HttpProtocols.Http1, OriginServer.EchoAsync);
        _proxy = new([LoopbackProxy.Cluster("origin")], """ "route": {"cluster": "origin"} """);
        _proxy.Endpoints("origin", _origin.Port);
        Apply(listener);
    }

    private void Apply(Listener listener)
    {
        Assert.Empty(_proxy!.Plane.State.Apply(Update(TypeUrls.Listener, listener.Name, listener)));
        Assert.Empty(_proxy.Plane.ListenerFailures);
    }

    private static ResourceUpdate Update(string type, string name, IMessage message) =>
        new(type, [new NamedResource(name, "2", new Any { TypeUrl = type, Value = message.ToByteString() })], [], "2");

    /// <summary>The first line of the answer; empty: the connection was closed without one.</summary>
    private async Task<string> CallAsync(string from)
    {
        using var socket = await ConnectAsync(from);
        try
        {
            await socket.SendAsync("GET /echo HTTP/1.1\r\nhost: a\r\n\r\n"u8.ToArray(), SocketFlags.None);
            return (await ReadAsync(socket, "\r\n")).Split("\r\n")[0];
        }
        catch (SocketException)
        {
            return ""; // Reset.
        }
    }

    private async Task<Socket> ConnectAsync(string from)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Parse(from), 0));
        await socket.ConnectAsync(IPAddress.Loopback, _port.Number, Stop);
        return socket;
    }

    /// <param name="until">What ends it; null: the connection.</param>
    private static async Task<string> ReadAsync(Socket socket, string? until)
    {
        var all = new StringBuilder();
        var buffer = new byte[4096];
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        try
        {
            while (until is null || !all.ToString().Contains(until, StringComparison.Ordinal))
            {
                var count = await socket.ReceiveAsync(buffer, SocketFlags.None, patience.Token);
                if (count == 0) break;
                all.Append(Encoding.Latin1.GetString(buffer, 0, count));
            }
        }
        catch (SocketException) when (until is null)
        {
            // Reset.
        }
        return all.ToString();
    }
}
