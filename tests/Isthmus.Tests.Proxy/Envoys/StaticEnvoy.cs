using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Isthmus.Testing;

namespace Isthmus.Tests.Proxy.Envoys;

/// <summary>A real Envoy with listeners and clusters of its bootstrap. The kernel chooses its ports.</summary>
internal sealed class StaticEnvoy : IDisposable
{
    /// <summary>Runs a program until it ends, or until nobody holds the other side of the standard input: also when the test process is killed.</summary>
    private const string Leash = """exec 3<&0; "$@" 3<&- & program=$!; (cat <&3; kill -9 $program) >/dev/null 2>&1 & wait $program""";

    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-test-").FullName;
    private readonly Process _process;
    private readonly List<string> _log = [];

    /// <param name="secrets">Certificates and roots by which TLS names them.</param>
    internal StaticEnvoy(string program, IEnumerable<string> listeners, IEnumerable<string> clusters, params IEnumerable<string> secrets)
    {
        var file = Path.Combine(_folder, "bootstrap.json");
        File.WriteAllText(file, $$$"""
            {"node": {"id": "peer", "cluster": "peer"}, "admin": {"address": {"pipe": {"path": "{{{Admin}}}"} } },
             "layered_runtime": {"layers": [{"name": "admin", "admin_layer": {} }]},
             "bootstrap_extensions": [{"name": "internal", "typed_config": {
               "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener"} }],
             "static_resources": {"listeners": [{{{string.Join(",\n", listeners)}}}], "clusters": [{{{string.Join(",\n", clusters)}}}],
               "secrets": [{{{string.Join(",\n", secrets)}}}]} }
            """);
        _process = Process.Start(new ProcessStartInfo("sh",
            ["-c", Leash, "sh", program, "-c", file, "--disable-hot-restart", "--concurrency", "1", "-l", "error"])
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
        })!;
        _process.ErrorDataReceived += (_, line) =>
        {
            lock (_log) _log.Add(line.Data ?? "");
        };
        _process.BeginErrorReadLine();
    }

    private string Admin => Path.Combine(_folder, "admin");

    /// <summary>The port of each listener, once all are open.</summary>
    internal async Task<IReadOnlyDictionary<string, int>> PortsAsync(CancellationToken stop)
    {
        using var client = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (_, end) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(Admin), end);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        await Eventually.TrueAsync(async () =>
        {
            lock (_log)
            {
                if (_process.HasExited) throw new InvalidOperationException($"Envoy has ended: {string.Join('\n', _log)}");
            }
            try
            {
                return await client.GetStringAsync(new Uri("http://envoy/ready"), stop) is ['L', ..];
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }, "Envoy is ready");
        return JsonNode.Parse(await client.GetStringAsync(new Uri("http://envoy/listeners?format=json"), stop))!["listener_statuses"]!.AsArray()
            .Where(listener => listener!["local_address"]!["socket_address"] is not null)
            .ToDictionary(listener => $"{listener!["name"]}", listener => (int)listener!["local_address"]!["socket_address"]!["port_value"]!);
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
