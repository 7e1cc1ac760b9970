using Isthmus.Proxy.Decisions;

namespace Isthmus.Explain.Tracing.Steps;

/// <summary>Follows redirects as a client does, while they lead to routes of the same chain.</summary>
internal static class RedirectLoop
{
    /// <summary>More than browsers follow.</summary>
    private const int Most = 30;

    /// <summary>The addresses among which a client is sent around; empty when the redirects lead somewhere, or out of the chain.</summary>
    /// <param name="scheme">Of the request.</param>
    /// <param name="comesBack">Whether calls of a host come to the chain.</param>
    public static IReadOnlyList<string> Of(ChainView chain, AskedRequest request, string scheme, LearnedFacts? learned, Predicate<string> comesBack)
    {
        var port = Port(scheme, request.Authority);
        List<string> seen = [Address(scheme, request.Authority, request.Path)];
        for (var asked = request; seen.Count <= Most;)
        {
            if (chain.Route(asked, scheme, learned)?.Route?.Location(asked, scheme) is not { } location
                || !location.StartsWith($"{scheme}://", StringComparison.Ordinal)) return [];
            var rest = location[(scheme.Length + 3)..];
            var slash = rest.IndexOf('/', StringComparison.Ordinal);
            var (authority, path) = slash < 0 ? (rest, "/") : (rest[..slash], rest[slash..]);
            if (Port(scheme, authority) != port || !comesBack(Host(authority))) return [];
            var address = Address(scheme, authority, path);
            if (seen.IndexOf(address) is >= 0 and var at) return [.. seen.Skip(at)];
            seen.Add(address);
            asked = asked.At(authority, path);
        }
        return seen;
    }

    private static string Address(string scheme, string authority, string path) => $"{scheme}://{Host(authority)}:{Port(scheme, authority)}{path}";

    private static string Host(string authority) => Colon(authority) is > 0 and var colon ? authority[..colon] : authority;

    private static string Port(string scheme, string authority) =>
        Colon(authority) is > 0 and var colon ? authority[(colon + 1)..] : scheme == "https" ? "443" : "80";

    /// <summary>Where the port begins; -1 without one.</summary>
    private static int Colon(string authority) => authority.LastIndexOf(':') is > 0 and var colon && !authority[colon..].Contains(']', StringComparison.Ordinal)
        ? colon : -1;
}
