using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Matching;

namespace Isthmus.Proxy.Telemetry;

/// <summary>Which statistics of clusters a scrape contains: with thousands of clusters, all would be megabytes.</summary>
internal sealed class StatsSelection
{
    // As Istio's bootstrap has them.
    private static readonly string[] AlwaysPrefixes = ["cluster.xds-grpc"], AlwaysSuffixes = ["downstream_cx_active"];

    private readonly string[] _prefixes;
    private readonly string[] _suffixes;
    private readonly Regex[] _patterns;

    private StatsSelection(IEnumerable<string> prefixes, IEnumerable<string> suffixes, IEnumerable<string> patterns) =>
        (_prefixes, _suffixes, _patterns) = ([.. prefixes], [.. suffixes], [.. patterns.Select(pattern => TextMatch.CompileRegex(pattern, whole: true))]);

    /// <summary>For a proxy that no agent configures.</summary>
    public static StatsSelection Everything { get; } = new([""], [], []);

    /// <summary>Reads <c>proxyStatsMatcher</c> of ProxyConfig, which injection completes with the Pod's annotations.</summary>
    /// <param name="config">ProxyConfig as JSON.</param>
    /// <exception cref="ProblemException">An expression cannot be compiled, or a value has another type.</exception>
    public static StatsSelection Read(JsonNode config)
    {
        try
        {
            return new([.. AlwaysPrefixes, .. List("inclusionPrefixes")], [.. AlwaysSuffixes, .. List("inclusionSuffixes")], List("inclusionRegexps"));
        }
        catch (Exception e) when (e is ResourceException or InvalidOperationException or FormatException or NullReferenceException)
        {
            throw new ProblemException("PROXY_CONFIG proxyStatsMatcher", $"cannot be read: {e.Message}",
                "list the beginnings, the ends or RE2 expressions of statistics", e);
        }

        string[] List(string field) => [.. config["proxyStatsMatcher"]?[field]?.AsArray().Select(item => item!.GetValue<string>()) ?? []];
    }

    /// <param name="name">As <c>/stats</c> shows it, for example <c>cluster.outbound|80||web.shop.svc.cluster.local.upstream_cx_total</c>.</param>
    public bool Includes(string name)
    {
        foreach (var prefix in _prefixes) if (name.StartsWith(prefix, StringComparison.Ordinal)) return true;
        foreach (var suffix in _suffixes) if (name.EndsWith(suffix, StringComparison.Ordinal)) return true;
        foreach (var pattern in _patterns) if (pattern.IsMatch(name)) return true;
        return false;
    }

    /// <summary>Whether one with this beginning could be included, so that thousands of names need not be built to find that none is.</summary>
    public bool MayInclude(string beginning) =>
        _patterns.Length > 0 || _suffixes.Length > AlwaysSuffixes.Length ||
        _prefixes.Any(prefix => prefix.StartsWith(beginning, StringComparison.Ordinal) || beginning.StartsWith(prefix, StringComparison.Ordinal));
}
