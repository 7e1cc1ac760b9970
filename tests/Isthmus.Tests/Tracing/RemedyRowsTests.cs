using System.Text.RegularExpressions;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Which codes of a trace have a row that applies their remedy.</summary>
public sealed partial class RemedyRowsTests
{
    private const string Looks = "says where to look: what is wrong there has a code of its own, or is outside the mesh",
        CallsElse = "tells the caller what to call or send",
        Traffic = "of what calls met: needs traffic",
        Network = "needs a network that drops packets, or refuses connections",
        Beside = "RouteOutcomeTests applies it", Told = "FirstCauseTests states it: needs another Service, route or name",
        Plane = "needs another control plane",
        Connected = "ConnectionTrialTests states it: needs another Pod",
        Stated = "CallerTrialTests states it: needs another Pod, gateway, entry or name";

    private static readonly Dictionary<string, string> Without = new()
    {
        ["ISM2001"] = Looks, ["ISM2002"] = Looks, ["ISM2003"] = Looks, ["ISM2014"] = Looks, ["ISM2015"] = Looks, ["ISM2021"] = Looks, ["ISM2022"] = Looks,
        ["ISM2023"] = Looks, ["ISM2031"] = Looks, ["ISM2040"] = Looks, ["ISM2041"] = Looks, ["ISM2044"] = Looks, ["ISM2047"] = Looks, ["ISM2054"] = Looks,
        ["ISM2060"] = Looks, ["ISM2065"] = Looks, ["ISM2068"] = Looks, ["ISM2073"] = Looks, ["ISM2075"] = Looks, ["ISM2076"] = Looks, ["ISM2083"] = Looks,
        ["ISM2103"] = Looks, ["ISM2132"] = Looks, ["ISM2147"] = Looks, ["ISM2148"] = "NoWayTests states it: needs another gateway",
        ["ISM2149"] = "EgressTraceTests states it: needs a gateway within the mesh",
        ["ISM2077"] = CallsElse, ["ISM2082"] = CallsElse, ["ISM2101"] = CallsElse, ["ISM2179"] = CallsElse,
        ["ISM2079"] = Traffic, ["ISM2088"] = Traffic, ["ISM2091"] = Traffic, ["ISM2092"] = Traffic, ["ISM2097"] = Traffic, ["ISM2109"] = Traffic,
        ["ISM2114"] = Traffic, ["ISM2115"] = Beside, ["ISM2180"] = Beside,
        ["ISM2116"] = Told, ["ISM2117"] = CallsElse, ["ISM2118"] = Told, ["ISM2119"] = Told, ["ISM2122"] = Told, ["ISM2123"] = Told,
        ["ISM2130"] = Told, ["ISM2131"] = Told, ["ISM2156"] = Told, ["ISM2157"] = Told, ["ISM2150"] = "IngressTraceTests states it: needs another IngressClass",
        ["ISM2151"] = "EntryCausesTests states it: needs another Secret",
        ["ISM2152"] = "EntryTrialTests states it: needs objects of another cluster",
        ["ISM2154"] = "EntryTrialTests states it: needs another certificate",
        ["ISM2153"] = "ProxyHeaderTests states it: needs another proxy",
        ["ISM2140"] = Stated, ["ISM2141"] = Stated, ["ISM2142"] = Stated, ["ISM2143"] = CallsElse, ["ISM2144"] = CallsElse, ["ISM2145"] = Stated,
        ["ISM2146"] = Stated, ["ISM2158"] = Stated, ["ISM2159"] = Plane, ["ISM2160"] = Plane, ["ISM2170"] = Plane, ["ISM2173"] = Stated,
        ["ISM2176"] = Stated, ["ISM2177"] = Stated, ["ISM2178"] = "EntryCausesTests states it: needs another certificate",
        ["ISM2166"] = Traffic, ["ISM2167"] = Connected, ["ISM2168"] = CallsElse, ["ISM2169"] = Connected, ["ISM2172"] = Traffic,
        ["ISM2161"] = "EntryCausesTests states it: needs another certificate", ["ISM2162"] = "TakenRouteTests states it: needs another route",
        ["ISM2182"] = "TunnelTraceTests states it: needs another proxy",
        ["ISM2181"] = "EntryEndpointTests states it: needs another WorkloadEntry",
        ["ISM2086"] = Network, ["ISM2090"] = Network, ["ISM2155"] = Network,
    };

    [Fact]
    public void Every_code_of_a_trace_has_a_row_or_a_reason()
    {
        var used = Directory.EnumerateFiles(Repository.At("src/Isthmus.Explain"), "*.cs", SearchOption.AllDirectories)
            .SelectMany(file => TraceCode().Matches(File.ReadAllText(file))).Select(match => match.Groups[1].Value).Distinct();
        var rows = ((string[])["Tracing/RemedyWalkTests.cs", "Tracing/RemedyFaults.cs", "Tracing/RemedyChoiceTests.cs", "LoopbackMesh/RemedyTests.cs",
            "LoopbackMesh/GatewayFaultTests.cs"])
            .SelectMany(file => TraceCode().Matches(File.ReadAllText(Repository.At($"tests/Isthmus.Tests/{file}")))).Select(match => match.Groups[1].Value)
            .Distinct().ToList();
        Assert.Empty(rows.Intersect(Without.Keys));
        Assert.Equal(used.Except(rows).Order(StringComparer.Ordinal), Without.Keys.Order(StringComparer.Ordinal));
    }

    [GeneratedRegex("\"(ISM2[0-9]{3})\"")]
    private static partial Regex TraceCode();
}
