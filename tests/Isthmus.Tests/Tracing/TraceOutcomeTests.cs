using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Judgement;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>The outcome of the traced call decides, in the terms of what is spoken; and the first cause is what the operator can change.</summary>
public sealed class TraceOutcomeTests
{
    private const string Callee = "10.1.0.5:8080", AtCallee = "Pod shop/orders-a in c1", Called = "Service shop/orders in c1";

    /// <summary>What the callee's proxy said of the call, and who answered.</summary>
    [Theory]
    [InlineData(429, "RL", "local_rate_limited", "ISM2094", "envoy.filters.http.local_ratelimit", "local rate limit")]
    [InlineData(429, "RL", "request_rate_limited", "ISM2094", "envoy.filters.http.ratelimit", "rate limit service")]
    [InlineData(403, "UAEX", "ext_authz_denied", "ISM2094", "envoy.filters.http.ext_authz", "external authorizer")]
    [InlineData(413, "DPE", "request_payload_too_large", "ISM2094", "envoy.filters.http.ext_authz",
        "larger than what its proxy keeps for the external authorizer")]
    [InlineData(403, "UAEX", "ext_authz_error", "ISM2094", "envoy.filters.http.ext_authz", "no answer from the external authorizer")]
    [InlineData(401, "UAEX", "jwt_authn_access_denied{Jwks_remote_fetch_is_failed}", "ISM2096", "envoy.filters.http.jwt_authn",
        "no keys of the token's issuer")]
    [InlineData(401, "UAEX", "jwt_authn_access_denied{Jwt_is_expired}", "ISM2082", "envoy.filters.http.jwt_authn",
        "refuses the token of the request (jwt_authn_access_denied{Jwt_is_expired})")]
    [InlineData(426, "DPE", "low_version", "ISM2179", "", "answers 426 (Upgrade Required) to a request in HTTP/1.0")]
    [InlineData(418, "FI", "fault_filter_abort", "ISM2094", "envoy.filters.http.fault", "injected")]
    [InlineData(503, "UO", "upstream_reset_before_response_started{overflow}", "ISM2079", "", "limits")]
    [InlineData(429, "-", "via_upstream", "ISM2073", "", "its application responded with status 429")]
    [InlineData(503, "-", "via_upstream", "ISM2073", "", "its application responded with status 503")]
    public void Who_answered_is_named(int status, string flags, string details, string code, string path, string message)
    {
        var scenario = new TraceScenario { Call = Made(status), Sighted = [Seen(flags, details, status)] };
        var trace = scenario.Walk();
        Assert.False(trace.Succeeds);
        Assert.Equal((code, AtCallee, path), (trace.Failure?.Problem?.Code, trace.Failure?.Problem?.Object, trace.Failure?.Problem?.Path));
        Assert.Contains(message, trace.Failure!.Problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>A proxy behind the application may have refused what it passes on in HTTP/1.0.</summary>
    [Theory]
    [InlineData(426, true)]
    [InlineData(404, false)]
    public void An_application_that_may_speak_an_old_protocol_is_told(int status, bool isTold)
    {
        var trace = new TraceScenario { Call = Made(status), Sighted = [Seen("-", "via_upstream", status)] }.Walk();
        Assert.True(trace.Succeeds);
        var problem = trace.Hops.FirstOrDefault(hop => hop.Problem?.Code == "ISM2179")?.Problem;
        Assert.Equal(isTold ? AtCallee : null, problem?.Object);
        if (isTold) Assert.Contains("proxy_http_version 1.1), or set values.pilot.env.PILOT_HTTP10=true", problem!.Remedy, StringComparison.Ordinal);
    }

    /// <summary>The application called another Service, which failed: its proxy knows of that.</summary>
    [Theory]
    [InlineData("outbound|5000||stock.shop.svc.cluster.local", "", "UH", 0, "Its own last call of stock.shop.svc.cluster.local:5000 failed 0 s ago (UH: no ")]
    [InlineData("outbound|5000|v1|stock.shop", "172.18.2.1:15443", "UF", 0, "Its own last call of stock.shop:5000 at 172.18.2.1:15443 failed 0 s ago (UF)")]
    [InlineData("outbound|5000||stock.shop", "10.1.0.8:80", "", 500, "Its own last call of stock.shop:5000 at 10.1.0.8:80 failed 0 s ago (status 500)")]
    [InlineData("inbound|8080||", "10.1.0.5:8080", "", 502, "")]
    public void A_failed_call_of_the_application_itself_may_be_why(string cluster, string address, string flag, int status, string note)
    {
        var scenario = new TraceScenario { Call = Made(502), Sighted = [Seen("-", "via_upstream", 502)] };
        scenario.Callee = scenario.Callee.Replace("\"pod\": {", $"\"pod\": {{\"failures\": [{{\"cluster\": \"{cluster}\", \"address\": \"{address}\", "
            + $"\"status\": {status}, \"flag\": \"{flag}\", \"seconds_ago\": 0}}], ", StringComparison.Ordinal);
        var problem = scenario.Walk().Failure!.Problem!;
        Assert.Equal("ISM2073", problem.Code);
        Assert.Equal(note.Length > 0, problem.Message.Contains("Its own last call", StringComparison.Ordinal));
        Assert.Contains(note, problem.Message, StringComparison.Ordinal);
        Assert.Equal(note.Length > 0, problem.Remedy.StartsWith("isthmus trace orders-a.shop stock.shop", StringComparison.Ordinal));
    }

    /// <summary>Callers begin mutual TLS with a server that does not know it.</summary>
    [Theory]
    [InlineData(true, "", "nothing within 5 s")]
    [InlineData(false, "UF", "UF TLS_error")]
    public void A_proxy_that_an_entry_promises_and_that_does_not_answer_is_named_by_the_entry(bool isOutOfTime, string flags, string said)
    {
        var scenario = new TraceScenario { Call = new("GET /", false, isOutOfTime ? 0 : 503, 5000, Callee, flags, isOutOfTime ? "" : "TLS_error", [])
            { IsOutOfTime = isOutOfTime } };
        scenario.Client = scenario.ClientOfOne;
        scenario.One = scenario.One.Replace("podIP: 10.1.0.5", "podIP: 10.1.0.6", StringComparison.Ordinal) + """

            ---
            apiVersion: networking.istio.io/v1
            kind: WorkloadEntry
            metadata: {name: legacy, namespace: shop}
            spec: {address: 10.1.0.5, labels: {app: orders, security.istio.io/tlsMode: istio}}
            """;
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(("ISM2067", "WorkloadEntry shop/legacy in c1", "spec.labels[security.istio.io/tlsMode]"), (problem?.Code, problem?.Object, problem?.Path));
        Assert.Contains(said, problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>Several entries may have one address: each for a port of its own.</summary>
    [Theory]
    [InlineData("one.example.com", "WorkloadEntry shop/one")]
    [InlineData("two.example.com", "WorkloadEntry shop/two")]
    public void The_entry_that_the_host_selects_is_the_one_of_an_address(string host, string entry)
    {
        var scenario = new TraceScenario();
        foreach (var name in (string[])["one", "two"])
        {
            scenario.One += $$"""

                ---
                apiVersion: networking.istio.io/v1
                kind: ServiceEntry
                metadata: {name: {{name}}, namespace: shop}
                spec:
                  hosts: [{{name}}.example.com]
                  resolution: STATIC
                  ports: [{number: 80, name: http, protocol: HTTP}]
                  workloadSelector: {labels: {app: {{name}} } }
                ---
                apiVersion: networking.istio.io/v1
                kind: WorkloadEntry
                metadata: {name: {{name}}, namespace: shop}
                spec: {address: 127.0.0.1, labels: {app: {{name}} } }
                """;
        }
        Assert.Equal(entry, scenario.Facts().EntryOf(new IPEndPoint(IPAddress.Loopback, 80), host));
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(5, true)]
    [InlineData(12, true)]
    [InlineData(8, false)]
    [InlineData(13, false)]
    [InlineData(14, false)]
    public void The_status_of_gRPC_decides(int status, bool succeeds)
    {
        var trace = new TraceScenario { Call = Made(200) with { GrpcStatus = status }, Sighted = [Seen("-", "via_upstream", 200)] }.Walk("grpc://orders");
        Assert.Equal(succeeds, trace.Succeeds);
        if (!succeeds) Assert.Contains($"its application responded with grpc-status {status}", trace.Failure!.Problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>What the port is named, what is called, and what came of it: the declaration comes first, with its field.</summary>
    [Theory]
    [InlineData("http", "https://orders:80", "", "ISM2093", "declares HTTP, and the call is HTTPS")]
    [InlineData("grpc", "https://orders:80", "", "ISM2093", "declares GRPC, and the call is HTTPS")]
    [InlineData("https", "http://orders:80", "", "ISM2093", "declares HTTPS, and the call is plain HTTP")]
    [InlineData("tls", "grpc://orders:80", "", "ISM2093", "declares TLS, and the call is plain HTTP")]
    [InlineData("http", "tcp://orders:80", "", "ISM2093", "a server that speaks first is not heard")]
    [InlineData("http", "http://orders:80", "UC", "ISM2074", "declares HTTP, so the callee's proxy speaks HTTP/1.1")]
    [InlineData("http", "grpc://orders:80", "UC", "ISM2074", "the call is gRPC, which needs HTTP/2")]
    [InlineData("grpc", "http://orders:80", "UC", "ISM2074", "declares GRPC")]
    [InlineData("http2", "http://orders:80", "UPE", "ISM2074", "declares HTTP2")]
    public void A_port_that_declares_another_protocol_is_the_first_cause(string name, string target, string seen, string code, string message)
    {
        var scenario = new TraceScenario
        {
            Call = new("GET /", false, seen.Length > 0 ? 503 : 0, 3, Callee, seen.Length > 0 ? "-" : "UC", "", []),
            Sighted = seen.Length > 0 ? [Seen(seen, "", 503)] : []
        };
        (scenario.One, scenario.Two) = (Named(scenario.One, name), Named(scenario.Two, name));
        var trace = scenario.Walk(target);
        var problem = trace.Failure?.Problem;
        Assert.True(problem?.Code == code, TraceText.Write(trace, details: true));
        Assert.Equal((code, Called, $"spec.ports[{name}].name"), (problem?.Code, problem?.Object, problem?.Path));
        Assert.Contains(message, problem!.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("firewall", problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>For each declaration, whether it is the first cause of a call that fails, by what is called: HTTP/1.1, HTTP/2 in plain text, TLS, and bytes of
    /// a server that speaks first or waits. Where proxies only copy bytes, it never is.</summary>
    public static TheoryData<string, string, bool> DeclaredAndSpoken()
    {
        string[] calls = ["http://orders:80", "grpc://orders:80", "https://orders:80", "tcp://orders:80 first", "tcp://orders:80 nothing"];
        (string Port, string Causes)[] table =
        [
            ("http", "yes yes yes yes yes"),
            ("grpc", "yes yes yes yes yes"),
            ("https", "yes yes no no no"),
            ("tcp", "no no no no no"),
            ("redis", "no no no no no"),
            ("web", "no no no no no"), // which proxies find out by the bytes
        ];
        return [.. table.SelectMany(row => row.Causes.Split(' ').Zip(calls, (cause, call) => (row.Port, call, cause == "yes")))];
    }

    [Theory]
    [MemberData(nameof(DeclaredAndSpoken))]
    public void A_declaration_is_the_first_cause_where_proxies_act_by_it(string port, string call, bool isCause)
    {
        var (target, says) = call.Split(' ') is [var bytes, var how] ? (bytes, how) : (call, "");
        var scenario = new TraceScenario
        {
            Call = says.Length > 0 ? new("connect", false, 0, 3, Callee, "UC", "", []) { Says = says } : new("GET /", false, 503, 3, Callee, "-", "", []),
            Sighted = says.Length > 0 ? [] : [Seen("UC", "", 503)],
        };
        (scenario.One, scenario.Two) = (Named(scenario.One, port), Named(scenario.Two, port));
        var problem = scenario.Walk(target).Failure!.Problem!;
        if (isCause) Assert.Equal((Called, $"spec.ports[{port}].name"), (problem.Object, problem.Path));
        else Assert.DoesNotContain("spec.ports", problem.Path, StringComparison.Ordinal);
    }

    /// <summary>The connection gets through where the caller's proxy passes it on, and bytes of another protocol do not.</summary>
    [Theory]
    [InlineData(true, HopStatus.Failed)]
    [InlineData(false, HopStatus.Warning)]
    public void Bytes_at_a_port_that_declares_HTTP_are_told(bool isTakenForRequest, HopStatus status)
    {
        var scenario = new TraceScenario
        {
            Call = new("connect", true, 0, 3, Callee, "-", "", [])
            {
                Says = isTakenForRequest ? "to the data" : "closed", IsTakenForRequest = isTakenForRequest,
            },
        };
        scenario.Client = scenario.Client.Replace("\"bind_to_port\": false, \"traffic_direction\": \"OUTBOUND\", \"filter_chains\": [",
            "\"bind_to_port\": false, \"traffic_direction\": \"OUTBOUND\", \"filter_chains\": [{\"filter_chain_match\": {}, \"name\": "
                + "\"PassthroughFilterChain\", \"filters\": [{\"name\": \"tcp\", \"typed_config\": {\"@type\": "
                + "\"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy\", "
                + "\"stat_prefix\": \"x\", \"cluster\": \"PassthroughCluster\"}}]}], \"unused\": [", StringComparison.Ordinal);
        var trace = scenario.Walk("tcp://orders:80");
        var hop = trace.Hops.First(hop => hop.Problem is not null);
        Assert.Equal(("ISM2093", status, Called, "spec.ports[http].name"), (hop.Problem!.Code, hop.Status, hop.Problem.Object, hop.Problem.Path));
        Assert.StartsWith("if the application does not speak HTTP, name the port tcp", hop.Problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>The response had begun, so the port is innocent.</summary>
    [Fact]
    public void An_application_that_ends_within_its_response_is_told()
    {
        var scenario = new TraceScenario
        {
            Call = new("GET /", false, 200, 3, Callee, "UC", "the connection was reset after 40 bytes of the response", []),
            Sighted = [Seen("UC", "upstream_reset_after_response_started{connection_termination}", 200)],
        };
        var problem = scenario.Walk().Failure!.Problem!;
        Assert.Equal(("ISM2074", AtCallee, ""), (problem.Code, problem.Object, problem.Path));
        Assert.StartsWith("its application ended the connection within its response", problem.Message, StringComparison.Ordinal);
    }

    /// <summary>It speaks HTTP/1.1 as its port declares, so the port is innocent.</summary>
    [Theory]
    [InlineData("invalid_transfer_encoding", "a Transfer-Encoding other than one", "do not set the header")]
    [InlineData("content_length_and_chunked_not_allowed", "Content-Length and Transfer-Encoding both", "send one")]
    [InlineData("invalid_header_name", "a header whose name has a character", "correct the name")]
    public void A_response_that_HTTP_does_not_allow_is_told(string detail, string says, string remedy)
    {
        var scenario = new TraceScenario
        {
            Call = new("GET /", false, 502, 1, Callee, "UPE", $"http1.{detail}", []),
            Sighted = [Seen("UPE", $"upstream_reset_before_response_started{{http1.{detail}}}", 502)],
        };
        var problem = scenario.Walk("http://orders:80").Failure!.Problem!;
        Assert.Equal(("ISM2177", "Pod shop/orders-a in c1"), (problem.Code, problem.Object));
        Assert.StartsWith($"its application answers with {says}", problem.Message, StringComparison.Ordinal);
        Assert.StartsWith(remedy, problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>The proxy of a Pod follows the Service of its own cluster.</summary>
    [Theory]
    [InlineData("http", "grpc", "grpc", "declares GRPC, so the callee's proxy speaks HTTP/2")]
    [InlineData("grpc", "http", "http", "declares HTTP, so the callee's proxy speaks HTTP/1.1")]
    public void The_port_of_the_callees_cluster_says_what_its_proxy_speaks(string here, string there, string named, string says)
    {
        var scenario = new TraceScenario
        {
            Call = new("GET /", false, 503, 3, "172.18.2.1:15443", "-", "", []),
            Sighted = [Seen("UC", "", 503) with { Proxy = new("c2", "shop", "orders-b") }],
        };
        (scenario.One, scenario.Two) = (Named(scenario.One, here), Named(scenario.Two, there));
        var problem = scenario.Walk("http://orders:80").Failure?.Problem;
        Assert.Equal(("ISM2074", "Service shop/orders in c2", $"spec.ports[{named}].name"), (problem?.Code, problem?.Object, problem?.Path));
        Assert.Contains(says, problem!.Message, StringComparison.Ordinal);
    }

    /// <summary>A server that closes after its answer: of a connection, the flag says how it ended, and of a request, that it failed.</summary>
    [Theory]
    [InlineData("", 200, "", true)]
    [InlineData("\"id\": \"mark\", ", 200, "", false)]
    [InlineData("", 200, "\"error\": \"the connection was reset after 40 bytes of the response\", ", false)]
    [InlineData("", 503, "", false)]
    public void What_ends_a_connection_after_the_whole_answer_is_no_failure(string id, int status, string error, bool isAnswered) => Assert.Equal(isAnswered,
        CallReading.Read(Wanted("http"), TraceScenario.Report($"{{{error}\"status\": {status}, \"seen\": {{{id}\"flags\": \"UC\", \"upstream\": "
            + $"\"{Callee}\"}}}}"), [], static _ => false).Answered);

    /// <summary>Proxies copy the bytes of a port of TCP: gRPC works, and routes for requests have no effect.</summary>
    [Theory]
    [InlineData(false, HopStatus.Ok)]
    [InlineData(true, HopStatus.Warning)]
    public void Requests_on_a_port_of_TCP_get_through_untyped(bool hasRoutes, HopStatus status)
    {
        var scenario = new TraceScenario
        {
            Call = CallReading.Read(Wanted("grpc"),
                TraceScenario.Report($$"""{"status": 200, "grpc_status": 0, "seen": {"flags": "DC", "upstream": "{{Callee}}", "upstream_local": "10.1.0.4:1"} }"""),
                [], static _ => false)
        };
        (scenario.One, scenario.Two) = (Named(scenario.One, "tcp"), Named(scenario.Two, "tcp"));
        if (hasRoutes)
            scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: aborts, namespace: shop}, spec: {hosts: "
                + "[orders.shop.svc.cluster.local], http: [{fault: {abort: {httpStatus: 500, percentage: {value: 100}}}, route: [{destination: {host: "
                + "orders}}]}]}}";
        scenario.Client = Changed(scenario.Client, "0.0.0.0_80", listener => listener["filter_chains"] = JsonNode.Parse("""
            [{"filters": [{"name": "tcp", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                 "stat_prefix": "x", "cluster": "outbound|80||orders.shop.svc.cluster.local"}}]}]
            """));
        var trace = scenario.Walk("grpc://orders:80");
        Assert.True(trace.Succeeds, TraceText.Write(trace, details: true));
        var hop = trace.Hops.First(hop => hop.Name == "filter chain");
        Assert.Equal(status, hop.Status);
        if (hasRoutes) Assert.Equal(("ISM2095", "VirtualService shop/aborts in c1", "spec.http"), (hop.Problem!.Code, hop.Problem.Object, hop.Problem.Path));
        else Assert.Contains(hop.Facts, fact => fact.Name == "untyped" && fact.Value.Contains("declares TCP", StringComparison.Ordinal));
    }

    /// <summary>Where nothing else is let out, the cause is what hides the host, never a name that was generated.</summary>
    [Theory]
    [InlineData("sidecar", "orders", "", "ISM2013", "Sidecar shop/few in c1")]
    [InlineData("exportTo", "orders", "", "ISM2012", "Service shop/orders in c1")]
    [InlineData("sidecar, exportTo", "orders", "", "ISM2012", "Service shop/orders in c1")]
    [InlineData("host", "orders", "wrong.example", "ISM2027", "host wrong.example")]
    [InlineData("alias", "ext", "", "ISM2027", "Service shop/ext in c1")]
    public void What_hides_a_host_is_named(string why, string target, string host, string code, string @object)
    {
        var scenario = new TraceScenario();
        if (host.Length > 0) scenario.Sent = SentRequest.Parse("", [$"host: {host}"], "", "");
        if (why.StartsWith("sidecar", StringComparison.Ordinal))
            scenario.One += "\n---\n{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: few, namespace: shop}, spec: {outboundTrafficPolicy: "
                + "{mode: REGISTRY_ONLY}, egress: [{hosts: [\"istio-system/*\"]}]}}";
        if (why.EndsWith("exportTo", StringComparison.Ordinal)) (scenario.One, scenario.Two) = (Hidden(scenario.One), Hidden(scenario.Two));
        if (why == "alias")
            scenario.One += "\n---\n{apiVersion: v1, kind: Service, metadata: {name: ext, namespace: shop}, spec: {type: ExternalName, externalName: "
                + "nowhere.example, ports: [{name: http, port: 80}]}}";
        scenario.Client = scenario.Client.Replace("\"domains\": [\"orders\", \"orders.shop\", \"orders.shop.svc.cluster.local\"]", "\"domains\": [\"else\"]",
            StringComparison.Ordinal)
            .Replace("\"host\": \"orders\"", $"\"host\": \"{target}\"", StringComparison.Ordinal)
            .Replace(
                "{\"name\": \"allow_any\", \"domains\": [\"*\"], \"routes\": [{\"match\": {\"prefix\": \"/\"}, \"route\": {\"cluster\": "
                    + "\"PassthroughCluster\"}}]}",
                "{\"name\": \"block_all\", \"domains\": [\"*\"], \"routes\": [{\"match\": {\"prefix\": \"/\"}, \"direct_response\": {\"status\": 502}}]}",
                StringComparison.Ordinal);
        Assert.Contains("block_all", scenario.Client, StringComparison.Ordinal);
        var trace = scenario.Walk(target);
        Assert.Equal((code, @object), (trace.Failure?.Problem?.Code, trace.Failure?.Problem?.Object));
        Assert.DoesNotContain("block_all", TraceText.Write(trace, details: true), StringComparison.Ordinal);
        // Either alone hides the host: one remedy would not help.
        Assert.Equal(why == "sidecar, exportTo", trace.Failure!.Problem!.Remedy.Contains("; and in Sidecar shop/few in c1: add ", StringComparison.Ordinal));
    }

    /// <summary>A DestinationRule of the field's own TLS meets a gateway that knows only the mesh's.</summary>
    [Fact]
    public void What_nobody_may_read_is_named_with_the_cluster()
    {
        var scenario = new TraceScenario();
        Assert.DoesNotContain("Not looked at", TraceText.Write(scenario.Walk(), details: true), StringComparison.Ordinal);
        scenario.UnreadThere = ["NetworkPolicy", "HTTPRoute"];
        var trace = scenario.Walk();
        Assert.True(trace.Succeeds);
        Assert.Contains("Not looked at, because they cannot be read: HTTPRoute, NetworkPolicy in c2", TraceText.Write(trace, details: false),
            StringComparison.Ordinal);
        Assert.Equal("""["HTTPRoute, NetworkPolicy in c2"]""", TraceText.Tree(trace)["unread"]!.ToJsonString());
    }

    [Fact]
    public void A_gateway_without_a_chain_for_TLS_of_a_DestinationRule_names_the_rule()
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.Client.Replace($", \"sni\": \"{TraceScenario.Sni}\"", "", StringComparison.Ordinal)
            .Replace("\"type\": \"EDS\"",
                "\"type\": \"EDS\", \"metadata\": {\"filter_metadata\": {\"istio\": {\"config\": \"/apis/x/v1/namespaces/shop/destination-rule/simple\"}}}",
                StringComparison.Ordinal);
        var problem = scenario.Walk().Failure?.Problem;
        Assert.Equal(("ISM2089", "DestinationRule shop/simple in c1", "spec.trafficPolicy.tls"), (problem?.Code, problem?.Object, problem?.Path));
        Assert.Contains("begin TLS of its own, without a server name: the gateway of c2", problem!.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"name": "rq_error", "value": "5"}, {"name": "rq_total", "value": "7"}""",
        "because 5 of 7 requests failed: 5xx of the application, or no response")]
    [InlineData("""{"name": "cx_connect_fail", "value": "3"}, {"name": "rq_error", "value": "3"}, {"name": "rq_total", "value": "3"}""",
        "because 3 connections failed")]
    [InlineData("""{"name": "rq_timeout", "value": "2"}""", "because 2 requests timed out")]
    [InlineData("""{"name": "cx_connect_fail", "value": "1"}, {"name": "rq_timeout", "value": "1"}""", "because 1 connection failed, and 1 request timed out")]
    [InlineData("", "because calls kept failing")]
    public void An_ejection_says_what_was_counted(string stats, string why)
    {
        var scenario = new TraceScenario();
        scenario.Client = scenario.Client.Replace("\"cluster_statuses\": []", "\"cluster_statuses\": [{\"name\": \"outbound|80||" + TraceScenario.Fqdn
            + "\", \"host_statuses\": [{\"address\": {\"socket_address\": {\"address\": \"10.1.0.5\", \"port_value\": 8080}}, \"stats\": [" + stats
            + "], \"health_status\": {\"failed_outlier_check\": true}}]}]",
            StringComparison.Ordinal);
        Assert.Contains(scenario.Walk().Hops, hop => hop.Problem is { Code: "ISM2041" } problem && problem.Message.EndsWith(why, StringComparison.Ordinal));
    }

    /// <summary>Servers that speak first, that answer at the end, that close and that are silent are all there; what a proxy cannot reach is not.</summary>
    [Theory]
    [InlineData("first", "DC", "10.1.0.4:1", "", true)]
    [InlineData("after the end", "-", "10.1.0.4:1", "", true)]
    [InlineData("closed", "-", "10.1.0.4:1", "", true)]
    [InlineData("nothing", "DC", "10.1.0.4:1", "", true)]
    [InlineData("nothing", "DC", "", "", false)]
    [InlineData("closed", "UF", "", "", false)]
    [InlineData("closed", "-", "10.1.0.4:1", "UF", false)]
    public void A_TCP_server_is_judged_by_what_it_does(string says, string flags, string local, string seenElsewhere, bool isAnswered)
    {
        Sighting[] seen = seenElsewhere.Length == 0
            ? []
            : [new(new("c2", "istio-system", "gw"), false, 1, null, 0, seenElsewhere, "", "", "10.1.0.5:8080", "", local, "")];
        var call = CallReading.Read(Wanted("tcp"),
            TraceScenario.Report(
                $$"""{"received": 0, "says": "{{says}}", "seen": {"flags": "{{flags}}", "upstream": "{{Callee}}", "upstream_local": "{{local}}"} }"""),
            seen, static _ => false);
        Assert.Equal(isAnswered, call.Answered);
    }

    /// <summary>A share of the calls goes to a cluster without endpoints, where an Envoy closes.</summary>
    [Theory]
    [InlineData(Callee, HopStatus.Ok)]
    [InlineData("", HopStatus.Failed)]
    public void Only_a_share_that_the_call_took_makes_it_fail(string upstream, HopStatus status)
    {
        var scenario = new TraceScenario { Call = new("connect to orders", true, 0, 3, upstream, "-", "", []) { Says = CallReading.Closed } };
        (scenario.One, scenario.Two) = (Named(scenario.One, "tcp"), Named(scenario.Two, "tcp"));
        scenario.Client = Changed(scenario.ClientOfOne, "0.0.0.0_80", listener => listener["filter_chains"] = JsonNode.Parse("""
            [{"filters": [{"name": "tcp", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "x",
              "weighted_clusters": {"clusters": [{"name": "outbound|80||orders.shop.svc.cluster.local", "weight": 90}, {"name": "outbound|80|v2|orders.shop.svc.cluster.local", "weight": 10}]}}}]}]
            """)).Replace("{\"cluster\":{\"name\":\"PassthroughCluster\"",
                "{\"cluster\":{\"name\":\"outbound|80|v2|orders.shop.svc.cluster.local\",\"type\":\"EDS\"}},{\"cluster\":{\"name\":\"PassthroughCluster\"",
                StringComparison.Ordinal);
        var trace = scenario.Walk("tcp://orders:80");
        Assert.Contains(trace.Hops, hop => hop is { Name: "endpoints", Way: 0, Status: HopStatus.Failed });
        Assert.Equal(status, trace.Hops.Last(hop => hop.Name == "call").Status);
    }

    private static WantedCall Wanted(string kind) => new(IPEndPoint.Parse(Callee), kind, "orders", "/", "GET", SentRequest.Plain);

    private static MadeCall Made(int status) => new("GET /", true, status, 3, Callee, "-", "via_upstream", []);

    private static Sighting Seen(string flags, string details, int status) =>
        new(new("c1", "shop", "orders-a"), true, 2, null, status, flags, details, "", Callee, "", "", "");

    private static string Named(string objects, string name) => objects.Replace("{name: http, port: 80", $"{{name: {name}, port: 80", StringComparison.Ordinal);

    private static string Hidden(string objects) =>
        objects.Replace("metadata: {name: orders, namespace: shop}, spec: {clusterIP",
            "metadata: {name: orders, namespace: shop, annotations: {networking.istio.io/exportTo: other}}, spec: {clusterIP", StringComparison.Ordinal);

    private static string Changed(string inspection, string listener, Action<JsonNode> change)
    {
        var all = JsonNode.Parse(inspection)!;
        var dump = all["config_dump"]!["configs"]!.AsArray().First(config => config!["dynamic_listeners"] is not null)!;
        change(dump["dynamic_listeners"]!.AsArray().Select(one => one!["active_state"]!["listener"]!).First(one => one["name"]!.ToString() == listener));
        return all.ToJsonString();
    }
}
