using System.Diagnostics;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>The root of a mesh is replaced by command, in the topologies of mesh files, while callers never stop and one proxy is away when the first step
/// is taken (<c>./test --soak</c>).</summary>
public sealed class TopologyRotationTests
{
    private const string Absent = "absent";

    /// <summary>Each has its trait, so that you can run one of them alone: <c>-trait topology=multi-primary</c>.</summary>
    public static IEnumerable<TheoryDataRow<string>> Topologies =>
        Topology.All.Select(topology => new TheoryDataRow<string>(topology.Name).WithTrait("topology", topology.Name));

    [Theory]
    [Trait("runs", "soak")]
    [MemberData(nameof(Topologies))]
    public async Task No_call_is_lost_while_a_root_is_replaced_and_a_proxy_is_away(string name)
    {
        var topology = Topology.All.Single(one => one.Name == name);
        await using var run = await TopologyRun.BeginAsync(name, 1);
        await run.SurviveAsync(new("root replaced", async _ => await RotateAsync(topology, run)));
    }

    private static async Task RotateAsync(Topology topology, TopologyRun run)
    {
        var (lab, mesh, home) = (run.Lab, run.Mesh, topology.Callers[0]);
        var root = Path.Combine(Path.GetDirectoryName(lab.Kubeconfig)!, "new-root");
        string[] options = ["--dir", root, "--contexts", string.Join(',', topology.Clusters), "--istioNamespace", topology.ControlPlanes[0].Namespace, "-y"];
        Task<Outcome> StepAsync(params string[] more) => lab.IsthmusAsync(["ca", "rotate", .. options, .. more]);

        (await lab.IsthmusAsync("ca", "root", "--dir", root)).Expect(0);
        await mesh.KubectlAsync(home, $"-n {mesh.Calls.Namespace} create deployment {Absent} --image=host.lab.internal/rootfs -- sleep infinity");
        await mesh.KubectlAsync(home, $"-n {mesh.Calls.Namespace} rollout status deployment/{Absent} --timeout=90s");
        var stopped = lab.Processes().Where(IsProxyOfAbsent).ToList();
        Assert.NotEmpty(stopped);
        Signal("-STOP", stopped);
        try
        {
            (await StepAsync()).Expect(0);
            // Nobody knows what a proxy trusts that does not answer.
            var refused = await StepAsync("--plan");
            Assert.Contains(Absent, refused.Output, StringComparison.Ordinal);
        }
        finally
        {
            Signal("-CONT", stopped);
        }
        await MeshRig.UntilAsync(async () => (await StepAsync("--wait")).Output, text => text.Contains("one root is left", StringComparison.Ordinal),
            "all steps are done");
    }

    private static bool IsProxyOfAbsent(int process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/cmdline").Contains("sidecar", StringComparison.Ordinal)
                && File.ReadAllText($"/proc/{process}/environ").Contains($"POD_NAME={Absent}-", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false; // It has ended.
        }
    }

    private static void Signal(string signal, IEnumerable<int> processes)
    {
        foreach (var process in processes) Process.Start("kill", [signal, $"{process}"]).WaitForExit();
    }
}
