using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Statuses;
using Isthmus.ControlPlane.Webhooks;
using Isthmus.Injection;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>How people learn that an object claims what belongs to others.</summary>
public sealed class OwnerStatusTests(RunningApiServer server) : IClassFixture<RunningApiServer>
{
    private const string Message =
        "ISM1440 spec.addresses[0]: 10.96.0.20 is the address of Service shop/db in c1: calls to it do not go to this entry (remove the address, or choose one "
            + "that nothing else has)";

    private static readonly ResourceKind Kind = new(MeshApi.ServiceEntry.Group, MeshApi.ServiceEntry.ReadVersion, MeshApi.ServiceEntry.Kind,
        MeshApi.ServiceEntry.Plural, true);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_status_of_the_object_says_whose_it_is_for_as_long_as_there_is_an_owner()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        using var client = new KubeClient(server.Access);
        await StoreAsync(client);
        var rig = Mesh();
        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        var running = engine.RunAsync(stop.Token);
        var status = new OwnerStatus(client, "c1", engine, TimeProvider.System, NullLogger.Instance);
        Assert.Equal(NextRound.AtChange, await status.UpdateAsync(Stop));
        Assert.Empty(await ConditionsAsync(client)); // not all is known yet
        await engine.MarkReadyAsync(Stop);
        Assert.Equal(NextRound.AtChange, await status.UpdateAsync(Stop));
        var condition = Assert.Single(await ConditionsAsync(client))!;
        Assert.Equal(("Owned", "False", "OwnedByAnother", Message),
            ((string?)condition["type"], (string?)condition["status"], (string?)condition["reason"], (string?)condition["message"]));
        await engine.ChangeAsync(writer =>
        {
            writer.Remove("c1", Kinds.Service, MeshRig.Namespace, "db");
            return true;
        }, Stop);
        Assert.Equal(NextRound.AtChange, await status.UpdateAsync(Stop));
        Assert.Empty(await ConditionsAsync(client));
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public void Admission_warns_of_what_is_known_already()
    {
        var rig = Mesh();
        var webhooks = new WebhookEndpoints(() => throw new InvalidOperationException(), _ => throw new InvalidOperationException(), () => [],
            new(new(), null, _ => null, new(), TimeProvider.System, NullLogger<ReviewCallers>.Instance),
            NullLogger<WebhookEndpoints>.Instance) { ForeignClaims = rig.Mesh.ForeignClaimsOf };
        var answer = webhooks.Validate(new("1", "tenant", "CREATE", YamlText.Parse(Entry, "entry")!.AsObject(), null));
        Assert.True(answer.Allowed, answer.Message);
        Assert.Equal(Message["ISM1440 ".Length..], Assert.Single(answer.Warnings!));
    }

    private const string Entry = """
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: a, namespace: tenant}
        spec: {hosts: [a.tenant.test], addresses: [10.96.0.20], ports: [{number: 443, name: tcp, protocol: TCP}], resolution: STATIC, endpoints: [{address: 192.0.2.99}]}
        """;

    private static MeshRig Mesh()
    {
        var rig = new MeshRig("c1");
        rig.AppOn("c1", "db", "10.96.0.20", "tcp", 443, "10.244.0.1");
        rig.Config(Entry);
        rig.Push();
        return rig;
    }

    private static async Task<JsonArray> ConditionsAsync(KubeClient client) =>
        (await client.FindAsync(Kind, "tenant", "a", Stop))!["status"]?["conditions"]?.AsArray() ?? [];

    private async Task StoreAsync(KubeClient client)
    {
        await client.CreateAsync(Kinds.CustomResourceDefinition, IstioCrds.Of(MeshApi.ServiceEntry), Stop);
        await client.CreateAsync(Kinds.Namespace, JsonNode.Parse("""{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tenant"} }""")!.AsObject(),
            Stop);
        // The kind is served a moment later.
        var entry = YamlText.Parse(Entry.Replace("istio.io/v1\n", $"istio.io/{Kind.Version}\n", StringComparison.Ordinal), "entry")!.ToJsonString();
        await Eventually.TrueAsync(async () => (await server.SendAsync("POST", $"/apis/{Kind.ApiVersion}/namespaces/tenant/{Kind.Plural}", entry)).Code != 404);
    }
}
