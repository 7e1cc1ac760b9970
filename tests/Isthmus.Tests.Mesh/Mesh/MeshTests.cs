using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Mesh.Mesh;

/// <summary>What makes two clusters one mesh: calls continue whatever is restarted, and any service works, not only the
/// quickstart's.</summary>
[Collection(nameof(SharedMesh))]
[Trait("shard", nameof(SharedMesh))]
public sealed class MeshTests(MeshRig mesh)
{
    [Fact]
    public async Task No_request_is_lost_while_parts_of_the_mesh_come_and_go()
    {
        await using var load = new SteadyLoad(await mesh.LabAsync());
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, TimeSpan.Zero, "v1", "v2");

        await CauseAsync(load, "cluster2", "-n sample scale deployment/helloworld-v2 --replicas=0", ("cluster1", ["v1"]), ("cluster2", ["v1"]));
        await CauseAsync(load, "cluster2", "-n sample scale deployment/helloworld-v2 --replicas=1", ("cluster1", ["v1", "v2"]), ("cluster2", ["v1", "v2"]));

        await RestartAsync("cluster2", "istio-system", "istio-eastwestgateway");

        var secret = JsonNode.Parse(await mesh.KubectlAsync("cluster1", "-n istio-system get secret istio-remote-secret-cluster2 -o json"))!;
        foreach (var field in (string[])["resourceVersion", "uid", "creationTimestamp"]) secret["metadata"]!.AsObject().Remove(field);
        await CauseAsync(load, "cluster1", "-n istio-system delete secret istio-remote-secret-cluster2", ("cluster1", ["v1"]), ("cluster2", ["v1", "v2"]));
        await mesh.WithFileAsync(secret.ToJsonString(), path => CauseAsync(load, "cluster1", $"create -f {path}", ("cluster1", ["v1", "v2"]), ("cluster2", ["v1", "v2"])));

        await RestartAsync("cluster1", "sample", "helloworld-v1");
        await RestartAsync("cluster2", "sample", "helloworld-v2");
        AllAnswered(await load.FinishAsync(2000));
    }

    [Fact]
    public async Task Each_cluster_goes_on_alone_when_both_gateways_are_gone()
    {
        await using var load = new SteadyLoad(await mesh.LabAsync());
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, TimeSpan.Zero, "v1", "v2");
        await Task.WhenAll(MeshRig.Clusters.Select(cluster => mesh.KubectlAsync(cluster, "-n istio-system scale deployment/istio-eastwestgateway --replicas=0")));
        await load.UntilHeardAsync("cluster1", load.Now, "v1");
        await load.UntilHeardAsync("cluster2", load.Now, "v2");
        await Task.WhenAll(MeshRig.Clusters.Select(cluster => mesh.KubectlAsync(cluster, "-n istio-system scale deployment/istio-eastwestgateway --replicas=1")));
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, load.Now, "v1", "v2");
        AllAnswered(await load.FinishAsync(0));
    }

    [Fact]
    public async Task A_primary_moves_to_another_revision_and_back_without_losing_a_request()
    {
        const string revision = """
            apiVersion: install.istio.io/v1alpha1
            kind: IstioOperator
            spec: {profile: minimal, revision: canary, values: {global: {meshID: mesh1, network: network1, multiCluster: {clusterName: cluster1}}}}
            """;
        var lab = await mesh.LabAsync();
        await using var load = new SteadyLoad(lab);
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, TimeSpan.Zero, "v1", "v2");
        await mesh.WithFileAsync(revision, async path => (await lab.IsthmusAsync("install", "--context=cluster1", "-y", "-f", path)).Expect(0));
        (await lab.IsthmusAsync("tag", "set", "next", "--revision", "canary", "--context=cluster1")).Expect(0);
        await MoveAsync("canary", "-n sample label --overwrite namespace sample istio-injection- istio.io/rev=next");
        await MoveAsync("default", "-n sample label --overwrite namespace sample istio-injection=enabled istio.io/rev-");
        var gone = (await lab.IsthmusAsync("uninstall", "--revision", "canary", "-y", "--context=cluster1")).Expect(0);
        Assert.Contains("Removed MutatingWebhookConfiguration istio-revision-tag-next.", gone);
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, load.Now, "v1", "v2");
        AllAnswered(await load.FinishAsync(0));
    }

    /// <summary>A service and the gateway of cluster1 restart with proxies of another control plane.</summary>
    private async Task MoveAsync(string revision, string label)
    {
        await mesh.KubectlAsync("cluster1", label);
        await RestartAsync("cluster1", "sample", "helloworld-v1");
        var rev = $$"""{"spec":{"template":{"metadata":{"labels":{"istio.io/rev":"{{revision}}"} } } } }""".Replace(" ", "", StringComparison.Ordinal);
        await mesh.KubectlAsync("cluster1", $"-n istio-system patch deployment istio-eastwestgateway -p {rev}");
        await mesh.KubectlAsync("cluster1", "-n istio-system rollout status deployment/istio-eastwestgateway --timeout=90s");
        var lab = await mesh.LabAsync();
        await MeshRig.UntilAsync(async () => (await lab.IsthmusAsync("proxy-status", "--context=cluster1")).Expect(0), text =>
        {
            // Terminating proxies stay connected to their old control plane until they end.
            var moved = text.Split('\n').Where(line => line.StartsWith("helloworld-v1-", StringComparison.Ordinal) || line.StartsWith("istio-eastwestgateway-", StringComparison.Ordinal)).ToList();
            return moved.Count == 2 && moved.TrueForAll(line => line.Contains("istiod-canary-", StringComparison.Ordinal) == (revision == "canary"));
        }, $"the proxies ask revision {revision}");
    }

    [Fact]
    public async Task What_the_quickstart_deployed_can_be_applied_again_by_hand()
    {
        var lab = await mesh.LabAsync();
        var applied = await lab.KubectlAsync("--context=cluster1", "apply", "-n", "sample", "-f", Sample("sleep/sleep.yaml"));
        Assert.Contains("deployment.apps/sleep ", applied.Expect(0), StringComparison.Ordinal);
        Assert.Empty(applied.Errors);
    }

    [Fact]
    public async Task An_injected_Pod_counts_with_its_sidecar_and_tells_its_story_in_order()
    {
        await mesh.LabAsync();
        // The sidecar has requests and limits, the application has none.
        Assert.Equal("Burstable", await mesh.KubectlAsync("cluster1", "-n sample get pods -l app=sleep -o jsonpath={.items[0].status.qosClass}"));
        var pod = await mesh.KubectlAsync("cluster1", "-n sample get pods -l app=sleep -o jsonpath={.items[0].metadata.name}");
        var story = await mesh.KubectlAsync("cluster1", $"-n sample get events --field-selector involvedObject.name={pod},source=kubelet -o jsonpath={{.items[*].reason}}");
        Assert.Equal([.. Enumerable.Repeat((string[])["Pulled", "Created", "Started"], 3).SelectMany(part => part)], story.Split(' ').Where(reason => reason is "Pulled" or "Created" or "Started"));
    }

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
            text => Instances(text) == 2, "both replicas of billing answer");
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
        var status = "-sS -m 5 -o /dev/null -w %{http_code} mirror.shop:8000/headers";
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
        var (trace, answers) = await MeshTrace.RunAsync(await mesh.LabAsync(), async () =>
            await AskAsync("curl -sS -m 5 mirror.shop:8000/headers; exec 3<>/dev/tcp/wire.shop/7001; echo one >&3; timeout 5 head -1 <&3"));
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

    private static void AllAnswered(IReadOnlyList<LoadAnswer> answers)
    {
        var failed = answers.Where(answer => answer.Code != 200).ToList();
        Assert.True(failed.Count == 0, $"{failed.Count} of {answers.Count} failed, the first: {string.Join('\n', failed.Take(5))}");
        MeshRig.Note($"{answers.Count} answers, all 200");
    }

    private async Task CauseAsync(SteadyLoad load, string cluster, string words, params (string Cluster, string[] Versions)[] effects)
    {
        var cause = load.Now;
        await mesh.KubectlAsync(cluster, words);
        foreach (var (heardIn, versions) in effects)
            MeshRig.Note($"{words}: {heardIn} hears {string.Join(" and ", versions)} after {MeshRig.Seconds(await load.UntilHeardAsync(heardIn, cause, versions))}");
    }

    private static string Sample(string name, [CallerFilePath] string path = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, "../../../samples", name));

    private async Task RestartAsync(string cluster, string ns, string name)
    {
        await mesh.KubectlAsync(cluster, $"-n {ns} rollout restart deployment/{name}");
        await mesh.KubectlAsync(cluster, $"-n {ns} rollout status deployment/{name} --timeout=90s");
    }
}
