using Isthmus.Testing;
using Xunit;
using static Isthmus.Tests.Mesh.Lab.Nodes.PodSteps;

namespace Isthmus.Tests.Mesh.Lab.Nodes;

[Trait("shard", "node")]
public sealed class PodNamesTests
{
    [Fact]
    public async Task A_Pod_has_the_name_that_its_spec_gives_it()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("full", "exec sleep 1000", spec: "  hostname: web-0\n  subdomain: web\n  setHostnameAsFQDN: true"));
        rig.Apply(Yaml("other", "exec sleep 1000", spec: "  hostname: web-0\n  hostnameOverride: db.example.org"));
        await rig.ReadyAsync("full");
        await rig.ReadyAsync("other");
        const string names = "hostname; cat /etc/hostname; echo $HOSTNAME";
        Assert.Equal((0, string.Concat(Enumerable.Repeat("web-0.web.default.svc.cluster.local\n", 3))), await rig.ExecAsync("full", "main", "sh", "-c", names));
        Assert.Equal((0, string.Concat(Enumerable.Repeat("db.example.org\n", 3))), await rig.ExecAsync("other", "main", "sh", "-c", names));
    }

    [Fact]
    public async Task A_full_name_that_the_kernel_cannot_show_keeps_the_Pod_from_starting()
    {
        await using var rig = NodeRig.Start();
        rig.Apply(Yaml("long", "exec sleep 1000", spec: $"  hostname: {new string('a', 40)}\n  subdomain: web\n  setHostnameAsFQDN: true"));
        await EventAsync(rig,
            e => (string?)e["reason"] == "FailedCreatePodSandBox"
                && ((string?)e["message"])!.Contains("is too long (64 characters is the max", StringComparison.Ordinal));
        var status = await rig.StatusAsync("long", one => one["containerStatuses"] is not null);
        Assert.Equal("ContainerCreating", (string?)status["containerStatuses"]![0]!["state"]!["waiting"]!["reason"]);
    }

    [Fact]
    public async Task A_volume_can_be_mounted_inside_of_one_that_is_read_only()
    {
        await using var rig = NodeRig.Start();
        rig.Api.ConfigMaps["default/ca"] = new() { Data = { ["root.pem"] = "root" } };
        rig.Api.ConfigMaps["default/crl"] = new() { Data = { ["crl.pem"] = "crl" } };
        rig.Apply(Yaml("a", "exec sleep 1000", """
                volumeMounts:
                - {name: crl, mountPath: /var/run/secrets/istio/ca-crl}
                - {name: ca, mountPath: /var/run/secrets/istio, readOnly: true}
              volumes: [{name: ca, projected: {sources: [{configMap: {name: ca}}]}}, {name: crl, configMap: {name: crl}}]
            """));
        await rig.ReadyAsync("a");
        string[] read = ["cat", "/var/run/secrets/istio/root.pem", "/var/run/secrets/istio/ca-crl/crl.pem"];
        Assert.Equal((0, "rootcrl"), await rig.ExecAsync("a", "main", read));
        rig.Api.ConfigMaps["default/ca"] = new() { Data = { ["root.pem"] = "new" } };
        rig.Api.ConfigMaps["default/crl"] = new() { Data = { ["crl.pem"] = "er" } };
        rig.Pods.Refresh("default");
        await Eventually.TrueAsync(async () => (await rig.ExecAsync("a", "main", read)).Output == "newer");
    }
}
