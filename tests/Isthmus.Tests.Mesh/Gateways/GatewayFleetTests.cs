using System.Globalization;
using System.Text.RegularExpressions;
using Isthmus.Tests.Mesh.Faults;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Gateways;

/// <summary>Two gateways into one network: how they share the traffic, and what callers notice when one of them goes away
/// (docs/discovery.md).</summary>
public sealed partial class GatewayFleetTests(MeshRig mesh) : IClassFixture<MeshRig>
{
    private const string System = "istio-system", First = "istio-eastwestgateway", Second = "istio-eastwestgateway-b";

    /// <summary>One more gateway next to that of the mesh file, as <c>samples/multicluster/gen-eastwest-gateway.sh</c>
    /// generates one.</summary>
    private const string SecondGateway = """
        apiVersion: install.istio.io/v1alpha1
        kind: IstioOperator
        metadata: {name: eastwest-b}
        spec:
          profile: empty
          components:
            ingressGateways:
            - name: istio-eastwestgateway-b
              enabled: true
              label: {istio: eastwestgateway, app: istio-eastwestgateway-b, topology.istio.io/network: network2}
              k8s:
                env: [{name: ISTIO_META_REQUESTED_NETWORK_VIEW, value: network2}]
                service:
                  ports:
                  - {name: status-port, port: 15021, targetPort: 15021}
                  - {name: tls, port: 15443, targetPort: 15443}
          values:
            gateways: {istio-ingressgateway: {injectionTemplate: gateway}}
            global: {network: network2}
        """;

    private const string Canary = """
        apiVersion: install.istio.io/v1alpha1
        kind: IstioOperator
        spec: {profile: minimal, revision: canary, values: {global: {meshID: mesh1, network: network2, multiCluster: {clusterName: cluster2}}}}
        """;

    [Fact]
    [Trait("runs", "soak")]
    public async Task Two_gateways_share_by_weight_and_one_of_them_may_go_at_any_time()
    {
        var lab = await mesh.LabAsync();
        var faults = new FaultRig(mesh, lab);
        await using var load = new SteadyLoad(lab, "cluster1");
        await HeardAsync(load);

        await mesh.WithFileAsync(SecondGateway, async path => (await lab.IsthmusAsync("install", "--context=cluster2", "-y", "-f", path)).Expect(0));
        var (first, second) = (await AddressAsync(First), await AddressAsync(Second));
        await WeighAsync(First, 3);
        await SharesAsync(first, second, 3);
        await WeighAsync(First, 1);
        await SharesAsync(first, second, 1);

        // Removed by its weight: existing connections stay, and new ones go to the other gateway.
        await WeighAsync(First, 0);
        await OnlyAsync(second, first);
        await WeighAsync(First, 1);
        await HasAsync(first, second);
        await LostAsync(load, 0, "shared by weight");

        await using var killed = new SteadyLoad(lab, "cluster1");
        await HeardAsync(killed);
        await faults.KillAsync("cluster2", System, Second);
        await HeardAsync(killed);
        await HasAsync(first, second);
        // One at a time: the request that was inside the gateway when it was killed.
        await LostAsync(killed, 1, "killed");

        await using var drained = new SteadyLoad(lab, "cluster1");
        await HeardAsync(drained);
        await mesh.KubectlAsync("cluster2", $"-n {System} scale deployment/{First} --replicas=0");
        await mesh.KubectlAsync("cluster2", $"-n {System} wait --for=delete pod -l app={First} --timeout=90s");
        await OnlyAsync(second, first);
        await HeardAsync(drained);
        await mesh.KubectlAsync("cluster2", $"-n {System} scale deployment/{First} --replicas=1");
        await HasAsync(first, second);
        await HeardAsync(drained);
        await CanaryAsync(lab, drained);
        await faults.AgreesAsync();
        await LostAsync(drained, 0, "drained, and one on a canary revision");
    }

    /// <summary>One of the two moves to another revision of the control plane and carries all traffic alone. Then it moves
    /// back.</summary>
    private async Task CanaryAsync(LabRig lab, SteadyLoad load)
    {
        await mesh.WithFileAsync(Canary, async path => (await lab.IsthmusAsync("install", "--context=cluster2", "-y", "-f", path)).Expect(0));
        foreach (var revision in (string[])["canary", "default"])
        {
            var patch = $$"""{"spec":{"template":{"metadata":{"labels":{"istio.io/rev":"{{revision}}"} } } } }""".Replace(" ", "", StringComparison.Ordinal);
            await mesh.KubectlAsync("cluster2", $"-n {System} patch deployment {Second} -p {patch}");
            await mesh.KubectlAsync("cluster2", $"-n {System} rollout status deployment/{Second} --timeout=90s");
            await MeshRig.UntilAsync(async () => (await lab.IsthmusAsync("proxy-status", "--context=cluster2")).Expect(0),
                text => text.Split('\n').Where(line => line.StartsWith(Second + "-", StringComparison.Ordinal)).ToList() is [var line]
                    && line.Contains("istiod-canary-", StringComparison.Ordinal) == (revision == "canary"),
                $"{Second} asks revision {revision}");
            await WeighAsync(First, 0);
            await OnlyAsync(await AddressAsync(Second), await AddressAsync(First));
            await HeardAsync(load);
            await WeighAsync(First, 1);
            await HasAsync(await AddressAsync(First), await AddressAsync(Second));
        }
        (await lab.IsthmusAsync("uninstall", "--revision", "canary", "-y", "--context=cluster2")).Expect(0);
        await HeardAsync(load);
    }

    private static Task HeardAsync(SteadyLoad load) => load.UntilHeardAsync("cluster1", load.Now, "v1", "v2");

    private static async Task LostAsync(SteadyLoad load, int most, string what)
    {
        var answers = await load.FinishAsync(0);
        var failed = answers.Where(answer => answer.Code != 200).ToList();
        Assert.True(failed.Count <= most, $"{what}: {failed.Count} of {answers.Count} failed, {most} may: {string.Join('\n', failed.Take(5))}");
        MeshRig.Note($"{what}: {answers.Count} answers, {failed.Count} of them not 200");
    }

    private Task WeighAsync(string gateway, int weight) =>
        mesh.KubectlAsync("cluster2", $"-n {System} annotate service {gateway} networking.isthmus.internal/gateway-weight={weight} --overwrite");

    private Task<string> AddressAsync(string gateway) => MeshRig.UntilAsync(
        () => mesh.KubectlAsync("cluster2", $"-n {System} get service {gateway} -o jsonpath={{.status.loadBalancer.ingress[0].ip}}"), text => text.Length > 0,
        $"{gateway} has an address");

    /// <summary>Waits until the caller's proxy has these gateways and no others.</summary>
    private Task HasAsync(params string[] gateways) => MeshRig.UntilAsync(CountsAsync,
        text => Gateways(text).Keys.Order(StringComparer.Ordinal).SequenceEqual(gateways.Order(StringComparer.Ordinal)),
        $"the caller's proxy has the gateways {string.Join(" and ", gateways)}");

    /// <summary>Checks, over some hundred requests, that the first gateway gets this many times as many as the
    /// second.</summary>
    private async Task SharesAsync(string first, string second, int times)
    {
        const int enough = 160;
        await MeshRig.UntilAsync(CountsAsync, text => Gateways(text) is { Count: 2 } found && found[first].Weight == times * found[second].Weight,
            $"{first} weighs {times} times as much as {second}");
        var before = Gateways(await CountsAsync());
        var after = Gateways(await MeshRig.UntilAsync(CountsAsync,
            text => Gateways(text).Sum(pair => pair.Value.Requests) - before.Sum(pair => pair.Value.Requests) >= enough,
            $"{enough} requests went through the gateways"));
        var (one, other) = (after[first].Requests - before[first].Requests, after[second].Requests - before[second].Requests);
        MeshRig.Note($"weights {times} to 1: {one} and {other} requests");
        // Four standard deviations of a random choice.
        var (share, all) = (times / (times + 1.0), one + other);
        Assert.InRange(one, all * share - 4 * Math.Sqrt(all * share * (1 - share)), all * share + 4 * Math.Sqrt(all * share * (1 - share)));
    }

    /// <summary>Waits until one gateway is gone from the caller's proxy and only the other answers.</summary>
    private async Task OnlyAsync(string stays, string goes)
    {
        await HasAsync(stays);
        var before = Gateways(await CountsAsync())[stays].Requests;
        await MeshRig.UntilAsync(CountsAsync, text => Gateways(text) is var found && !found.ContainsKey(goes) && found[stays].Requests >= before + 20,
            $"{stays} alone answers");
    }

    private Task<string> CountsAsync() =>
        mesh.ScriptAsync("cluster1", "sample", "deploy/sleep", "istio-proxy",
            "pilot-agent request GET clusters | grep '^outbound|5000||helloworld.sample.svc.cluster.local::.*:15443::' || true");

    /// <summary>Weight and requests of each gateway, by address, from <c>/clusters</c> of the caller's proxy.</summary>
    private static Dictionary<string, (int Weight, int Requests)> Gateways(string text) => Line().Matches(text)
        .GroupBy(match => match.Groups[1].Value, StringComparer.Ordinal)
        .ToDictionary(group => group.Key, group => (Figure(group, "weight"), Figure(group, "rq_total")), StringComparer.Ordinal);

    private static int Figure(IEnumerable<Match> lines, string name) =>
        lines.Where(line => line.Groups[2].Value == name).Select(line => int.Parse(line.Groups[3].Value, CultureInfo.InvariantCulture)).FirstOrDefault();

    [GeneratedRegex(@"::([0-9.]+):15443::(\w+)::(\d+)")]
    private static partial Regex Line();
}
