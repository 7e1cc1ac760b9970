using System.Buffers.Binary;
using Google.Protobuf;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.RateLimits;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.Traffic;

/// <summary>Rate limits that a service decides, from the EnvoyFilter to the bytes that the service gets.</summary>
public sealed class GlobalRateLimitTests
{
    private const string Stats = "cluster.outbound|80||web.example.ratelimit.";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_service_gets_descriptors_and_decides()
    {
        var asked = new List<string>();
        await using var service = await ServiceAsync(request =>
        {
            lock (asked)
                asked.Add(
                    $"{request.Domain} {string.Join(' ', request.Descriptors.Select(item => string.Join(',', item.Entries.Select(entry => $"{entry.Key}={entry.Value}"))))}");
            var isOver = request.Descriptors.Any(item => item.Entries.Any(entry => entry.Value == "/too-many"));
            return new()
            {
                OverallCode = isOver ? RateLimitResponse.Types.Code.OverLimit : RateLimitResponse.Types.Code.Ok,
                Statuses =
                {
                    new RateLimitResponse.Types.DescriptorStatus
                    {
                        Code = RateLimitResponse.Types.Code.Ok,
                        CurrentLimit = new() { RequestsPerUnit = 4, Unit = RateLimitResponse.Types.RateLimit.Types.Unit.Minute }, LimitRemaining = 3,
                        DurationUntilReset = new() { Seconds = 9 }
                    }
                },
                RequestHeadersToAdd = { new HeaderValue { Key = "x-counted", Value = "yes" } },
                ResponseHeadersToAdd = { new HeaderValue { Key = "x-plan", Value = "free" } },
                RawBody = ByteString.CopyFromUtf8("slow down"),
            };
        });
        await using var origin = await OriginAsync();
        using var gateway = new GuardedGateway("", Filter(Actions, "enable_x_ratelimit_headers: DRAFT_VERSION_03, timeout: 5s"), origin.Port, service.Port);
        using var passed = await gateway.SendAsync("/a?user=ann", "x-user: bob\nx-way: front");
        Assert.Equal((200, "counted=yes"), ((int)passed.StatusCode, await passed.Content.ReadAsStringAsync(Stop)));
        Assert.Equal(["free", "4, 4;w=60", "3", "9"],
            new[] { "x-plan", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset" }.Select(name => passed.Headers.GetValues(name).Single()));
        using var refused = await gateway.SendAsync("/too-many");
        Assert.Equal((429, "slow down", "true", "free"),
            ((int)refused.StatusCode, await refused.Content.ReadAsStringAsync(Stop), refused.Headers.GetValues("x-envoy-ratelimited").Single(),
                refused.Headers.GetValues("x-plan").Single()));
        await gateway.LoggedAsync("429 RL request_rate_limited");
        Assert.Equal(
            ["shop-limits path=/a?user=ann,user=bob,generic_key=all remote_address=127.0.0.1,masked_remote_address=127.0.0.0/24 way=front query=ann to=outbound|80||web.example".Replace(
                "to=",
                "destination_cluster=", StringComparison.Ordinal),
                "shop-limits path=/too-many,generic_key=all remote_address=127.0.0.1,masked_remote_address=127.0.0.0/24 "
                    + "destination_cluster=outbound|80||web.example"],
            asked);
        Assert.Equal((1, 1), (gateway.Count($"{Stats}ok"), gateway.Count($"{Stats}over_limit")));
    }

    [Theory]
    [InlineData("", 200, "failure_mode_allowed", "")]
    [InlineData("failure_mode_deny: true", 500, "error", "500 RLSE rate_limiter_error")]
    [InlineData("failure_mode_deny: true, status_on_error: {code: ServiceUnavailable}", 503, "error", "503 RLSE rate_limiter_error")]
    public async Task A_service_that_fails_has_not_decided(string fields, int status, string counted, string logged)
    {
        await using var service = await OriginServer.StartAsync(HttpProtocols.Http2, context =>
        {
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        });
        await using var origin = await OriginAsync();
        using var gateway = new GuardedGateway("", Filter("[{actions: [{generic_key: {descriptor_value: a}}]}]", $"timeout: 5s, {fields}"), origin.Port,
            service.Port);
        Assert.Equal(status, (await gateway.CallAsync()).Status);
        if (logged.Length > 0) await gateway.LoggedAsync(logged);
        Assert.Equal(1, gateway.Count(Stats + counted));
    }

    [Fact]
    public async Task A_service_that_takes_too_long_has_not_decided()
    {
        var over = new TaskCompletionSource();
        await using var service = await OriginServer.StartAsync(HttpProtocols.Http2, _ => over.Task);
        await using var origin = await OriginAsync();
        using (var gateway = new GuardedGateway("", Filter("[{actions: [{generic_key: {descriptor_value: a}}]}]", "failure_mode_deny: true, timeout: 0.05s"),
            origin.Port, service.Port))
            Assert.Equal(500, (await gateway.CallAsync()).Status);
        over.SetResult();
    }

    [Fact]
    public async Task A_request_without_a_descriptor_is_not_counted()
    {
        var asked = 0;
        await using var service = await ServiceAsync(_ =>
        {
            Interlocked.Increment(ref asked);
            return new() { OverallCode = RateLimitResponse.Types.Code.OverLimit };
        });
        await using var origin = await OriginAsync();
        using var gateway = new GuardedGateway("",
            Filter("[{actions: [{request_headers: {header_name: x-user, descriptor_key: user}}]}, {stage: 1, actions: [{generic_key: {descriptor_value: a}}]}]",
                "timeout: 5s, disable_x_envoy_ratelimited_header: true, rate_limited_status: {code: ServiceUnavailable}"),
            origin.Port, service.Port);
        Assert.Equal((200, 0), ((await gateway.CallAsync()).Status, asked));
        using var refused = await gateway.SendAsync("/", "x-user: ann");
        Assert.Equal((503, 1, false), ((int)refused.StatusCode, asked, refused.Headers.Contains("x-envoy-ratelimited")));
    }

    private const string Actions = """
        [{actions: [{request_headers: {header_name: ':path', descriptor_key: path}},
           {request_headers: {header_name: x-user, descriptor_key: user, skip_if_absent: true}}, {generic_key: {descriptor_value: all}}]},
         {actions: [{remote_address: {}}, {masked_remote_address: {v4_prefix_mask_len: 24}}]},
         {actions: [{header_value_match: {descriptor_key: way, descriptor_value: front, headers: [{name: x-way, string_match: {exact: front}}]}}]},
         {actions: [{query_parameters: {query_parameter_name: user, descriptor_key: query}}]},
         {actions: [{destination_cluster: {}}]}]
        """;

    /// <summary>As people write it: the filter before the router, and what is counted in the virtual host.</summary>
    private static string Filter(string limits, string fields) => $$"""
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: limits, namespace: shop}
        spec:
          workloadSelector: {labels: {app: edge} }
          configPatches:
          - applyTo: HTTP_FILTER
            match: {context: GATEWAY, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router} } } } }
            patch:
              operation: INSERT_BEFORE
              value:
                name: envoy.filters.http.ratelimit
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit
                  domain: shop-limits
                  rate_limit_service:
                    grpc_service: {envoy_grpc: {cluster_name: 'outbound|9000||authorizer.example', authority: limits.example} }
                    transport_api_version: V3
                  {{string.Join("\n          ", fields.Split(", ", StringSplitOptions.RemoveEmptyEntries))}}
          - applyTo: VIRTUAL_HOST
            match: {context: GATEWAY, routeConfiguration: {vhost: {name: '*:8080', route: {action: ANY} } } }
            patch: {operation: MERGE, value: {rate_limits: {{limits.ReplaceLineEndings(" ")}} } }
        """;

    private static Task<OriginServer> OriginAsync() =>
        OriginServer.StartAsync(HttpProtocols.Http1, context => context.Response.WriteAsync($"counted={context.Request.Headers["x-counted"]}"));

    /// <summary>A server of <c>envoy.service.ratelimit.v3.RateLimitService</c>.</summary>
    private static Task<OriginServer> ServiceAsync(Func<RateLimitRequest, RateLimitResponse> decide) =>
        OriginServer.StartAsync(HttpProtocols.Http2, async context =>
    {
        Assert.Equal(("/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", "application/grpc", "limits.example"),
            (context.Request.Path.Value, context.Request.ContentType, context.Request.Host.Value));
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        var answer = decide(RateLimitRequest.Parser.ParseFrom(body.ToArray().AsSpan(5))).ToByteArray();
        context.Response.ContentType = "application/grpc";
        context.Response.DeclareTrailer("grpc-status");
        var frame = new byte[5 + answer.Length];
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(1), (uint)answer.Length);
        answer.CopyTo(frame, 5);
        await context.Response.Body.WriteAsync(frame);
        context.Response.AppendTrailer("grpc-status", "0");
    });
}
