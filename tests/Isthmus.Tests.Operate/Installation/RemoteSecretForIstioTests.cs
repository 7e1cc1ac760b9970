using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.Core.Flags;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.RemoteSecrets;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>A control plane of Istio lists Secrets and ConfigMaps of a remote cluster; ours does not.</summary>
public sealed class RemoteSecretForIstioTests
{
    private const string Role = "istio-reader-clusterrole-istio-system";

    private static readonly ResourceKind Bindings = Kinds.Find("rbac.authorization.k8s.io/v1", "ClusterRoleBinding")!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Only_the_account_for_Istio_reads_Secrets_and_it_can_be_taken_back()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var notes = new List<string>();
        var secrets = new RemoteSecret(client, TimeProvider.System, notes.Add);
        var request = new RemoteSecretRequest { Name = "c2", TokenDuration = TimeSpan.FromHours(1) };
        using var narrow = Reader(await secrets.MakeAsync(request, Stop), client);
        using var wide = Reader(await secrets.MakeAsync(request with { For = "istio" }, Stop), client);
        Assert.Contains(notes,
            note => note.Contains("istio-reader-for-istiod", StringComparison.Ordinal)
                && note.Contains("ALL Secrets and ConfigMaps", StringComparison.Ordinal));
        foreach (var kind in (ResourceKind[])[Kinds.Secret, Kinds.ConfigMap])
        {
            await wide.ListAllAsync<JsonObject>(kind, null, new ListOptions(), Stop);
            Assert.Equal(403, (await Assert.ThrowsAsync<KubeException>(() => narrow.ListAllAsync<JsonObject>(kind, null, new ListOptions(), Stop))).Code);
        }
        foreach (var reader in (KubeClient[])[narrow, wide]) await reader.ListAllAsync<JsonObject>(Kinds.Service, null, new ListOptions(), Stop);

        Assert.True(await secrets.RemoveAsync(request with { For = "istio" }, Stop));
        Assert.InRange((await Assert.ThrowsAsync<KubeException>(() => wide.ListAllAsync<JsonObject>(Kinds.Secret, null, new ListOptions(), Stop))).Code, 401,
            403);
        await narrow.ListAllAsync<JsonObject>(Kinds.Service, null, new ListOptions(), Stop);
        Assert.False(await secrets.RemoveAsync(request with { For = "istio" }, Stop));
    }

    /// <summary>Somebody removed what binds the account to its role, or gave it fewer rights on purpose: the command names what it lacks, and grants
    /// nothing.</summary>
    [Fact]
    public async Task An_account_that_lacks_rights_keeps_those_that_it_has()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var notes = new List<string>();
        var clock = new ManualClock();
        var secrets = new RemoteSecret(client, clock, notes.Add);
        var request = new RemoteSecretRequest { Name = "c2", TokenDuration = TimeSpan.FromHours(1) };
        using var reader = Reader(await secrets.MakeAsync(request, Stop), client);
        await client.DeleteAsync(Bindings, null, Role, Stop);
        var made = secrets.MakeAsync(request, Stop);
        await Eventually.TrueAsync(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            return made.IsCompleted;
        });
        await made;
        await Assert.ThrowsAsync<KubeException>(() => reader.ListAllAsync<JsonObject>(Kinds.Service, null, new ListOptions(), Stop));
        var lack = Assert.Single(notes, note => note.StartsWith("Warning: ServiceAccount istio-system/istio-reader-service-account may not list "
            + "namespaces, nodes, pods, services, endpointslices of all namespaces", StringComparison.Ordinal));
        Assert.EndsWith("repeat the command with --restore-permissions.", lack, StringComparison.Ordinal);
    }

    /// <summary>Control planes of several clusters share the account: none of them loses its token, or a right that an installation has added.</summary>
    [Theory]
    [InlineData("isthmus")]
    [InlineData("istio")]
    public async Task Permissions_come_back_without_a_new_token(string whose)
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var secrets = new RemoteSecret(client, TimeProvider.System, _ => { });
        var request = new RemoteSecretRequest { Name = "c2", For = whose, TokenDuration = TimeSpan.FromHours(1) };
        using var reader = Reader(await secrets.MakeAsync(request, Stop), client);
        var name = whose == "istio" ? "istio-reader-for-istiod-istio-system" : Role;
        var roles = Kinds.Find("rbac.authorization.k8s.io/v1", "ClusterRole")!;
        var leases = GetRule("coordination.k8s.io", "leases");
        await client.PatchAsync(roles, null, name, new JsonObject { ["rules"] = new JsonArray(leases) }, PatchType.Merge, Stop);
        await client.DeleteAsync(Bindings, null, name, Stop);
        await Assert.ThrowsAsync<KubeException>(() => reader.ListAllAsync<JsonObject>(Kinds.Service, null, new ListOptions(), Stop));

        await secrets.MakeAsync(request with { RestorePermissions = true }, Stop);
        await reader.ListAllAsync<JsonObject>(Kinds.Service, null, new ListOptions(), Stop);
        var rules = (JsonArray)(await client.FindAsync(roles, null, name, Stop))!["rules"]!;
        Assert.Contains(rules, rule => JsonNode.DeepEquals(rule, leases));
        await secrets.MakeAsync(request with { RestorePermissions = true }, Stop);
        Assert.Equal(rules.Count, ((JsonArray)(await client.FindAsync(roles, null, name, Stop))!["rules"]!).Count);
    }

    [Fact]
    public async Task Permissions_of_an_account_that_the_command_does_not_create_are_not_its_own_to_give()
    {
        await using var cluster = new LoopbackCluster();
        var secrets = new RemoteSecret(await cluster.StartAsync(), TimeProvider.System, _ => { });
        var request = new RemoteSecretRequest { Name = "c2", RestorePermissions = true };
        foreach (var other in (RemoteSecretRequest[])[request with { Type = "config" }, request with { ServiceAccount = "own" },
            request with { CreateServiceAccount = false }])
            Assert.Equal("--restore-permissions", (await Assert.ThrowsAsync<WrongUseException>(() =>
                secrets.MakeAsync(other, Stop))).Problem.Object);
    }

    private static JsonObject GetRule(string group, string resource) => new()
    {
        ["apiGroups"] = new JsonArray(group), ["resources"] = new JsonArray(resource), ["verbs"] = new JsonArray("get"),
    };

    /// <summary>An installation that runs at the same time has created the account, and binds its role a moment later.</summary>
    [Fact]
    public async Task An_account_that_an_installation_is_about_to_complete_lacks_nothing()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var (notes, clock) = (new List<string>(), new ManualClock());
        var request = new RemoteSecretRequest { Name = "c2", TokenDuration = TimeSpan.FromHours(1) };
        await new RemoteSecret(client, TimeProvider.System, _ => { }).MakeAsync(request, Stop);
        var binding = (JsonObject)(await client.FindAsync(Bindings, null, Role, Stop))!.DeepClone();
        await client.DeleteAsync(Bindings, null, Role, Stop);
        var made = new RemoteSecret(client, clock, notes.Add).MakeAsync(request, Stop);
        await Eventually.TrueAsync(() => clock.NextDue is not null);
        foreach (var field in (string[])["uid", "resourceVersion", "creationTimestamp"]) binding["metadata"]!.AsObject().Remove(field);
        await client.CreateAsync(Bindings, binding, Stop);
        clock.Advance(clock.NextDue!.Value);
        await made;
        Assert.DoesNotContain(notes, note => note.Contains("may not list", StringComparison.Ordinal));
    }

    /// <summary>Whoever gave an old account fewer rights on purpose waits for nothing, and each right that it has is asked for once.</summary>
    [Theory]
    [InlineData(false, "endpointslices 1, namespaces 1, nodes 1, pods 1, services 1")]
    [InlineData(true, "endpointslices 1, namespaces 1, nodes more, pods 1, services 1")]
    public async Task Only_an_account_that_is_new_is_asked_again_and_only_for_what_it_lacked(bool isNew, string expected)
    {
        var asked = new ConcurrentQueue<string>();
        await using var server = await OriginServer.StartAsync(HttpProtocols.Http1, async context =>
        {
            if (!HttpMethods.IsPost(context.Request.Method))
            {
                context.Response.StatusCode = 403;
                return;
            }
            var review = (await JsonNode.ParseAsync(context.Request.Body, cancellationToken: Stop))!.AsObject();
            var kind = review["spec"]!["resourceAttributes"]!["resource"]!.ToString();
            asked.Enqueue(kind);
            review["status"] = new JsonObject { ["allowed"] = kind != "nodes" };
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(review.ToJsonString(), Stop);
        });
        using var client = new KubeClient(new ClusterAccess { Server = new($"http://127.0.0.1:{server.Port}") });
        var clock = new ManualClock();
        var lacking = new ReaderRights(client, "istio-system", "reader", clock)
            .LackAsync(isNew ? clock.GetUtcNow() : clock.GetUtcNow() - TimeSpan.FromMinutes(1), Stop);
        if (isNew)
        {
            await Eventually.TrueAsync(() => clock.NextDue is not null);
            clock.Advance(TimeSpan.FromMinutes(1));
        }
        Assert.Contains("may not list nodes of", await lacking, StringComparison.Ordinal);
        Assert.Equal(expected, string.Join(", ", asked.GroupBy(kind => kind).OrderBy(kind => kind.Key, StringComparer.Ordinal)
            .Select(kind => $"{kind.Key} {(kind.Count() > 1 ? "more" : "1")}")));
    }

    /// <summary>The right is a group's, by a binding of another name.</summary>
    [Fact]
    public async Task An_account_with_rights_of_its_group_lacks_none()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        var notes = new List<string>();
        var secrets = new RemoteSecret(client, TimeProvider.System, notes.Add);
        var request = new RemoteSecretRequest { Name = "c2", TokenDuration = TimeSpan.FromHours(1) };
        using var reader = Reader(await secrets.MakeAsync(request, Stop), client);
        await client.DeleteAsync(Bindings, null, Role, Stop);
        await client.CreateAsync(Bindings, YamlText.Parse($$"""
            apiVersion: rbac.authorization.k8s.io/v1
            kind: ClusterRoleBinding
            metadata: {name: readers}
            roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{Role}}}
            subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:serviceaccounts:istio-system'}]
            """, "binding")!.AsObject(), Stop);
        notes.Clear();
        await secrets.MakeAsync(request, Stop);
        Assert.DoesNotContain(notes, note => note.Contains("may not list", StringComparison.Ordinal));
        Assert.Null(await client.FindAsync(Bindings, null, Role, Stop));
        await reader.ListAllAsync<JsonObject>(Kinds.Service, null, new ListOptions(), Stop);
    }

    [Theory]
    [InlineData("consul", "remote", null, "'consul' is not a control plane")]
    [InlineData("istio", "config", null, "no effect with --type=config")]
    [InlineData("istio", "remote", "mine", "has an account of its own")]
    public async Task What_does_not_fit_together_is_refused(string whose, string type, string? account, string reason)
    {
        using var nobody = new KubeClient(new ClusterAccess { Server = new Uri("https://127.0.0.1:1") });
        var secrets = new RemoteSecret(nobody, TimeProvider.System, _ => { });
        var request = new RemoteSecretRequest { Name = "c2", For = whose, Type = type, ServiceAccount = account };
        Assert.Contains(reason, (await Assert.ThrowsAsync<WrongUseException>(() => secrets.MakeAsync(request, Stop))).Message, StringComparison.Ordinal);
        Assert.Contains("only what --for=istio", (await Assert.ThrowsAsync<WrongUseException>(() => secrets.RemoveAsync(new(), Stop))).Message,
            StringComparison.Ordinal);
    }

    /// <summary>A client with the token of a remote secret.</summary>
    private static KubeClient Reader(string yaml, KubeClient administrator)
    {
        var secret = YamlText.ParseAll(yaml, "secret").OfType<JsonObject>().Single();
        var kubeconfig = YamlText.Parse(secret["stringData"]!["c2"]!.ToString(), "kubeconfig")!;
        return new(new ClusterAccess
        {
            Server = administrator.Access.Server, CertificateAuthority = administrator.Access.CertificateAuthority,
            Token = kubeconfig["users"]![0]!["user"]!["token"]!.ToString(),
        });
    }
}
