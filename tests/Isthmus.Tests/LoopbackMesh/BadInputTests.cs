using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>Mistakes that users make when they join clusters. Each is reported with its object and a remedy, and disappears
/// when it is undone.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class BadInputTests(LoopbackMeshRig mesh)
{
    private const string Gateway = "istio-eastwestgateway", Network = "topology.istio.io/network", Remote = "istio-remote-secret-cluster2",
        System = "istio-system";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Labels_that_do_not_fit_are_named()
    {
        await NetworkAsync("elsewhere");
        await ToldAsync("ISM1017", "Namespace istio-system in cluster2", $"{Network}=network2");
        await NetworkAsync(null);
        await ToldAsync("ISM1013", "Namespace istio-system in cluster2", $"{Network}=network2");
        await NetworkAsync("network2");
        await GatewayAsync(null);
        await ToldAsync("ISM1014", "cluster cluster2", "gen-eastwest-gateway.sh --network network2");
        // The clusters have the same ranges, which is correct while they are on separate networks.
        await NetworkAsync("network1");
        await GatewayAsync("network1");
        await ToldAsync("ISM1030", "cluster cluster2", "ranges that do not overlap");
        await GatewayAsync("network2");
        await NetworkAsync("network2");
        await InOrderAsync();
    }

    [Fact]
    public async Task Remote_secrets_that_lead_nowhere_are_named_and_change_nothing()
    {
        var secret = await mesh.Client("cluster1").GetAsync(Kinds.Secret, System, Remote, Stop);
        await ChangeAsync(secret, text => Regex.Replace(text, "server: .*", "server: https://127.0.0.1:6443"));
        await ToldAsync("ISM1027", $"Secret istio-system/{Remote} in cluster1", "--server=https://ADDRESS:6443");
        // Nobody signed this certificate, and it expired in 2023.
        await ChangeAsync(secret, text => Regex.Replace(text, "token: .*", $"token: {Part("""{"alg":"none"}""")}.{Part("""{"exp":1700000000}""")}.x"));
        await ToldAsync("ISM1023", $"Secret istio-system/{Remote} in cluster1", "create-remote-secret --context=cluster2 --name=cluster2");
        var listed = await mesh.UntilAsync(() => mesh.WatchedAsync("cluster1"), text => text.Contains("rejects the token", StringComparison.Ordinal),
            "the list of clusters tells of the token");
        Assert.Contains("the previous ones stay in effect", listed, StringComparison.Ordinal);
        await ChangeAsync(secret, text => text);

        await ChangeAsync(secret, text => text, "another");
        await ToldAsync("ISM1024", $"Secret istio-system/{Remote} in cluster1", "delete one of them");
        await mesh.Client("cluster1").DeleteAsync(Kinds.Secret, System, "another", Stop);
        await InOrderAsync();

        // A Secret keeps the keys that it has.
        await mesh.Client("cluster1").DeleteAsync(Kinds.Secret, System, Remote, Stop);
        await ChangeAsync(secret, text => text, cluster: "elsewhere");
        await ToldAsync("ISM1026", $"Secret istio-system/{Remote} in cluster1", "--name=cluster2");
        await mesh.Client("cluster1").DeleteAsync(Kinds.Secret, System, Remote, Stop);
        await ChangeAsync(secret, text => text);
        await InOrderAsync();
    }

    /// <summary>Open watches go on for minutes after that.</summary>
    [Fact]
    public async Task An_account_that_may_not_read_its_cluster_any_more_is_told_at_once()
    {
        const string name = "istio-reader-clusterrole-istio-system";
        var (kind, client) = (new ResourceKind("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false), mesh.Client("cluster2"));
        var binding = await client.GetAsync(kind, null, name, Stop);
        await client.DeleteAsync(kind, null, name, Stop);
        try
        {
            await ToldAsync("ISM1020", $"Secret istio-system/{Remote} in cluster1",
                "create-remote-secret --context=cluster2 --name=cluster2 --restore-permissions");
            Assert.Contains("cannot list", await VerifyAsync(), StringComparison.Ordinal);
        }
        finally
        {
            await client.CreateAsync(kind, null, LoopbackMeshRig.Anew(binding), Stop);
        }
        await InOrderAsync();
    }

    [Fact]
    public async Task Clusters_of_different_meshes_and_trust_domains_are_told_apart()
    {
        var settings = await mesh.Client("cluster2").GetAsync(Kinds.ConfigMap, System, "istio", Stop);
        var text = settings["data"]!["mesh"]!.ToString();
        Task SetAsync(string changed) =>
            mesh.PatchAsync("cluster2", Kinds.ConfigMap, System, "istio", new() { ["data"] = new JsonObject { ["mesh"] = changed } });
        await SetAsync(Regex.Replace(text, "meshId: .*", "meshId: another"));
        await ToldAsync("ISM1012", "cluster cluster2", "values.global.meshID");
        await SetAsync($"{Regex.Replace(text, "trustDomain: .*", "")}\ntrustDomain: another.example\n");
        await ToldAsync("ISM1011", "cluster cluster2", "trustDomainAliases");
        await SetAsync(text);
        await InOrderAsync();
    }

    private Task NetworkAsync(string? name) => mesh.LabelAsync("cluster2", Kinds.Namespace, null, System, Network, name);

    private Task GatewayAsync(string? network) => mesh.LabelAsync("cluster2", Kinds.Service, System, Gateway, Network, network);

    private Task ToldAsync(string code, string @object, string remedy) => mesh.UntilAsync(VerifyAsync,
        text => text.Split('\n')
            .Any(line => line.StartsWith($"{code} {@object}: ", StringComparison.Ordinal) && line.Contains(remedy, StringComparison.Ordinal)),
        $"{code} at {@object} with the remedy {remedy}");

    private Task InOrderAsync() => mesh.UntilAsync(VerifyAsync, text => text.Length == 0, "nothing is wrong any more");

    /// <summary>What is wrong between the clusters: the services that others test have faults of their own.</summary>
    private async Task<string> VerifyAsync() =>
        string.Join('\n',
            (await mesh.VerifyAsync()).Where(problem => problem.Severity == Severity.Error && problem.Code.StartsWith("ISM10", StringComparison.Ordinal))
                .Select(problem => $"{problem.Code} {problem}"));

    /// <param name="cluster">The name by which the Secret calls the cluster.</param>
    private Task ChangeAsync(JsonObject secret, Func<string, string> change, string name = Remote, string cluster = "cluster2")
    {
        var copy = LoopbackMeshRig.Anew(secret);
        copy["metadata"]!["name"] = name;
        copy["data"] = new JsonObject
        {
            [cluster] = Convert.ToBase64String(
                Encoding.UTF8.GetBytes(change(Encoding.UTF8.GetString(Convert.FromBase64String(secret["data"]!["cluster2"]!.ToString())))))
        };
        return mesh.Client("cluster1").ApplyAsync(Kinds.Secret, copy, Stop);
    }

    private static string Part(string json) => Convert.ToBase64String(Encoding.UTF8.GetBytes(json)).TrimEnd('=').Replace('+', '-').Replace('/', '_');
}
