using Isthmus.Core.Problems;
using Isthmus.Lab.Supervisor;
using Xunit;

namespace Isthmus.Tests.Lab.Supervisor;

public sealed class PreflightTests
{
    private static readonly RefusalFacts Unknown = new("unshare failed: Operation not permitted", false, 15000, null, null, 0, false);

    public static TheoryData<object, string> Refusals => new()
    {
        { Unknown with { MaxUserNamespaces = 0, Error = "unshare failed: No space left on device" }, "sysctl user.max_user_namespaces=15000" },
        { Unknown with { UnprivilegedClone = 0 }, "sysctl kernel.unprivileged_userns_clone=1" },
        {
            Unknown with { AppArmorRestricts = 1, Error = "unshare: write failed /proc/self/uid_map: Operation not permitted" },
            "kernel.apparmor_restrict_unprivileged_userns=0"
        },
        { Unknown with { InChroot = true }, "outside the chroot" },
        { Unknown with { Error = "unshare: mount /proc failed: Operation not permitted" }, "unmasked /proc" },
        { Unknown with { Seccomp = 2 }, "seccomp=unconfined" },
        { Unknown with { Error = "unshare failed: No space left on device" }, "max_net_namespaces" },
        { Unknown, "run the lab as root" },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public void Every_refusal_has_its_remedy_and_the_kernels_words(object facts, string remedy)
    {
        Problem problem = Preflight.Explain((RefusalFacts)facts);
        Assert.Contains(remedy, problem.Remedy);
        Assert.Contains(((RefusalFacts)facts).Error, problem.Message);
    }
}
