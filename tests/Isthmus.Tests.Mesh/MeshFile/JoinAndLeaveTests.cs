using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Tests.Mesh.Faults;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>A third cluster joins two whose callers never stop, and leaves them again, with the file and the commands of
/// docs/mesh-file.md.</summary>
public sealed class JoinAndLeaveTests(MeshRig mesh) : IClassFixture<MeshRig>
{
    private const string Newcomer = "cluster3";

    /// <summary>The service that the other clusters have too, and a caller next to it.</summary>
    private const string Workload = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: sample, labels: {istio-injection: enabled}}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: helloworld, namespace: sample, labels: {app: helloworld}}
        spec: {selector: {app: helloworld}, ports: [{name: http, port: 5000}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: helloworld-v3, namespace: sample}
        spec:
          selector: {matchLabels: {app: helloworld, version: v3}}
          template:
            metadata: {labels: {app: helloworld, version: v3}}
            spec:
              terminationGracePeriodSeconds: 5
              containers:
              - {name: web, image: docker.io/istio/examples-helloworld-v1:1.0, env: [{name: SERVICE_VERSION, value: v3}]}
              - {name: sleep, image: host.lab.internal/rootfs, command: [sleep, infinity]}
        """;

    [Fact]
    [Trait("runs", "soak")]
    public async Task A_cluster_joins_and_leaves_while_callers_are_answered_and_leaves_nothing_behind()
    {
        var lab = await mesh.LabAsync();
        var faults = new FaultRig(mesh, lab);
        var two = Path.Combine(lab.Home.Mesh, "mesh.yaml");
        var three = await WithNewcomerAsync(two);
        await using var load = new SteadyLoad(lab);
        await HeardAsync(load, "v1", "v2");

        await faults.LabAsync("create", "cluster", "--name", Newcomer);
        // It already has its workload, in Pods without a proxy, which nobody on another network can reach.
        await mesh.WithFileAsync(Workload, path => mesh.KubectlAsync(Newcomer, $"apply -f {path}"));
        await mesh.ReadyAsync(Newcomer, "sample");
        await MeshAsync("Mesh mesh1 matches the file", "up", "-y", "-f", three);
        await HeardAsync(load, "v1", "v2");
        await faults.RestartAsync(Newcomer, "sample", "helloworld-v3");
        await JoinedAsync(load);

        await MeshAsync($"{Newcomer} left mesh mesh1", "down", "-y", "-f", three, "--cluster", Newcomer);
        await HeardAsync(load, "v1", "v2");
        await ForgottenAsync(two);
        await BareAsync();

        // This time a user creates its CA. Its Pods keep their proxies, which find the new control plane.
        var certificates = string.Join(' ',
            ((string[])["ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"])
                .Select(file => $"--from-file={lab.Home.Mesh}/certs/{Newcomer}/{file}"));
        await mesh.KubectlAsync(Newcomer, "create namespace istio-system");
        await mesh.KubectlAsync(Newcomer, $"-n istio-system create secret generic cacerts {certificates}");
        await MeshAsync("Mesh mesh1 matches the file", "up", "-y", "-f", three);
        await JoinedAsync(load);

        // The others may drop it as well: they do not query it, and it may be gone.
        await MeshAsync("Mesh mesh1 matches the file", "up", "-y", "-f", two);
        await HeardAsync(load, "v1", "v2");
        await ForgottenAsync(two);
        // Objects that a user created stay in a cluster without a mesh.
        await MeshAsync($"{Newcomer} left mesh mesh1", "down", "-y", "-f", three, "--cluster", Newcomer);
        Assert.Equal("secret/cacerts", (await mesh.KubectlAsync(Newcomer, "-n istio-system get secrets -o name")).Trim());
        await faults.LabAsync("delete", "cluster", "--name", Newcomer);
        await HeardAsync(load, "v1", "v2");
        await faults.AgreesAsync();
        var answers = await load.FinishAsync(0);
        var failed = answers.Where(answer => answer.Code != 200).ToList();
        Assert.True(failed.Count == 0, $"{failed.Count} of {answers.Count} failed, the first: {string.Join('\n', failed.Take(5))}");
        MeshRig.Note($"{answers.Count} answers, all 200");
    }

    /// <summary>The mesh of the quickstart with one more cluster on its own network. The certificates are next to the
    /// file.</summary>
    private static async Task<string> WithNewcomerAsync(string file)
    {
        var root = (JsonObject)YamlText.Parse(await File.ReadAllTextAsync(file), file)!;
        root["spec"]!["networks"]!.AsArray().Add(new JsonObject { ["name"] = "network3" });
        root["spec"]!["clusters"]!.AsArray().Add(new JsonObject { ["name"] = Newcomer, ["network"] = "network3" });
        var path = Path.Combine(Path.GetDirectoryName(file)!, "three.yaml");
        await File.WriteAllTextAsync(path, YamlText.Print(root));
        return path;
    }

    private async Task MeshAsync(string words, params string[] command)
    {
        var begun = TimeProvider.System.GetTimestamp();
        Assert.Contains(words, (await (await mesh.LabAsync()).IsthmusAsync(["mesh", .. command])).Expect(0), StringComparison.Ordinal);
        MeshRig.Note($"mesh {string.Join(' ', command.Where(word => !word.StartsWith('/')))}: {MeshRig.Seconds(TimeProvider.System.GetElapsedTime(begun))}");
    }

    private static async Task HeardAsync(SteadyLoad load, params string[] versions)
    {
        var cause = load.Now;
        foreach (var cluster in MeshRig.Clusters) await load.UntilHeardAsync(cluster, cause, versions);
    }

    /// <summary>Every caller reaches every cluster, and the clusters report that they are one mesh.</summary>
    private async Task JoinedAsync(SteadyLoad load)
    {
        await HeardAsync(load, "v1", "v2", "v3");
        await MeshRig.UntilAsync(() => mesh.ScriptAsync(Newcomer, "sample", "deploy/helloworld-v3", "sleep",
            "for i in $(seq 20); do curl -sS -m 5 helloworld.sample:5000/hello; done; true"),
            text => ((string[])["v1", "v2", "v3"]).All(version => text.Contains($"version: {version},", StringComparison.Ordinal)), $"{Newcomer} hears all");
        await LabRig.UntilAsync(async () => await (await mesh.LabAsync())
            .IsthmusAsync("verify", "--contexts", string.Join(',', [.. MeshRig.Clusters, Newcomer])),
            "form one mesh");
    }

    /// <summary>No trace of it remains in the other clusters: not in objects, control planes or proxies.</summary>
    private async Task ForgottenAsync(string file)
    {
        var lab = await mesh.LabAsync();
        var place = (await lab.StatusAsync())["clusters"]!.AsArray().Single(item => item!["name"]!.ToString() == Newcomer)!["loadBalancerPool"]!.ToString();
        var addresses = place[..(place.LastIndexOf('.') + 1)];
        foreach (var cluster in MeshRig.Clusters)
        {
            var objects = await mesh.KubectlAsync(cluster, "get secrets,configmaps,leases,serviceaccounts -A -o json");
            Assert.Contains("istio-remote-secret-", objects, StringComparison.Ordinal);
            Assert.DoesNotContain(Newcomer, objects, StringComparison.Ordinal);
            Assert.DoesNotContain(Newcomer, (await lab.IsthmusAsync("remote-clusters", $"--context={cluster}")).Expect(0), StringComparison.Ordinal);
            var endpoints = await MeshRig.UntilAsync(async () => (await lab.IsthmusAsync("proxy-config", "endpoints", "deploy/sleep.sample",
                $"--context={cluster}"))
                .Expect(0),
                text => !text.Contains(addresses, StringComparison.Ordinal), $"no address of {Newcomer} ({addresses}…) is left in {cluster}");
            Assert.Contains("helloworld.sample.svc.cluster.local", endpoints, StringComparison.Ordinal);
        }
        await MeshAsync("No difference", "diff", "-f", file);
        await new FaultRig(mesh, lab).AgreesAsync();
    }

    /// <summary>It has what it had before, and nothing of the mesh.</summary>
    private async Task BareAsync()
    {
        Assert.DoesNotContain("istio",
            await mesh.KubectlAsync(Newcomer,
                "get namespaces,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations,crds -o name"),
            StringComparison.Ordinal);
        Assert.DoesNotContain("istio", await mesh.KubectlAsync(Newcomer, "get configmaps,secrets,serviceaccounts,leases -A -o name"), StringComparison.Ordinal);
    }
}
