using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Ingresses;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Statuses;

/// <summary>Statuses that an API server refuses reach their objects when rights to write them come late.</summary>
public sealed class RefusedStatusTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_shared_condition_that_was_refused_is_tried_again_after_minutes()
    {
        await using var server = await Writes.StartAsync();
        using var client = server.Client();
        var clock = new ManualClock();
        var condition = new SharedCondition(client, Kinds.Ingress, ("Delivered", "Lost"), clock, NullLogger.Instance);
        var objects = new Dictionary<string, WantedCondition> { ["shop/web"] = new("cause", "what is wrong") };
        for (var round = 0; round < 3; round++) await condition.UpdateAsync(objects, Stop);
        Assert.Equal((1, 0), (server.Asked, server.Written));
        server.IsAllowed = true;
        await condition.UpdateAsync(objects, Stop);
        Assert.Equal((1, 0), (server.Asked, server.Written));
        clock.Advance(SharedCondition.Renewal);
        await condition.UpdateAsync(objects, Stop);
        Assert.Equal((2, 1), (server.Asked, server.Written));
    }

    [Fact]
    public async Task Addresses_of_an_Ingress_that_were_refused_are_tried_again_after_minutes()
    {
        await using var server = await Writes.StartAsync();
        using var client = server.Client();
        var clock = new ManualClock();
        var status = new IngressStatus(client, DiscoverySettings.Read([], _ => null), Engine(), clock, NullLoggerFactory.Instance);
        Task<NextRound> WriteAsync() => status.WriteAsync(Set(new("c1", "shop", "web"), "198.51.100.1"), Stop);
        for (var round = 0; round < 3; round++) Assert.Equal(new(TimeSpan.FromMinutes(5)), await WriteAsync());
        Assert.Equal((1, 0), (server.Asked, server.Written));
        server.IsAllowed = true;
        clock.Advance(TimeSpan.FromMinutes(4));
        Assert.Equal(new(TimeSpan.FromMinutes(1)), await WriteAsync());
        clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(NextRound.AtChange, await WriteAsync());
        Assert.Equal((2, 1), (server.Asked, server.Written));
    }

    [Fact]
    public async Task Other_addresses_than_those_that_were_refused_are_tried_at_once()
    {
        await using var server = await Writes.StartAsync();
        using var client = server.Client();
        var status = new IngressStatus(client, DiscoverySettings.Read([], _ => null), Engine(), new ManualClock(), NullLoggerFactory.Instance);
        var key = new ObjectKey("c1", "shop", "web");
        Assert.Equal(new(TimeSpan.FromMinutes(5)), await status.WriteAsync(Set(key, "198.51.100.1"), Stop));
        Assert.Equal(new(TimeSpan.FromMinutes(5)), await status.WriteAsync(Set(key, "198.51.100.2"), Stop));
        Assert.Equal(2, server.Asked);
        Assert.Equal(NextRound.AtChange, await status.WriteAsync(new HashSet<OutdatedIngress>(), Stop));
    }

    [Fact]
    public async Task Nobody_looks_at_a_refused_Ingress_before_it_is_to_be_tried_again()
    {
        await using var server = await Writes.StartAsync();
        using var client = server.Client();
        var (clock, rounds) = (new ManualClock(), 0);
        var status = new IngressStatus(client, DiscoverySettings.Read([], _ => null), Engine(), clock, NullLoggerFactory.Instance);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var running = new Rounds(clock).RunAsync(stop =>
        {
            Interlocked.Increment(ref rounds);
            return status.WriteAsync(Set(new("c1", "shop", "web"), "198.51.100.1"), stop);
        }, ends.Token);
        var pause = TimeSpan.FromSeconds(1);
        await Eventually.TrueAsync(() => clock.NextDue == pause);
        clock.Advance(pause);
        Assert.Equal(TimeSpan.FromMinutes(5) - pause, clock.NextDue);
        server.IsAllowed = true;
        clock.Advance(clock.NextDue!.Value);
        await Eventually.TrueAsync(() => server.Written == 1);
        await Eventually.TrueAsync(() => clock.NextDue == pause);
        clock.Advance(pause);
        Assert.Null(clock.NextDue);
        Assert.Equal(2, rounds);
        await ends.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    private static HashSet<OutdatedIngress> Set(ObjectKey key, string address) => [new(key, [Mesh.Model.EndpointAddress.Parse(address)])];

    private static PushEngine Engine() =>
        new(new MeshRig("c1").Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);

    /// <summary>An API server with one object, whose status nobody may write yet.</summary>
    private sealed class Writes : IAsyncDisposable
    {
        private OriginServer _server = null!;
        private int _asked, _written;
        private volatile bool _isAllowed;

        public int Asked => Volatile.Read(ref _asked);

        public int Written => Volatile.Read(ref _written);

        public bool IsAllowed
        {
            set => _isAllowed = value;
        }

        public static async Task<Writes> StartAsync()
        {
            var writes = new Writes();
            writes._server = await OriginServer.StartAsync(HttpProtocols.Http1, writes.AnswerAsync);
            return writes;
        }

        public KubeClient Client() => new(new ClusterAccess { Server = new($"http://127.0.0.1:{_server.Port}") });

        private async Task AnswerAsync(HttpContext context)
        {
            if (HttpMethods.IsPatch(context.Request.Method))
            {
                Interlocked.Increment(ref _asked);
                if (!_isAllowed)
                {
                    context.Response.StatusCode = 403;
                    return;
                }
                Interlocked.Increment(ref _written);
            }
            context.Response.ContentType = "application/json";
            var item = new JsonObject { ["metadata"] = new JsonObject { ["name"] = "web", ["namespace"] = "shop", ["resourceVersion"] = "1" } };
            await context.Response.WriteAsync(item.ToJsonString(), Stop);
        }

        public ValueTask DisposeAsync() => _server.DisposeAsync();
    }
}
