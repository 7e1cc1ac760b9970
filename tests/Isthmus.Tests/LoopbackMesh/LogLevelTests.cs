using Isthmus.Core.Flags;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary><c>isthmus admin log</c> against a running control plane, through the API server.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class LogLevelTests(LoopbackMeshRig mesh)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Levels_of_a_control_plane_are_read_and_changed()
    {
        var client = mesh.Client("cluster1");
        var pod = (await new MeshQuery(client, WellKnown.SystemNamespace).ControlPlanesAsync(Stop))[0].Metadata.Name;
        var logs = new LogLevels(client, WellKnown.SystemNamespace);
        var before = await logs.OfControlPlaneAsync(pod, Ports.ControlZ, Stop);
        Assert.Contains(("mcs", "info"), before);
        await logs.SetControlPlaneAsync(pod, Ports.ControlZ, LogLevels.Parse("--level", "mcs:error,push:warn", LogLevels.ControlPlaneWords), Stop);
        var after = await logs.OfControlPlaneAsync(pod, Ports.ControlZ, Stop);
        Assert.Equal(("error", "warn"), (after.Single(scope => scope.Scope == "mcs").Level, after.Single(scope => scope.Scope == "push").Level));
        await logs.SetControlPlaneAsync(pod, Ports.ControlZ, before, Stop);
        Assert.Equal(before, await logs.OfControlPlaneAsync(pod, Ports.ControlZ, Stop));
        var unknown = await Assert.ThrowsAsync<ProblemException>(() => logs.SetControlPlaneAsync(pod, Ports.ControlZ, [("nothing", "info")], Stop));
        Assert.Contains("unknown scope 'nothing': use one of ", unknown.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("debug", ":debug")]
    [InlineData("http:debug,redis:off", "http:debug redis:off")]
    public void Levels_are_read_as_istioctl_writes_them(string text, string expected) =>
        Assert.Equal(expected, string.Join(' ', LogLevels.Parse("--level", text, LogLevels.ProxyWords).Select(level => $"{level.Logger}:{level.Level}")));

    [Fact]
    public void A_level_that_does_not_exist_is_an_error() =>
        Assert.Equal("--level: 'loud' is not a log level (use one of trace, debug, info, warning, error, critical, off)",
            Assert.Throws<WrongUseException>(() => LogLevels.Parse("--level", "http:loud", LogLevels.ProxyWords)).Message);
}
