using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>A way by which requests arrive at a route.</summary>
internal readonly record struct ArrivalWay(string Scheme, int Port);

/// <summary>The path of a redirected request, where everything else is as before. Pure.</summary>
/// <param name="Path">Null: that is as before, too.</param>
/// <param name="IsOpen">Whether more may follow it.</param>
internal readonly record struct RedirectTarget(string? Path, bool IsOpen)
{
    /// <summary>Where a redirect leads, if the same match takes the request again; null if it does not, or nobody can tell.</summary>
    /// <param name="hosts">Those of the route.</param>
    /// <param name="ways">By which requests come to it, as far as they are known.</param>
    internal static RedirectTarget? Again(HttpRedirect to, HttpMatch match, IEnumerable<string> hosts, IEnumerable<ArrivalWay> ways)
    {
        var target = to.Uri.Length > 0 ? new(to.Uri.Split('?')[0], false)
            : to.PrefixRewrite.Length > 0 ? new(to.PrefixRewrite, true)
            : to.Elements is { } elements ? new(elements.Length > 0 ? elements : "/", true)
            : new RedirectTarget(null, false);
        return KeepsHost(to, match, hosts) && KeepsWay(to, match, ways) && KeepsMethod(to, match)
            && KeepsHeaders(to, match) && target.IsTakenBy(match)
            && !(to.Uri.Contains('?', StringComparison.Ordinal) && match.QueryParams.Count > 0) ? target : null;
    }

    /// <summary>Whether one of the matches may take the request, when it comes again, that it did not take before.</summary>
    internal bool MayGoTo(ValueList<HttpMatch> matches)
    {
        // The request came as far as here with the same path: only another host, scheme or port takes it elsewhere.
        if (Path is not { } path) return matches.Any(match => match.Authority is not null || match.Scheme is not null || match.Port != 0);
        var isOpen = IsOpen;
        return matches.IsEmpty || matches.Any(match => match.Uri is not { } uri || uri.Kind switch
        {
            MatchKind.Exact => isOpen ? Begins(uri.Value, path) : uri.Value.Equals(path, StringComparison.OrdinalIgnoreCase),
            MatchKind.Prefix or MatchKind.PathPrefix => Begins(path, uri.Value) || (isOpen && Begins(uri.Value, path)),
            _ => true,
        });
    }

    private static bool Begins(string path, string prefix) => path.StartsWith(prefix, StringComparison.OrdinalIgnoreCase);

    private bool IsTakenBy(HttpMatch match)
    {
        if (Path is not { } path || match.Uri is not { } uri) return true;
        var comparison = match.IgnoreUriCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;
        return uri.Kind switch
        {
            MatchKind.Exact => !IsOpen && path.Equals(uri.Value, comparison),
            MatchKind.Prefix => path.StartsWith(uri.Value, comparison),
            MatchKind.PathPrefix => $"{path.TrimEnd('/')}/".StartsWith($"{uri.Value.TrimEnd('/')}/", comparison),
            MatchKind.Present => true,
            _ => false,
        };
    }

    /// <summary>Hosts that wildcards cover may be those of other routes.</summary>
    private static bool KeepsHost(HttpRedirect to, HttpMatch match, IEnumerable<string> hosts) => to.Authority.Length == 0
        || (hosts.Any(host => host == to.Authority)
            && (match.Authority is not { } asked || asked == new StringMatch(MatchKind.Exact, to.Authority)));

    /// <summary>Clients repeat other methods only where the status says so.</summary>
    private static bool KeepsMethod(HttpRedirect to, HttpMatch match) =>
        to.Code is 307 or 308 || match.Method is not { } method || method == new StringMatch(MatchKind.Exact, "GET");

    /// <summary>What is in front tells by headers how a request came to it (x-forwarded-proto): they change with the scheme.</summary>
    private static bool KeepsHeaders(HttpRedirect to, HttpMatch match) =>
        to.Scheme.Length == 0 || (match.Headers.Count == 0 && match.WithoutHeaders.Count == 0);

    private static bool KeepsWay(HttpRedirect to, HttpMatch match, IEnumerable<ArrivalWay> ways) => to is { Scheme.Length: 0, Port: 0 }
        || ways.Any(way => (to.Scheme.Length == 0 || to.Scheme == way.Scheme) && (to.Port == 0 || to.Port == way.Port)
            && (match.Port == 0 || match.Port == way.Port)
            && (match.Scheme is not { } asked || asked == new StringMatch(MatchKind.Exact, way.Scheme)));
}
