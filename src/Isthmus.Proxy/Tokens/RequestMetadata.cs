using System.Text.Json.Nodes;
using Isthmus.Proxy.Matching;
using Isthmus.Wire.Envoy;

namespace Isthmus.Proxy.Tokens;

/// <summary>A valid token.</summary>
/// <param name="Key">The name under which its filter stores its claims; empty: not stored.</param>
/// <param name="WordClaims">The claims that are stored as lists of their words.</param>
internal sealed record StoredToken(WebToken Token, string Key, IReadOnlyCollection<string> WordClaims);

/// <summary>What filters learned about a request, for the policies after them: filter → values.</summary>
internal sealed class RequestMetadata
{
    private const string AuthFilter = "istio_authn";

    private readonly JsonObject _filters = [];

    /// <summary>What each filter learned: an object.</summary>
    public IEnumerable<KeyValuePair<string, JsonNode?>> Filters => _filters;

    public static RequestMetadata Of(IReadOnlyList<StoredToken> verified)
    {
        var metadata = new RequestMetadata();
        var payloads = new JsonObject();
        foreach (var (token, key, words) in verified)
            if (key.Length > 0) payloads.TryAdd(key, Payload(token.Claims, words));
        metadata._filters["envoy.filters.http.jwt_authn"] = payloads;
        // One token identifies the caller of the request: the first, as above. Older control planes of Istio have policies that read what follows.
        if (verified.Count > 0) metadata._filters[AuthFilter] = Authenticated(verified[0].Token);
        return metadata;
    }

    /// <summary>Keeps a value of a filter.</summary>
    public void Put(string filter, string key, JsonNode? value)
    {
        if (_filters[filter] is not JsonObject values) _filters[filter] = values = [];
        values[key] = value;
    }

    public JsonNode? Find(string filter, IReadOnlyList<string> path)
    {
        var at = _filters[filter];
        foreach (var key in path) at = (at as JsonObject)?[key];
        return at;
    }

    /// <summary>Whether the metadata, null when there is none, matches.</summary>
    /// <exception cref="ResourceException">An unknown kind of match.</exception>
    public static Func<RequestMetadata?, bool> Matcher(MetadataMatcher matcher)
    {
        var (filter, path, inverted) = (matcher.Filter, matcher.Path.Select(segment => segment.Key).ToArray(), matcher.Invert);
        var matches = Matcher(matcher.Value);
        return metadata => matches(metadata?.Find(filter, path)) != inverted;
    }

    /// <exception cref="ResourceException">An unknown kind of match.</exception>
    private static Func<JsonNode?, bool> Matcher(ValueMatcher? matcher)
    {
        switch (matcher?.MatchPatternCase)
        {
            case ValueMatcher.MatchPatternOneofCase.StringMatch:
                var text = TextMatch.From(matcher.StringMatch);
                return node => WebToken.Strings(node).Any(text.IsMatch);
            case ValueMatcher.MatchPatternOneofCase.PresentMatch:
                var wanted = matcher.PresentMatch;
                return node => node is not null == wanted;
            case ValueMatcher.MatchPatternOneofCase.BoolMatch:
                var flag = matcher.BoolMatch;
                return node => node is JsonValue value && value.TryGetValue<bool>(out var has) && has == flag;
            case ValueMatcher.MatchPatternOneofCase.ListMatch when matcher.ListMatch.OneOf is { } item:
                var one = Matcher(item);
                return node => node is JsonArray items && items.Any(one);
            case ValueMatcher.MatchPatternOneofCase.OrMatch:
                var all = matcher.OrMatch.ValueMatchers.Select(Matcher).ToArray();
                return node => Array.Exists(all, matches => matches(node));
            default:
                throw new ResourceException($"a metadata matcher by {matcher?.MatchPatternCase.ToString() ?? "nothing"} is not supported");
        }
    }

    /// <summary>As Istio's policies see it. A principal needs both an issuer and a subject, or there is none.</summary>
    private static JsonObject Authenticated(WebToken token)
    {
        var told = new JsonObject { ["request.auth.claims"] = Claims(token.Claims) };
        if (token.Issuer.Length > 0 && token.Subject.Length > 0) told["request.auth.principal"] = $"{token.Issuer}/{token.Subject}";
        var audiences = token.Audiences.Select(audience => (JsonNode)audience).ToArray();
        if (audiences.Length > 0) told["request.auth.audiences"] = new JsonArray(audiences);
        if (WebToken.StringOf(token.Claims["azp"]) is { Length: > 0 } presenter) told["request.auth.presenter"] = presenter;
        return told;
    }

    private static JsonNode Payload(JsonObject claims, IReadOnlyCollection<string> words)
    {
        var payload = (JsonObject)claims.DeepClone();
        foreach (var name in words)
            if (WebToken.StringOf(payload[name]) is { Length: > 0 } text) payload[name] = WordsOf(text);
        return payload;
    }

    private static JsonArray WordsOf(string text) => new([.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => (JsonNode)word)]);

    /// <summary>Claims as lists of strings: a string is split into its words.</summary>
    private static JsonObject Claims(JsonObject claims)
    {
        var lists = new JsonObject();
        foreach (var (name, value) in claims)
        {
            if (value is JsonObject nested) lists[name] = Claims(nested);
            else if (value is JsonArray items) lists[name] = new JsonArray([.. WebToken.Strings(items).Select(item => (JsonNode)item)]);
            else if (WebToken.StringOf(value) is { Length: > 0 } text) lists[name] = WordsOf(text);
        }
        return lists;
    }
}
