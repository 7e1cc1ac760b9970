using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Tests.Operate.SideBySide;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>What <c>isthmus upgrade</c> refuses: nothing stores the flags of the installation, and without them an upgrade would change the mesh.</summary>
public sealed class UpgradeTests
{
    private static readonly string[] Flags = ["profile=minimal", "values.global.meshID=mesh1", "values.global.network=network1",
        "values.global.multiCluster.clusterName=cluster1"];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_upgrade_with_the_flags_of_the_installation_says_what_it_replaces()
    {
        await using var cluster = new LoopbackCluster();
        var client = await InstalledAsync(cluster);
        Assert.Equal($"isthmus.internal/isthmus:{BuildVersion.Current}", await CheckAsync(client, null, [.. Flags, "tag=9.9"]));
    }

    [Theory]
    [InlineData(null, "create Deployment istio-system/istio-ingressgateway", "profile=default", "values.global.meshID=mesh1")]
    [InlineData(null, "change values.global.meshID from 'mesh1' to ''", "profile=minimal")]
    [InlineData(null, "change values.global.multiCluster.clusterName from 'cluster1' to ''", "profile=minimal", "values.global.meshID=mesh1",
        "values.global.network=network1")]
    [InlineData("next", "revision next: is not installed in", "profile=minimal")]
    public async Task An_upgrade_that_would_change_more_than_the_version_is_refused(string? revision, string message, params string[] flags)
    {
        await using var cluster = new LoopbackCluster();
        var client = await InstalledAsync(cluster);
        var refused = await Assert.ThrowsAsync<ProblemException>(() => CheckAsync(client, revision, flags));
        Assert.Contains(message, refused.Message, StringComparison.Ordinal);
        Assert.Contains("'isthmus install'", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_upgrade_that_would_remove_a_gateway_is_refused()
    {
        await using var cluster = new LoopbackCluster();
        var client = await InstalledAsync(cluster);
        foreach (var value in Manifests.Render(OperatorSpec.Build([], [], null)).SelectMany(component => component.Objects)
            .Where(value => value["kind"]!.ToString() == "Deployment" && value["metadata"]!["name"]!.ToString() == "istio-ingressgateway"))
            await client.CreateAsync(Kinds.Deployment, value, Stop);
        var refused = await Assert.ThrowsAsync<ProblemException>(() => CheckAsync(client, null, Flags));
        Assert.EndsWith(
            "would remove Deployment istio-system/istio-ingressgateway (give the upgrade the files and flags of the installation; to change settings, use "
                + "'isthmus install')",
            refused.Message);
    }

    /// <summary>An installation removes what it no longer has: with a profile without a control plane, the one that serves the cluster.</summary>
    [Fact]
    public async Task An_installation_that_would_remove_the_control_plane_is_refused()
    {
        await using var cluster = new LoopbackCluster();
        var client = await InstalledAsync(cluster);
        Task CheckAsync(params string[] flags) => CheckSpecAsync(OperatorSpec.Build([], flags, null));
        Task CheckSpecAsync(OperatorSpec spec) =>
            LostControlPlane.CheckAsync(client, spec, [.. Manifests.Render(spec).SelectMany(component => component.Objects)], Stop);
        var refused = await Assert.ThrowsAsync<ProblemException>(() => CheckAsync("profile=empty"));
        Assert.Contains("has no control plane, and removes the one that runs: Deployment istio-system/istiod, MutatingWebhookConfiguration "
            + "istio-sidecar-injector and ", refused.Message, StringComparison.Ordinal);
        Assert.Contains("to remove it: isthmus uninstall --context=", refused.Message, StringComparison.Ordinal);
        await CheckAsync([.. Flags, "values.pilot.autoscaleEnabled=false"]);
        // It is then a remote cluster, by its flags.
        await CheckAsync("profile=remote", "values.global.remotePilotAddress=172.18.0.1");
        // What has another name takes nothing away.
        await CheckSpecAsync(OperatorSpec.Build([("gw.yaml", "{apiVersion: install.istio.io/v1alpha1, kind: IstioOperator, metadata: {name: gateway}, spec: "
            + "{profile: empty}}")], [], null));
        await client.DeleteAsync(Kinds.Deployment, "istio-system", "istiod", Stop);
        await CheckAsync("profile=empty");
    }

    [Fact]
    public async Task An_installation_that_leaves_out_the_names_of_the_one_there_is_refused()
    {
        await using var cluster = new LoopbackCluster();
        var client = await InstalledAsync(cluster);
        var refused = await Assert.ThrowsAsync<ProblemException>(() =>
            InstalledIdentity.CheckAsync(client, OperatorSpec.Build([], ["profile=minimal", "values.global.meshID=mesh1"], null), null, _ => { }, Stop));
        Assert.Contains("leaves out values.global.network, which is 'network1' there and values.global.multiCluster.clusterName, which is 'cluster1' there",
            refused.Message, StringComparison.Ordinal);
        Assert.Contains("--set values.global.network=network1 --set values.global.multiCluster.clusterName=cluster1", refused.Message,
            StringComparison.Ordinal);
        await InstalledIdentity.CheckAsync(client, OperatorSpec.Build([], Flags, null), null, _ => { }, Stop);
        // A name that is given may be another one. Parts without a control plane have none.
        await InstalledIdentity.CheckAsync(client, OperatorSpec.Build([], [.. Flags, "values.global.network=network2"], null), null, _ => { }, Stop);
        await InstalledIdentity.CheckAsync(client, OperatorSpec.Build([], ["profile=empty"], null), null, _ => { }, Stop);
    }

    /// <summary>The file of cluster2 for cluster1, for example.</summary>
    [Fact]
    public async Task An_installation_with_the_name_of_another_cluster_is_refused()
    {
        await using var cluster = new LoopbackCluster();
        var client = await InstalledAsync(cluster);
        var other = OperatorSpec.Build([], [.. Flags[..^1], "values.global.multiCluster.clusterName=cluster2"], null);
        var notes = new List<string>();
        await InstalledIdentity.CheckAsync(client, other, null, notes.Add, Stop);
        Assert.StartsWith("The installation will change values.global.multiCluster.clusterName from 'cluster1' to 'cluster2'", Assert.Single(notes),
            StringComparison.Ordinal);
        const string access = """
            {apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {token: t}}],
             clusters: [{name: c, cluster: {server: "https://172.18.0.3:6443"}}]}
            """;
        await client.CreateAsync(Kinds.Secret, (JsonObject)JsonNode.Parse($$"""
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "istio-remote-secret-cluster2", "namespace": "istio-system",
              "labels": {"istio/multiCluster": "true"} }, "data": {"cluster2": "{{Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(access))}}"} }
            """)!, Stop);
        var refused = await Assert.ThrowsAsync<ProblemException>(() => InstalledIdentity.CheckAsync(client, other, null, _ => { }, Stop));
        Assert.Contains("calls the cluster 'cluster2', and by Secret istio-system/istio-remote-secret-cluster2, another cluster of the mesh has this name "
            + "(https://172.18.0.3:6443)", refused.Message, StringComparison.Ordinal);
        Assert.Contains("--set values.global.multiCluster.clusterName=cluster1", refused.Message, StringComparison.Ordinal);
        await InstalledIdentity.CheckAsync(client, OperatorSpec.Build([], Flags, null), null, _ => { }, Stop);
    }

    /// <summary>precheck has no flags, so it cannot leave any out; and whoever writes the default name of a cluster has left nothing out later.</summary>
    [Fact]
    public async Task A_check_without_flags_leaves_no_names_out_nor_does_who_wrote_the_default()
    {
        await using var cluster = new LoopbackCluster();
        var client = await InstalledAsync(cluster);
        var spec = OperatorSpec.Build([], ["profile=minimal"], null);
        Task CheckAsync(bool names) => new Preconditions(client, TimeProvider.System, _ => { }) { ChecksNames = names }.CheckAsync(spec, [], Stop);
        await CheckAsync(names: false);
        Assert.Contains("leaves out", (await Assert.ThrowsAsync<ProblemException>(() => CheckAsync(names: true))).Message, StringComparison.Ordinal);

        foreach (var component in Manifests.Render(OperatorSpec.Build([], ["profile=minimal", "values.global.multiCluster.clusterName=Kubernetes"], null)))
            await new Applier(client, TimeProvider.System).ApplyAsync(component.Objects, Stop);
        await CheckAsync(names: true);
    }

    /// <summary>Its proxies would otherwise say that they are in a cluster Kubernetes, which no other cluster knows.</summary>
    [Fact]
    public async Task A_second_revision_that_leaves_out_the_names_of_the_first_is_refused()
    {
        await using var cluster = new LoopbackCluster();
        var client = await InstalledAsync(cluster);
        var refused = await Assert.ThrowsAsync<ProblemException>(() => InstalledIdentity.CheckAsync(client,
            OperatorSpec.Build([], [.. Flags[..^1]], "next"), null, _ => { }, Stop));
        Assert.Contains("values.global.multiCluster.clusterName, which is 'cluster1' in ConfigMap istio-system/istio-sidecar-injector: running",
            refused.Message,
            StringComparison.Ordinal);
        Assert.Contains("--set values.global.multiCluster.clusterName=cluster1", refused.Message, StringComparison.Ordinal);
        await InstalledIdentity.CheckAsync(client, OperatorSpec.Build([], Flags, "next"), null, _ => { }, Stop);
    }

    /// <summary>The right to read one ConfigMap by its name is enough to keep the names of the own revision.</summary>
    [Fact]
    public async Task Whoever_may_not_list_ConfigMaps_keeps_the_names_of_the_own_revision()
    {
        var map = new JsonObject
        {
            ["metadata"] = new JsonObject { ["name"] = "istio-sidecar-injector", ["namespace"] = "istio-system" },
            ["data"] = new JsonObject { ["values"] = """{"global":{"meshID":"mesh1"} }""" },
        };
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            var isNamed = context.Request.Path.Value!.EndsWith("/configmaps/istio-sidecar-injector", StringComparison.Ordinal);
            context.Response.StatusCode = isNamed ? 200 : 403;
            context.Response.ContentType = "application/json";
            if (isNamed) await context.Response.WriteAsync(map.ToJsonString(), Stop);
        });
        using var client = new KubeClient(new ClusterAccess { Server = new($"http://127.0.0.1:{server.Port}") });
        var notes = new List<string>();
        var refused = await Assert.ThrowsAsync<ProblemException>(() =>
            InstalledIdentity.CheckAsync(client, OperatorSpec.Build([], ["profile=minimal"], null), null, notes.Add, Stop));
        Assert.Contains("leaves out values.global.meshID, which is 'mesh1' there", refused.Message, StringComparison.Ordinal);
        Assert.StartsWith("Other revisions in istio-system were not looked at", Assert.Single(notes), StringComparison.Ordinal);
    }

    private static async Task<KubeClient> InstalledAsync(LoopbackCluster cluster)
    {
        var client = await cluster.StartAsync();
        await IstioObjects.NamespaceAsync(client, "istio-system");
        foreach (var component in Manifests.Render(OperatorSpec.Build([], Flags, null)))
            await new Applier(client, TimeProvider.System).ApplyAsync(component.Objects, Stop);
        return client;
    }

    private static Task<string> CheckAsync(KubeClient client, string? revision, string[] flags)
    {
        var spec = OperatorSpec.Build([], flags, revision);
        return new Upgrade(client, new Installer(client, TimeProvider.System, new Unheard())).CheckAsync(spec, Manifests.Render(spec), Stop);
    }

    private sealed class Unheard : IInstallProgress
    {
        public void Started(string component)
        {
        }

        public void Finished(string component, TimeSpan took)
        {
        }

        public void Note(string text)
        {
        }
    }
}
