using System.Text.RegularExpressions;
using Isthmus.Core.Flags;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>Which proxies are asked: Pods that one of the includes selects, and no exclude.</summary>
public sealed class PodSelection(IReadOnlyList<PodPattern> include, IReadOnlyList<PodPattern> exclude)
{
    /// <summary>What is left out unless somebody asks for it.</summary>
    public const string ExcludedByDefault = "kube-system,kube-public,kube-node-lease,local-path-storage";

    public static PodSelection Parse(IEnumerable<string> include, IEnumerable<string> exclude) =>
        new([.. include.Select(text => PodPattern.Parse(text, "--include"))], [.. exclude.Select(text => PodPattern.Parse(text, "--exclude"))]);

    public bool Covers(Pod pod) => (include.Count == 0 || include.Any(pattern => pattern.Covers(pod))) && !exclude.Any(pattern => pattern.Covers(pod));
}

/// <summary>One selection in the form of istioctl: <c>NAMESPACES/DEPLOYMENTS/PODS/LABELS/ANNOTATIONS</c>, each a list with commas; empty and <c>*</c> mean
/// all.</summary>
public sealed class PodPattern
{
    private const int Parts = 5;
    private readonly IReadOnlyList<string>[] _parts;

    private PodPattern(IReadOnlyList<string>[] parts) => _parts = parts;

    /// <exception cref="WrongUseException">It has another form.</exception>
    public static PodPattern Parse(string text, string flag)
    {
        var parts = text.Split('/');
        if (parts.Length > Parts)
            throw new WrongUseException(flag, $"'{text}' has more than {Parts} parts",
                "use NAMESPACES/DEPLOYMENTS/PODS/LABELS/ANNOTATIONS, for example --include shop,payments or --include 'shop//web-*'");
        IReadOnlyList<string>[] lists = [.. parts.Concat(Enumerable.Repeat("", Parts - parts.Length))
            .Select(part => (IReadOnlyList<string>)part.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))];
        foreach (var pair in lists[3].Concat(lists[4]))
            if (!pair.Contains('=', StringComparison.Ordinal)) throw new WrongUseException(flag, $"'{pair}' is not a label or annotation", "use NAME=VALUE");
        return new(lists);
    }

    internal bool Covers(Pod pod) => Names(_parts[0], pod.Metadata.Namespace) && Names(_parts[1], DeploymentOf(pod)) && Names(_parts[2], pod.Metadata.Name)
        && Pairs(_parts[3], pod.Metadata.Labels) && Pairs(_parts[4], pod.Metadata.Annotations);

    /// <summary>The ReplicaSet's name without the hash of its template.</summary>
    private static string DeploymentOf(Pod pod) =>
        pod.Metadata.OwnerReferences.FirstOrDefault(owner => owner.Kind == "ReplicaSet")?.Name is { } name && name.LastIndexOf('-') is > 0 and var dash
            ? name[..dash]
            : "";

    private static bool Names(IReadOnlyList<string> patterns, string name) => patterns.Count == 0 || patterns.Any(pattern => Matches(pattern, name));

    private static bool Pairs(IReadOnlyList<string> patterns, IReadOnlyDictionary<string, string> pairs) =>
        patterns.Count == 0
            || patterns.Any(pattern => pattern.Split('=', 2) is [var key, var value] && pairs.TryGetValue(key, out var actual) && Matches(value, actual));

    private static bool Matches(string pattern, string text) => pattern == "*" || pattern == text
        || (pattern.Contains('*', StringComparison.Ordinal)
            && Regex.IsMatch(text, $"^{Regex.Escape(pattern).Replace("\\*", ".*", StringComparison.Ordinal)}$",
                RegexOptions.NonBacktracking | RegexOptions.CultureInvariant));
}
