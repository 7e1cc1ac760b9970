using System.Text;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Tokens;

namespace Isthmus.Proxy.Decisions;

/// <summary>A JSON Web Token that a request has, wherever it is.</summary>
/// <param name="Place">Such as <c>header authorization</c> or <c>query parameter token</c>.</param>
/// <param name="Header">The name of the header, in lower case; empty for other places.</param>
/// <param name="Before">What is before the token in the header, with the blank.</param>
public sealed record PlacedToken(string Place, string Header, string Before, TokenView Token)
{
    /// <summary>The first of a request; null: it has none that can be read.</summary>
    internal static PlacedToken? Find(RequestHead head)
    {
        for (var i = 0; i < head.Headers.Count; i++)
        {
            var (name, value) = (Encoding.ASCII.GetString(head.Headers.Name(i)).ToLowerInvariant(), Encoding.UTF8.GetString(head.Headers.Value(i)).Trim());
            if (name == "cookie")
            {
                foreach (var pair in value.Split(';', StringSplitOptions.TrimEntries))
                    if (Of($"cookie {pair.Split('=')[0]}", "", "", pair[(pair.IndexOf('=', StringComparison.Ordinal) + 1)..]) is { } baked) return baked;
                continue;
            }
            var at = value.LastIndexOf(' ') + 1;
            if (Of($"header {name}", name, value[..at], value[at..]) is { } found) return found;
        }
        var query = head.TargetText.Split('?', 2);
        return query.Length < 2 ? null : query[1].Split('&').Select(pair => pair.Split('=', 2)).Where(pair => pair.Length == 2)
            .Select(pair => Of($"query parameter {pair[0]}", "", "", pair[1])).FirstOrDefault(found => found is not null);
    }

    private static PlacedToken? Of(string place, string header, string before, string text) =>
        WebToken.Parse(text) is { Issuer.Length: > 0 } token ? new(place, header, before, TokenView.Of(token)) : null;
}
