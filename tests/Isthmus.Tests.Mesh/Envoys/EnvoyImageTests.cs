using Isthmus.Testing;
using Isthmus.Tests.Mesh.Guides;
using Isthmus.Tests.Mesh.Lab;
using Xunit;
using static Isthmus.Tests.Mesh.Envoys.EnvoyPods;

namespace Isthmus.Tests.Mesh.Envoys;

/// <summary>An image with a real Envoy, as <c>isthmus image build</c> makes it: a Pod of a lab has it as its proxy.</summary>
[Trait("shard", "images")]
public sealed class EnvoyImageTests
{
    private const string Image = "registry.example/mesh:with-envoy";

    [Fact]
    public async Task A_Pod_runs_the_Envoy_of_the_image()
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        await using var shell = await GuideShell.CreateAsync();
        await shell.WriteAsync("mesh.yaml", OneCluster);
        await shell.WriteAsync("own.yaml", Workload("own", "", "own") + Strict);
        await shell.WriteAsync("envoy.yaml", Workload("envoy", $"sidecar.istio.io/proxyImage: '{Image}', {ByEnvoy}", "envoy"));
        // Tests have no network: ./test downloads the packages before. Nor does the file need to be executable where it lies.
        var packages = Path.Combine(BuiltProgram.Artifacts, "packages-13");
        await ExpectAsync(shell, $"""
            cp '{RealEnvoy.Find()}' program && chmod 644 program
            isthmus image build --with-envoy program --without-cni --packages '{packages}' --tag {Image} --output image.tar
            isthmus lab up --topology ./mesh.yaml
            isthmus lab image load image.tar
            kubectl --context=cluster1 apply -f own.yaml -f envoy.yaml
            for name in own envoy; do kubectl --context=cluster1 -n mixed rollout status deployment $name --timeout=100s; done
            """);
        Assert.Contains("envoy",
            await ExpectAsync(shell, "kubectl --context=cluster1 -n mixed exec deploy/envoy -c istio-proxy -- sh -c 'cat /proc/[0-9]*/comm || true'"),
            StringComparison.Ordinal);
        foreach (var caller in (string[])["own", "envoy"]) await HearsAsync(shell, "cluster1", caller, "tide", "in-envoy in-own");
    }
}
