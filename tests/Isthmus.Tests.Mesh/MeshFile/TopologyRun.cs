using Isthmus.Tests.Mesh.Faults;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>A mesh that goes through one fault after the other, under load.</summary>
internal sealed class TopologyRun : IAsyncDisposable
{
    private readonly Topology _topology;
    private readonly TopologyMesh _mesh;
    private readonly LabRig _lab;
    private readonly FaultRig _rig;

    private TopologyRun(Topology topology, TopologyMesh mesh, LabRig lab, Random random)
    {
        (_topology, _mesh, _lab, Random) = (topology, mesh, lab, random);
        _rig = new(mesh, lab);
        Faults = new(topology, mesh, lab, random);
    }

    internal Random Random { get; }

    internal LabRig Lab => _lab;

    internal TopologyMesh Mesh => _mesh;

    internal TopologyFaults Faults { get; }

    internal static async Task<TopologyRun> BeginAsync(string name, int seed)
    {
        var topology = Topology.All.Single(topology => topology.Name == name);
        var mesh = new TopologyMesh(topology, seed);
        try
        {
            var lab = await mesh.LabAsync();
            MeshRig.Note($"{name}, seed {seed}: {mesh.Calls.FullHost}");
            return new(topology, mesh, lab, new Random(seed));
        }
        catch
        {
            await mesh.DisposeAsync();
            throw;
        }
    }

    /// <summary>Answers of reachable callers are read all the time, those of callers without an API server afterwards, and
    /// those of callers without power when it is back.</summary>
    internal async Task SurviveAsync(TopologyFault fault)
    {
        var asked = _topology.Callers.Except([fault.WithoutApiServer, fault.WithoutPower]).ToList();
        await using var load = new SteadyLoad(_lab, _mesh.Calls, asked);
        await using var inner = _topology.Callers.Contains(fault.WithoutApiServer) ? new InnerLoad(_mesh, fault.WithoutApiServer) : null;
        if (inner is not null) await inner.BeginAsync();
        await Faults.HeardAsync(load, asked, _topology.Versions);
        var begun = load.Now;
        await fault.Happens(load);
        await HealthyAsync(load, asked);
        MeshRig.Note($"{fault.Name}: {MeshRig.Seconds(load.Now - begun)}");
        await using (var others = new SteadyLoad(_lab, _mesh.Calls, _topology.Callers.Except(asked)))
        {
            await Faults.HeardAsync(others, _topology.Callers.Except(asked), _topology.Versions);
            await NothingStaleAsync(load, asked, others);
        }
        if (inner is not null) await inner.FinishAndCheckAsync(fault.Lost);
        foreach (var answers in (await load.FinishAsync(0)).GroupBy(answer => answer.Cluster))
        {
            var failed = answers.Where(answer => answer.Code != 200).ToList();
            Assert.True(failed.Count <= fault.Lost,
                $"{fault.Name}: {failed.Count} of {answers.Count()} from {answers.Key} failed, {fault.Lost} may: {string.Join('\n', failed.Take(5))}");
            MeshRig.Note($"{fault.Name}: {answers.Count()} answers in {answers.Key}, {failed.Count} of them not 200");
        }
    }

    private async Task HealthyAsync(SteadyLoad load, List<string> asked)
    {
        foreach (var cluster in _topology.Clusters)
            foreach (var ns in (string[])[.. _topology.ControlPlanes.Where(place => place.Cluster == cluster).Select(place => place.Namespace)
                .Append("istio-system").Append(_mesh.Calls.Namespace).Distinct()])
                await _mesh.ReadyAsync(cluster, ns);
        await Faults.HeardAsync(load, asked, _topology.Versions);
        foreach (var cluster in _topology.Clusters)
            foreach (var place in _topology.Watching(cluster)) await _rig.ServedFromAsync(place, cluster, "live");
        await _rig.AgreesAsync();
    }

    /// <summary>A workload that goes away now disappears everywhere, and comes back.</summary>
    private async Task NothingStaleAsync(SteadyLoad load, List<string> asked, SteadyLoad others)
    {
        var item = _topology.Answering[Random.Next(_topology.Answering.Length)];
        foreach (var (replicas, versions) in ((int, string[])[])[(0, [.. _topology.Versions.Where(version => version != item.Version)]),
            (1, _topology.Versions)])
        {
            await _mesh.KubectlAsync(item.Cluster, $"-n {_mesh.Calls.Namespace} scale deployment/{item.Version} --replicas={replicas}");
            await Faults.HeardAsync(load, asked, versions);
            await Faults.HeardAsync(others, _topology.Callers.Except(asked), versions);
        }
    }

    public async ValueTask DisposeAsync() => await _mesh.DisposeAsync();
}
