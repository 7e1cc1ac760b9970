using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Proxy.Http;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Routes;
using Xunit;

namespace Isthmus.Tests.Proxy.Http;

/// <summary>Against Envoy's documentation of <c>x-envoy-retry-on</c> and <c>x-envoy-retry-grpc-on</c>.</summary>
public sealed class RetryDecisionTests
{
    [Theory]
    [InlineData(RetryOn.ServerError, 500, true)]
    [InlineData(RetryOn.ServerError, 599, true)]
    [InlineData(RetryOn.ServerError, 499, false)]
    [InlineData(RetryOn.GatewayError, 501, false)]
    [InlineData(RetryOn.GatewayError, 502, true)]
    [InlineData(RetryOn.GatewayError, 503, true)]
    [InlineData(RetryOn.GatewayError, 504, true)]
    [InlineData(RetryOn.GatewayError, 505, false)]
    [InlineData(RetryOn.Retriable4xx, 409, true)]
    [InlineData(RetryOn.Retriable4xx, 404, false)]
    [InlineData(RetryOn.StatusCodes, 418, true)]
    [InlineData(RetryOn.StatusCodes, 419, false)]
    [InlineData(RetryOn.None, 418, false)] // codes alone are no condition
    [InlineData(RetryOn.ConnectFailure | RetryOn.RefusedStream | RetryOn.Reset, 503, false)]
    public void An_answer_is_asked_for_again_by_its_status(RetryOn on, int status, bool again) =>
        Assert.Equal(again, Decide(Settings(on, 418), AttemptEnd.Answered, status: status));

    [Theory]
    [InlineData(RetryOn.GrpcCancelled, "1")]
    [InlineData(RetryOn.GrpcDeadline, "4")]
    [InlineData(RetryOn.GrpcExhausted, "8")]
    [InlineData(RetryOn.GrpcInternal, "13")]
    [InlineData(RetryOn.GrpcUnavailable, "14")]
    public void An_answer_of_gRPC_is_asked_for_again_by_its_own_status_alone(RetryOn on, string status)
    {
        for (var code = 0; code <= 17; code++)
        {
            var text = code.ToString(CultureInfo.InvariantCulture);
            Assert.Equal(text == status, Decide(Settings(on), AttemptEnd.Answered, grpc: text));
        }
        Assert.False(Decide(Settings(on), AttemptEnd.Answered, grpc: "x"));
        Assert.False(Decide(Settings(on), AttemptEnd.Answered));
    }

    [Theory]
    [InlineData(AttemptEnd.ConnectFailed, RetryOn.ConnectFailure | RetryOn.Reset | RetryOn.ResetBeforeRequest | RetryOn.ServerError)]
    [InlineData(AttemptEnd.Refused, RetryOn.RefusedStream | RetryOn.ConnectFailure | RetryOn.Reset | RetryOn.ServerError)]
    [InlineData(AttemptEnd.Reset, RetryOn.Reset | RetryOn.ServerError)]
    [InlineData(AttemptEnd.ProtocolError, RetryOn.Reset | RetryOn.ServerError)]
    [InlineData(AttemptEnd.Timeout, RetryOn.GatewayError | RetryOn.ServerError | RetryOn.Reset)]
    public void An_attempt_without_an_answer_is_repeated_under_these_conditions_and_no_other(AttemptEnd end, RetryOn conditions)
    {
        foreach (var on in Enum.GetValues<RetryOn>())
            Assert.Equal((on & conditions) != 0, Decide(Settings(on), end, "POST"));
    }

    [Fact]
    public void A_timeout_counts_as_504_where_that_code_is_named()
    {
        Assert.True(Decide(Settings(RetryOn.StatusCodes, 504), AttemptEnd.Timeout));
        Assert.False(Decide(Settings(RetryOn.StatusCodes, 503), AttemptEnd.Timeout));
    }

    [Theory]
    [InlineData("GET", true, 0, true)] // the kept connection broke, not the host
    [InlineData("POST", true, 0, false)] // it may have been carried out
    [InlineData("GET", false, 0, false)]
    [InlineData("GET", false, 2, true)]
    [InlineData("POST", false, 2, false)]
    public void A_broken_connection_repeats_what_may_be_sent_twice(string method, bool wasReused, int retries, bool again) =>
        Assert.Equal(again, Decide(Settings(RetryOn.None) with { Retries = retries }, AttemptEnd.Reset, method, wasReused: wasReused));

    [Theory]
    [InlineData("GET", true)]
    [InlineData("POST", false)]
    public void Without_a_policy_only_a_reused_connection_is_made_good(string method, bool again)
    {
        Assert.Equal(again, Decide(null, AttemptEnd.Reset, method, wasReused: true));
        foreach (var end in Enum.GetValues<AttemptEnd>()) Assert.False(Decide(null, end, method, status: 503));
    }

    [Theory]
    [InlineData(AttemptEnd.Answered, true, false, true)]
    [InlineData(AttemptEnd.Reset, true, false, true)]
    [InlineData(AttemptEnd.ConnectFailed, true, false, false)]
    [InlineData(AttemptEnd.Refused, true, false, false)]
    [InlineData(AttemptEnd.ConnectFailed, false, false, true)]
    [InlineData(AttemptEnd.ConnectFailed, true, true, true)]
    public void A_retry_waits_unless_no_host_saw_the_request_and_another_takes_it(AttemptEnd end, bool isElsewhere, bool alwaysWaits, bool waits)
    {
        var settings = Settings(RetryOn.None) with
        {
            BackoffBase = TimeSpan.FromMilliseconds(25), BackoffMax = TimeSpan.FromMilliseconds(250), AlwaysWaits = alwaysWaits
        };
        foreach (var (attempt, most) in ((int, int)[])[(1, 25), (2, 50), (4, 200), (5, 250), (100, 250)])
        {
            var pause = RetryDecision.Pause(settings, end, attempt, isElsewhere, new Half());
            Assert.Equal(waits ? TimeSpan.FromMilliseconds(most / 2.0) : TimeSpan.Zero, pause);
        }
    }

    /// <summary>As in Envoy: 25 ms, and at most ten times the interval.</summary>
    [Theory]
    [InlineData("{}", 25, 250)]
    [InlineData("""{"retry_back_off": {"base_interval": "0.1s"} }""", 100, 1000)]
    [InlineData("""{"retry_back_off": {"base_interval": "0.1s", "max_interval": "0.3s"} }""", 100, 300)]
    public void A_policy_without_an_interval_has_that_of_Envoy(string policy, int first, int most)
    {
        var table = RouteDecoder.Decode(WireTypes.Strict.Parse<RouteConfiguration>($$"""
            {"name": "r", "virtual_hosts": [{"name": "a", "domains": ["*"],
              "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "a", "retry_policy": {{policy}} } }] }] }
            """));
        var settings = ((ForwardAct)Assert.Single(Assert.Single(table.Hosts).Host.Routes).Act).Retry!;
        TimeSpan Pause(RetrySettings? retry, int attempt) => RetryDecision.Pause(retry, AttemptEnd.Answered, attempt, isElsewhere: true, new Half());
        Assert.Equal([first / 2.0, most / 2.0], ((int[])[1, 100]).Select(attempt => Pause(settings, attempt).TotalMilliseconds));
        Assert.Equal([12.5, 125], ((int[])[1, 100]).Select(attempt => Pause(null, attempt).TotalMilliseconds));
    }

    private sealed class Half : Random
    {
        public override double NextDouble() => 0.5;
    }

    [Fact]
    public void More_conditions_never_mean_fewer_retries() =>
        Prop.ForAll(Cases().ToArbitrary(), given =>
        {
            var (few, more, end, status) = given;
            return !Decide(Settings((RetryOn)few), end, "POST", status) || Decide(Settings((RetryOn)(few | more)), end, "POST", status);
        }).MustHold(1000);

    private static Gen<(int, int, AttemptEnd, int)> Cases() =>
        from few in Gen.Choose(0, 8191)
        from more in Gen.Choose(0, 8191)
        from end in Gen.Elements(Enum.GetValues<AttemptEnd>())
        from status in Gen.Elements(200, 404, 409, 500, 502, 503, 504)
        select (few, more, end, status);

    private static RetrySettings Settings(RetryOn on, params int[] codes) => new(on, 0, TimeSpan.Zero, false, codes.ToHashSet(), TimeSpan.Zero, TimeSpan.Zero);

    private static bool Decide(RetrySettings? retry, AttemptEnd end, string method = "GET", int status = 200, string? grpc = null, bool wasReused = false)
    {
        var response = new ResponseHead { Status = status };
        if (grpc is not null) response.Headers.Add("grpc-status"u8, grpc);
        return RetryDecision.IsRetriable(retry, end, new RequestHead { Method = method }, response, wasReused);
    }
}
