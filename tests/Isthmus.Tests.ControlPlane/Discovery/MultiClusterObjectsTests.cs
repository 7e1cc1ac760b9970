using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Graph.Derive;
using Isthmus.ControlPlane.Mcs;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Model;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Tests.ControlPlane.Running;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Discovery;

/// <summary>Imports and conditions on a real API server, in the versions that it serves.</summary>
public sealed class MultiClusterObjectsTests
{
    private static readonly ResourceKind Exports = new("multicluster.x-k8s.io", "v1beta1", "ServiceExport", "serviceexports", true);
    private static readonly ResourceKind Imports = new("multicluster.x-k8s.io", "v1beta1", "ServiceImport", "serviceimports", true);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("v1beta1", "Cluster")]
    [InlineData("v1alpha1", null)]
    public async Task An_import_is_written_changed_and_removed(string version, string? policy)
    {
        await using var cluster = new LoopbackCluster();
        var client = await StartAsync(cluster, version);
        var imports = Imports with { Version = version };
        var objects = new MultiClusterObjects(client, MultiClusterSettings.Default, TimeProvider.System, NullLogger.Instance);
        var first = Import(new() { ["team"] = "front" },
            new()
            {
                ["type"] = "ClusterSetIP", ["ports"] = new JsonArray(), ["ips"] = new JsonArray("240.240.0.7"), ["sessionAffinity"] = "ClientIP",
                ["internalTrafficPolicy"] = "Cluster"
            },
            null);
        Assert.Equal(("", NextRound.AtChange), await objects.WriteAsync(MultiClusterPlan.Nothing with { Imports = [first] }, Stop));
        var stored = await client.GetAsync(imports, "shop", "desk", Stop);
        Assert.Equal("front", stored["metadata"]!["labels"]!["team"]!.ToString());
        Assert.Equal(policy, stored["spec"]!["internalTrafficPolicy"]?.ToString());
        Assert.Equal("c1", stored["status"]!["clusters"]![0]!["cluster"]!.ToString());
        Assert.Equal(version == "v1beta1" ? "Ready" : null, stored["status"]!["conditions"]?[0]!["type"]!.ToString());

        // What was read is what was wanted; then labels and fields go.
        var known = MultiClusterFacts.Of("c1", stored).Import!;
        Assert.True(Import(new() { ["team"] = "front" }, first.Spec, known).IsKnown);
        var next = Import([], new() { ["type"] = "Headless", ["ports"] = new JsonArray(), ["ipFamilies"] = new JsonArray("IPv4") }, known);
        Assert.Equal(("", NextRound.AtChange), await objects.WriteAsync(MultiClusterPlan.Nothing with { Imports = [next] }, Stop));
        stored = await client.GetAsync(imports, "shop", "desk", Stop);
        Assert.Equal($$"""{"{{Labels.ManagedImport}}":"true"}""", stored["metadata"]!["labels"]!.ToJsonString());
        Assert.False(stored["spec"]!.AsObject().ContainsKey("sessionAffinity") || stored["spec"]!.AsObject().ContainsKey("ips"));
        Assert.True(Import([], next.Spec, MultiClusterFacts.Of("c1", stored).Import).IsKnown);

        Assert.Equal(("", NextRound.AtChange), await objects.WriteAsync(MultiClusterPlan.Nothing with { Obsolete = [new("c1", "shop", "desk")] }, Stop));
        Assert.Null(await client.FindAsync(imports, "shop", "desk", Stop));
    }

    /// <summary>An object that a server refuses is named, and the others are written.</summary>
    [Fact]
    public async Task What_cannot_be_written_keeps_nothing_else_from_being_written()
    {
        await using var cluster = new LoopbackCluster();
        var client = await StartAsync(cluster, "v1beta1");
        var objects = new MultiClusterObjects(client, MultiClusterSettings.Default, TimeProvider.System, NullLogger.Instance);
        var (bad, good) = (Import([], new() { ["type"] = "Odd", ["ports"] = new JsonArray() }, null) with { Name = "bad" },
            Import([], new() { ["type"] = "Headless", ["ports"] = new JsonArray() }, null));
        Assert.Contains("bad", (await objects.WriteAsync(MultiClusterPlan.Nothing with { Imports = [bad, good] }, Stop)).Trouble, StringComparison.Ordinal);
        Assert.NotNull(await client.FindAsync(Imports, "shop", "desk", Stop));
    }

    [Fact]
    public async Task Conditions_are_written_and_read_back()
    {
        await using var cluster = new LoopbackCluster();
        var client = await StartAsync(cluster, "v1beta1");
        var made = await client.CreateAsync(Exports,
            new() { ["apiVersion"] = Exports.ApiVersion, ["kind"] = Exports.Kind, ["metadata"] = new JsonObject { ["name"] = "desk", ["namespace"] = "shop" } },
            Stop);
        var export = MultiClusterFacts.Of("c1", made).Export!;
        var wanted = new WantedConditions(export, [new("Valid", true, "Valid", ""), new("Conflict", true, "PortConflict,TypeConflict", "they differ")]);
        Assert.Equal(("", NextRound.AtChange), await new MultiClusterObjects(client, MultiClusterSettings.Default, TimeProvider.System, NullLogger.Instance)
            .WriteAsync(MultiClusterPlan.Nothing with { Conditions = [wanted] }, Stop));
        var read = MultiClusterFacts.Of("c1", await client.GetAsync(Exports, "shop", "desk", Stop)).Export!;
        Assert.Equal(wanted.Conditions, read.Conditions);

        // Another controller writes a condition of its own, which stays, as does the time of what is the same.
        const string Then = "2020-01-01T00:00:00Z";
        var stored = await client.PatchAsync(Exports, "shop", "desk", new JsonObject
        {
            ["status"] = new JsonObject { ["conditions"] = new JsonArray(Condition("Valid"), Condition("Imported")) },
        }, PatchType.Merge, Stop, "status");
        wanted = wanted with { Export = MultiClusterFacts.Of("c1", stored).Export! };
        var objects = new MultiClusterObjects(client, MultiClusterSettings.Default, TimeProvider.System, NullLogger.Instance);
        Assert.Equal(("", NextRound.AtChange), await objects.WriteAsync(MultiClusterPlan.Nothing with { Conditions = [wanted] }, Stop));
        stored = await client.GetAsync(Exports, "shop", "desk", Stop);
        Assert.Equal(["Imported True", "Valid True", "Conflict False"], stored["status"]!["conditions"]!.AsArray()
            .Select(item => $"{item!["type"]} {item["lastTransitionTime"]!.ToString() == Then}"));
        Assert.Equal(("", NextRound.AtChange), await objects.WriteAsync(MultiClusterPlan.Nothing with { Conditions = [wanted] }, Stop));
        Assert.Equal(stored.ToJsonString(), (await client.GetAsync(Exports, "shop", "desk", Stop)).ToJsonString());

        static JsonNode Condition(string type) => new JsonObject
        {
            ["type"] = type, ["status"] = "True", ["reason"] = "Valid", ["message"] = "", ["lastTransitionTime"] = Then
        };
    }

    /// <summary>A definition without the subresource: another try would only be another line of the log.</summary>
    [Fact]
    public async Task A_status_that_is_refused_is_written_again_only_when_something_changes()
    {
        await using var cluster = new LoopbackCluster();
        var (client, log) = (await StartAsync(cluster, "v1beta1", hasStatus: false), new RecordingLog());
        var made = await client.CreateAsync(Exports,
            new() { ["apiVersion"] = Exports.ApiVersion, ["kind"] = Exports.Kind, ["metadata"] = new JsonObject { ["name"] = "desk", ["namespace"] = "shop" } },
            Stop);
        var objects = new MultiClusterObjects(client, MultiClusterSettings.Default, new ManualClock(), log);
        var spec = new JsonObject { ["type"] = "Headless", ["ports"] = new JsonArray() };
        var plan = MultiClusterPlan.Nothing with
        {
            Imports = [Import([], spec, null)], Conditions = [new(MultiClusterFacts.Of("c1", made).Export!, [new("Valid", true, "Valid", "")])],
        };
        Assert.Equal(("", new NextRound(TimeSpan.FromMinutes(5))), await objects.WriteAsync(plan, Stop));
        Assert.Equal(2, log.Lines.Count);
        Assert.All(log.Lines, line => Assert.Contains("status", line, StringComparison.Ordinal));
        var stored = await client.GetAsync(Imports, "shop", "desk", Stop);
        plan = plan with { Imports = [Import([], spec, MultiClusterFacts.Of("c1", stored).Import)] };
        for (var round = 0; round < 3; round++) Assert.Equal(("", new NextRound(TimeSpan.FromMinutes(5))), await objects.WriteAsync(plan, Stop));
        Assert.Equal(3, log.Lines.Count); // The import is there now, and that was a change.
        var other = plan with { Conditions = [plan.Conditions[0] with { Conditions = [new("Valid", false, "NoService", "")] }] };
        await objects.WriteAsync(other, Stop);
        Assert.Equal(4, log.Lines.Count);
    }

    /// <summary>Nobody tells when rights come: what was refused is tried again, but not every few seconds for ever.</summary>
    [Fact]
    public async Task An_import_that_is_refused_is_tried_again_at_a_change_or_after_minutes()
    {
        await using var cluster = new LoopbackCluster();
        var (client, clock) = (await StartAsync(cluster, "v1beta1"), new ManualClock());
        var objects = new MultiClusterObjects(client, MultiClusterSettings.Default, clock, NullLogger.Instance);
        async Task<string> WriteAsync(string type) => (await objects.WriteAsync(MultiClusterPlan.Nothing with
        {
            Imports = [Import([], new() { ["type"] = type, ["ports"] = new JsonArray() }, null)],
        }, Stop)).Trouble;
        var trouble = await WriteAsync("Odd");
        Assert.Contains("desk", trouble, StringComparison.Ordinal);
        Assert.Equal(trouble, await WriteAsync("Odd"));
        Assert.Contains("desk", await WriteAsync("Even"), StringComparison.Ordinal);
        clock.Advance(TimeSpan.FromMinutes(6));
        Assert.Contains("desk", await WriteAsync("Even"), StringComparison.Ordinal);
        Assert.Equal("", await WriteAsync("Headless"));
        Assert.NotNull(await client.FindAsync(Imports, "shop", "desk", Stop));
    }

    /// <summary>In a mesh in which nothing changes, nobody but the rounds themselves asks for another one.</summary>
    [Fact]
    public async Task An_import_that_is_refused_is_written_without_a_change_once_the_server_takes_it()
    {
        await using var cluster = new LoopbackCluster();
        var (client, clock) = (await StartAsync(cluster, "v1beta1"), new ManualClock());
        var objects = new MultiClusterObjects(client, MultiClusterSettings.Default, clock, NullLogger.Instance);
        var plan = MultiClusterPlan.Nothing with { Imports = [Import([], new() { ["type"] = "Odd", ["ports"] = new JsonArray() }, null)] };
        var troubles = new ConcurrentQueue<string>();
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var rounds = new Rounds(clock).RunAsync(async stop =>
        {
            var (trouble, next) = await objects.WriteAsync(plan, stop);
            troubles.Enqueue(trouble);
            return next;
        }, ends.Token);
        await Eventually.TrueAsync(() => !troubles.IsEmpty);
        const string Definition = "serviceimports.multicluster.x-k8s.io";
        var definition = await client.GetAsync(Kinds.CustomResourceDefinition, null, Definition, Stop);
        var versions = definition["spec"]!["versions"]!.DeepClone();
        versions[0]!["schema"]!["openAPIV3Schema"]!["properties"]!["spec"]!["properties"]!["type"]!.AsObject().Remove("enum");
        await client.PatchAsync(Kinds.CustomResourceDefinition, null, Definition, new JsonObject { ["spec"] = new JsonObject { ["versions"] = versions } },
            PatchType.Merge, Stop);
        await Eventually.TrueAsync(async () =>
        {
            clock.Advance(TimeSpan.FromMinutes(1));
            return await client.FindAsync(Imports, "shop", "desk", Stop) is not null;
        });
        Assert.Contains("desk", Assert.Single(troubles.Distinct(), trouble => trouble.Length > 0), StringComparison.Ordinal);
        await ends.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => rounds);
    }

    /// <summary>Somebody else made it, and may take it away again at any moment.</summary>
    [Fact]
    public async Task An_import_that_exists_already_is_not_refused()
    {
        await using var cluster = new LoopbackCluster();
        var client = await StartAsync(cluster, "v1beta1");
        var objects = new MultiClusterObjects(client, MultiClusterSettings.Default, new ManualClock(), NullLogger.Instance);
        var spec = new JsonObject { ["type"] = "Headless", ["ports"] = new JsonArray() };
        await client.CreateAsync(Imports, new()
        {
            ["apiVersion"] = Imports.ApiVersion, ["kind"] = Imports.Kind, ["metadata"] = new JsonObject { ["name"] = "desk", ["namespace"] = "shop" },
            ["spec"] = spec.DeepClone(),
        }, Stop);
        var plan = MultiClusterPlan.Nothing with { Imports = [Import([], spec, null)] };
        Assert.Contains("desk", (await objects.WriteAsync(plan, Stop)).Trouble, StringComparison.Ordinal);
        await client.DeleteAsync(Imports, "shop", "desk", Stop);
        Assert.Equal(("", NextRound.AtChange), await objects.WriteAsync(plan, Stop));
        Assert.NotNull(await client.FindAsync(Imports, "shop", "desk", Stop));
    }

    /// <summary>Older definitions have room for one address.</summary>
    [Theory]
    [InlineData(1, "240.240.0.7", "IPv4")]
    [InlineData(2, "240.240.0.7 fd00::7", "IPv4 IPv6")]
    public async Task An_import_has_as_many_addresses_as_its_definition_allows(int most, string ips, string families)
    {
        await using var cluster = new LoopbackCluster();
        var client = await StartAsync(cluster, "v1beta1", mostIps: most);
        var objects = new MultiClusterObjects(client, MultiClusterSettings.Default, new ManualClock(), NullLogger.Instance);
        var spec = new JsonObject
        {
            ["type"] = "ClusterSetIP", ["ports"] = new JsonArray(), ["ips"] = new JsonArray("240.240.0.7", "fd00::7"),
            ["ipFamilies"] = new JsonArray("IPv4", "IPv6"),
        };
        Assert.Equal(("", NextRound.AtChange), await objects.WriteAsync(MultiClusterPlan.Nothing with { Imports = [Import([], spec, null)] }, Stop));
        var stored = await client.GetAsync(Imports, "shop", "desk", Stop);
        Assert.Equal((ips, families), (Joined("ips"), Joined("ipFamilies")));

        // An address that does not fit is not written again and again.
        var plan = MultiClusterPlan.Nothing with { Imports = [Import([], spec, MultiClusterFacts.Of("c1", stored).Import)] };
        Assert.Equal(("", NextRound.AtChange), await objects.WriteAsync(plan, Stop));
        Assert.Equal(stored.ToJsonString(), (await client.GetAsync(Imports, "shop", "desk", Stop)).ToJsonString());

        string Joined(string field) => string.Join(' ', stored["spec"]![field]!.AsArray().Select(item => item!.ToString()));
    }

    /// <summary>The same is true of a status.</summary>
    [Fact]
    public async Task A_status_that_is_refused_is_tried_again_after_minutes()
    {
        await using var cluster = new LoopbackCluster();
        var (client, log, clock) = (await StartAsync(cluster, "v1beta1", hasStatus: false), new RecordingLog(), new ManualClock());
        var made = await client.CreateAsync(Exports,
            new() { ["apiVersion"] = Exports.ApiVersion, ["kind"] = Exports.Kind, ["metadata"] = new JsonObject { ["name"] = "desk", ["namespace"] = "shop" } },
            Stop);
        var objects = new MultiClusterObjects(client, MultiClusterSettings.Default, clock, log);
        var plan = MultiClusterPlan.Nothing with { Conditions = [new(MultiClusterFacts.Of("c1", made).Export!, [new("Valid", true, "Valid", "")])] };
        for (var round = 0; round < 3; round++) await objects.WriteAsync(plan, Stop);
        Assert.Single(log.Lines);
        clock.Advance(TimeSpan.FromMinutes(6));
        await objects.WriteAsync(plan, Stop);
        Assert.Equal(2, log.Lines.Count);
    }

    [Fact]
    public async Task Without_the_definitions_nothing_is_written()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var plan = MultiClusterPlan.Nothing with
        {
            Imports = [Import([], new() { ["type"] = "Headless", ["ports"] = new JsonArray() }, null)], AutoExports = [new("c1", "shop", "desk")]
        };
        // Nobody tells when they come.
        Assert.Equal(("", NextRound.Soon),
            await new MultiClusterObjects(client, MultiClusterSettings.Default, TimeProvider.System, NullLogger.Instance).WriteAsync(plan, Stop));
    }

    private static WantedImport Import(JsonObject labels, JsonObject spec, ServiceImport? known)
    {
        labels[Labels.ManagedImport] = "true";
        return new("shop", "desk", labels, [], spec, new(new JsonObject { ["cluster"] = "c1" }), known);
    }

    /// <summary>The sample's definitions, with one of their versions.</summary>
    private static async Task<KubeClient> StartAsync(LoopbackCluster cluster, string version, bool hasStatus = true, int? mostIps = null)
    {
        var client = await cluster.StartAsync();
        await client.CreateAsync(Kinds.Namespace, new() { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = "shop" } },
            Stop);
        foreach (var definition in YamlText.ParseAll(await File.ReadAllTextAsync(Repository.At("samples/multicluster/mcs-crds.yaml"), Stop), "CRDs")
            .OfType<JsonObject>())
        {
            var versions = definition["spec"]!["versions"]!.AsArray();
            foreach (var other in versions.Where(one => one!["name"]!.ToString() != version).ToList()) versions.Remove(other);
            versions[0]!["storage"] = true;
            if (mostIps is { } most && versions[0]!["schema"]!["openAPIV3Schema"]!["properties"]!["spec"]!["properties"]!["ips"] is JsonObject ips)
                ips["maxItems"] = most;
            if (!hasStatus) versions[0]!.AsObject().Remove("subresources");
            await client.CreateAsync(Kinds.CustomResourceDefinition, definition, Stop);
        }
        foreach (var kind in (ResourceKind[])[Exports, Imports])
        {
            await Eventually.TrueAsync(async () =>
            {
                try { return await client.ListAllAsync<JsonObject>(kind with { Version = version }, null, new ListOptions(), Stop) is not null; }
                catch (KubeException e) when (e.IsNotFound) { return false; }
            });
        }
        return client;
    }
}
