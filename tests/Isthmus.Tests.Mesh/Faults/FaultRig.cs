using System.Text.Json.Nodes;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Faults;

/// <summary>Causes faults in a mesh, and reads what the mesh reports about them, with the user's commands.</summary>
internal sealed class FaultRig(MeshRig mesh, LabRig lab)
{
    internal async Task LabAsync(params string[] words) => (await lab.IsthmusAsync(["lab", .. words])).Expect(0);

    /// <summary>Cuts a cluster's node off from others', in both directions. Each keeps its API server and its clients on
    /// the machine.</summary>
    internal async Task CutAsync(string cluster, params string[] others)
    {
        var places = (await lab.StatusAsync())["clusters"]!.AsArray().ToDictionary(item => item!["name"]!.ToString(), item => item!);
        var addresses = string.Join(", ",
            others.SelectMany(other => Addresses(places[other], places[other]["network"]!.ToString() == places[cluster]["network"]!.ToString())));
        await LabAsync("shell", "--cluster", cluster, "--", "nft", $$"""
            table inet isthmus-fault {
                chain in { type filter hook prerouting priority -300; ip saddr { {{addresses}} } drop; }
                chain out { type filter hook postrouting priority 300; ip daddr { {{addresses}} } drop; }
            }
            """);
    }

    internal Task HealAsync(string cluster) => LabAsync("shell", "--cluster", cluster, "--", "nft", "delete table inet isthmus-fault");

    /// <summary>Kills a workload's Pods at once, without notice.</summary>
    internal async Task KillAsync(string cluster, string ns, string deployment)
    {
        await mesh.KubectlAsync(cluster, $"-n {ns} delete pod -l app={deployment} --force --grace-period=0");
        await mesh.KubectlAsync(cluster, $"-n {ns} rollout status deployment/{deployment} --timeout=90s");
    }

    internal async Task RestartAsync(string cluster, string ns, string deployment)
    {
        await mesh.KubectlAsync(cluster, $"-n {ns} rollout restart deployment/{deployment}");
        await mesh.KubectlAsync(cluster, $"-n {ns} rollout status deployment/{deployment} --timeout=90s");
    }

    /// <summary>Waits until a cluster's control planes serve another cluster's state from a given source: live, memory or
    /// snapshot.</summary>
    internal Task ServedFromAsync(string cluster, string other, string source) => ServedFromAsync(new ControlPlanePlace(cluster), other, source);

    internal Task ServedFromAsync(ControlPlanePlace place, string other, string source) => MeshRig.UntilAsync(
        async () => (await lab.IsthmusAsync(["remote-clusters", .. place.Options, "-o", "json"])).Output,
        text => text.StartsWith('[') && JsonNode.Parse(text) is JsonArray { Count: > 0 } lines
            && lines.All(line => line!["id"]!.ToString() != other || line["source"]?.ToString() == source)
            && lines.Any(line => line!["id"]!.ToString() == other),
        $"{place} serves {other} from {source}");

    /// <summary>Waits until the caller's proxy has addresses of a cluster that its control plane got from a given
    /// source.</summary>
    internal Task KnownFromAsync(string cluster, string words) => MeshRig.UntilAsync(
        async () => (await lab.IsthmusAsync("proxy-config", "endpoints", $"{mesh.Calls.Caller}.{mesh.Calls.Namespace}", $"--context={cluster}", "--fqdn",
            mesh.Calls.FullHost)).Output,
        text => text.Contains(words, StringComparison.Ordinal), $"the caller in {cluster} has endpoints known from: {words}");

    /// <summary>Checks in every control plane that incremental results equal a computation from scratch, and that the
    /// clusters form one mesh.</summary>
    internal async Task AgreesAsync()
    {
        foreach (var place in mesh.ControlPlanes)
        {
            var page = JsonNode.Parse((await lab.KubectlAsync($"--context={place.Cluster}", "-n", place.Namespace, "exec", "deploy/istiod", "--",
                "pilot-discovery", "request", "GET", "/debug/live?verify"))
                .Expect(0))!;
            Assert.True(page["differences"]!.AsArray().Count == 0, $"{place}: {page["differences"]}");
            Assert.Equal(0, (int)page["failures"]!);
        }
        await MeshRig.UntilAsync(async () => (await lab.IsthmusAsync(["verify", .. mesh.Verified])).Output,
            text => text.Contains("form one mesh", StringComparison.Ordinal), "verify is content");
    }

    /// <summary>The ranges through which others reach a cluster's node, its load balancers and, on one network, its
    /// Pods.</summary>
    private static string[] Addresses(JsonNode place, bool oneNetwork) =>
        [place["address"]!.ToString(), place["loadBalancerPool"]!.ToString(), .. oneNetwork ? (string[])[place["podRange"]!.ToString()] : []];
}
