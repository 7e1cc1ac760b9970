using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Processes;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class IdentityTests
{
    private static readonly IdMap Whole = IdMap.Parse("         0          0 4294967295\n");
    private static readonly IdMap Single = IdMap.Parse("         0       1000          1\n");

    [Fact]
    public void The_container_goes_before_the_Pod_and_the_Pod_before_the_image()
    {
        Assert.Equal(100, Decide(null, null, 100, Whole).User);
        Assert.Equal(7, Decide(new() { RunAsUser = 7 }, null, 100, Whole).User);
        Assert.Equal(8, Decide(new() { RunAsUser = 7 }, new() { RunAsUser = 8 }, 100, Whole).User);
    }

    [Fact]
    public void Where_only_one_id_exists_the_proxy_runs_as_it_with_raw_sockets_and_others_are_refused()
    {
        var proxy = Decide(null, new() { RunAsUser = 1337, Capabilities = new() { Drop = ["ALL"] } }, 0, Single);
        Assert.Equal(0, proxy.User);
        Assert.Equal(["net_raw"], proxy.Capabilities);
        var refusal = Assert.Throws<IdentityException>(() => Decide(null, new() { RunAsUser = 1000 }, 0, Single));
        Assert.Contains("uidmap", refusal.Message, StringComparison.Ordinal);
        // A group that nobody requested is not a reason to reject.
        Assert.Equal(0, Decide(null, null, 100, Single).User);
    }

    [Fact]
    public void Root_is_refused_where_the_Pod_must_not_run_as_root() =>
        Assert.Throws<IdentityException>(() => Decide(null, new() { RunAsNonRoot = true }, 0, Whole));

    [Fact]
    public void Capabilities_are_the_usual_ones_less_the_dropped_plus_the_granted()
    {
        Assert.DoesNotContain("net_raw", Decide(null, null, 0, Whole).Capabilities);
        var init = Decide(null, new() { Capabilities = new() { Drop = ["ALL"], Add = ["NET_ADMIN", "CAP_NET_RAW"] } }, 0, Whole);
        Assert.Equal(["net_admin", "net_raw"], init.Capabilities);
        Assert.DoesNotContain("chown", Decide(null, new() { Capabilities = new() { Drop = ["CHOWN"] } }, 0, Whole).Capabilities);
        Assert.Throws<IdentityException>(() => Decide(null, new() { Capabilities = new() { Add = ["SYS_ADMIN"] } }, 0, Whole));
    }

    private static ContainerIdentity Decide(PodSecurityContext? pod, SecurityContext? own, long image, IdMap map) =>
        ContainerIdentity.Decide(pod, own, ImageUser.Of(image), map, map);
}
