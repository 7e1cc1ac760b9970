using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.ControlPlane.Resolve;
using Isthmus.Graph.Settings;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Rigs.Mesh;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Security;

/// <summary>A RequestAuthentication says, at the API server, that the keys of its issuer cannot be fetched.</summary>
public sealed class IssuerKeyStatusTests(RunningApiServer server) : IClassFixture<RunningApiServer>
{
    private const string Path = "/apis/security.istio.io/v1/namespaces/shop/requestauthentications";

    private static readonly ResourceKind Resource = MeshApi.RequestAuthentication.Resource;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_status_says_so_for_as_long_as_it_is_true()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        using var client = new KubeClient(server.Access);
        var isAway = true;
        await using var issuer = await OriginServer.StartAsync(HttpProtocols.Http1, context =>
        {
            if (Volatile.Read(ref isAway)) context.Response.StatusCode = 503;
            return context.Response.WriteAsync("""{"keys": [{"kty": "oct", "k": "Zmlyc3Qgc2VjcmV0IGZpcnN0IHNlY3JldA"}]}""");
        });
        var spec = $$"""{"jwtRules": [{"issuer": "bank", "jwksUri": "http://127.0.0.1:{{issuer.Port}}/keys"}]}""";
        await StoreAsync(client, spec);
        var rig = new MeshRig("c1");
        rig.App("c1", "orders", "10.96.0.10", "10.244.0.1");
        rig.Config($"apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: bank, namespace: shop}}\nspec: {spec}\n");
        rig.Sidecar("c1", "orders-10.244.0.1", "10.244.0.1");
        rig.Push();

        var engine = new PushEngine(rig.Writer, PushSettings.Default, TimeProvider.System, NullLogger<PushEngine>.Instance);
        using var fetcher = new KeyClient(_ => true);
        var keys = new IssuerKeys(engine, fetcher, TimeProvider.System, NullLogger<IssuerKeys>.Instance);
        var status = new IssuerKeyStatus(client, "c1", engine, keys, TimeProvider.System, NullLogger.Instance);
        var running = Task.WhenAll(engine.RunAsync(stop.Token), keys.RunAsync(stop.Token), status.RunAsync(stop.Token));
        await engine.MarkReadyAsync(Stop);
        await UntilAsync(client, text => text.StartsWith("KeysFetched False KeysUnavailable ISM1466 spec.jwtRules[0].jwksUri: ", StringComparison.Ordinal)
            && text.Contains("status 503", StringComparison.Ordinal));
        Volatile.Write(ref isAway, false);
        await UntilAsync(client, text => text.Length == 0);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    private static Task UntilAsync(KubeClient client, Func<string, bool> wanted, [CallerArgumentExpression(nameof(wanted))] string what = "") =>
        Eventually.TrueAsync(async () =>
        {
            var item = (await client.FindAsync(Resource, "shop", "bank", Stop))!;
            return wanted(string.Join('\n', (item["status"]?["conditions"]?.AsArray() ?? [])
                .Select(condition => $"{condition!["type"]} {condition["status"]} {condition["reason"]} {condition["message"]}")));
        }, what);

    private async Task StoreAsync(KubeClient client, string spec)
    {
        foreach (var (kind, item) in ((ResourceKind, JsonObject)[])[(Kinds.CustomResourceDefinition, IstioCrds.Of(MeshApi.RequestAuthentication)),
            (Kinds.Namespace, JsonNode.Parse("""{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"} }""")!.AsObject())])
            await client.CreateAsync(kind, item, Stop);
        // The kind is served a moment later.
        await Eventually.TrueAsync(async () => (await server.SendAsync("POST", Path,
            $$"""{"apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication", "metadata": {"name": "bank"}, "spec": {{spec}} }""")).Code != 404);
    }
}
