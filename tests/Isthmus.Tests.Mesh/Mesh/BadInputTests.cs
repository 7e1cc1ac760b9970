using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Tests.Mesh.Lab;
using Xunit;

namespace Isthmus.Tests.Mesh.Mesh;

/// <summary>Mistakes that users make when they join clusters. Each is reported with its object and a remedy, and disappears
/// when it is undone.</summary>
[Collection(nameof(SharedMesh))]
[Trait("shard", nameof(SharedMesh))]
public sealed class BadInputTests(MeshRig mesh)
{
    private const string Gateway = "service istio-eastwestgateway", Network = "topology.istio.io/network", Remote = "istio-remote-secret-cluster2";

    [Fact]
    public async Task Labels_that_do_not_fit_are_named()
    {
        await ExpectAsync($"label namespace istio-system {Network}=elsewhere --overwrite", "ISM1017", "Namespace istio-system in cluster2", $"{Network}=network2", $"label namespace istio-system {Network}=network2 --overwrite");
        await ExpectAsync($"label namespace istio-system {Network}-", "ISM1013", "Namespace istio-system in cluster2", $"{Network}=network2", $"label namespace istio-system {Network}=network2");
        await ExpectAsync($"-n istio-system label {Gateway} {Network}-", "ISM1014", "cluster cluster2", "gen-eastwest-gateway.sh --network network2", $"-n istio-system label {Gateway} {Network}=network2");
        // The clusters of the quickstart have the same ranges, which is correct while they are on separate networks.
        await mesh.KubectlAsync("cluster2", $"label namespace istio-system {Network}=network1 --overwrite");
        await ExpectAsync($"-n istio-system label {Gateway} {Network}=network1 --overwrite", "ISM1030", "cluster cluster2", "ranges that do not overlap", $"-n istio-system label {Gateway} {Network}=network2 --overwrite");
        await mesh.KubectlAsync("cluster2", $"label namespace istio-system {Network}=network2 --overwrite");
        await InOrderAsync();
    }

    [Fact]
    public async Task Remote_secrets_that_lead_nowhere_are_named_and_change_nothing()
    {
        var lab = await mesh.LabAsync();
        var secret = JsonNode.Parse(await mesh.KubectlAsync("cluster1", $"-n istio-system get secret {Remote} -o json"))!.AsObject();
        await ChangeAsync(secret, text => Regex.Replace(text, "server: .*", "server: https://127.0.0.1:6443"));
        await ToldAsync("ISM1027", $"Secret istio-system/{Remote} in cluster1", "--server=https://ADDRESS:6443");
        // Nobody signed this certificate, and it expired in 2023.
        await ChangeAsync(secret, text => Regex.Replace(text, "token: .*", $"token: {Part("""{"alg":"none"}""")}.{Part("""{"exp":1700000000}""")}.x"));
        await ToldAsync("ISM1023", $"Secret istio-system/{Remote} in cluster1", "create-remote-secret --context=cluster2 --name=cluster2");
        var listed = await MeshRig.UntilAsync(async () => (await lab.IsthmusAsync("remote-clusters", "--context=cluster1")).Output, text => text.Contains("rejects the token", StringComparison.Ordinal), "the list of clusters tells of the token");
        Assert.Contains("the previous ones stay in effect", listed, StringComparison.Ordinal);
        await ChangeAsync(secret, text => text);

        await ChangeAsync(secret, text => text, "another");
        await ToldAsync("ISM1024", $"Secret istio-system/{Remote} in cluster1", "delete one of them");
        await mesh.KubectlAsync("cluster1", "-n istio-system delete secret another");
        await InOrderAsync();
    }

    [Fact]
    public async Task Clusters_of_different_meshes_and_trust_domains_are_told_apart()
    {
        var settings = JsonNode.Parse(await mesh.KubectlAsync("cluster2", "-n istio-system get configmap istio -o json"))!.AsObject();
        var text = settings["data"]!["mesh"]!.ToString();
        async Task SetAsync(string changed)
        {
            settings["data"]!["mesh"] = changed;
            await ApplyAsync("cluster2", settings, "istio");
        }
        await SetAsync(Regex.Replace(text, "meshId: .*", "meshId: another"));
        await ToldAsync("ISM1012", "cluster cluster2", "values.global.meshID");
        await SetAsync($"{Regex.Replace(text, "trustDomain: .*", "")}\ntrustDomain: another.example\n");
        await ToldAsync("ISM1011", "cluster cluster2", "trustDomainAliases");
        await SetAsync(text);
        await InOrderAsync();
    }

    [Fact]
    [Trait("runs", "soak")]
    public async Task A_path_that_is_cut_between_networks_is_told_from_configuration_that_is_wrong()
    {
        var lab = await mesh.LabAsync();
        var faults = new FaultRig(mesh, lab);
        Task<Outcome> TraceAsync() => lab.IsthmusAsync("trace", "deploy/sleep.sample", "helloworld.sample:5000/hello", "--context=cluster1", "--timeout=2s");
        await mesh.KubectlAsync("cluster1", "-n sample scale deployment/helloworld-v1 --replicas=0");
        await MeshRig.UntilAsync(async () => (await TraceAsync()).Output, text => text.Contains("✔ The call gets through", StringComparison.Ordinal), "the caller is served by the other cluster");
        await faults.CutAsync("cluster1", "cluster2");
        try
        {
            var found = await MeshRig.UntilAsync(async () => (await TraceAsync()).Output, text => text.Contains("(ISM2076)", StringComparison.Ordinal), "the path is named");
            Assert.Contains("object  network2 through gateway", found, StringComparison.Ordinal);
        }
        finally
        {
            await faults.HealAsync("cluster1");
            await mesh.KubectlAsync("cluster1", "-n sample scale deployment/helloworld-v1 --replicas=1");
        }
    }

    /// <summary>One mistake in cluster2: it is reported, and nothing of it remains when it is undone.</summary>
    private async Task ExpectAsync(string mistake, string code, string @object, string remedy, string mend)
    {
        await mesh.KubectlAsync("cluster2", mistake);
        await ToldAsync(code, @object, remedy);
        await mesh.KubectlAsync("cluster2", mend);
    }

    private async Task ToldAsync(string code, string @object, string remedy) => await MeshRig.UntilAsync(VerifyAsync,
        text => text.Split('\n').Any(line => line.StartsWith($"{code} {@object}: ", StringComparison.Ordinal) && line.Contains(remedy, StringComparison.Ordinal)), $"{code} at {@object} with the remedy {remedy}");

    private Task InOrderAsync() => MeshRig.UntilAsync(VerifyAsync, text => text.Length == 0, "nothing is wrong any more");

    private async Task<string> VerifyAsync()
    {
        var kubeconfig = (await mesh.LabAsync()).Kubeconfig;
        var reader = new MeshFactsReader("istio-system");
        var facts = await Task.WhenAll(MeshRig.Clusters.Select(context => reader.ReadAsync(context, KubeConfig.Load(kubeconfig, context, _ => null), TestContext.Current.CancellationToken)));
        return string.Join('\n', MeshVerification.Run(facts, TimeProvider.System.GetUtcNow()).Select(check => check.Problem).Where(problem => problem is { Severity: Core.Problems.Severity.Error }).Select(problem => $"{problem!.Code} {problem}"));
    }

    private Task ChangeAsync(JsonObject secret, Func<string, string> change, string name = Remote)
    {
        var copy = (JsonObject)secret.DeepClone();
        copy["data"]!["cluster2"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(change(Encoding.UTF8.GetString(Convert.FromBase64String(secret["data"]!["cluster2"]!.ToString())))));
        return ApplyAsync("cluster1", copy, name);
    }

    private Task ApplyAsync(string cluster, JsonObject value, string name)
    {
        var copy = (JsonObject)value.DeepClone();
        var metadata = (JsonObject)copy["metadata"]!;
        foreach (var field in (string[])["resourceVersion", "uid", "creationTimestamp", "managedFields"]) metadata.Remove(field);
        metadata["name"] = name;
        return mesh.WithFileAsync(copy.ToJsonString(), path => mesh.KubectlAsync(cluster, $"apply -f {path}"));
    }

    private static string Part(string json) => Convert.ToBase64String(Encoding.UTF8.GetBytes(json)).TrimEnd('=').Replace('+', '-').Replace('/', '_');
}
