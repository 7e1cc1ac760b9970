using Xunit;

namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>The faults of docs/faults.md in the topologies of mesh files, under a steady stream of requests from every
/// cluster.</summary>
public sealed class TopologyFaultTests
{
    /// <summary>Each has its trait, so that you can run one of them alone: <c>-trait topology=primary-remote</c>.</summary>
    public static IEnumerable<TheoryDataRow<string, int>> Topologies =>
        Topology.All.Select(topology => new TheoryDataRow<string, int>(topology.Name, 1).WithTrait("topology", topology.Name));

    [Theory]
    [Trait("runs", "soak")]
    [MemberData(nameof(Topologies))]
    public async Task Whatever_fails_callers_of_healthy_places_are_answered_and_nothing_stale_remains(string name, int seed)
    {
        await using var run = await TopologyRun.BeginAsync(name, seed);
        var faults = run.Faults.All().ToArray();
        run.Random.Shuffle(faults);
        foreach (var fault in faults) await run.SurviveAsync(fault);
    }

    [Fact]
    public async Task A_remote_on_another_network_goes_on_while_its_control_plane_and_the_gateway_to_it_come_and_go()
    {
        await using var run = await TopologyRun.BeginAsync("primary-remote-multi-network", 1);
        await run.SurviveAsync(new("control plane killed, gateway drained", async load =>
        {
            await run.Faults.ControlPlaneKilled(new("cluster1")).Happens(load);
            await run.Faults.GatewayDrained("cluster1").Happens(load);
        }));
    }
}
