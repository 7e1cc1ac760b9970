using System.Net;
using Isthmus.Capture;
using Isthmus.Core.Flags;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Proxy.Capture;

public sealed class CaptureTests
{
    private static readonly string[] Usual =
        ["-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", "", "-b", "*", "-d", "15090,15021,15020"];

    private static readonly CaptureHost Root = new("         0          0 4294967295\n", [IPAddress.Parse("10.96.0.10")]);
    private static readonly CaptureHost SingleUser = new("         0       1000          1\n", [IPAddress.Parse("10.96.0.10")]);

    [Fact]
    public void Flags_of_the_injected_container_capture_everything_but_the_proxy_itself() =>
        Golden.Verify(Rules(Root, Usual), "usual");

    [Fact]
    public void Every_exclusion_has_its_rule() => Golden.Verify(
        Rules(Root, [.. Usual, "--redirect-dns", "-o", "5432,3306", "-x", "10.9.0.0/16,10.9.1.1", "-c", "eth9", "-b", "80,443", "-i", "10.96.0.0/16"]),
        "exclusions");

    [Fact]
    public void Owner_is_matched_only_where_that_user_exists()
    {
        Assert.Contains("meta skuid 1337", Rules(Root, Usual), StringComparison.Ordinal);
        var reduced = Rules(SingleUser, Usual);
        Assert.DoesNotContain("skuid", reduced, StringComparison.Ordinal);
        Assert.Contains("meta mark 1337 jump own", reduced, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("true", true)]
    [InlineData("false", false)]
    [InlineData(null, false)]
    public void Dns_is_captured_when_the_mesh_says_so(string? value, bool captured)
    {
        var environment = value is null ? new Dictionary<string, string>() : new() { ["ISTIO_META_DNS_CAPTURE"] = value };
        var rules = CaptureRules.Write(CaptureFlags.Read(Usual, environment), Root);
        Assert.Equal(captured, rules.Contains("15053", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("-p: invalid value '70000' (expected a port number from 1 to 65535)", "-p", "70000")]
    [InlineData("-i: invalid value '10.0.0.0/40' ('10.0.0.0/40' is not an address range", "-i", "10.0.0.0/40")]
    [InlineData("-m: invalid value 'TPROXY' (only REDIRECT is supported)", "-m", "TPROXY")]
    [InlineData("unknown flag --what", "--what=1")]
    [InlineData("unknown flag -Q", "-Q")]
    [InlineData("flag -p needs a value", "-p")]
    [InlineData("is not an interface name", "-c", "eth0\" accept; #")]
    public void Wrong_flag_is_named(string said, params string[] args)
    {
        var e = Assert.Throws<WrongUseException>(() => CaptureFlags.Read(args, new Dictionary<string, string>()));
        Assert.Contains(said, e.Message, StringComparison.Ordinal);
        Assert.Contains(args[0][..2], e.Message, StringComparison.Ordinal);
    }

    private static string Rules(CaptureHost host, string[] args) =>
        CaptureRules.Write(CaptureFlags.Read(args, new Dictionary<string, string>()), host);
}
