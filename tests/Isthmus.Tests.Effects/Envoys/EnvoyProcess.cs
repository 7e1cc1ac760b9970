using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Xunit;

namespace Isthmus.Tests.Effects.Envoys;

/// <summary>
/// A real Envoy with its own bootstrap, that gets everything else over discovery. It has a network namespace of its own: its listeners take no port
/// of the machine, and it reaches its servers over Unix sockets.
/// </summary>
internal sealed class EnvoyProcess : IDisposable
{
    private readonly Process _process;
    private readonly string _admin;
    private readonly ConcurrentQueue<string> _log = [];

    /// <param name="node">What it says of itself, but for its software and extensions.</param>
    /// <param name="discovery">The socket of the discovery server.</param>
    /// <param name="folder">For its files.</param>
    /// <param name="listeners">More listeners, as JSON, in an array.</param>
    /// <param name="clusters">More clusters, as JSON, each after a comma.</param>
    /// <param name="beside">An Envoy whose network namespace it shares; null: it has its own.</param>
    public EnvoyProcess(Node node, string discovery, string folder, string listeners = "[]", string clusters = "", EnvoyProcess? beside = null)
    {
        var name = node.Id.Split('~')[2];
        _admin = Path.Combine(folder, name + ".admin");
        var bootstrap = Path.Combine(folder, name + ".json");
        File.WriteAllText(bootstrap, Bootstrap(node, discovery, listeners, clusters).ToJsonString());
        // The loopback is up only for who calls listeners there: with it, listeners cannot have addresses of others.
        var start = listeners == "[]" ? "exec \"$@\"" : $"ip link set lo up && ip addr add {node.Id.Split('~')[1]}/32 dev lo && exec \"$@\"";
        var info = new ProcessStartInfo(beside is null ? "unshare" : "nsenter",
            [.. Namespaces(beside), "--", "sh", "-c", start, "sh", Program, "-c", bootstrap, "--log-level", "warning", "--log-format",
                "%l %n %v", "--disable-hot-restart", "--concurrency", "1"])
        {
            RedirectStandardError = true,
            Environment = { ["OTEL_RESOURCE_ATTRIBUTES"] = "k8s.pod.name=envoy" }, // as the injector sets it
        };
        _process = Process.Start(info)!;
        _process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is { Length: > 0 } text) _log.Enqueue(text);
        };
        _process.BeginErrorReadLine();
    }

    /// <summary>Where the program is. A test without it is left out.</summary>
    public static string Program
    {
        get
        {
            var program = RealEnvoy.Find();
            Assert.SkipWhen(program is null, RealEnvoy.Missing);
            return program!;
        }
    }

    /// <summary>The lines of its log since the last call: warnings and errors.</summary>
    public IReadOnlyList<string> NewLines()
    {
        var lines = new List<string>();
        while (_log.TryDequeue(out var line)) lines.Add(line);
        return lines;
    }

    public bool HasEnded => _process.HasExited;

    /// <summary>An answer of its admin interface.</summary>
    public async Task<string> AskAsync(string path, HttpMethod? method = null)
    {
        using var client = ClientOf(_admin);
        using var request = new HttpRequestMessage(method ?? HttpMethod.Get, new Uri("http://envoy" + path));
        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        return await response.EnsureSuccessStatusCode().Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>A client of a listener on a Unix socket.</summary>
    public static HttpClient ClientOf(string path) => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, stop) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), stop);
            return new NetworkStream(socket, ownsSocket: true);
        },
    });

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private static string[] Namespaces(EnvoyProcess? beside) =>
        (beside?._process.Id.ToString(CultureInfo.InvariantCulture), Environment.IsPrivilegedProcess) switch
    {
        (null, true) => ["--net", "--fork", "--kill-child"],
        (null, false) => ["--user", "--map-root-user", "--net", "--fork", "--kill-child"],
        ({ } process, true) => ["--net", "--target", process],
        ({ } process, false) => ["--user", "--preserve-credentials", "--net", "--target", process],
    };

    private JsonObject Bootstrap(Node node, string discovery, string listeners, string clusters) => (JsonObject)JsonNode.Parse($$$$$"""
        {"node": {"id": "{{{{{node.Id}}}}}", "cluster": "{{{{{node.Cluster}}}}}", "metadata": {{{{{WireTypes.Json.Format(node.Metadata)}}}}},
          "client_features": [{{{{{string.Join(',', node.ClientFeatures.Select(feature => $"\"{feature}\""))}}}}}]},
         "admin": {"address": {"pipe": {"path": "{{{{{_admin}}}}}"}}},
         "dynamic_resources": {
           "ads_config": {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}]},
           "cds_config": {"ads": {}, "resource_api_version": "V3"}, "lds_config": {"ads": {}, "resource_api_version": "V3"}},
         "bootstrap_extensions": [{"name": "envoy.bootstrap.internal_listener",
           "typed_config": {"@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener"}}],
         "layered_runtime": {"layers": [{"name": "static", "static_layer": {"re2.max_program_size.error_level": 32768}}]},
         "static_resources": {"listeners": {{{{{listeners}}}}}, "clusters": [{{{{{Cluster("xds-grpc")}}}}}, {{{{{Cluster("sds-grpc")}}}}}{{{{{clusters}}}}}]},
         "overload_manager": {"resource_monitors": [{"name": "envoy.resource_monitors.global_downstream_max_connections",
           "typed_config": {"@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig", "max_active_downstream_connections": 1000}}]}}
        """.Replace("DISCOVERY", discovery, StringComparison.Ordinal))!;

    private static string Cluster(string name) => """
        {"name": "NAME", "type": "STATIC", "load_assignment": {"cluster_name": "NAME", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": "DISCOVERY"}}}}]}]},
         "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
           "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"http2_protocol_options": {}}}}}
        """.Replace("NAME", name, StringComparison.Ordinal);
}
