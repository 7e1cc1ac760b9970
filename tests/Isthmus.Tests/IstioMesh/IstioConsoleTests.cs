using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.WebConsole.Answers;
using Isthmus.WebConsole.Picture;
using Isthmus.WebConsole.Reading;
using Isthmus.WebConsole.Serving;
using Isthmus.WebConsole.Traffic;
using Xunit;

namespace Isthmus.Tests.IstioMesh;

/// <summary>The console of a user, on a mesh that is Istio's alone.</summary>
[Collection(nameof(SharedIstioMesh))]
public sealed class IstioConsoleTests(IstioMesh mesh) : IDisposable
{
    private readonly MeshStateReader _reader = new([mesh.Access], WellKnown.SystemNamespace, TimeProvider.System);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => _reader.Dispose();

    [Fact]
    public async Task The_picture_has_the_mesh_and_all_proxies_answer()
    {
        EnvoyProcess.IsNeeded();
        var topology = TopologyBuilder.Build(await _reader.ReadAsync(Stop));
        var cluster = Assert.Single(topology.Clusters);
        Assert.Equal(("", 1), (cluster.Error, cluster.ControlPlanes.Count));
        using var sampler = new TrafficSampler(_reader.Client, TimeProvider.System);
        await sampler.SampleAsync([new(mesh.Access, "shop", IstioMeshRig.Web), new(mesh.Access, "shop", IstioMeshRig.Sleep),
            new(mesh.Access, WellKnown.SystemNamespace, IstioMeshRig.Gateway)],
            Stop);
        Assert.Equal((3, 3), sampler.Proxies);
    }

    [Fact]
    public async Task Pages_of_proxies_services_and_traces_are_filled()
    {
        EnvoyProcess.IsNeeded();
        var answers = await AnswersAsync();
        foreach (var (part, known) in ((string, string)[])[("listeners", "virtualInbound"), ("routes", "web.shop.svc.cluster.local"),
            ("clusters", "outbound|80||web.shop.svc.cluster.local"), ("endpoints", "outbound|80||web.shop.svc.cluster.local"), ("secrets", "ROOTCA")])
            Assert.Contains(known,
                (await answers["configuration"](new() { ["cluster"] = "cluster1", ["namespace"] = "shop", ["pod"] = IstioMeshRig.Web, ["part"] = part }, Stop))
                    .ToJsonString().Replace("\\u0022", "\"", StringComparison.Ordinal),
                StringComparison.Ordinal);
        var trace = await answers["trace"](new()
        {
            ["cluster"] = "cluster1", ["namespace"] = "shop", ["pod"] = IstioMeshRig.Sleep, ["target"] = "web.shop/closed", ["method"] = "GET", ["headers"] = ""
        },
            Stop);
        Assert.Contains("AuthorizationPolicy shop/closed", trace["text"]!.ToString(), StringComparison.Ordinal);
        var service = (await answers["service"](new() { ["namespace"] = "shop", ["name"] = "web" }, Stop)).ToJsonString();
        Assert.Contains(IstioMeshRig.Web, service, StringComparison.Ordinal);
        Assert.Contains("healthy, live", service, StringComparison.Ordinal);
        Assert.Contains("spiffe://cluster.local/ns/shop/sa/default", (await answers["certificates"]([], Stop)).ToJsonString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_only_control_planes_of_Isthmus_remember_is_named_as_unknown()
    {
        var answers = await AnswersAsync();
        var unknown = await Assert.ThrowsAsync<ProblemException>(() => answers["history"](new() { ["host"] = "", ["since"] = "1h" }, Stop));
        Assert.Contains("is not known", unknown.Message, StringComparison.Ordinal);
    }

    private async Task<IReadOnlyDictionary<string, Answer>> AnswersAsync()
    {
        var state = await _reader.ReadAsync(Stop);
        return new PageAnswers([mesh.Access], WellKnown.SystemNamespace, _reader, TimeProvider.System).All(() => state, () => [], () => { });
    }
}
