using Isthmus.Core.Problems;
using Isthmus.Operate.MeshFile;
using Xunit;

namespace Isthmus.Tests.Operate.MeshFile;

public sealed class MeshReaderTests
{
    private const string Head = "apiVersion: mesh.isthmus.internal/v1alpha1\nkind: Mesh\nmetadata: {name: mesh1}\nspec:\n";
    private const string Two = "  networks: [{name: north}, {name: south}]\n  clusters:\n  - {name: a, network: north}\n";

    [Fact]
    public void A_short_file_is_a_mesh_on_one_network_of_primaries_whose_contexts_have_their_names()
    {
        var mesh = Read("  clusters: [{name: a}, {name: b, context: kind-b}]\n");
        Assert.Equal(["a", "kind-b"], mesh.Clusters.Select(cluster => cluster.Context));
        Assert.All(mesh.Clusters, cluster => Assert.True(cluster.IsPrimary && cluster.Network == "network1"));
        Assert.Equal("/files/certs", mesh.Trust.Directory);
    }

    [Fact]
    public void Remotes_name_their_primaries_and_a_cluster_that_names_itself_is_one()
    {
        var mesh = Read(Two + "  - {name: b, network: south, role: remote, primaries: [a, c]}\n  - {name: c, network: south, primaries: c}\n");
        Assert.Equal(["a", "c"], mesh.Cluster("b").Primaries);
        Assert.True(mesh.Cluster("c").IsPrimary);
    }

    [Theory]
    [InlineData("  clusters: [{name: a}, {name: a, context: x}]\n", "spec.clusters[1].name: 'a' is already the name of spec.clusters[0]")]
    [InlineData("  clusters: [{name: a}, {name: b, context: a}]\n", "spec.clusters[1].context: 'a' is already the context of spec.clusters[0]")]
    [InlineData("  networks: [{name: x}, {name: x}]\n  clusters: [{name: a, network: x}]\n",
        "spec.networks[1].name: 'x' is already the name of spec.networks[0]")]
    [InlineData("  clusters: [{name: a}, {name: b, primaries: [c]}]\n", "spec.clusters[1].primaries[0]: 'c' is not a cluster in this file (primaries: a)")]
    [InlineData("  clusters: [{name: a}, {name: b, primaries: [a]}, {name: c, primaries: [b]}]\n",
        "spec.clusters[2].primaries[0]: 'b' is itself a remote (primaries: a)")]
    [InlineData("  clusters: [{name: a}, {name: b, primaries: [b, a]}]\n", "spec.clusters[1].primaries[0]: 'b' is the cluster itself, listed with others")]
    [InlineData("  clusters: [{name: a}, {name: b, primaries: [a, a]}]\n", "spec.clusters[1].primaries[1]: 'a' is listed twice")]
    [InlineData("  clusters: [{name: a}, {name: b, role: remote}]\n", "spec.clusters[1].primaries: is required for a remote cluster")]
    [InlineData("  clusters: [{name: a}, {name: b, role: primary, primaries: [a]}]\n", "spec.clusters[1].primaries: is a, but the role is primary")]
    [InlineData("  clusters: [{name: a, role: boss}]\n", "spec.clusters[0].role: 'boss' is not a valid role (use primary or remote)")]
    [InlineData("  clusters: [{name: a, primaries: [b]}, {name: b, primaries: [a]}]\n", "spec.clusters: no cluster is a primary")]
    [InlineData(Two + "  - {name: b, network: east}\n", "spec.clusters[1].network: 'east' is not in spec.networks (networks: north, south)")]
    [InlineData(Two + "  - {name: b}\n", "spec.clusters[1].network: is required")]
    [InlineData(Two, "spec.networks[1].name: no cluster is in network 'south'")]
    [InlineData("  networks: [{name: 'a b'}]\n  clusters: [{name: a}]\n", "spec.networks[0].name: 'a b' is not a valid label value")]
    [InlineData("  clusters: [{name: A_1}]\n", "spec.clusters[0].name: 'A_1' is not a valid name")]
    [InlineData("  clusters: [{context: a}]\n", "spec.clusters[0].name: is required")]
    [InlineData("  clusters: [{name: a, server: 10.0.0.1}]\n", "spec.clusters[0].server: '10.0.0.1' is not an http(s) address")]
    [InlineData("  clusters: [{name: a, netwrk: b}]\n", "spec.clusters[0].netwrk: is not a field of a mesh file")]
    [InlineData("  cluster: [{name: a}]\n", "spec.cluster: is not a field of a mesh file (did you mean 'clusters'?)")]
    [InlineData("  clusters: {name: a}\n", "spec.clusters: {\"name\":\"a\"} should be a list, not a mapping")]
    [InlineData("  clusters: [{name: a, network: no}]\n", "spec.clusters[0].network: 'false' should be text, but YAML reads it as a boolean (quote the value)")]
    [InlineData("  clusters: [{name: a, primaries: [1]}]\n", "spec.clusters[0].primaries[0]: '1' should be text, but YAML reads it as a number")]
    [InlineData("  join: luck\n  clusters: [{name: a}]\n", "spec.join: 'luck' is not a valid join mode")]
    [InlineData("  join: names\n  clusters: [{name: a}, {name: b, primaries: [a]}]\n",
        "spec.clusters[1].primaries: 'b' is a remote, but with 'join: names' each cluster has its own control plane")]
    [InlineData("  join: names\n  networks: [{name: x, gateway: {replicas: 2}}]\n  clusters: [{name: a}]\n",
        "spec.networks[0].gateway: is set, but with 'join: names'")]
    [InlineData("  clusters: [{name: a}, {name: b, primaries: [a], controlPlane: {cluster: a}}]\n",
        "spec.clusters[1].controlPlane: cannot be combined with primaries (a)")]
    [InlineData("  clusters: [{name: a}, {name: b, controlPlane: {cluster: z}}]\n",
        "spec.clusters[1].controlPlane.cluster: 'z' is not a primary in this file (primaries: a)")]
    [InlineData("  clusters: [{name: a}, {name: b, controlPlane: {cluster: a, namespace: istio-system}}]\n",
        "spec.clusters[1].controlPlane.namespace: 'istio-system' is where 'a' has its own control plane")]
    [InlineData("  clusters: [{name: a}, {name: b, controlPlane: {cluster: a}}, {name: c, controlPlane: {cluster: a}}]\n",
        "spec.clusters[2].controlPlane: 'b' has its control plane in the same namespace")]
    [InlineData("  clusters: []\n", "spec.clusters: has no cluster")]
    [InlineData("  trust: certs\n  clusters: [{name: a}]\n", "spec.trust: \"certs\" should be a mapping, not text")]
    [InlineData("  trust: {root: {certificate: r.pem}}\n  clusters: [{name: a}]\n", "spec.trust.root.key: is required")]
    [InlineData("  networks: [{name: x, gateway: {replicas: 0}}]\n  clusters: [{name: a}]\n",
        "spec.networks[0].gateway.replicas: '0' is not a whole number between 1 and 100")]
    [InlineData("  networks: [{name: x, gateway: {clusters: [b]}}]\n  clusters: [{name: a}]\n",
        "spec.networks[0].gateway.clusters[0]: 'b' is not a cluster in network 'x' (its clusters are: a)")]
    [InlineData("  networks: [{name: x, gateway: {service: {ports: []}}}]\n  clusters: [{name: a}]\n",
        "spec.networks[0].gateway.service: sets ports or selector")]
    [InlineData("  networks: [{name: x, gateway: {clusters: [b]}}]\n  clusters: [{name: a}, {name: b}, {name: c, primaries: [a]}]\n",
        "spec.clusters[2].primaries: 'a' runs no east-west gateway")]
    [InlineData("  install: {profile: huge}\n  clusters: [{name: a}]\n", "spec.install.profile: 'huge' is not a profile")]
    [InlineData("  install: {valuez: {}}\n  clusters: [{name: a}]\n", "spec.install.valuez: unknown field \"valuez\" in spec.install (fields are: ")]
    [InlineData("  clusters: [{name: a, install: {values: {global: {network: x}}}}]\n",
        "spec.clusters[0].install.values.global.network: 'x' conflicts with the mesh file")]
    [InlineData("  install: {revision: x}\n  clusters: [{name: a}]\n", "spec.install.revision: 'x' conflicts with the mesh file (set spec.revision instead)")]
    public void A_contradiction_is_told_with_the_file_the_field_the_value_and_a_remedy(string spec, string words)
    {
        var problems = Assert.Throws<MeshProblemsException>(() => Read(spec)).Problems;
        Assert.Contains(problems, problem => problem.ToString().Contains($"mesh.yaml: {words}", StringComparison.Ordinal));
        Assert.All(problems, problem => Assert.NotEmpty(problem.Remedy));
    }

    [Fact]
    public void All_that_is_wrong_is_told_at_once()
    {
        var problems = Assert.Throws<MeshProblemsException>(
            () => Read("  color: red\n  clusters: [{name: a}, {name: a, primaries: [z]}, {name: b, network: nowhere}]\n")).Problems;
        Assert.Equal(["spec.color", "spec.clusters[1].name", "spec.clusters[1].context", "spec.clusters[2].network", "spec.clusters[1].primaries[0]"],
            problems.Select(problem => problem.Path));
    }

    [Theory]
    [InlineData("", "is empty")]
    [InlineData("- a\n", "is not a YAML mapping")]
    [InlineData("a: 1\n---\nb: 2\n", "contains 2 YAML documents")]
    [InlineData("a: [\n", "is not valid YAML")]
    public void What_is_no_mesh_file_at_all_is_refused(string text, string words) =>
        Assert.Contains(words, Assert.Throws<ProblemException>(() => MeshReader.Read(text, "mesh.yaml", "/files")).Message, StringComparison.Ordinal);

    [Fact]
    public void Another_kind_is_refused()
    {
        var problems = Assert.Throws<MeshProblemsException>(
            () => MeshReader.Read("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {clusters: [{name: a}]}\n",
            "mesh.yaml", "")).Problems;
        Assert.Equal(["apiVersion", "kind"], problems.Select(problem => problem.Path));
    }

    internal static MeshSpec Read(string spec) => MeshReader.Read(Head + spec, "mesh.yaml", "/files");
}
