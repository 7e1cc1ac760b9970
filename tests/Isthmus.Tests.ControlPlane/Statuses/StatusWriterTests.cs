using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Tests.ControlPlane.Running;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Statuses;

/// <summary>Statuses are written on top of what is there, once for each change.</summary>
public sealed class StatusWriterTests(RunningApiServer server) : IClassFixture<RunningApiServer>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Somebody else writes between the look and the write: the second look sees it.</summary>
    [Fact]
    public async Task A_conflict_is_looked_at_again()
    {
        using var client = new KubeClient(server.Access);
        var (ns, writer) = (await IngressAsync(client), new StatusWriter(client, NullLogger.Instance));
        var stale = (await client.FindAsync(Kinds.Ingress, ns, "web", Stop))!;
        await client.PatchAsync(Kinds.Ingress, ns, "web", Addresses("10.0.0.1"), PatchType.Merge, Stop, "status");
        var looks = new List<int>();
        Assert.Equal(StatusOutcome.Done, await writer.WriteAsync(Kinds.Ingress, ns, "web", found =>
        {
            var known = found["status"]?["loadBalancer"]?["ingress"]?.AsArray() ?? [];
            looks.Add(known.Count);
            return (JsonObject)Addresses([.. known.Select(one => one!["ip"]!.ToString()), "10.0.0.2"])["status"]!.DeepClone();
        }, Stop, stale));
        Assert.Equal([0, 1], looks);
        Assert.Equal(["10.0.0.1", "10.0.0.2"], await StoredAsync(client, ns));
    }

    [Fact]
    public async Task What_says_all_already_is_not_written()
    {
        using var client = new KubeClient(server.Access);
        var (ns, writer) = (await IngressAsync(client), new StatusWriter(client, NullLogger.Instance));
        var before = (await client.FindAsync(Kinds.Ingress, ns, "web", Stop))!["metadata"]!["resourceVersion"]!.ToString();
        Assert.Equal(StatusOutcome.Done, await writer.WriteAsync(Kinds.Ingress, ns, "web", _ => null, Stop));
        Assert.Equal(before, (await client.FindAsync(Kinds.Ingress, ns, "web", Stop))!["metadata"]!["resourceVersion"]!.ToString());
        Assert.Equal(StatusOutcome.Done, await writer.WriteAsync(Kinds.Ingress, ns, "gone", _ => throw new InvalidOperationException(), Stop));
    }

    /// <summary>What the API server refuses once, it refuses again; what it cannot answer now, it may answer later.</summary>
    [Fact]
    public async Task What_is_refused_and_what_is_late_differ()
    {
        using var client = new KubeClient(server.Access);
        var (ns, writer) = (await IngressAsync(client), new StatusWriter(client, NullLogger.Instance));
        Assert.Equal(StatusOutcome.Refused,
            await writer.WriteAsync(Kinds.Ingress, ns, "web", _ => new() { ["loadBalancer"] = new JsonObject { ["ingress"] = 7 } }, Stop));
        using var nobody = new ReservedPort();
        using var away = new KubeClient(server.Access with { Server = new Uri($"https://127.0.0.1:{nobody.Number}") });
        Assert.Equal(StatusOutcome.Later, await new StatusWriter(away, NullLogger.Instance).WriteAsync(Kinds.Ingress, ns, "web", _ => [], Stop));
    }

    /// <summary>A login may be renewed at any moment; rights, and what is admitted, change only when somebody changes them.</summary>
    [Theory]
    [InlineData(400, true)]
    [InlineData(401, false)]
    [InlineData(403, true)]
    [InlineData(422, true)]
    [InlineData(429, false)]
    [InlineData(500, false)]
    public async Task Only_what_nobody_may_or_admits_is_refused(int status, bool isRefused)
    {
        await using var cluster = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            context.Response.StatusCode = status;
            return Task.CompletedTask;
        });
        using var client = new KubeClient(new ClusterAccess { Server = new($"http://127.0.0.1:{cluster.Port}") });
        var outcome = await new StatusWriter(client, NullLogger.Instance).WriteAsync(Kinds.Ingress, "shop", "web", _ => [], Stop);
        Assert.Equal(isRefused ? StatusOutcome.Refused : StatusOutcome.Later, outcome);
    }

    /// <summary>Trouble with one object is told once; that the API server is away, its watches tell.</summary>
    [Fact]
    public async Task What_waits_is_told_once()
    {
        var (log, status) = (new RecordingLog(), 500);
        await using var broken = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            context.Response.StatusCode = status;
            return Task.CompletedTask;
        });
        using var client = new KubeClient(new ClusterAccess { Server = new($"http://127.0.0.1:{broken.Port}") });
        var writer = new StatusWriter(client, log);
        Task<StatusOutcome> WriteAsync() => writer.WriteAsync(Kinds.Ingress, "shop", "web", _ => [], Stop);
        for (var i = 0; i < 3; i++) Assert.Equal(StatusOutcome.Later, await WriteAsync());
        Assert.Contains("shop/web", Assert.Single(log.Lines), StringComparison.Ordinal);
        status = 404;
        Assert.Equal(StatusOutcome.Done, await WriteAsync());
        status = 500;
        await WriteAsync();
        Assert.Equal(2, log.Lines.Count);
        status = 503;
        await new StatusWriter(client, log).WriteAsync(Kinds.Ingress, "shop", "web", _ => [], Stop);
        Assert.Equal(2, log.Lines.Count);
    }

    /// <summary>Others write all the time: the attempts end.</summary>
    [Fact]
    public async Task Endless_conflicts_are_for_later()
    {
        using var client = new KubeClient(server.Access);
        var (ns, writer) = (await IngressAsync(client), new StatusWriter(client, NullLogger.Instance));
        var last = 0;
        Assert.Equal(StatusOutcome.Later, await writer.WriteAsync(Kinds.Ingress, ns, "web", found =>
        {
            // What was looked at is out of date as soon as it was.
            found["metadata"]!["resourceVersion"] = "1";
            last++;
            return (JsonObject)Addresses("10.0.0.3")["status"]!.DeepClone();
        }, Stop));
        Assert.Equal(5, last);
        Assert.Empty(await StoredAsync(client, ns));
    }

    private async Task<string> IngressAsync(KubeClient client)
    {
        var ns = await server.NamespaceAsync();
        await client.CreateAsync(Kinds.Ingress, ns, new JsonObject
        {
            ["apiVersion"] = Kinds.Ingress.ApiVersion, ["kind"] = Kinds.Ingress.Kind, ["metadata"] = new JsonObject { ["name"] = "web" },
            ["spec"] = new JsonObject
            {
                ["defaultBackend"] = new JsonObject { ["service"] = new JsonObject { ["name"] = "web", ["port"] = new JsonObject { ["number"] = 80 } } },
            },
        }, Stop);
        return ns;
    }

    private static JsonObject Addresses(params string[] addresses) => new()
    {
        ["status"] = new JsonObject
        {
            ["loadBalancer"] = new JsonObject { ["ingress"] = new JsonArray([.. addresses.Select(ip => (JsonNode)new JsonObject { ["ip"] = ip })]) },
        },
    };

    private static async Task<IEnumerable<string>> StoredAsync(KubeClient client, string ns) =>
        ((await client.FindAsync(Kinds.Ingress, ns, "web", Stop))!["status"]?["loadBalancer"]?["ingress"]?.AsArray() ?? [])
        .Select(one => one!["ip"]!.ToString());
}
