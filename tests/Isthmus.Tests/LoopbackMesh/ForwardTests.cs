using System.Net;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>Forwarded ports, and <c>isthmus dashboard</c>, through the API server.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class ForwardTests(LoopbackMeshRig mesh)
{
    private const string System = WellKnown.SystemNamespace;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private Pod Gateway => mesh.Pod("cluster1", System, "istio-eastwestgateway").Pod;

    private static PodForward Forward(ClusterAccess access, WebPage page, Action<string> failed) =>
        new(access, page.Namespace, page.Pod, page.Port, new(IPAddress.Loopback, 0), failed);

    [Fact]
    public async Task Connections_reach_the_port_of_the_Pod_until_the_forward_is_stopped()
    {
        using var client = new KubeClient(mesh.Access("cluster1"));
        var page = await new WebPages(client, System).ProxyAsync("deployment/istio-eastwestgateway", System, Stop);
        Assert.Equal(new(System, Gateway.Metadata.Name, Ports.ProxyAdmin), page);
        using var stop = new CancellationTokenSource();
        using var forward = Forward(mesh.Access("cluster1"), page, _ => { });
        var running = forward.RunAsync(stop.Token);
        using var http = new HttpClient();
        var answers = await Task.WhenAll(Enumerable.Range(0, 8)
            .Select(_ => http.GetStringAsync(new Uri($"http://localhost:{forward.Address.Port}/server_info"), Stop)));
        Assert.All(answers, answer => Assert.Contains("LIVE", answer, StringComparison.Ordinal));
        // Idle connections do not keep it.
        await stop.CancelAsync();
        await running.WaitAsync(Stop);
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetStringAsync(new Uri($"http://localhost:{forward.Address.Port}/server_info"), Stop));
    }

    [Fact]
    public async Task A_port_that_cannot_be_reached_is_told()
    {
        var told = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var stop = new CancellationTokenSource();
        using var forward = Forward(mesh.Access("cluster1"), new(System, "none", 1), reason => told.TrySetResult(reason));
        var running = forward.RunAsync(stop.Token);
        using var http = new HttpClient();
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetStringAsync(new Uri($"http://localhost:{forward.Address.Port}/"), Stop));
        Assert.Contains("404", await told.Task.WaitAsync(Stop), StringComparison.Ordinal);
        var taken = Assert.Throws<ProblemException>(() => new PodForward(mesh.Access("cluster1"), System, "none", 1, forward.Address, _ => { }));
        Assert.Contains("choose another with --port", taken.Message, StringComparison.Ordinal);
        await stop.CancelAsync();
        await running.WaitAsync(Stop);
    }

    [Fact]
    public async Task A_page_that_is_not_there_names_what_to_use_instead()
    {
        using var client = new KubeClient(mesh.Access("cluster1"));
        var pages = new WebPages(client, System);
        async Task<string> ProblemAsync(Func<Task<WebPage>> find) => (await Assert.ThrowsAsync<ProblemException>(find)).Message;
        Assert.Equal(
            "Deployment istio-system/isthmus-console in cluster1: does not exist (use 'isthmus console' on your machine, or install it with --set "
                + "values.console.enabled=true)",
            await ProblemAsync(() => pages.ConsoleAsync(Stop)));
        Assert.Equal("Service istio-system/kiali in cluster1: does not exist (name its namespace with --namespace; or use 'isthmus console')",
            await ProblemAsync(() => pages.ServiceAsync(System, ["kiali"], 20001, "'isthmus console'", Stop)));
        Assert.Contains("has no proxy", await ProblemAsync(() => pages.ProxyAsync("deployment/istiod", System, Stop)), StringComparison.Ordinal);
        Assert.Contains("has no port 1", await ProblemAsync(() => pages.ServiceAsync(System, ["none", "istio-eastwestgateway"], 1, "x", Stop)),
            StringComparison.Ordinal);
        var gateway = await pages.ServiceAsync(System, ["none", "istio-eastwestgateway"], Ports.EastWest, "x", Stop);
        Assert.Equal((Gateway.Metadata.Name, Ports.EastWest), (gateway.Pod, gateway.Port));
        Assert.Equal((Ports.ControlZ, "/scopej/"), await pages.ControlZAsync(null, Ports.ControlZ, Stop) is var plane ? (plane.Port, plane.Path) : default);
    }
}
