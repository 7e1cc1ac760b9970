using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>How many requests run again at once, as an XBackendTrafficPolicy permits, with requests that all fail at the same moment.</summary>
public sealed class RetryBudgetTests
{
    private const int Requests = 20;

    [Theory]
    [InlineData("retryConstraint: {budget: {percent: 0}, minRetryRate: {count: 3, interval: 1s} }", 3)]
    [InlineData("retryConstraint: {budget: {percent: 0}, minRetryRate: {count: 12, interval: 2s} }", 6)]
    [InlineData("retryConstraint: {budget: {percent: 100} }", Requests)]
    [InlineData("sessionPersistence: {sessionName: s}", Requests)]
    public async Task Requests_beyond_the_budget_get_the_answer_of_their_first_attempt(string spec, int permitted)
    {
        var (first, again) = (0, 0);
        TaskCompletionSource all = new(TaskCreationOptions.RunContinuationsAsynchronously), release = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            if (context.Request.Headers["x-envoy-attempt-count"] == "1")
            {
                if (Interlocked.Increment(ref first) == Requests) all.SetResult();
                await all.Task;
                context.Response.StatusCode = 503;
                return;
            }
            Interlocked.Increment(ref again);
            await release.Task;
        });
        await using var proxy = await RouteProxy.OfRulesAsync("{backendRefs: [{name: flaky, port: 80}], retry: {codes: [503], attempts: 1} }");
        proxy.Sidecar.Rig.Service("c1", "flaky", "10.96.0.50", "http", 80, server.Port);
        proxy.Sidecar.Rig.Pod("c1", "flaky", "flaky-a", "127.0.0.1", mtls: false);
        proxy.Sidecar.Rig.Slice("c1", "flaky", server.Port, "http", ("flaky-a", "127.0.0.1"));
        proxy.Sidecar.Apply($$"""
            apiVersion: gateway.networking.x-k8s.io/v1alpha1
            kind: XBackendTrafficPolicy
            metadata: {name: p, namespace: shop}
            spec: {targetRefs: [{group: '', kind: Service, name: flaky}], {{spec}} }
            """);
        var calls = Enumerable.Range(0, Requests).Select(_ => proxy.CallAsync("/")).ToList();
        await Eventually.TrueAsync(() => calls.Count(call => call.IsCompleted) + Volatile.Read(ref again) == Requests);
        Assert.Equal(permitted, Volatile.Read(ref again));
        release.SetResult();
        var answers = await Task.WhenAll(calls);
        Assert.Equal((permitted, Requests - permitted), (answers.Count(answer => answer.Status == 200), answers.Count(answer => answer.Status == 503)));
    }
}
