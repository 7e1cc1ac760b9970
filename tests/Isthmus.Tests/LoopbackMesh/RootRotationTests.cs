using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Certificates;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Isthmus.Operate.Rotation;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>The certificates of a running mesh, and another root for it.</summary>
[Trait("shard", "LoopbackMesh")]
public sealed class RootRotationTests(LoopbackMeshRig mesh) : IClassFixture<LoopbackMeshRig>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_root_is_replaced_step_by_step_and_verify_says_which_is_due()
    {
        var folder = Directory.CreateTempSubdirectory("isthmus-rotation-").FullName;
        try
        {
            await InventoryAsync();
            await RefusedAsync();

            var files = new CaFiles(folder, TimeProvider.System);
            files.MakeRoot(new(KeyKind.EcP256, 365));
            var clusters = LoopbackMeshRig.Clusters.Select(name => new RotatedCluster(name, name, mesh.Client(name), WellKnown.SystemNamespace)).ToList();
            var run = new RotationRun(clusters, WellKnown.SystemNamespace, files, TimeProvider.System);
            var (target, before) = (run.NewRoot(),
                Assert.Single((await ReadAsync()).SelectMany(cluster => cluster.Certificates).Where(one => one.Signs).Select(one => one.Root).Distinct()));

            await StepAsync(run, target, RotationAction.Trust);
            Assert.Contains(await mesh.VerifyAsync(),
                problem => problem.Code == "ISM1467" && problem.Message.StartsWith("step 2 of 4 is due", StringComparison.Ordinal));
            Assert.Equal(before, await run.OldRootAsync(await run.ReadAsync(Stop), Stop));
            await StepAsync(run, target, RotationAction.Sign);
            Assert.Contains(await mesh.VerifyAsync(),
                problem => problem.Code == "ISM1467" && problem.Message.StartsWith("step 4 of 4 is due", StringComparison.Ordinal));

            // The way back is the same way, and does not turn round when Secrets have changed places.
            Assert.Equal(before, await run.OldRootAsync(await run.ReadAsync(Stop), Stop));
            await StepAsync(run, before, RotationAction.Sign);
            Assert.Equal(before, await run.OldRootAsync(await run.ReadAsync(Stop), Stop));

            await StepAsync(run, target, RotationAction.Sign);
            await StepAsync(run, target, RotationAction.Distrust);
            Assert.DoesNotContain(await mesh.VerifyAsync(), problem => problem.Code is "ISM1467" or "ISM1468" or "ISM1010" or "ISM1004");
            await InventoryAsync();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Takes a step, a second time as after an interruption, and waits for everyone.</summary>
    private static async Task StepAsync(RotationRun run, string target, RotationAction action)
    {
        var read = await run.ReadAsync(Stop);
        var plan = RotationPlan.Of(read, target);
        Assert.Equal(action, plan.Due!.Action);
        Assert.NotEmpty(await run.TakeAsync(plan, read, Stop));
        Assert.Empty(await run.TakeAsync(plan, read, Stop));
        plan = await run.WaitAsync(target, action == RotationAction.Sign ? RotationAction.Renew : action, _ => { }, Stop);
        Assert.True(plan.Due is null || plan.Due.Action > action);
    }

    /// <summary>Every kind of certificate is there, and handshakes prove what webhooks serve.</summary>
    private async Task InventoryAsync()
    {
        foreach (var cluster in await ReadAsync())
        {
            var roles = cluster.Certificates.Select(one => one.Role).ToHashSet();
            Assert.Superset(new HashSet<CertificateRole>
            {
                CertificateRole.Root, CertificateRole.Authority, CertificateRole.ControlPlane, CertificateRole.WebhookBundle, CertificateRole.Workload,
                CertificateRole.RemoteToken
            },
                roles);
            var root = Assert.Single(cluster.Certificates, one => one.Role == CertificateRole.Root).Fingerprint;
            Assert.All(cluster.Certificates.Where(one => one.Role == CertificateRole.WebhookBundle), one => Assert.Equal(("", root), (one.Fault, one.Root)));
            Assert.All(cluster.Certificates.Where(one => one.Role == CertificateRole.Workload), one => Assert.Equal(("", root), (one.Fault, one.Root)));
            Assert.Empty(CertificateAnalysis.Check(cluster));
        }
    }

    /// <summary>A CA that the control plane refuses is no secret of its log.</summary>
    private async Task RefusedAsync()
    {
        var client = mesh.Client("cluster1");
        var secret = (await client.FindAsync<Secret>(Kinds.Secret, WellKnown.SystemNamespace, WellKnown.CaCerts, Stop))!;
        var (right, wrong) = (secret.Data["ca-key.pem"], Convert.ToBase64String(Encoding.UTF8.GetBytes(Keys.ToPem(Keys.Create(KeyKind.EcP256)))));
        await PutKeyAsync(client, wrong);
        await mesh.UntilAsync(async () => string.Join('\n', (await mesh.VerifyAsync()).Select(problem => $"{problem.Code} {problem}")),
            text => text.Contains("ISM1463", StringComparison.Ordinal) && text.Contains("the key does not belong to the certificate", StringComparison.Ordinal),
            "verify says why");
        Assert.Contains(await mesh.AnalyzeAsync(), finding => finding is { Cluster: "cluster1", Problem.Code: "ISM1463" });
        await PutKeyAsync(client, right);
        await mesh.UntilAsync(async () => string.Join('\n', (await mesh.VerifyAsync()).Select(problem => $"{problem.Code} {problem}")),
            text => !text.Contains("ISM1463", StringComparison.Ordinal), "it is in force again");
    }

    private static Task PutKeyAsync(KubeClient client, string key) =>
        client.PatchAsync(Kinds.Secret, WellKnown.SystemNamespace, WellKnown.CaCerts, new JsonObject { ["data"] = new JsonObject { ["ca-key.pem"] = key } },
            PatchType.Merge, Stop);

    private Task<ClusterInventory[]> ReadAsync()
    {
        var reader = new InventoryReader(WellKnown.SystemNamespace, proxies: 200) { Certificates = true };
        return Task.WhenAll(LoopbackMeshRig.Clusters.Select(name => reader.ReadAsync(name, mesh.Access(name), Stop)));
    }
}
