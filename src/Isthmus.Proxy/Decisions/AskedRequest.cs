using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Tokens;

namespace Isthmus.Proxy.Decisions;

/// <summary>A request that a proxy is asked about.</summary>
public sealed class AskedRequest
{
    private const string Bearer = "Bearer ";

    /// <param name="headers">The last with a name counts.</param>
    public AskedRequest(string method, bool isHttp2, string authority, string path, IEnumerable<(string Name, string Value)> headers)
    {
        Head = new() { Method = method, Version = isHttp2 ? HttpVersions.Http2 : HttpVersions.Http11, Authority = authority };
        Head.SetTarget(Encoding.UTF8.GetBytes(path));
        foreach (var (name, value) in headers) Head.Headers.Set(Encoding.ASCII.GetBytes(name), value);
    }

    private AskedRequest(RequestHead head) => Head = head;

    internal RequestHead Head { get; }

    /// <summary>The method.</summary>
    public string Method => Head.Method;

    /// <summary>The host that it names.</summary>
    public string Authority => Head.Authority;

    /// <summary>The path with its query.</summary>
    public string Path => Head.TargetText;

    /// <summary>Whether it has a token where proxies look for tokens unless told otherwise.</summary>
    public bool HasBearer => BearerText is not null;

    /// <summary>That token; null: there is none, or none that can be read.</summary>
    public TokenView? Token => BearerText is { } text && WebToken.Parse(text) is { } token ? TokenView.Of(token) : null;

    /// <summary>A token that it has, also where or how proxies do not read one; null: none.</summary>
    public PlacedToken? AnyToken => PlacedToken.Find(Head);

    private string? BearerText =>
        Header("authorization") is { } value && value.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) ? value[Bearer.Length..] : null;

    /// <summary>All values of a field; null when it does not have the field.</summary>
    /// <param name="name">In lower case.</param>
    public string? Header(string name) => Head.Headers.GetJoined(Encoding.ASCII.GetBytes(name));

    /// <summary>The same request for another host and path.</summary>
    public AskedRequest At(string authority, string path)
    {
        var other = Copy();
        other.Head.Authority = authority;
        other.Head.SetTarget(Encoding.UTF8.GetBytes(path));
        return other;
    }

    /// <summary>The same request, which filters may change alone.</summary>
    public AskedRequest Copy()
    {
        var head = new RequestHead();
        head.CopyFrom(Head);
        return new(head);
    }
}

/// <summary>What a token says of itself.</summary>
/// <param name="KeyId">Empty when it names none.</param>
/// <param name="Audience">Null when it names none.</param>
public sealed record TokenView(string Issuer, string KeyId, JsonNode? Audience)
{
    /// <summary>The claim <c>nbf</c>, and the claim <c>exp</c> (RFC 7519); null: it has none that is a time.</summary>
    public (DateTimeOffset? From, DateTimeOffset? Until) Valid { get; private init; }

    /// <summary>With which it is signed, such as <c>RS256</c>.</summary>
    public string Algorithm { get; private init; } = "";

    internal static TokenView Of(WebToken token) => new(token.Issuer, token.KeyId, token.Claims["aud"])
    {
        Valid = (TimeOf(token, "nbf"), TimeOf(token, "exp")), Algorithm = token.Algorithm,
    };

    private static DateTimeOffset? TimeOf(WebToken token, string claim) => token.Claims[claim] is JsonValue value && value.TryGetValue<double>(out var seconds)
        && seconds is >= 0 and <= 253402300799 ? DateTimeOffset.FromUnixTimeSeconds((long)seconds) : null;
}

/// <summary>What filters found out about a request.</summary>
public sealed class LearnedFacts
{
    internal LearnedFacts(RequestMetadata metadata) => Metadata = metadata;

    internal RequestMetadata Metadata { get; }

    /// <summary>What a filter found out; null: not that.</summary>
    public JsonNode? Find(string filter, IReadOnlyList<string> path) => Metadata.Find(filter, path);
}
