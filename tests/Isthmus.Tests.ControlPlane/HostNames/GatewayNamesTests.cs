using System.Collections.Concurrent;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Core.Net;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using static Isthmus.Rigs.Mesh.MeshRig;

namespace Isthmus.Tests.ControlPlane.HostNames;

public sealed class GatewayNamesTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task A_gateways_host_name_is_followed_and_keeps_its_last_addresses_when_it_cannot_be_resolved()
    {
        using var stop = new CancellationTokenSource(Patience);
        var rig = new MeshRig("c1", "c2");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.App("c2", "orders", "10.96.0.11", "10.244.0.2");
        rig.EastWest("c2", "172.18.202.1");
        Named(rig, "elb.example");
        rig.Writer.Commit();
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var client = new Answers();
        client["elb.example"] = new([Address.Parse("172.18.202.9")], TimeSpan.Zero, "");
        var names = new GatewayNames(engine, client, TimeProvider.System, NullLogger<GatewayNames>.Instance);
        var running = Task.WhenAll(engine.RunAsync(stop.Token), names.RunAsync(stop.Token));
        await names.SettleAsync(stop.Token);
        await UntilAsync(engine, "172.18.202.9");

        // Its load balancer moved. This is found when the answer expires.
        client["elb.example"] = new([Address.Parse("172.18.202.10"), Address.Parse("172.18.202.11")], TimeSpan.Zero, "");
        await UntilAsync(engine, "172.18.202.10,172.18.202.11");

        client["elb.example"] = NameAnswer.Failed("name server is away");
        await Eventually.TrueAsync(() => names.ProblemOf("c2").Length > 0);
        Assert.Equal("gateway host name elb.example: name server is away; its last addresses stay in use: 172.18.202.10, 172.18.202.11", names.ProblemOf("c2"));
        Assert.Equal("", names.ProblemOf("c1"));
        await UntilAsync(engine, "172.18.202.10,172.18.202.11");

        await engine.PostAsync(writer => rig.EastWest("c2", "172.18.202.1"), stop.Token);
        await UntilAsync(engine, "172.18.202.1");
        await Eventually.TrueAsync(() => names.All.Count == 0);
        Assert.Empty(await engine.AskAsync(writer => writer.Mesh.Sources.ResolvedHosts.Items.Keys.ToList(), stop.Token));
        await stop.CancelAsync();
        await running;

        Task UntilAsync(PushEngine engine, string addresses) => Eventually.TrueAsync(async () => await engine.AskAsync(
            writer => string.Join(',', writer.Mesh.Gateways.Select(gateway => $"{gateway.Address}").Order(StringComparer.Ordinal)), stop.Token) == addresses);
    }

    [Fact]
    public async Task An_answer_that_was_under_way_does_not_bring_back_a_name_that_is_gone()
    {
        using var stop = new CancellationTokenSource(Patience);
        var rig = new MeshRig("c1", "c2");
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var client = new HeldAnswer();
        // This clock does not move: only the answer itself can change what is known.
        var clock = new ManualClock();
        var names = new GatewayNames(engine, client, clock, NullLogger<GatewayNames>.Instance);
        var pushing = engine.RunAsync(stop.Token);
        await engine.PostAsync(writer =>
        {
            rig.EastWest("c2", "172.18.202.1");
            Named(rig, "elb.example");
        }, stop.Token);
        await Eventually.TrueAsync(async () => (await engine.AskAsync(writer => writer.Mesh.GatewayHostNames, stop.Token)).Count > 0);
        var running = Task.WhenAll(pushing, names.RunAsync(stop.Token));
        await client.Asked.Task.WaitAsync(stop.Token);

        await engine.PostAsync(writer => rig.EastWest("c2", "172.18.202.1"), stop.Token);
        await Eventually.TrueAsync(async () => (await engine.AskAsync(writer => writer.Mesh.GatewayHostNames, stop.Token)).Count == 0);
        client.Answer.SetResult(new([Address.Parse("172.18.202.9")], TimeSpan.FromHours(1), ""));
        await Eventually.TrueAsync(() => names.All.Single().Answered is not null);
        Assert.Empty(await engine.AskAsync(writer => writer.Mesh.Sources.ResolvedHosts.Items.Keys.ToList(), stop.Token));

        await Eventually.TrueAsync(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            return names.All.Count == 0;
        });
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task Time_is_looked_at_only_while_there_are_names()
    {
        using var stop = new CancellationTokenSource(Patience);
        var rig = new MeshRig("c1", "c2");
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var (client, clock) = (new Answers(), new ManualClock());
        client["elb.example"] = new([Address.Parse("172.18.202.9")], TimeSpan.FromHours(1), "");
        var names = new GatewayNames(engine, client, clock, NullLogger<GatewayNames>.Instance);
        var running = Task.WhenAll(engine.RunAsync(stop.Token), names.RunAsync(stop.Token));
        await engine.PostAsync(writer =>
        {
            rig.EastWest("c2", "172.18.202.1");
            Named(rig, "elb.example");
        }, stop.Token);
        await PassAsync(() => names.All.SingleOrDefault()?.Answered is not null && clock.NextDue is not null);

        await engine.PostAsync(writer => rig.EastWest("c2", "172.18.202.1"), stop.Token);
        await PassAsync(() => names.All.Count == 0 && clock.NextDue is null);
        await stop.CancelAsync();
        await running;

        Task PassAsync(Func<bool> holds) => Eventually.TrueAsync(() =>
        {
            if (holds()) return true;
            clock.Advance(TimeSpan.FromSeconds(1));
            return false;
        });
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Settling_ends_with_the_first_answer_or_when_a_name_server_stays_silent(bool answers)
    {
        using var stop = new CancellationTokenSource(Patience);
        var rig = new MeshRig("c1", "c2");
        rig.EastWest("c2", "172.18.202.1");
        Named(rig, "elb.example");
        rig.Writer.Commit();
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var (client, clock) = (new HeldAnswer(), new ManualClock());
        var names = new GatewayNames(engine, client, clock, NullLogger<GatewayNames>.Instance);
        var running = Task.WhenAll(engine.RunAsync(stop.Token), names.RunAsync(stop.Token));
        var settled = names.SettleAsync(stop.Token);
        await client.Asked.Task.WaitAsync(stop.Token);
        Assert.False(settled.IsCompleted);
        // Its time stands still: only the answer itself can end the wait.
        if (answers) client.Answer.SetResult(new([Address.Parse("172.18.202.9")], TimeSpan.FromHours(1), ""));
        else
        {
            await Eventually.TrueAsync(() =>
            {
                clock.Advance(TimeSpan.FromSeconds(1));
                return settled.IsCompleted;
            });
        }
        await settled.WaitAsync(stop.Token);
        await stop.CancelAsync();
        await running;
    }

    private static void Named(MeshRig rig, string host)
    {
        rig.Writer.Put("c2", new Service
        {
            Metadata = new() { Name = "eastwest", Namespace = MeshRig.Namespace, Labels = { ["topology.istio.io/network"] = "net-c2" } },
            Spec = new()
            {
                Type = "LoadBalancer", ClusterIP = "10.96.0.99", ClusterIPs = { "10.96.0.99" }, Selector = { ["app"] = "eastwest" },
                Ports = { new() { Name = "tls", Port = 15443 } }
            },
            Status = new() { LoadBalancer = new() { Ingress = { new() { Hostname = host } } } },
        });
    }

    private sealed class HeldAnswer : INameClient
    {
        internal TaskCompletionSource Asked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        internal TaskCompletionSource<NameAnswer> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<NameAnswer> AskAsync(string host, CancellationToken stop)
        {
            Asked.TrySetResult();
            return Answer.Task.WaitAsync(stop);
        }
    }

    private sealed class Answers : ConcurrentDictionary<string, NameAnswer>, INameClient
    {
        public Task<NameAnswer> AskAsync(string host, CancellationToken stop) => Task.FromResult(this[host]);
    }
}
