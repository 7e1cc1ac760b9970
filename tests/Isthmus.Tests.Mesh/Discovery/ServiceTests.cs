using System.Text.Json.Nodes;
using Isthmus.Testing;
using Isthmus.Tests.Mesh.Gateways;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Discovery;

/// <summary>Any service works across clusters, not only the quickstart's.</summary>
[Collection(nameof(PlacedMesh))]
[Trait("shard", nameof(PlacedMesh))]
public sealed class ServiceTests(PlacedMeshRig mesh)
{
    [Fact]
    public async Task Services_of_other_names_ports_and_protocols_answer_across_clusters()
    {
        await ShopAsync();
        // One address, two services: HTTP and raw TCP follow the name.
        await HearsAsync("curl -sS -m 5 ledger.shop:8085/hello", "version: ledger,");
        await HearsAsync("curl -sS -m 5 billing.shop:8085/hello", "version: billing,");
        await HearsAsync("exec 3<>/dev/tcp/ledger.shop/7085; timeout 5 cat <&3", "ledger speaks");
        await HearsAsync("exec 3<>/dev/tcp/billing.shop/7085; timeout 5 cat <&3", "billing speaks");
        // Several ports; on two of them the client speaks first, on one the server.
        await HearsAsync("exec 3<>/dev/tcp/wire.shop/7001; echo one >&3; timeout 5 head -1 <&3", "from-cluster2 one");
        await HearsAsync("exec 3<>/dev/tcp/wire.shop/7002; echo two >&3; timeout 5 head -1 <&3", "from-cluster2 two");
        await HearsAsync("exec 3<>/dev/tcp/wire.shop/7003; timeout 5 cat <&3", "from-cluster2");
        await HearsAsync("curl -skv -m 5 https://vault.shop/ 2>&1", "subject: CN=vault-of-cluster2");
        // Several replicas behind one gateway address.
        var answers = await MeshRig.UntilAsync(() => AskAsync("for i in $(seq 20); do curl -sS -m 5 billing.shop:8085/hello; done"),
            text => Instances(text) == 2 && text.Split("version: billing,").Length == 21, "both replicas of billing answer, 20 times together");
        Assert.Equal(20, answers.Split("version: billing,").Length - 1);
    }

    [Fact]
    public async Task The_callee_in_the_other_cluster_sees_who_calls()
    {
        await ShopAsync();
        var seen = await HearsAsync("curl -sS -m 5 mirror.shop:8000/headers", "X-Forwarded-Client-Cert");
        var identity = JsonNode.Parse(seen)!["headers"]!["X-Forwarded-Client-Cert"]!.ToString();
        Assert.Contains("URI=spiffe://cluster.local/ns/shop/sa/buyer", identity);
        Assert.Contains("By=spiffe://cluster.local/ns/shop/sa/default", identity);
    }

    [Fact]
    public async Task The_callees_cluster_decides_who_of_another_cluster_may_call()
    {
        await ShopAsync();
        using var bank = new TokenMint();
        var token = bank.Sign(new() { ["iss"] = "bank", ["sub"] = "ann" });
        var status = "-sS -m 30 -o /dev/null -w %{http_code} mirror.shop:8000/headers";
        await HearsAsync($"curl {status}", "200");
        await mesh.WithFileAsync(Policy("cluster.local/ns/shop/sa/nobody", ""), path => mesh.KubectlAsync("cluster2", $"apply -f {path}"));
        await HearsAsync("curl -sS -m 5 mirror.shop:8000/headers", "RBAC: access denied");
        await HearsAsync("exec 3<>/dev/tcp/wire.shop/7001; echo one >&3; timeout 5 head -1 <&3", "from-cluster2 one"); // It selects one workload.

        await mesh.WithFileAsync(Policy("cluster.local/ns/shop/sa/buyer", bank.Keys), path => mesh.KubectlAsync("cluster2", $"apply -f {path}"));
        await HearsAsync($"curl {status} -H 'authorization: Bearer {token}'", "200");
        Assert.Equal("403", await AskAsync($"curl {status}"));
        Assert.Equal("401", await AskAsync($"curl {status} -H 'authorization: Bearer {token[..^8]}AAAAAAAA'"));
        await mesh.KubectlAsync("cluster2", "-n shop delete authorizationpolicy/mirror requestauthentication/mirror");
        await HearsAsync($"curl {status}", "200");
    }

    /// <summary>Only the principal may call the mirror and, if there are keys, only with a token.</summary>
    private static string Policy(string principal, string keys) => $$"""
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: mirror, namespace: shop}
        spec:
          selector: {matchLabels: {app: mirror} }
          rules: [{from: [{source: {principals: ['{{principal}}']{{(keys.Length > 0 ? ", requestPrincipals: [bank/ann]" : "")}} } }] }]
        ---
        apiVersion: security.istio.io/v1
        kind: RequestAuthentication
        metadata: {name: mirror, namespace: shop}
        spec:
          selector: {matchLabels: {app: mirror} }
          jwtRules: [{issuer: bank, jwks: '{{(keys.Length > 0 ? keys : """{"keys":[]}""")}}'}]
        """;

    [Fact]
    public async Task Only_TLS_passes_between_the_networks()
    {
        await ShopAsync();
        await HearsAsync("curl -sS -m 5 mirror.shop:8000/headers", "X-Forwarded-Client-Cert");
        await HearsAsync("exec 3<>/dev/tcp/wire.shop/7001; echo one >&3; timeout 5 head -1 <&3", "from-cluster2 one");
        var (trace, answers) = await MeshTrace.RunAsync(await mesh.LabAsync(), async () =>
            await AskAsync("curl -sS -m 30 mirror.shop:8000/headers; exec 3<>/dev/tcp/wire.shop/7001; echo one >&3; timeout 30 head -1 <&3"));
        Assert.Contains("X-Forwarded-Client-Cert", answers);
        Assert.Contains("from-cluster2 one", answers);
        Assert.True(trace.Payloads > 0, "nothing passed between the networks at port 15443");
        Assert.True(trace.NotTls.Count == 0, $"not TLS: {string.Join('\n', trace.NotTls.Take(5))}");
        MeshRig.Note($"{trace.Flows} flows, {trace.Payloads} payloads");
    }

    private async Task ShopAsync()
    {
        foreach (var cluster in MeshRig.Clusters) await mesh.ApplyAsync(cluster, "services.yaml");
        foreach (var cluster in MeshRig.Clusters) await mesh.ReadyAsync(cluster, "shop");
    }

    /// <summary>The answer that the buyer in cluster1 gets.</summary>
    private Task<string> AskAsync(string script) => mesh.ScriptAsync("cluster1", "shop", "deploy/buyer", "client", $"{script}; true");

    private Task<string> HearsAsync(string script, string words) =>
        MeshRig.UntilAsync(() => AskAsync(script), text => text.Contains(words, StringComparison.Ordinal), $"'{words}' from: {script}");

    private static int Instances(string text) => text.Split("instance: ").Skip(1).Select(rest => rest.Split('\n')[0]).Distinct().Count();
}
