using System.Globalization;
using System.Text.Json.Nodes;
using static Isthmus.Tests.Mesh.Proxy.TestResources;

namespace Isthmus.Bench.Proxies;

/// <summary>
/// The contenders with their configuration, and the server behind them. Each contender has one worker on the first core; the load and the
/// server have the others. All write the fields of Istio's access log to a file, add a request ID, and keep connections to the server.
/// </summary>
internal sealed class ProxyRig(string root) : IAsyncDisposable
{
    private const string ContenderCore = "0";
    private const int Workers = 1;

    private static readonly Dictionary<string, string> NoVariables = [];

    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-bench-").FullName;
    private readonly List<Contender> _started = [];
    private int _nextPort = 18000;

    /// <summary>The cores of loads and servers.</summary>
    internal static string OtherCores => Environment.ProcessorCount > 1 ? $"1-{Environment.ProcessorCount - 1}" : "0";

    /// <summary>A web server: 100 bytes at <c>/</c>, 64 KiB at <c>/64k</c>. It takes HTTP/1.1, or HTTP/2 by prior knowledge.</summary>
    internal async Task<int> StartServerAsync(bool http2)
    {
        var port = _nextPort++;
        await System.IO.File.WriteAllTextAsync(File("64k"), new string('x', 64 * 1024));
        await StartNginxAsync("server", port, OtherCores, $$"""
              access_log off;
              server {
                listen 127.0.0.1:{{port}}{{(http2 ? " http2" : "")}};
                location / { default_type text/plain; return 200 "{{new string('x', 100)}}"; }
                location = /64k { root {{_folder}}; default_type text/plain; }
              }
            """);
        return port;
    }

    /// <summary>This proxy, as the sidecar of a caller has it.</summary>
    internal async Task<Contender> StartOwnAsync(int server, bool http2, IReadOnlyDictionary<string, string>? variables = null, string name = "isthmus")
    {
        var port = _nextPort++;
        var resources = Directory.CreateDirectory(File(name)).FullName;
        void Write(string file, params string[] values) => System.IO.File.WriteAllText(Path.Combine(resources, file), Array(values).ToJsonString().Replace("\"path\":\"log\"", $"\"path\":\"{File(name)}.log\"", StringComparison.Ordinal));
        var cluster = JsonNode.Parse(RawCluster("app"))!.AsObject();
        if (http2)
        {
            cluster["typed_extension_protocol_options"] = JsonNode.Parse(
                """{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"http2_protocol_options": {}}}}""");
        }
        Write("cds.json", cluster.ToJsonString());
        Write("eds.json", Endpoints("app", $"127.0.0.1:{server}"));
        Write("rds.json");
        Write("lds.json",
            $$$"""
            {"name": "http", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{{port}}}}}, "traffic_direction": "OUTBOUND",
             "filter_chains": [{"filters": [{{{Http(RouteToApp, "\"use_remote_address\": false, \"generate_request_id\": true")}}}]}]}
            """);
        return await AddAsync(Contender.StartAsync(name, port, ContenderCore, File($"{name}.out"), variables ?? NoVariables,
            "dotnet", Path.Combine(root, "artifacts/bin/isthmus/release/isthmus.dll"), "proxy", "sidecar", "--xds-dir", resources));
    }

    internal async Task<Contender> StartNginxAsync(int server)
    {
        var port = _nextPort++;
        return await StartNginxAsync("nginx", port, ContenderCore, $$"""
              log_format mesh '[$time_iso8601] "$request_method $request_uri $server_protocol" $status - via_upstream - "-" $request_length $body_bytes_sent '
                '$request_time $upstream_response_time "$http_x_forwarded_for" "$http_user_agent" "$request_id" "$host" "$upstream_addr" app - '
                '$server_addr:$server_port $remote_addr:$remote_port - default';
              access_log {{File("nginx.log")}} mesh buffer=64k flush=1s;
              upstream app { server 127.0.0.1:{{server}}; keepalive 256; keepalive_requests 1000000000; }
              server {
                listen 127.0.0.1:{{port}};
                location / {
                  proxy_pass http://app;
                  proxy_http_version 1.1;
                  proxy_set_header Connection "";
                  proxy_set_header Host $host;
                  proxy_set_header X-Request-Id $request_id;
                  proxy_set_header X-Forwarded-Proto $scheme;
                  proxy_next_upstream error timeout http_503;
                }
              }
            """);
    }

    internal async Task<Contender> StartHaproxyAsync(int server, bool http2)
    {
        var port = _nextPort++;
        var protocol = http2 ? " proto h2" : "";
        await System.IO.File.WriteAllTextAsync(File("haproxy.cfg"), string.Create(CultureInfo.InvariantCulture, $$"""
            global
              nbthread {{Workers}}
              log stdout format raw local0
            defaults
              mode http
              log global
              timeout connect 5s
              timeout client 60s
              timeout server 60s
              retries 2
              option redispatch
              option http-keep-alive
            frontend http
              bind 127.0.0.1:{{port}}{{protocol}}
              unique-id-format %[uuid()]
              unique-id-header x-request-id
              http-request set-header x-forwarded-proto http
              log-format '[%T] "%HM %HU %HV" %ST %ts via_upstream - "-" %U %B %Ta %Tr "%[capture.req.hdr(0)]" "%[capture.req.hdr(1)]" "%ID" "%[capture.req.hdr(2)]" "%si:%sp" app %bi:%bp %fi:%fp %ci:%cp - default'
              capture request header x-forwarded-for len 64
              capture request header user-agent len 64
              capture request header host len 64
              default_backend app
            backend app
              http-reuse always
              server app 127.0.0.1:{{server}}{{protocol}}

            """));
        return await AddAsync(Contender.StartAsync("haproxy", port, ContenderCore, File("haproxy.log"), NoVariables, "haproxy", "-db", "-f", File("haproxy.cfg")));
    }

    internal async Task<Contender> StartNghttpxAsync(int server)
    {
        var port = _nextPort++;
        return await AddAsync(Contender.StartAsync("nghttpx", port, ContenderCore, File("nghttpx.out"), NoVariables, "nghttpx", "--conf=/dev/null", $"--workers={Workers}", "--single-process",
            $"--frontend=127.0.0.1,{port};no-tls", $"--backend=127.0.0.1,{server};;proto=h2", $"--accesslog-file={File("nghttpx.log")}", "--accesslog-write-early", "--errorlog-file=/dev/null",
            "--add-x-forwarded-for",
            "--accesslog-format=[$time_iso8601] \"$method $path $protocol_version\" $status - via_upstream - \"-\" 0 $body_bytes_sent $request_time 0 \"$http_x_forwarded_for\" \"$http_user_agent\" \"-\" \"$http_host\" \"$backend_host:$backend_port\" app - 127.0.0.1:$server_port $remote_addr:$remote_port - default"));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var contender in _started) await contender.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>A route as a sidecar has it for a Service: retries, no time limit, the number of the attempt for the server.</summary>
    private const string RouteToApp =
        """
        "route_config": {"name": "8080", "virtual_hosts": [{"name": "app:8080", "domains": ["*"], "include_request_attempt_count": true, "routes": [{"name": "default", "match": {"prefix": "/"},
          "route": {"cluster": "app", "timeout": "0s", "retry_policy": {"retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", "num_retries": 2,
            "retriable_status_codes": [503], "host_selection_retry_max_attempts": "5", "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts"}]}}}]}]}
        """;

    private async Task<Contender> StartNginxAsync(string name, int port, string cores, string http)
    {
        await System.IO.File.WriteAllTextAsync(File($"{name}.conf"), $$"""
            daemon off;
            master_process off;
            worker_processes {{Workers}};
            pid {{File($"{name}.pid")}};
            events { worker_connections 16384; }
            http {
              keepalive_requests 1000000000;
              client_body_temp_path {{File("body")}};
              proxy_temp_path {{File("proxy")}};
              fastcgi_temp_path {{File("fastcgi")}};
              uwsgi_temp_path {{File("uwsgi")}};
              scgi_temp_path {{File("scgi")}};
            {{http}}
            }

            """);
        return await AddAsync(Contender.StartAsync(name, port, cores, File($"{name}.out"), NoVariables, "nginx", "-e", File($"{name}.err"), "-c", File($"{name}.conf")));
    }

    private async Task<Contender> AddAsync(Task<Contender> starting)
    {
        var contender = await starting;
        _started.Add(contender);
        return contender;
    }

    private string File(string name) => Path.Combine(_folder, name);
}
