namespace Isthmus.Bench.Proxies;

/// <summary>nginx: as a contender, as the server behind the contenders, and as a client that adds TLS to a load.</summary>
internal static class Nginx
{
    private const string Small = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

    /// <summary>The proxy under measurement.</summary>
    internal static async Task<Contender> StartAsync(ProxyRig rig, Wiring wiring)
    {
        await rig.DescribeAsync("nginx", "-v", "1 worker, 256 idle upstream connections, access log with a buffer of 64k, retries as in the mesh");
        var name = $"nginx{wiring.Place}";
        var port = rig.NextPort();
        return await StartAsync(rig, contender: true, new(name, port, "nginx") { Host = wiring.Host, NetworkOf = wiring.NetworkOf }, $$"""
              log_format mesh '[$time_iso8601] "$request_method $request_uri $server_protocol" $status - via_upstream - "-" $request_length $body_bytes_sent '
                '$request_time $upstream_response_time "$http_x_forwarded_for" "$http_user_agent" "$request_id" "$host" "$upstream_addr" app - '
                '$server_addr:$server_port $remote_addr:$remote_port {{(wiring.TlsFromClients ? "$ssl_server_name" : "-")}} default';
              access_log {{rig.File($"{name}.log")}} mesh buffer=64k flush=1s;
              upstream app { server {{wiring.Server}}; keepalive 256; keepalive_requests 1000000000; }
              server {
                listen {{wiring.Host}}:{{port}}{{(wiring.TlsFromClients ? " ssl" : "")}}{{(wiring.Http2 ? " http2" : "")}};
                server_name {{Credentials.DnsName}};
                {{(wiring.TlsFromClients ? ServerTls(rig, wiring.Tickets) : "")}}
                location / {
                  {{(wiring.Http2 ? Grpc : Pass(wiring.TlsToServer))}}
                  {{(wiring.TlsToServer ? ClientTls(rig) : "")}}
                }
              }
            """);
    }

    /// <summary>A web server: 100 bytes at <c>/</c>, 64 KiB at <c>/64k</c>.</summary>
    internal static async Task<string> StartServerAsync(ProxyRig rig, Wiring wiring)
    {
        var port = rig.NextPort();
        await File.WriteAllTextAsync(rig.File("64k"), new string('x', 64 * 1024));
        await StartAsync(rig, contender: false, new($"server{wiring.Place}", port, "nginx") { Host = wiring.Host, NetworkOf = wiring.NetworkOf }, $$"""
              access_log off;
              server {
                listen {{wiring.Host}}:{{port}}{{(wiring.TlsFromClients ? " ssl" : "")}}{{(wiring.Http2 ? " http2" : "")}};
                {{(wiring.TlsFromClients ? ServerTls(rig, tickets: true) : "")}}
                location / { default_type text/plain; return 200 "{{Small}}"; }
                location = /64k { root {{rig.File("")}}; default_type text/plain; }
              }
            """);
        return $"{wiring.Host}:{port}";
    }

    /// <summary>Takes plain HTTP/1.1 from a load and passes it on with TLS, as a client would send it.</summary>
    /// <returns>Its port.</returns>
    internal static async Task<int> StartClientAsync(ProxyRig rig, Contender contender)
    {
        var port = rig.NextPort();
        await StartAsync(rig, contender: false, new($"client-of-{contender.Name}", port, "nginx"), $$"""
              access_log off;
              upstream app { server 127.0.0.1:{{contender.Port}}; keepalive 256; keepalive_requests 1000000000; }
              server {
                listen 127.0.0.1:{{port}};
                location / {
                  proxy_pass https://app;
                  proxy_http_version 1.1;
                  proxy_set_header Connection "";
                  proxy_set_header Host $host;
                  {{ClientTls(rig)}}
                }
              }
            """);
        return port;
    }

    private const string Grpc =
        """
        grpc_pass grpc://app;
                  grpc_set_header Host $host;
                  grpc_set_header X-Request-Id $request_id;
                  grpc_set_header X-Forwarded-Proto $scheme;
                  grpc_next_upstream error timeout http_503;
        """;

    private static string Pass(bool tls) =>
        $"""
        proxy_pass {(tls ? "https" : "http")}://app;
                  proxy_http_version 1.1;
                  proxy_set_header Connection "";
                  proxy_set_header Host $host;
                  proxy_set_header X-Request-Id $request_id;
                  proxy_set_header X-Forwarded-Proto $scheme;
                  proxy_next_upstream error timeout http_503;
        """;

    private static string ServerTls(ProxyRig rig, bool tickets) =>
        $"""
        ssl_certificate {rig.Credentials.Chain};
                ssl_certificate_key {rig.Credentials.Key};
                ssl_client_certificate {rig.Credentials.Root};
                ssl_verify_client on;
                ssl_protocols TLSv1.2 TLSv1.3;
                ssl_session_tickets {(tickets ? "on" : "off")};
        """;

    private static string ClientTls(ProxyRig rig) =>
        $"""
        proxy_ssl_certificate {rig.Credentials.Chain};
                  proxy_ssl_certificate_key {rig.Credentials.Key};
                  proxy_ssl_trusted_certificate {rig.Credentials.Root};
                  proxy_ssl_verify on;
                  proxy_ssl_name {Credentials.DnsName};
                  proxy_ssl_server_name on;
                  proxy_ssl_protocols TLSv1.2 TLSv1.3;
        """;

    private static async Task<Contender> StartAsync(ProxyRig rig, bool contender, ContenderStart how, string http)
    {
        var name = how.Name;
        await File.WriteAllTextAsync(rig.File($"{name}.conf"), $$"""
            daemon off;
            master_process off;
            worker_processes {{ProxyRig.Workers}};
            pid {{rig.File($"{name}.pid")}};
            events { worker_connections 16384; }
            http {
              keepalive_requests 1000000000;
              keepalive_timeout 3600s;
              client_body_temp_path {{rig.File("body")}};
              proxy_temp_path {{rig.File("proxy")}};
              fastcgi_temp_path {{rig.File("fastcgi")}};
              uwsgi_temp_path {{rig.File("uwsgi")}};
              scgi_temp_path {{rig.File("scgi")}};
            {{http}}
            }

            """);
        how = how with { Arguments = ["-e", rig.File($"{name}.err"), "-c", rig.File($"{name}.conf")] };
        return await (contender ? rig.StartContenderAsync(how) : rig.StartServerAsync(how));
    }
}
