using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Telemetry;
using Xunit;

namespace Isthmus.Tests.Effects.Telemetry;

public sealed class StatsSelectionTests
{
    private const string Name = "cluster.outbound|80||web.shop.svc.cluster.local.upstream_cx_total";

    [Theory]
    [InlineData("{}", false)]
    [InlineData("{proxyStatsMatcher: {}}", false)]
    [InlineData("{proxyStatsMatcher: {inclusionPrefixes: [cluster.outbound]}}", true)]
    [InlineData("{proxyStatsMatcher: {inclusionPrefixes: ['cluster.outbound|80||web.shop.svc.cluster.local.upstream_rq']}}", false)]
    [InlineData("{proxyStatsMatcher: {inclusionSuffixes: [upstream_cx_total]}}", true)]
    [InlineData("{proxyStatsMatcher: {inclusionSuffixes: [upstream_rq_total]}}", false)]
    [InlineData("{proxyStatsMatcher: {inclusionRegexps: ['cluster\\..*shop.*upstream_cx.*']}}", true)]
    [InlineData("{proxyStatsMatcher: {inclusionRegexps: ['upstream_cx']}}", false)] // the whole name must match
    public void ProxyConfig_selects_statistics_of_clusters(string config, bool included)
    {
        var selection = StatsSelection.Read(Isthmus.Kubernetes.Yaml.YamlText.Parse(config, "config")!);
        Assert.Equal(included, selection.Includes(Name));
        if (included) Assert.True(selection.MayInclude(Name[..(Name.LastIndexOf('.') + 1)]));
    }

    /// <summary>Of an expression that injection lets through and the agent cannot read, no Pod would start.</summary>
    [Theory]
    [InlineData("[a", false)]
    [InlineData("(a{1000}){1000}", false)]
    [InlineData("(?x)a#b", false)]
    [InlineData("(?=a)b", false)]
    [InlineData("(a+)+$", true)]
    [InlineData("long", false)]
    public void The_agent_can_read_what_injection_lets_through(string pattern, bool passes)
    {
        if (pattern == "long") pattern = new('a', LinearRegex.Longest + 1);
        Assert.Equal(passes, LinearRegex.Fault(pattern) is null);
        var config = new JsonObject { ["proxyStatsMatcher"] = new JsonObject { ["inclusionRegexps"] = new JsonArray(pattern) } };
        if (passes) Assert.False(StatsSelection.Read(config).Includes(new string('a', 5000) + "!"));
        else Assert.Throws<ProblemException>(() => StatsSelection.Read(config));
    }

    [Fact]
    public void Some_are_always_included()
    {
        var selection = StatsSelection.Read(new JsonObject());
        Assert.True(selection.Includes("cluster.xds-grpc.upstream_cx_active"));
        Assert.True(selection.MayInclude("cluster.xds-grpc."));
        Assert.False(selection.MayInclude("cluster.outbound|80||web.shop.svc.cluster.local."));
        Assert.True(StatsSelection.Everything.MayInclude("cluster.a."));
        Assert.True(StatsSelection.Everything.Includes(Name));
    }

    [Theory]
    [InlineData("{proxyStatsMatcher: {inclusionRegexps: ['(']}}")]
    [InlineData("{proxyStatsMatcher: {inclusionPrefixes: 1}}")]
    [InlineData("{proxyStatsMatcher: {inclusionPrefixes: [null]}}")]
    public void What_cannot_be_read_is_named(string config) =>
        Assert.Contains("proxyStatsMatcher",
            Assert.Throws<ProblemException>(() => StatsSelection.Read(Isthmus.Kubernetes.Yaml.YamlText.Parse(config, "config")!)).Message,
            StringComparison.Ordinal);
}
