using Isthmus.Tests.Mesh.Faults;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Installation;

/// <summary>Upgrades while both clusters call each other (docs/install/upgrade.md). Every tag of the lab is the same program: the Pods are replaced.</summary>
public sealed class UpgradeTests(MeshRig mesh) : IClassFixture<MeshRig>
{
    private const string Home = "istio-system";

    [Fact]
    [Trait("runs", "soak")]
    public async Task No_call_is_lost_in_place_by_revision_and_back()
    {
        var lab = await mesh.LabAsync();
        var root = await RootAsync();
        await using var load = new SteadyLoad(lab);
        await HeardAsync(load);
        foreach (var tag in (string[])["0.2.0", "0.1.0"])
        {
            foreach (var cluster in MeshRig.Clusters)
            {
                var upgraded = (await lab.IsthmusAsync(["upgrade", $"--context={cluster}", "-y", .. Flags(cluster, tag)])).Expect(0);
                Assert.Contains($"by isthmus.internal/isthmus:{tag}.", upgraded, StringComparison.Ordinal);
                await RestartAsync(cluster, $"-n {Home} rollout restart deployment/istio-eastwestgateway");
                await RestartAsync(cluster, $"-n sample rollout restart deployment/{Callee(cluster)}");
                Assert.Contains($"isthmus:{tag}", await mesh.KubectlAsync(cluster, $"-n sample get pods -l app=helloworld -o jsonpath={{..image}}"),
                    StringComparison.Ordinal);
            }
            await HeardAsync(load);
        }
        foreach (var (tag, revision) in ((string, string)[])[("0.3.0", "next"), ("", "default")])
        {
            foreach (var cluster in MeshRig.Clusters)
            {
                if (tag.Length > 0)
                    (await lab.IsthmusAsync(["install", $"--context={cluster}", "-y", "--revision", revision, .. Flags(cluster, tag)])).Expect(0);
                await mesh.KubectlAsync(cluster,
                    tag.Length > 0
                        ? $"label namespace sample istio-injection- istio.io/rev={revision}"
                        : "label namespace sample istio.io/rev- istio-injection=enabled");
                var patch = $$"""{"spec":{"template":{"metadata":{"labels":{"istio.io/rev":"{{revision}}"} } } } }""".Replace(" ", "",
                    StringComparison.Ordinal);
                await RestartAsync(cluster, $"-n {Home} patch deployment/istio-eastwestgateway -p {patch}");
                await RestartAsync(cluster, $"-n sample rollout restart deployment/{Callee(cluster)}");
                // The proxy of the Pod that ends is listed for a moment.
                await MeshRig.UntilAsync(async () => (await lab.IsthmusAsync("proxy-status", $"--context={cluster}")).Expect(0),
                    table => Rows(table, Callee(cluster)) is [var row] && row.Contains("istiod-next-", StringComparison.Ordinal) == (revision == "next"),
                    $"{Callee(cluster)} asks revision {revision}");
                if (tag.Length == 0) (await lab.IsthmusAsync("uninstall", "--revision", "next", "-y", $"--context={cluster}")).Expect(0);
            }
            await HeardAsync(load);
        }
        var answers = await load.FinishAsync(0);
        var failed = answers.Where(answer => answer.Code != 200).ToList();
        MeshRig.Note($"{answers.Count} answers, {failed.Count} of them not 200");
        Assert.True(failed.Count == 0, $"{failed.Count} of {answers.Count} failed: {string.Join('\n', failed.Take(5))}");
        Assert.Equal(root, await RootAsync());
    }

    private Task<string> RootAsync() => mesh.KubectlAsync("cluster1", "-n sample get configmap istio-ca-root-cert -o jsonpath={.data}");

    private static async Task HeardAsync(SteadyLoad load)
    {
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, load.Now, "v1", "v2");
    }

    private static string[] Flags(string cluster, string tag)
    {
        string[] settings = ["profile=minimal", "values.global.meshID=mesh1", $"values.global.network=network{cluster[^1]}",
            $"values.global.multiCluster.clusterName={cluster}", $"tag={tag}"];
        return [.. settings.SelectMany(setting => (string[])["--set", setting])];
    }

    private async Task RestartAsync(string cluster, string command)
    {
        await mesh.KubectlAsync(cluster, command);
        var words = command.Split(' ');
        await mesh.KubectlAsync(cluster,
            $"-n {words[1]} rollout status {words.First(word => word.StartsWith("deployment/", StringComparison.Ordinal))} --timeout=90s");
    }

    private static string Callee(string cluster) => $"helloworld-v{cluster[^1]}";

    private static List<string> Rows(string table, string name) => [.. table.Split('\n').Where(line => line.StartsWith($"{name}-", StringComparison.Ordinal))];
}
