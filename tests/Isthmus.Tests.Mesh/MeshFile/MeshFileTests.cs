using Isthmus.Tests.Mesh.Guides;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>One file for many clusters, compared with the forty commands of the guides.</summary>
public sealed class MeshFileTests
{
    private static readonly string[] Clusters = ["cluster1", "cluster2"];

    /// <summary>The guides leave MeshConfig as it is.</summary>
    private static string Template(string topology) => $"isthmus mesh template {topology} | sed -e '/^  install:/,/hostOwnership/d'";

    [Fact]
    public Task Guide_and_file_make_the_same_objects_and_what_removes_them_leaves_none() =>
        CompareAsync("multi-primary-multi-network.md", "multi-primary-multi-network");

    [Theory]
    [Trait("runs", "soak")]
    [InlineData("primary-remote-multi-network.md", "primary-remote-multi-network")]
    [InlineData("primary-remote.md", "primary-remote")]
    [InlineData("multi-primary.md", "multi-primary")]
    public Task So_do_those_of_other_topologies(string page, string topology) => CompareAsync(page, topology);

    /// <summary>
    /// Where the file differs from the guide on purpose. In cluster1, the guide of the external control plane creates a
    /// mesh without an ID or a network, only for its gateway, and leaves roots to control planes. The guide of replicated
    /// control planes turns off caching for a DNS server that is being replaced, and writes its address.
    /// </summary>
    [Theory]
    [Trait("runs", "soak")]
    [InlineData("external-control-plane", 4, "s/name: mesh1/name: mesh2/; s/network: network1/&\\n    install: {profile: minimal}/",
        "ConfigMap istio-system/istio, ConfigMap istio-system/istio-sidecar-injector, Deployment istio-system/istio-eastwestgateway, Namespace istio-system, "
        + "Role istio-system/istio-eastwestgateway-sds, RoleBinding istio-system/istio-eastwestgateway-sds, Secret external-istiod/cacerts, "
        + "Secret external-istiod/istio-ca-secret, Secret external-istiod/istio-kubeconfig, Service istio-system/istio-eastwestgateway, "
        + "ServiceAccount istio-system/istio-eastwestgateway-service-account", "")]
    [InlineData("replicated-control-planes", 3, "", "ConfigMap kube-system/coredns", "ConfigMap kube-system/coredns")]
    public async Task And_those_that_differ_on_purpose_differ_in_nothing_else(string topology, int blocks, string choices, params string[] different)
    {
        await using var shell = await GuideShell.CreateAsync();
        await shell.TypeAsync([.. GuidePage.Read(GuideShell.Pages, $"{topology}.md").Where(block => block.Page == $"{topology}.md").Take(blocks)]);
        var byHand = await SettledAsync(shell);
        await ExpectAsync(shell, 0, "Uninstall complete", string.Join(" && ", Clusters.Select(cluster =>
            $"isthmus uninstall -y --purge --context={cluster} && kubectl --context={cluster} delete --ignore-not-found namespace istio-system "
                + $"external-istiod")));
        await ExpectAsync(shell, 0, "matches the file", $"{Template(topology)} | sed -e '{choices}' > mesh.yaml && isthmus mesh up -y -f mesh.yaml");
        var told = Installed(byHand).Zip(Installed(await SettledAsync(shell)), (one, other) => string.Join(", ", one.Different(other)));
        Assert.Equal(different, told);
    }

    /// <summary>Where the file differs from the guide on purpose, it still removes everything that it created, twice in a
    /// row.</summary>
    [Theory]
    [Trait("runs", "soak")]
    [InlineData("external-control-plane")]
    [InlineData("replicated-control-planes")]
    public async Task What_a_file_made_it_takes_back(string topology)
    {
        await using var shell = await GuideShell.CreateAsync();
        await shell.TypeAsync([GuidePage.Read(GuideShell.Pages, $"{topology}.md").First(block => block.Page == $"{topology}.md")]);
        var bare = await SettledAsync(shell);
        await ExpectAsync(shell, 0, "", $"{Template(topology)} > mesh.yaml");
        foreach (var _ in (int[])[1, 2])
        {
            await ExpectAsync(shell, 0, "Mesh mesh1 matches the file", "isthmus mesh up -y -f mesh.yaml");
            await ExpectAsync(shell, 0, "No difference", "isthmus mesh diff -f mesh.yaml");
            await ExpectAsync(shell, 0, "Mesh mesh1 removed", "isthmus mesh down -y -f mesh.yaml");
            await SameAsync(bare, shell, read => read, "mesh down leaves something behind");
        }
    }

    private static async Task CompareAsync(string page, string topology)
    {
        await using var shell = await GuideShell.CreateAsync();
        // Only the part of the page up to the mesh: other pages describe the calls and the cleanup.
        var blocks = GuidePage.Read(GuideShell.Pages, page).Where(block => block.Page == page || block.Page == "certificates.md").ToList();
        await shell.TypeAsync([blocks[0]]);
        var bare = await SettledAsync(shell);

        await shell.TypeAsync(blocks[1..]);
        var byHand = await SettledAsync(shell);
        await ExpectAsync(shell, 0, "Uninstall complete",
            string.Join(" && ",
                Clusters.Select(cluster => $"isthmus uninstall -y --purge --context={cluster} && kubectl --context={cluster} delete namespace istio-system")));
        await SameAsync(bare, shell, read => read, "uninstall --purge and the namespace's end leave something behind");

        await ExpectAsync(shell, 0, "no mesh in cluster1", $"{Template(topology)} > mesh.yaml && isthmus mesh down -f mesh.yaml");
        await ExpectAsync(shell, 1, "Cancelled.", "echo n | isthmus mesh up -f mesh.yaml");
        await ExpectAsync(shell, 0, "Mesh mesh1 matches the file", "echo y | isthmus mesh up -f mesh.yaml");
        await SameAsync(Installed(byHand), shell, Installed, "guide and file make different objects");
        await DriftAsync(shell);
        await ExpectAsync(shell, 0, "Mesh mesh1 removed", "isthmus mesh down -y -f mesh.yaml");
        await SameAsync(bare, shell, read => read, "mesh down leaves something behind");
    }

    /// <summary>A change by somebody else is reported and reverted, and nothing else changes.</summary>
    private static async Task DriftAsync(GuideShell shell)
    {
        await ExpectAsync(shell, 0, "No difference", "isthmus mesh diff -f mesh.yaml");
        await ExpectAsync(shell, 0, "", """
            kubectl --context=cluster1 -n istio-system patch deployment istiod --type=json \
              -p '[{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": {"name": "EXTRA", "value": "1"}}]'
            kubectl --context=cluster1 -n istio-system delete secret istio-remote-secret-cluster2
            kubectl --context=cluster2 label namespace istio-system topology.istio.io/network=elsewhere --overwrite
            """);
        var told = await ExpectAsync(shell, 1, "3 objects differ from the file", "isthmus mesh diff -f mesh.yaml");
        foreach (var words in (string[])["Deployment istio-system/istiod", "spec.template.spec.containers[0].env",
            "missing       Secret istio-system/istio-remote-secret-cluster2", "elsewhere, the file has"])
            Assert.Contains(words, told, StringComparison.Ordinal);
        await ExpectAsync(shell, 0, "Mesh mesh1 matches the file", "isthmus mesh up -y -f mesh.yaml");
        await ExpectAsync(shell, 0, "No difference", "isthmus mesh diff -f mesh.yaml");
    }

    private static async Task<string> ExpectAsync(GuideShell shell, int code, string words, string command)
    {
        var (ended, output) = await shell.RunAsync(command);
        Assert.True(ended == code, $"exit status {ended} instead of {code} of {command}\n{output}");
        Assert.Contains(words, output, StringComparison.Ordinal);
        return output;
    }

    private static async Task<ClusterObjects[]> ReadAsync(GuideShell shell)
    {
        var all = new List<ClusterObjects>();
        foreach (var cluster in Clusters) all.Add(await ClusterObjects.ReadAsync(shell, cluster));
        return [.. all];
    }

    /// <summary>The objects once controllers have written what they add by themselves, such as accounts and roots in namespaces, and the trust of
    /// webhooks: what is compared later must not lack it.</summary>
    private static async Task<ClusterObjects[]> SettledAsync(GuideShell shell)
    {
        var last = await ReadAsync(shell);
        await MeshRig.UntilAsync(async () =>
        {
            var now = await ReadAsync(shell);
            var open = string.Concat(last.Zip(now, (one, other) => $"{one.Differences(other)}{string.Join(", ", other.WithoutTrust)}"));
            last = now;
            return open;
        }, text => text.Length == 0, "two readings agree, and every webhook has its caBundle");
        return last;
    }

    /// <summary>Waits until the clusters have these objects: what belongs to deleted ones goes, and what controllers make comes, in the background.</summary>
    /// <param name="part">What counts of the objects that are read.</param>
    private static Task SameAsync(ClusterObjects[] one, GuideShell shell, Func<ClusterObjects[], ClusterObjects[]> part, string what)
    {
        foreach (var (before, cluster) in one.Zip(Clusters)) Assert.True(before.Count > 20, $"only {before.Count} objects were found in {cluster}");
        return MeshRig.UntilAsync(async () => string.Concat(one.Zip(part(await ReadAsync(shell)), Clusters)
            .Select(both => both.First.Differences(both.Second) is { Length: > 0 } differences ? $"{what} in {both.Third}:\n{differences}\n" : "")),
            text => text.Length == 0, what);
    }

    /// <summary>
    /// The installed objects, without necessary differences. The guides for remotes omit the certificates, and the file
    /// never does. A control plane writes what it saw of other clusters when it saw it.
    /// </summary>
    private static ClusterObjects[] Installed(ClusterObjects[] clusters) =>
        [.. clusters.Select(cluster => cluster.Without("Secret istio-system/cacerts", "Secret istio-system/istio-ca-secret", ClusterObjects.Seen))];
}
