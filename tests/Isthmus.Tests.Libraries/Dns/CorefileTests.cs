using FsCheck;
using FsCheck.Fluent;
using Isthmus.Dns.Config;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Dns;

public class CorefileTests
{
    internal const string Usual = """
        # the cluster's own
        .:53 {
            errors
            health {
                lameduck 5s
            }
            ready
            kubernetes cluster.local in-addr.arpa ip6.arpa {
                pods insecure
                fallthrough in-addr.arpa ip6.arpa
                ttl 30
            }
            prometheus :9153
            forward . /etc/resolv.conf {
                max_concurrent 1000
            }
            cache 30
            loop
            reload
            loadbalance
        }
        global:53 {
            errors
            cache 30
            forward . 10.96.7.7:53
        }
        """;

    [Fact]
    public void The_usual_corefile_with_a_stub_domain_is_understood()
    {
        var plan = Read(Usual);
        Assert.Equal(["", "global"], plan.Zones.Select(zone => zone.Zone));
        Assert.Equal((8080, 8181, 9153, TimeSpan.FromSeconds(5), true), (plan.Health!.Port, plan.Ready!.Port, plan.Metrics!.Port, plan.Lameduck, plan.Reload));
        var kubernetes = plan.Zones[0].Plugins.OfType<KubernetesPlan>().Single();
        Assert.Equal(["cluster.local", "in-addr.arpa", "ip6.arpa"], kubernetes.Zones);
        Assert.Equal((PodMode.Insecure, 30u, 2), (kubernetes.Pods, kubernetes.Ttl, kubernetes.Fallthrough!.Value.Count));
        Assert.Equal("10.96.7.7:53", plan.Zones[1].Plugins.OfType<ForwardPlan>().Single().To.Single());
    }

    [Fact]
    public void The_corefile_of_istiocoredns_is_understood()
    {
        var plan = Read(
            ".:53 {\n errors\n health\n grpc global 127.0.0.1:8053\n forward . /etc/resolv.conf {\n except global\n }\n prometheus :9153\n cache 30\n "
                + "reload\n}");
        Assert.Equal("global", plan.Zones[0].Plugins.OfType<GrpcPlan>().Single().From);
        Assert.Equal(["global"], plan.Zones[0].Plugins.OfType<ForwardPlan>().Single().Except);
    }

    [Theory]
    [InlineData(".:53 {\n errors\n cahce 30\n}", 3, "unknown plugin 'cahce'")]
    [InlineData(".:53 {\n errors\n", 1, "'{' is never closed")]
    [InlineData(".:99999 {\n}", 1, "'99999' is not a port")]
    [InlineData("}\n", 1, "'}' closes nothing")]
    [InlineData(". {\n forward . nowhere.example\n}", 2, "'nowhere.example' is neither an address nor a file")]
    [InlineData(". {\n forward . tls://9.9.9.9\n}", 2, "only plain DNS is spoken")]
    [InlineData(". {\n kubernetes cluster.local {\n pods some\n }\n}", 3, "pods 'some' is not")]
    [InlineData(". {\n kubernetes cluster.local {\n ttl 9999\n }\n}", 3, "ttl '9999'")]
    [InlineData(". {\n errors\n}\n. {\n errors\n}", 4, "is served twice")]
    [InlineData(". {\n health nowhere\n}", 2, "not an address to listen at")]
    [InlineData("", 1, "there is no server block")]
    [InlineData(". {\n log \"x\n}", 2, "is never closed")]
    public void What_is_wrong_is_said_with_its_line(string text, int line, string says)
    {
        var wrong = Assert.Throws<CorefileException>(() => Read(text));
        Assert.Equal(line, wrong.Line);
        Assert.Contains(says, wrong.Message, StringComparison.Ordinal);
        Assert.StartsWith($"Corefile:{line}: ", wrong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Environment_snippets_quotes_and_lists_of_zones_work()
    {
        var plan = PlanReader.Read(
            "(base) {\n errors\n cache {$TTL}\n}\na.example, b.example:5353 {\n import base\n hosts {\n 10.0.0.1 \"x.example\"\n fallthrough\n }\n}",
            "Corefile", name => name == "TTL" ? "7" : null, 1053);
        Assert.Equal([("a.example", 1053), ("b.example", 5353)], plan.Zones.Select(zone => (zone.Zone, zone.Port)));
        Assert.Equal(7, plan.Zones[1].Plugins.OfType<CachePlan>().Single().SuccessTtl);
        Assert.Equal("10.0.0.1 x.example", plan.Zones[0].Plugins.OfType<HostsPlan>().Single().Inline.Single());
    }

    [Theory]
    [InlineData("5s", 5.0)]
    [InlineData("1m30s", 90.0)]
    [InlineData("500ms", 0.5)]
    [InlineData("30", 30.0)]
    [InlineData("5x", null)]
    [InlineData("s", null)]
    public void Times_are_written_as_in_go(string text, double? seconds) =>
        Assert.Equal(seconds, seconds is null ? TryTime(text) : Read($". {{\n health {{\n lameduck {text}\n }}\n}}").Lameduck.TotalSeconds);

    private static double? TryTime(string text)
    {
        Assert.Throws<CorefileException>(() => Read($". {{\n health {{\n lameduck {text}\n }}\n}}"));
        return null;
    }

    [Fact]
    public void Any_text_is_a_plan_or_one_clear_error()
    {
        var words = Gen.Elements(".", ".:53", "{", "}", "\n", "{\n", "\n}\n", "kubernetes", "forward", "cache", "30", "\"", "#", "{$X}", "cluster.local",
            "health", "lameduck", "5s", "/etc/resolv.conf", "10.0.0.1", "import", "(a)", "é", "\\");
        Prop.ForAll(Gen.ArrayOf(words).ToArbitrary(), parts => Holds(string.Join(' ', parts))).MustHold(2000);
        Prop.ForAll(ArbMap.Default.ArbFor<string>(), text => Holds(text ?? "")).MustHold();
    }

    private static bool Holds(string text)
    {
        try
        {
            return Read(text).Zones.Count > 0;
        }
        catch (CorefileException wrong)
        {
            return wrong.Line >= 1 && wrong.Message.Length > 12;
        }
    }

    private static ServerPlan Read(string text) => PlanReader.Read(text, "Corefile", _ => null);
}
