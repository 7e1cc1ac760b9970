using Isthmus.Core.Net;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Envoy.NetworkFilters;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Extensions;

/// <summary>EnvoyFilters, from the object to the bytes.</summary>
public sealed class EnvoyFilterTests
{
    private const string Manager = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>As people write it.</summary>
    [Fact]
    public async Task A_local_rate_limit_holds_at_a_gateway_and_its_routes()
    {
        await using var origin = await OriginAsync();
        using var gateway = new GuardedGateway("", Filter("""
            - applyTo: HTTP_FILTER
              match: {context: GATEWAY, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}}
              patch:
                operation: INSERT_BEFORE
                value:
                  name: envoy.filters.http.local_ratelimit
                  typed_config:
                    "@type": type.googleapis.com/udpa.type.v1.TypedStruct
                    type_url: type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
                    value: {stat_prefix: http_local_rate_limiter}
            - applyTo: HTTP_ROUTE
              match: {context: GATEWAY, routeConfiguration: {vhost: {name: '*:8080', route: {action: ANY}}}}
              patch:
                operation: MERGE
                value:
                  typed_per_filter_config:
                    envoy.filters.http.local_ratelimit:
                      "@type": type.googleapis.com/udpa.type.v1.TypedStruct
                      type_url: type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
                      value:
                        stat_prefix: http_local_rate_limiter
                        token_bucket: {max_tokens: 2, tokens_per_fill: 2, fill_interval: 3600s}
                        filter_enabled: {runtime_key: local_rate_limit_enabled, default_value: {numerator: 100, denominator: HUNDRED}}
                        filter_enforced: {runtime_key: local_rate_limit_enforced, default_value: {numerator: 100, denominator: HUNDRED}}
                        response_headers_to_add: [{append: false, header: {key: x-local-rate-limit, value: 'true'}}]
            """), origin.Port, 1);
        for (var i = 0; i < 2; i++) Assert.Equal(200, (await gateway.CallAsync()).Status);
        using var refused = await gateway.SendAsync();
        Assert.Equal((429, "true"), ((int)refused.StatusCode, refused.Headers.GetValues("x-local-rate-limit").Single()));
        await gateway.LoggedAsync("429 RL local_rate_limited");
        Assert.Equal(1, gateway.Count("http_local_rate_limiter.http_local_rate_limit.enforced"));
    }

    private const string ForRoute = "{typed_per_filter_config: {stops: {'@type': type.googleapis.com/envoy.config.route.v3.FilterConfig, ";

    /// <summary>A filter that is off in the listener, and on for a route: Envoy calls it on where its configuration for the route is there, and
    /// empty.</summary>
    [Theory]
    [InlineData("", 200)]
    [InlineData("config: {}", 418)]
    [InlineData("disabled: true", 200)]
    public async Task A_route_switches_a_filter_on_without_saying_more(string fields, int status)
    {
        await using var origin = await OriginAsync();
        using var gateway = new GuardedGateway("", Filter($$"""
            - applyTo: HTTP_FILTER
              match: {context: GATEWAY, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager} } } }
              patch:
                operation: INSERT_BEFORE
                value:
                  name: stops
                  disabled: true
                  typed_config:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
                    abort: {http_status: 418, percentage: {numerator: 100} }
            - applyTo: HTTP_ROUTE
              match: {context: GATEWAY, routeConfiguration: {vhost: {name: '*:8080', route: {action: ANY} } } }
              patch:
                operation: MERGE
                value: {{(fields.Length == 0 ? "{name: same}" : ForRoute + fields + "} } }")}}
            """), origin.Port, 1);
        Assert.Equal(status, (await gateway.CallAsync()).Status);
    }

    [Theory]
    [InlineData("", 2)]
    [InlineData(", runtime_enabled: {default_value: false}", 4)]
    public async Task Connections_beyond_the_bucket_are_closed(string field, int passed)
    {
        await using var origin = await OriginAsync();
        using var gateway = new GuardedGateway("", Filter($$"""
            - applyTo: NETWORK_FILTER
              match: {context: GATEWAY, listener: {portNumber: 9000, filterChain: {filter: {name: envoy.filters.network.tcp_proxy} } } }
              patch:
                operation: INSERT_BEFORE
                value:
                  name: envoy.filters.network.local_ratelimit
                  typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit, stat_prefix: tcp,
                    token_bucket: {max_tokens: 2, fill_interval: 3600s}{{field}} }
            """), origin.Port, 1);
        Assert.Empty(gateway.Rig.Mesh.Sources.Problems.Items);
        var answered = 0;
        for (var i = 0; i < 4; i++)
        {
            using var client = new System.Net.Sockets.TcpClient();
            await client.ConnectAsync(System.Net.IPAddress.Loopback, gateway.TcpPort, Stop);
            try
            {
                await client.GetStream().WriteAsync("GET / HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n"u8.ToArray(), Stop);
                using var reader = new StreamReader(client.GetStream());
                if ((await reader.ReadToEndAsync(Stop)).StartsWith("HTTP/1.1 200", StringComparison.Ordinal)) answered++;
            }
            catch (IOException)
            {
                // Closed with bytes unread.
            }
        }
        Assert.Equal((passed, 4 - passed), (answered, gateway.Count("local_rate_limit.tcp.rate_limited")));
    }

    [Theory]
    [InlineData("MERGE", "one", "two")]
    [InlineData("MERGE_AND_REPLACE_LIST", "", "two")]
    public async Task Lists_grow_or_are_replaced(string operation, string first, string second)
    {
        await using var origin = await OriginAsync();
        using var gateway = new GuardedGateway("", Filter($$"""
            - applyTo: HTTP_ROUTE
              match: {context: GATEWAY}
              patch: {operation: MERGE, value: {response_headers_to_add: [{header: {key: x-first, value: one} }]} }
            - applyTo: HTTP_ROUTE
              match: {context: GATEWAY}
              patch: {operation: {{operation}}, value: {response_headers_to_add: [{header: {key: x-second, value: two} }]} }
            """), origin.Port, 1);
        Assert.Empty(gateway.Rig.Mesh.Sources.Problems.Items);
        using var response = await gateway.SendAsync();
        Assert.Equal((first, second), (Header("x-first"), Header("x-second")));

        string Header(string name) => string.Join(',', response.Headers.TryGetValues(name, out var values) ? values : []);
    }

    [Theory]
    [InlineData("server_name: mine", "/", "", 200, "server", "mine")]
    [InlineData("server_header_transformation: PASS_THROUGH", "/", "", 200, "server", "Kestrel")]
    [InlineData("max_request_headers_kb: 1", "/", "x-long: LONG", 431, "server", "istio-envoy")]
    [InlineData("always_set_request_id_in_response: true, use_remote_address: false", "/", "x-request-id: 7", 200, "x-request-id", "7")]
    [InlineData("merge_slashes: true", "/a//b", "", 200, "seen-path", "/a/b")]
    [InlineData("path_with_escaped_slashes_action: REJECT_REQUEST", "/a%2fb", "", 400, "server", "istio-envoy")]
    [InlineData("use_remote_address: false", "/", "x-forwarded-for: 1.2.3.4", 200, "seen-forwarded", "1.2.3.4")]
    [InlineData("xff_num_trusted_hops: 1", "/", "x-forwarded-for: 1.2.3.4", 200, "seen-forwarded", "1.2.3.4,127.0.0.1")]
    public async Task Settings_of_the_connection_manager_merge(string fields, string path, string header, int status, string name, string value)
    {
        await using var origin = await OriginAsync();
        using var gateway = new GuardedGateway("", Filter($$"""
            - applyTo: NETWORK_FILTER
              match: {context: GATEWAY, listener: {portNumber: 8080, filterChain: {filter: {name: envoy.filters.network.http_connection_manager} } } }
              patch: {operation: MERGE, value: {typed_config: {'@type': {{Manager}}, {{fields}} } } }
            """), origin.Port, 1);
        using var response = await gateway.SendAsync(path, header.Replace("LONG", new string('x', 2000), StringComparison.Ordinal));
        Assert.Equal((status, value), ((int)response.StatusCode, string.Join(',', response.Headers.TryGetValues(name, out var values) ? values : [])));
    }

    [Theory]
    [InlineData("common_http_protocol_options: {idle_timeout: 1s}", false)]
    [InlineData("request_timeout: 1s", true)]
    [InlineData("stream_idle_timeout: 1s", true)]
    public async Task Time_limits_merge(string fields, bool isHalf)
    {
        await using var origin = await OriginAsync();
        using var gateway = new GuardedGateway("", Filter($$"""
            - applyTo: NETWORK_FILTER
              match: {context: GATEWAY, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager} } } }
              patch: {operation: MERGE, value: {typed_config: {'@type': {{Manager}}, {{fields}} } } }
            """), origin.Port, 1);
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(System.Net.IPAddress.Loopback, gateway.Port, Stop);
        var stream = client.GetStream();
        // A whole request, or one whose body never ends.
        await stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes(isHalf
            ? "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx"
            : "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Stop);
        using var reader = new StreamReader(stream);
        var answer = await reader.ReadToEndAsync(Stop);
        Assert.StartsWith(isHalf ? "HTTP/1.1 408" : "HTTP/1.1 200", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ROUTE_CONFIGURATION", "{name: http.8080}")]
    [InlineData("VIRTUAL_HOST", "{portNumber: 8080, vhost: {name: '*:8080'}}")]
    [InlineData("VIRTUAL_HOST", "{vhost: {domainName: '*'}}")]
    [InlineData("HTTP_ROUTE", "{vhost: {route: {action: ROUTE}}}")]
    public async Task Fields_of_requests_and_responses_are_added_and_removed(string place, string match)
    {
        await using var origin = await OriginAsync();
        using var gateway = new GuardedGateway("", Filter($$"""
            - applyTo: {{place}}
              match: {context: GATEWAY, routeConfiguration: {{match}} }
              patch:
                operation: MERGE
                value:
                  request_headers_to_add: [{header: {key: x-asked, value: 'from %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'} }]
                  request_headers_to_remove: [x-secret]
                  response_headers_to_add: [{header: {key: x-answered, value: 'yes'} }]
                  response_headers_to_remove: [seen-path]
            """), origin.Port, 1);
        using var response = await gateway.SendAsync("/", "x-secret: 1");
        Assert.Equal("x-asked=from 127.0.0.1 x-secret=", await response.Content.ReadAsStringAsync(Stop));
        Assert.Equal("yes", response.Headers.GetValues("x-answered").Single());
        Assert.False(response.Headers.Contains("seen-path"));
    }

    [Theory]
    [InlineData("http_health_check: {path: /, host: web.example}", 200)]
    [InlineData("http_health_check: {path: /, host: web.example, expected_statuses: [{start: 404, end: 405}]}", 503)]
    [InlineData("tcp_health_check: {}", 200)]
    public async Task Endpoints_that_fail_active_health_checks_get_no_requests(string check, int status)
    {
        await using var origin = await OriginAsync();
        using var gateway = new GuardedGateway("", Filter($$"""
            - applyTo: CLUSTER
              match: {context: GATEWAY, cluster: {service: web.example, portNumber: 80} }
              patch: {operation: MERGE, value: {health_checks: [{timeout: 5s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, {{check}} }] } }
            """) + """

            ---
            apiVersion: networking.istio.io/v1
            kind: DestinationRule
            metadata: {name: web, namespace: shop}
            spec: {host: web.example, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 5}}}
            """, origin.Port, 1);
        Assert.Empty(gateway.Rig.Mesh.Sources.Problems.Items);
        await Eventually.TrueAsync(() => gateway.Plane.State.HasListeners);
        Assert.Equal(status, (await gateway.CallAsync()).Status);
        await gateway.LoggedAsync(status == 200 ? "200 -" : "503 UH no_healthy_upstream");
    }

    [Fact]
    public async Task Routes_hosts_and_clusters_are_added_and_removed()
    {
        await using var origin = await OriginAsync();
        using var gateway = new GuardedGateway("", Filter("""
            - applyTo: HTTP_ROUTE
              match: {context: GATEWAY, routeConfiguration: {vhost: {name: '*:8080'}}}
              patch: {operation: INSERT_FIRST, value: {name: mine, match: {path: /mine}, direct_response: {status: 203, body: {inline_string: own}}}}
            - applyTo: VIRTUAL_HOST
              match: {context: GATEWAY}
              patch: {operation: ADD, value: {name: other, domains: [other.example], routes: [{match: {prefix: /}, redirect: {host_redirect: elsewhere.example}}]}}
            - applyTo: CLUSTER
              match: {context: GATEWAY, cluster: {service: web.example, portNumber: 80}}
              patch: {operation: REMOVE}
            """), origin.Port, 1);
        Assert.Equal((203, "own"), await gateway.CallAsync("/mine"));
        await gateway.CallAsync();
        await gateway.LoggedAsync("503 NC cluster_not_found");
        using var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{gateway.Port}/a") { Headers = { Host = "other.example" } };
        using var moved = await client.SendAsync(request, Stop);
        Assert.Equal("http://elsewhere.example/a", moved.Headers.Location?.ToString());
    }

    [Fact]
    public async Task Filters_with_a_lower_priority_come_first_and_later_ones_win()
    {
        await using var origin = await OriginAsync();
        string Named(string name, string ns, string priority) => Filter($$"""
            - applyTo: NETWORK_FILTER
              match: {context: GATEWAY, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager} } } }
              patch: {operation: MERGE, value: {typed_config: {'@type': {{Manager}}, server_name: {{name}} } } }
            """, name, ns, priority);
        using var gateway = new GuardedGateway("",
            string.Join("\n---\n", Named("root", "istio-system", "0"), Named("a", "shop", "0"), Named("b", "shop", "-5"), Named("stranger", "other", "9")),
            origin.Port, 1);
        Assert.Equal("a", await ServerAsync(gateway));
        gateway.Apply(Named("b", "shop", "5"));
        Assert.Equal("b", await ServerAsync(gateway));
        // Another object of the same name takes its place; one with a selector that does not match takes none.
        gateway.Apply(Named("b", "shop", "5").Replace("app: edge", "app: none", StringComparison.Ordinal));
        Assert.Equal("a", await ServerAsync(gateway));
    }

    [Theory]
    [InlineData("proxyVersion: '^1\\.'", true)]
    [InlineData("proxyVersion: '^2\\.'", false)]
    [InlineData("metadata: {EDGE: 'yes'}", true)]
    [InlineData("metadata: {EDGE: 'no'}", false)]
    public void A_patch_is_for_proxies_of_a_version_and_with_metadata(string proxy, bool applies)
    {
        var rig = new MeshRig("c1");
        rig.Config(SidecarProxy.Entry([(1, "")]));
        rig.Config(Filter($$"""
            - applyTo: CLUSTER
              match: {proxy: { {{proxy}} }, cluster: {service: web.example} }
              patch: {operation: REMOVE}
            """, selector: false));
        var feed = rig.Connect(new(
            Isthmus.Mesh.Model.ProxyKind.Sidecar, "client", "shop", "shop.svc.cluster.local", "c1", "", default, [Address.Parse("10.244.0.7")], default, "",
            "", "", "", false, false, "", "1.20.1", default)
        {
            Metadata = new([KeyValuePair.Create("EDGE", "yes")]),
        });
        rig.Push();
        Assert.Equal(applies, MeshRig.Cluster(feed, "outbound|80||web.example") is null);
    }

    [Fact]
    public void Each_part_of_a_sidecar_has_its_patches()
    {
        var rig = new MeshRig("c1");
        rig.Service("c1", "web", "10.96.0.10");
        rig.Pod("c1", "web", "web-0", "10.244.0.1");
        rig.Slice("c1", "web", 8080, "http", ("web-0", "10.244.0.1"));
        string Named(string context, string name) => $$"""
            - applyTo: NETWORK_FILTER
              match: {context: {{context}}, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager} } } }
              patch: {operation: MERGE, value: {typed_config: {'@type': {{Manager}}, server_name: {{name}} } } }
            """;
        rig.Config(Filter($$"""
            {{Named("SIDECAR_INBOUND", "in")}}
            {{Named("SIDECAR_OUTBOUND", "out")}}
            {{Named("GATEWAY", "edge")}}
            - applyTo: HTTP_ROUTE
              match: {context: SIDECAR_INBOUND, routeConfiguration: {name: 'inbound|8080||'} }
              patch: {operation: MERGE, value: {response_headers_to_remove: [x-inner]} }
            - applyTo: CLUSTER
              match: {context: SIDECAR_INBOUND, cluster: {service: web.shop.svc.cluster.local} }
              patch: {operation: MERGE, value: {connect_timeout: 7s} }
            - applyTo: LISTENER
              match: {context: ANY}
              patch: {operation: ADD, value: {name: extra, address: {socket_address: {address: 127.0.0.1, port_value: 8999} },
                 filter_chains: [{filters: [{name: envoy.filters.network.tcp_proxy,
                     typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: extra,
                      cluster: BlackHoleCluster} }] }] } }
            """, selector: false));
        var feed = rig.Sidecar("c1", "web-0", "10.244.0.1");
        rig.Push();
        var managers = MeshRig.Listener(feed, "virtualInbound")!.FilterChains.SelectMany(chain => chain.Filters)
            .Where(filter => filter.TypedConfig.Is(HttpConnectionManager.Descriptor)).Select(filter => filter.TypedConfig.Unpack<HttpConnectionManager>())
            .ToList();
        Assert.All(managers, manager => Assert.Equal("in", manager.ServerName));
        Assert.Equal(["x-inner"],
            managers.First(manager => manager.RouteConfig.Name == "inbound|8080||").RouteConfig.VirtualHosts.Single().Routes.Single().ResponseHeadersToRemove);
        Assert.Equal("out",
            MeshRig.Listener(feed, "0.0.0.0_80")!.FilterChains.SelectMany(chain => chain.Filters)
                .First(filter => filter.TypedConfig.Is(HttpConnectionManager.Descriptor)).TypedConfig.Unpack<HttpConnectionManager>().ServerName);
        Assert.Equal(7, MeshRig.Cluster(feed, "inbound|8080||")!.ConnectTimeout.Seconds);
        Assert.NotNull(MeshRig.Listener(feed, "extra"));
    }

    /// <summary>A whole patch or nothing of it: our own proxies get neither the filter that they do not know nor what is beside it.</summary>
    [Theory]
    [InlineData(true, "{'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua, default_source_code: {inline_string: x}}")]
    [InlineData(false, "{'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua, default_source_code: {inline_string: x}}")]
    [InlineData(true,
        "{'@type': type.googleapis.com/udpa.type.v1.TypedStruct, type_url: type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua, value: "
            + "{default_source_code: {inline_string: x}}}")]
    public void Configuration_that_our_proxies_do_not_know_is_for_Envoys_only(bool isEnvoy, string config)
    {
        var rig = new MeshRig("c1");
        rig.Config(SidecarProxy.Entry([(1, "")]));
        rig.Config(Filter($$"""
            - applyTo: HTTP_FILTER
              match: {listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager} } } }
              patch: {operation: INSERT_FIRST, value: {name: lua, typed_config: {{config}} } }
            """, selector: false));
        var feed = rig.Connect(new(
            Isthmus.Mesh.Model.ProxyKind.Sidecar, "client", "shop", "shop.svc.cluster.local", "c1", "", default, [Address.Parse("10.244.0.7")], default, "",
            "", "", "", false, false, "", "1.20.1", default)
        {
            Software = Isthmus.Mesh.Model.ProxySoftware.Unknown with { IsEnvoy = isEnvoy },
        });
        rig.Push();
        var filter = MeshRig.Listener(feed, "0.0.0.0_80")!.FilterChains.Append(MeshRig.Listener(feed, "0.0.0.0_80")!.DefaultFilterChain)
            .OfType<Isthmus.Wire.Envoy.Listeners.FilterChain>().SelectMany(chain => chain.Filters)
            .First(item => item.TypedConfig.Is(HttpConnectionManager.Descriptor)).TypedConfig.Unpack<HttpConnectionManager>().HttpFilters[0];
        Assert.Equal(isEnvoy, filter.Name == "lua");
        if (!isEnvoy) return;
        var typed = filter.TypedConfig.Unpack<Isthmus.Wire.Envoy.XdsTypes.TypedStruct>();
        Assert.Equal("type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua", typed.TypeUrl);
        Assert.Equal("x", typed.Value.Fields["default_source_code"].StructValue.Fields["inline_string"].StringValue);
        Assert.Equal(["default_source_code"], typed.Value.Fields.Keys);
    }

    [Fact]
    public async Task A_stored_filter_with_one_bad_patch_changes_nothing_and_is_reported()
    {
        await using var origin = await OriginAsync();
        using var gateway = new GuardedGateway("", Filter($$"""
            - applyTo: NETWORK_FILTER
              match: {context: GATEWAY, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager} } } }
              patch: {operation: MERGE, value: {typed_config: {'@type': {{Manager}}, server_name: mine} } }
            - applyTo: HTTP_FILTER
              match: {context: GATEWAY}
              patch: {operation: MERGE, value: {name: envoy.filters.http.lua, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua, inlineCode: x} } }
            """), origin.Port, 1);
        Assert.Equal("istio-envoy", await ServerAsync(gateway));
        var problem = Assert.Single(gateway.Rig.Mesh.Sources.Problems.Items.Values.SelectMany(item => item.Problems));
        Assert.Equal(("EnvoyFilter shop/patches", "spec.configPatches[1].patch.value.typed_config.@type",
            "envoy.extensions.filters.http.lua.v3.Lua is not known here, so nothing can be merged into it"),
            (problem.Object, problem.Path, problem.Message));
    }

    private static string Filter(string patches, string name = "patches", string ns = "shop", string priority = "0", bool selector = true) => $$"""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: {{name}}, namespace: {{ns}} }
        spec:
          priority: {{priority}}
          workloadSelector: {labels: { {{(selector ? "app: edge" : "")}} } }
          configPatches:
        {{string.Join('\n', patches.Split('\n').Select(line => $"  {line}"))}}
        """;

    private static async Task<string> ServerAsync(GuardedGateway gateway)
    {
        using var response = await gateway.SendAsync();
        return response.Headers.GetValues("server").Single();
    }

    private static Task<OriginServer> OriginAsync() => OriginServer.StartAsync(HttpProtocols.Http1, context =>
    {
        context.Response.Headers.Server = "Kestrel";
        context.Response.Headers["seen-path"] = context.Request.Path.Value;
        context.Response.Headers["seen-forwarded"] = context.Request.Headers["x-forwarded-for"];
        return context.Response.WriteAsync($"x-asked={context.Request.Headers["x-asked"]} x-secret={context.Request.Headers["x-secret"]}");
    });
}
