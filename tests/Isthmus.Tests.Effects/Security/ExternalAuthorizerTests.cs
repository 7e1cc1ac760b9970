using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Auth;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Security;

/// <summary>AuthorizationPolicies with the action CUSTOM, from the objects to the bytes that an external authorizer gets.</summary>
public sealed class ExternalAuthorizerTests
{
    private const string Stats = "http.outbound_0.0.0.0_8080.ext_authz.";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_HTTP_authorizer_allows_what_it_answers_with_200_and_changes_requests_and_responses()
    {
        var asked = new List<string>();
        await using var authorizer = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            var fields = context.Request.Headers.Where(field => field.Key is not "Host").OrderBy(field => field.Key, StringComparer.OrdinalIgnoreCase)
                .Select(field => $"{field.Key.ToLowerInvariant()}={field.Value}");
            var body = await reader.ReadToEndAsync();
            lock (asked)
                asked.Add(
                    $"{context.Request.Method} {context.Request.Host}{context.Features.Get<IHttpRequestFeature>()!.RawTarget} {string.Join(' ', fields)} "
                        + $"[{body}]");
            context.Response.Headers["x-user"] = "ann";
            context.Response.Headers["x-inner"] = "not for others";
            context.Response.Headers["x-quota"] = "7";
            context.Response.Headers["x-envoy-auth-headers-to-remove"] = "x-token-a, authorization";
        });
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync(
            string.Join(' ', new[] { "x-user", "x-inner", "x-token-a", "authorization" }.Select(name => $"{name}={context.Request.Headers[name]}"))));
        using var gateway = Gateway(
            "envoyExtAuthzHttp: {service: authorizer.example, port: 8000, pathPrefix: /check, includeRequestHeadersInCheck: [x-token-*], "
                + "includeAdditionalHeadersInCheck: {x-from: edge}, headersToUpstreamOnAllow: [x-user], headersToDownstreamOnAllow: [x-quota]}",
            "rules: [{to: [{operation: {paths: [/safe*]}}]}]", origin.Port, authorizer.Port);
        using var response = await gateway.SendAsync("/safe?a=b", "x-token-a: secret\nx-other: no\nauthorization: Bearer t\nx-user: eve\nx-from: client");
        Assert.Equal("x-user=ann x-inner= x-token-a= authorization=", await response.Content.ReadAsStringAsync(Stop));
        Assert.Equal("7", response.Headers.GetValues("x-quota").Single());
        Assert.False(response.Headers.Contains("x-inner"));
        Assert.Equal(["GET web.example/check/safe?a=b authorization=Bearer t content-length=0 x-from=edge x-token-a=secret []"], asked);
        // What the policy does not match is nobody's business.
        Assert.Equal((200, "x-user=eve x-inner= x-token-a= authorization="), await gateway.CallAsync("/open", "x-user: eve"));
        Assert.Single(asked);
        Assert.Equal(1, gateway.Count($"{Stats}ok"));
    }

    [Theory]
    [InlineData("", 302, "x-reason=no set-cookie=a=1|b=2 location=/login www-authenticate=Basic")]
    [InlineData(", headersToDownstreamOnDeny: [set-cookie]", 302, "x-reason= set-cookie=a=1|b=2 location=/login www-authenticate=Basic")]
    [InlineData(", headersToDownstreamOnDeny: [X-Re*]", 401, "x-reason=no set-cookie= location=/login www-authenticate=Basic")]
    public async Task A_client_gets_the_answer_of_an_HTTP_authorizer_that_denies(string fields, int status, string seen)
    {
        await using var authorizer = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            context.Response.StatusCode = status;
            context.Response.Headers["x-reason"] = "no";
            context.Response.Headers.SetCookie = new(["a=1", "b=2"]);
            context.Response.Headers.Location = "/login";
            context.Response.Headers.WWWAuthenticate = "Basic";
            return context.Response.WriteAsync("who are you?");
        });
        using var gateway = Gateway($"envoyExtAuthzHttp: {{service: shop/authorizer.example, port: '8000'{fields}}}".Replace("'8000'", "8000",
            StringComparison.Ordinal),
            "rules: [{}]", 1, authorizer.Port);
        using var response = await gateway.SendAsync();
        Assert.Equal((status, "who are you?"), ((int)response.StatusCode, await response.Content.ReadAsStringAsync(Stop)));
        Assert.Equal(seen, string.Join(' ', new[] { "x-reason", "set-cookie", "location", "www-authenticate" }.Select(name =>
            $"{name}={(response.Headers.TryGetValues(name, out var values) ? string.Join('|', values) : "")}")));
        await gateway.LoggedAsync($"{status} UAEX ext_authz_denied");
        Assert.Equal(1, gateway.Count($"{Stats}denied"));
    }

    [Theory]
    [InlineData("", 403, "error")]
    [InlineData("statusOnError: '503'", 503, "error")]
    [InlineData("failOpen: true", 200, "failure_mode_allowed")]
    public async Task An_authorizer_that_fails_has_not_decided(string fields, int status, string counted)
    {
        await using var authorizer = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        });
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var gateway = Gateway($"envoyExtAuthzHttp: {{service: authorizer.example, port: 8000, {fields}}}", "rules: [{}]", origin.Port, authorizer.Port);
        Assert.Equal(status, (await gateway.CallAsync()).Status);
        if (status != 200) await gateway.LoggedAsync($"{status} UAEX ext_authz_error");
        Assert.Equal(1, gateway.Count(Stats + counted));
    }

    [Theory]
    [InlineData("http")]
    [InlineData("grpc")]
    public async Task An_authorizer_that_takes_too_long_or_is_gone_has_not_decided(string kind)
    {
        var over = new TaskCompletionSource();
        await using var authorizer = await OriginServer.StartAsync(kind == "http" ? HttpProtocols.Http1 : HttpProtocols.Http2, _ => over.Task);
        using (var gateway = Gateway(Provider(kind, "timeout: 0.05s"), "rules: [{}]", 1, authorizer.Port))
        {
            Assert.Equal((403, ""), await gateway.CallAsync());
            Assert.Equal(1, gateway.Count($"{Stats}timeout"));
        }
        Assert.False(over.Task.IsCompleted);
        over.SetResult();
        using var dead = new Isthmus.Testing.ReservedPort();
        using var other = Gateway(Provider(kind, "timeout: 5s"), "rules: [{}]", 1, dead.Number);
        Assert.Equal((403, ""), await other.CallAsync());
        Assert.Equal((1, 0), (other.Count($"{Stats}error"), other.Count($"{Stats}timeout")));
    }

    [Theory]
    [InlineData("maxRequestBytes: 10", 5, 200, "body", "false")]
    [InlineData("maxRequestBytes: 10", 11, 413, null, null)]
    [InlineData("maxRequestBytes: 10, allowPartialMessage: true", 25, 200, "body", "true")]
    [InlineData("maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: true", 200_000, 200, "raw", "true")]
    [InlineData("maxRequestBytes: 300000", 200_000, 200, "body", "false")]
    public async Task An_authorizer_gets_the_body_and_the_server_too(string setting, int length, int status, string? field, string? isPart)
    {
        var told = new List<string>();
        await using var grpc = await GrpcServerAsync(request =>
        {
            var http = request.Attributes.Request.Http;
            lock (told)
                told.Add(
                    $"{(http.Body.Length > 0 ? "body" : "raw")} {Math.Max(http.Body.Length, http.RawBody.Length)} {http.Headers["x-envoy-auth-partial-body"]}");
            return new();
        });
        await using var plain = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            var body = await reader.ReadToEndAsync();
            lock (told) told.Add($"plain {body.Length} {context.Request.Headers["x-envoy-auth-partial-body"]}");
        });
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            await context.Response.WriteAsync($"{await reader.ReadToEndAsync()}");
        });
        var sent = new string('x', length);
        foreach (var (kind, port) in new[] { ("grpc", grpc.Port), ("http", plain.Port) })
        {
            told.Clear();
            using var gateway = Gateway(Provider(kind, $"includeRequestBodyInCheck: {{{setting}}}"), "rules: [{}]", origin.Port, port);
            foreach (var isChunked in (bool[])[false, true])
            {
                var answer = await gateway.CallAsync(body: isChunked
                    ? new StreamContent(new Unseekable(Encoding.ASCII.GetBytes(sent)))
                    : new StringContent(sent));
                Assert.Equal((status, status == 200 ? sent : "Payload Too Large"), answer);
            }
            var most = int.Parse(System.Text.RegularExpressions.Regex.Match(setting, "\\d+").Value, System.Globalization.CultureInfo.InvariantCulture);
            Assert.Equal(field is null ? [] : Enumerable.Repeat($"{(kind == "http" ? "plain" : field)} {Math.Min(length, most)} {isPart}", 2), told);
        }
    }

    [Fact]
    public async Task A_gRPC_authorizer_learns_about_the_request_and_changes_it()
    {
        CheckRequest? asked = null;
        await using var authorizer = await GrpcServerAsync(request =>
        {
            asked = request;
            return new()
            {
                OkResponse = new()
                {
                    Headers = { Field("x-user", "ann"), Field("x-role", "b", append: true), Field("transfer-encoding", "chunked") },
                    HeadersToRemove = { "X-Token" },
                    ResponseHeadersToAdd = { Field("x-quota", "7") },
                    QueryParametersToSet = { new QueryParameter { Key = "who", Value = "a&n" } },
                    QueryParametersToRemove = { "key" },
                },
            };
        });
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync(
            $"{context.Features.Get<IHttpRequestFeature>()!.RawTarget} x-user={context.Request.Headers["x-user"]} x-role={context.Request.Headers["x-role"]} "
                + $"x-token={context.Request.Headers["x-token"]}"));
        using var gateway = Gateway(Provider("grpc"), "rules: [{}]", origin.Port, authorizer.Port);
        using var response = await gateway.SendAsync("/a?key=1&b=2", "x-token: secret\nx-role: a\nx-user: eve");
        Assert.Equal("/a?b=2&who=a%26n x-user=ann x-role=a,b x-token=", await response.Content.ReadAsStringAsync(Stop));
        Assert.Equal("7", response.Headers.GetValues("x-quota").Single());
        var (http, source) = (asked!.Attributes.Request.Http, asked.Attributes.Source);
        Assert.Equal(("GET", "/a?key=1&b=2", "web.example", "http", "HTTP/1.1", 0L),
            (http.Method, http.Path, http.Host, http.Scheme, http.Protocol, http.Size));
        Assert.Equal(("secret", "web.example", "/a?key=1&b=2"), (http.Headers["x-token"], http.Headers[":authority"], http.Headers[":path"]));
        Assert.Equal(http.Headers["x-request-id"], http.Id);
        Assert.Equal(("127.0.0.1", (uint)gateway.Port), (source.Address.SocketAddress.Address, asked.Attributes.Destination.Address.SocketAddress.PortValue));
        Assert.InRange(asked.Attributes.Request.Time.ToDateTimeOffset(), DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddMinutes(1));
    }

    [Fact]
    public async Task A_gRPC_authorizer_denies_with_a_status_fields_and_a_body()
    {
        await using var authorizer = await GrpcServerAsync(request => request.Attributes.Request.Http.Path switch
        {
            "/plain" => new() { Status = new() { Code = 7 } },
            "/broken" => new() { OkResponse = new() { Headers = { Field("x-a", "b\r\nx-admin: true") } } },
            _ => new()
            {
                Status = new() { Code = 16 },
                DeniedResponse = new() { Status = new() { Code = StatusCode.Unauthorized }, Headers = { Field("x-why", "token") }, Body = "no token" }
            },
        });
        using var gateway = Gateway(Provider("grpc", "statusOnError: '500'"), "rules: [{}]", 1, authorizer.Port);
        using var response = await gateway.SendAsync();
        Assert.Equal((401, "no token", "token"),
            ((int)response.StatusCode, await response.Content.ReadAsStringAsync(Stop), response.Headers.GetValues("x-why").Single()));
        Assert.Equal((403, ""), await gateway.CallAsync("/plain"));
        Assert.Equal((500, ""), await gateway.CallAsync("/broken"));
        // A client that speaks gRPC gets the status of a call.
        using var body = new ByteArrayContent([]) { Headers = { ContentType = new("application/grpc") } };
        using var call = await gateway.SendAsync(body: body, version: HttpVersion.Version20);
        Assert.Equal(("16", "no token", "application/grpc"),
            (call.Headers.GetValues("grpc-status").Single(), call.Headers.GetValues("grpc-message").Single(), $"{call.Content.Headers.ContentType}"));
    }

    [Theory]
    [InlineData("", 200)]
    [InlineData("clearRouteCache: true", 418)]
    public async Task A_changed_request_gets_a_route_of_its_own_where_the_provider_says_so(string field, int status)
    {
        await using var authorizer = await GrpcServerAsync(_ => new() { OkResponse = new() { Headers = { Field("x-way", "blocked") } } });
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var gateway = Gateway(Provider("grpc", field), "rules: [{}]", origin.Port, authorizer.Port);
        Assert.Equal(status, (await gateway.CallAsync()).Status);
    }

    [Fact]
    public async Task Two_authorizers_and_a_denial_decide_one_after_another()
    {
        var asked = new List<string>();
        await using var authorizer = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            lock (asked) asked.Add(context.Request.Path);
            context.Response.Headers["x-user"] = "ann";
            return Task.CompletedTask;
        });
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var gateway = new GuardedGateway($$"""
            extensionProviders:
            - {name: one, envoyExtAuthzHttp: {service: authorizer.example, port: 8000, pathPrefix: /1, headersToUpstreamOnAllow: [x-user]} }
            - {name: two, envoyExtAuthzHttp: {service: authorizer.example, port: 8000, pathPrefix: /2} }
            """, $$"""
            {{Policy("one", "action: CUSTOM, provider: {name: one}, rules: [{to: [{operation: {paths: [/a, /c]}}]}]")}}
            ---
            {{Policy("two", "action: CUSTOM, provider: {name: two}, rules: [{to: [{operation: {paths: [/b, /c]}}]}]")}}
            ---
            {{Policy("deny", "action: DENY, rules: [{when: [{key: 'request.headers[x-user]', values: [ann]}]}]")}}
            """, origin.Port, authorizer.Port);
        Assert.Equal(403, (await gateway.CallAsync("/a")).Status);
        Assert.Equal(200, (await gateway.CallAsync("/b")).Status);
        Assert.Equal(403, (await gateway.CallAsync("/c")).Status);
        Assert.Equal(200, (await gateway.CallAsync("/d")).Status);
        Assert.Equal(["/1/a", "/2/b", "/1/c", "/2/c"], asked);
    }

    [Theory]
    [InlineData("extensionProviders: []")]
    [InlineData("extensionProviders: [{name: outer, envoyExtAuthzHttp: {service: nowhere.example, port: 8000}}]")]
    [InlineData("extensionProviders: [{name: outer, envoyExtAuthzHttp: {service: authorizer.example, port: 8001}}]")]
    [InlineData("extensionProviders: [{name: outer, envoyExtAuthzHttp: {service: authorizer.example, port: 8000, pathPrefix: check}}]")]
    public async Task Without_its_provider_a_policy_denies_what_it_matches(string providers)
    {
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var gateway = new GuardedGateway(providers,
            Policy("outer", "action: CUSTOM, provider: {name: outer}, rules: [{to: [{operation: {paths: [/safe]}}]}]"), origin.Port, 1);
        Assert.Equal((403, "RBAC: access denied"), await gateway.CallAsync("/safe"));
        Assert.Equal((200, "origin"), await gateway.CallAsync("/open"));
    }

    [Theory]
    [InlineData("grpc", 0, true)]
    [InlineData("grpc", 7, false)]
    [InlineData("http", 0, false)]
    public async Task A_connection_is_decided_about_by_gRPC_only(string kind, int status, bool allowed)
    {
        CheckRequest? asked = null;
        await using var authorizer = await GrpcServerAsync(request =>
        {
            asked = request;
            return new() { Status = new() { Code = status } };
        });
        using var origin = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        origin.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        origin.Listen();
        using var gateway = Gateway(Provider(kind), "rules: [{}]", ((IPEndPoint)origin.LocalEndPoint!).Port, authorizer.Port);
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(IPAddress.Loopback, gateway.TcpPort, Stop);
        await client.SendAsync("hello"u8.ToArray(), SocketFlags.None, Stop);
        var buffer = new byte[16];
        if (allowed)
        {
            using var served = await origin.AcceptAsync(Stop);
            Assert.Equal(5, await served.ReceiveAsync(buffer, SocketFlags.None, Stop));
            Assert.Equal(((IPEndPoint)client.LocalEndPoint!).Port, (int)asked!.Attributes.Source.Address.SocketAddress.PortValue);
        }
        else
        {
            await gateway.LoggedAsync(kind == "grpc"
                ? "UAEX - ext_authz_denied"
                : "rbac_access_denied_matched_policy[istio-ext-authz-ns[shop]-policy[outer]-rule[0]]");
            Assert.Equal(kind == "grpc", asked is not null);
        }
    }

    /// <summary>The most specific level says how an authorizer is asked; what it is told about the route comes from all.</summary>
    [Theory]
    [InlineData("", "", 200, "[] 4")]
    [InlineData("disabled: true", "", 200, "")]
    [InlineData("disabled: true", "disabled: false", 200, "[] 4")]
    [InlineData("check_settings: {context_extensions: {a: host, b: host}}", "", 200, "[a=host b=host] 4")]
    [InlineData("check_settings: {context_extensions: {a: host, b: host}}", "check_settings: {context_extensions: {b: route}}", 200, "[a=host b=route] 4")]
    [InlineData("check_settings: {context_extensions: {a: host}}", "disabled: true", 200, "")]
    [InlineData("", "check_settings: {disable_request_body_buffering: true}", 200, "[] 0")]
    [InlineData("", "check_settings: {with_request_body: {max_request_bytes: 2, allow_partial_message: true}}", 200, "[] 2")]
    [InlineData("", "check_settings: {with_request_body: {max_request_bytes: 2}}", 413, "")]
    [InlineData("check_settings: {with_request_body: {max_request_bytes: 2}}", "check_settings: {context_extensions: {b: route}}", 200, "[b=route] 4")]
    [InlineData("", "check_settings: {grpc_service: {envoy_grpc: {cluster_name: nowhere}}}", 403, "")]
    [InlineData("", "check_settings: {http_service: {server_uri: {uri: 'http://a', cluster: nowhere, timeout: 1s}}}", 403, "")]
    public async Task Routes_say_how_a_gRPC_authorizer_is_asked(string ofHost, string ofRoute, int status, string expected)
    {
        var told = "";
        await using var authorizer = await GrpcServerAsync(request =>
        {
            var values = request.Attributes.ContextExtensions.OrderBy(item => item.Key, StringComparer.Ordinal).Select(item => $"{item.Key}={item.Value}");
            told = $"[{string.Join(' ', values)}] {request.Attributes.Request.Http.Body.Length}";
            return new();
        });
        await using var origin = await OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync("origin"));
        using var gateway = new GuardedGateway($"extensionProviders: [{{name: outer, {Provider("grpc", "includeRequestBodyInCheck: {maxRequestBytes: 10}")}}}]", $$"""
            {{Policy("outer", "action: CUSTOM, provider: {name: outer}, rules: [{}]")}}
            ---
            apiVersion: networking.istio.io/v1alpha3
            kind: EnvoyFilter
            metadata: {name: routes, namespace: shop}
            spec: {configPatches: [{{Patch("VIRTUAL_HOST", ofHost)}} {{Patch("HTTP_ROUTE", ofRoute)}}]}
            """, origin.Port, authorizer.Port);
        Assert.Equal(status, (await gateway.CallAsync(body: new StringContent("body"))).Status);
        Assert.Equal(expected, told);
        if (ofRoute.Contains("http_service", StringComparison.Ordinal))
            await gateway.LoggedAsync("unsupported_filter[envoy.filters.http.ext_authz]");

        static string Patch(string where, string settings) => settings.Length == 0 ? "" : $$"""
            {applyTo: {{where}}, match: {context: GATEWAY}, patch: {operation: MERGE, value: {typed_per_filter_config: {envoy.filters.http.ext_authz:
             {'@type': type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute, {{settings}} } } } } },
            """;
    }

    private static string Provider(string kind, string fields = "") =>
        kind == "grpc"
            ? $"envoyExtAuthzGrpc: {{service: authorizer.example, port: 9000, {fields}}}"
            : $"envoyExtAuthzHttp: {{service: authorizer.example, port: 8000, {fields}}}";

    private static GuardedGateway Gateway(string provider, string rules, int origin, int authorizer) =>
        new($"extensionProviders: [{{name: outer, {provider}}}]", Policy("outer", $"action: CUSTOM, provider: {{name: outer}}, {rules}"), origin, authorizer);

    private static string Policy(string name, string spec) => $$"""
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: {{name}}, namespace: shop}
        spec: {selector: {matchLabels: {app: edge} }, {{spec}} }
        """;

    internal static HeaderValueOption Field(string name, string value, bool append = false) =>
        new() { Header = new() { Key = name, Value = value }, Append = append };

    /// <summary>A server of <c>envoy.service.auth.v3.Authorization</c>.</summary>
    /// <param name="host">Whom requests are for.</param>
    internal static Task<OriginServer> GrpcServerAsync(Func<CheckRequest, CheckResponse> decide, string host = "authorizer.example") =>
        OriginServer.StartAsync(HttpProtocols.Http2, async context =>
    {
        Assert.Equal(("/envoy.service.auth.v3.Authorization/Check", "application/grpc", host),
            (context.Request.Path.Value, context.Request.ContentType, context.Request.Host.Value));
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        var answer = decide(CheckRequest.Parser.ParseFrom(body.ToArray().AsSpan(5))).ToByteArray();
        context.Response.ContentType = "application/grpc";
        context.Response.DeclareTrailer("grpc-status");
        var frame = new byte[5 + answer.Length];
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(1), (uint)answer.Length);
        answer.CopyTo(frame, 5);
        await context.Response.Body.WriteAsync(frame);
        context.Response.AppendTrailer("grpc-status", "0");
    });

    /// <summary>A body of unknown length.</summary>
    private sealed class Unseekable(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;
    }
}
