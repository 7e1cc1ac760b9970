using Isthmus.Operate.MeshFile;
using Xunit;

namespace Isthmus.Tests.Operate.MeshFile;

public sealed class MeshDepartureTests
{
    [Theory]
    [InlineData("  clusters: [{name: a}, {name: b}]\n", "b")]
    [InlineData("  clusters: [{name: a}, {name: b, primaries: [a]}]\n", "b")]
    [InlineData("  clusters: [{name: a}, {name: b, primaries: [a]}]\n", "a b")]
    [InlineData("  clusters: [{name: a}, {name: b, controlPlane: {cluster: a}}, {name: c}]\n", "a b")]
    [InlineData(
        "  networks: [{name: x}, {name: m, gateway: {clusters: [c]}}]\n  clusters: [{name: a, network: x}, {name: b, network: m}, {name: c, network: m}]\n",
        "b")]
    [InlineData(
        "  networks: [{name: x}, {name: m, gateway: {clusters: [c]}}]\n  clusters: [{name: a, network: x}, {name: b, network: m}, {name: c, network: m}]\n",
        "b c")]
    public void Whom_nobody_needs_may_leave(string spec, string leaving) => MeshDeparture.Check(MeshReaderTests.Read(spec), leaving.Split(' '));

    [Theory]
    [InlineData("  clusters: [{name: a}, {name: b}]\n", "z", "mesh.yaml: spec.clusters: has no cluster 'z' (clusters: a, b)")]
    [InlineData("  clusters: [{name: a}, {name: b, primaries: [a]}]\n", "a",
        "mesh.yaml: spec.clusters[1].primaries: 'a' serves 'b', which would stay (remove 'b' too, or give it other primaries and run 'isthmus mesh up' first)")]
    [InlineData("  clusters: [{name: a}, {name: b, controlPlane: {cluster: a}}, {name: c}]\n", "a",
        "mesh.yaml: spec.clusters[1].controlPlane: 'a' runs the control plane of 'b', which would stay (remove both: --cluster b --cluster a)")]
    [InlineData("  clusters: [{name: a}, {name: b, controlPlane: {cluster: a}}, {name: c}]\n", "b",
        "mesh.yaml: spec.clusters[1].controlPlane: the control plane of 'b' runs in 'a', which would stay (remove both: --cluster b --cluster a)")]
    [InlineData(
        "  networks: [{name: x}, {name: m, gateway: {clusters: [c]}}]\n  clusters: [{name: a, network: x}, {name: b, network: m}, {name: c, network: m}]\n",
        "c", "mesh.yaml: spec.networks[1].gateway.clusters: all gateways into 'm' would leave, but 'b' would stay (add 'b' and run 'isthmus mesh up' first)")]
    public void Whom_others_need_may_not(string spec, string leaving, string problem) =>
        Assert.Equal(problem,
            Assert.Single(Assert.Throws<MeshProblemsException>(() => MeshDeparture.Check(MeshReaderTests.Read(spec), leaving.Split(' '))).Problems).ToString());
}
