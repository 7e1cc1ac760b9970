using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Tokens;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.HttpFilters;

namespace Isthmus.Proxy.Policy;

/// <summary>Where an issuer's keys are.</summary>
internal sealed record RemoteKeys(string Uri, string Cluster, TimeSpan Timeout, TimeSpan Kept);

/// <summary>Gets the keys of an issuer; null when they are not available.</summary>
/// <param name="again">The cached keys lack one: fetch new ones, unless that happened a moment ago.</param>
internal delegate ValueTask<JsonWebKeys?> KeySource(RemoteKeys where, bool again);

/// <summary>The result of a token check.</summary>
/// <param name="Status">0: continue; else the status to refuse the request with.</param>
/// <param name="Failure">Why, in Envoy's words.</param>
internal sealed record TokenVerdict(int Status, string Failure, RequestMetadata? Metadata);

/// <summary>One jwt_authn filter: finds tokens, accepts valid ones, and refuses requests with invalid ones.</summary>
internal sealed class TokenCheck
{
    private readonly Dictionary<string, Provider> _providers = new(StringComparer.Ordinal);
    private readonly List<(RequestMatch Match, Requirement? Requires)> _rules = [];
    private readonly bool _skipsPreflight;

    /// <exception cref="ResourceException">The filter requires a check that this proxy does not support.</exception>
    public TokenCheck(JwtAuthentication config)
    {
        foreach (var (name, provider) in config.Providers) _providers[name] = new(name, provider);
        foreach (var rule in config.Rules)
        {
            var requires = rule.RequirementTypeCase switch
            {
                RequirementRule.RequirementTypeOneofCase.Requires => Compile(rule.Requires),
                RequirementRule.RequirementTypeOneofCase.RequirementName => Compile(
                    config.RequirementMap.TryGetValue(rule.RequirementName, out var named)
                        ? named
                        : throw new ResourceException($"jwt_authn: no requirement '{rule.RequirementName}'")),
                _ => null,
            };
            _rules.Add((MatchDecoder.Match(rule.Match), requires));
        }
        _skipsPreflight = config.BypassCorsPreflight;
    }

    /// <summary>Issuers, and the text of their keys where the configuration has it.</summary>
    internal IEnumerable<(string Issuer, string Keys)> LocalKeys => _providers.Values.Select(provider => (provider.Issuer, provider.LocalKeys));

    /// <summary>Decides, and removes or adds the fields that the filter specifies.</summary>
    public async ValueTask<TokenVerdict> DecideAsync(RequestHead request, string scheme, KeySource keys, DateTimeOffset now)
    {
        foreach (var provider in _providers.Values) provider.RemoveClaimed(request);
        if (_skipsPreflight && IsPreflight(request)) return new(0, "", null);
        if (_rules.FirstOrDefault(rule => rule.Match.IsMatch(request, scheme)).Requires is not { } requirement) return new(0, "", null);
        var attempt = new Attempt(this, request, keys, now);
        var outcome = await requirement(attempt).ConfigureAwait(false);
        if (outcome.Kind != OutcomeKind.Good) return new(outcome.Failure == AudienceRefused ? 403 : 401, outcome.Failure, null);
        // The server might take another one than the policies.
        if (outcome.Tokens.GroupBy(item => item.Found.Place).Any(place => place.DistinctBy(item => (item.Found.Token.Text, item.Found.Position)).Skip(1).Any()))
            return new(401, GivenTwice, null);
        foreach (var (provider, found) in outcome.Tokens) provider.Tell(request, found);
        return new(0, "",
            RequestMetadata.Of([.. outcome.Tokens.Select(item => new StoredToken(item.Found.Token, item.Provider.MetadataKey, item.Provider.WordClaims))]));
    }

    private const string AudienceRefused = "Audiences in Jwt are not allowed";

    private const string GivenTwice = "Jwt is given twice at the same place";

    private delegate ValueTask<Outcome> Requirement(Attempt attempt);

    private enum OutcomeKind { Good, Missing, Bad }

    private readonly record struct Outcome(OutcomeKind Kind, string Failure, IReadOnlyList<(Provider Provider, Found Found)> Tokens)
    {
        public static readonly Outcome Nothing = new(OutcomeKind.Good, "", []);
        public static readonly Outcome Missing = new(OutcomeKind.Missing, "Jwt is missing", []);

        public static Outcome Bad(string failure) => new(OutcomeKind.Bad, failure, []);
    }

    /// <summary>The check of one request.</summary>
    private sealed class Attempt(TokenCheck check, RequestHead request, KeySource keys, DateTimeOffset now)
    {
        public async ValueTask<Outcome> ByProviderAsync(Provider provider, ValueList<string> audiences)
        {
            var found = provider.FindIn(request);
            if (found.Count == 0) return Outcome.Missing;
            foreach (var item in found)
                if (await provider.WhyNotAsync(item.Token, audiences, keys, now).ConfigureAwait(false) is { Length: > 0 } failure) return Outcome.Bad(failure);
            return new(OutcomeKind.Good, "", [.. found.Select(item => (provider, item))]);
        }

        /// <summary>No token at all, or each is valid for its own issuer.</summary>
        public async ValueTask<Outcome> AllowMissingAsync()
        {
            var good = new List<(Provider, Found)>();
            foreach (var provider in check._providers.Values)
            {
                foreach (var item in provider.FindIn(request))
                {
                    // One for all issuers is for those that have no other.
                    var owner = check._providers.Values.OrderBy(other => other.IsForAll)
                        .FirstOrDefault(other => other.Issues(item.Token) && other.FindIn(request).Any(found => found.Place == item.Place));
                    if (owner is null) return Outcome.Bad("Jwt issuer is not configured");
                    if (await owner.WhyNotAsync(item.Token, owner.Audiences, keys, now).ConfigureAwait(false) is { Length: > 0 } failure)
                        return Outcome.Bad(failure);
                    if (ReferenceEquals(owner, provider)) good.Add((owner, item));
                }
            }
            return new(OutcomeKind.Good, "", good);
        }
    }

    private Requirement Compile(JwtRequirement requirement)
    {
        switch (requirement.RequiresTypeCase)
        {
            case JwtRequirement.RequiresTypeOneofCase.ProviderName:
                var provider = Named(requirement.ProviderName);
                return attempt => attempt.ByProviderAsync(provider, provider.Audiences);
            case JwtRequirement.RequiresTypeOneofCase.ProviderAndAudiences:
                var (other, audiences) = (Named(requirement.ProviderAndAudiences.ProviderName), requirement.ProviderAndAudiences.Audiences.ToValueList());
                return attempt => attempt.ByProviderAsync(other, audiences);
            case JwtRequirement.RequiresTypeOneofCase.RequiresAny:
                return AnyOf([.. requirement.RequiresAny.Requirements.Select(Compile)]);
            case JwtRequirement.RequiresTypeOneofCase.RequiresAll:
                return AllOf([.. requirement.RequiresAll.Requirements.Select(Compile)]);
            case JwtRequirement.RequiresTypeOneofCase.AllowMissing:
                return attempt => attempt.AllowMissingAsync();
            case JwtRequirement.RequiresTypeOneofCase.AllowMissingOrFailed:
                return _ => ValueTask.FromResult(Outcome.Nothing);
            default:
                return _ => ValueTask.FromResult(Outcome.Nothing);
        }
    }

    private Provider Named(string name) =>
        _providers.TryGetValue(name, out var provider) ? provider : throw new ResourceException($"jwt_authn: no provider '{name}'");

    private static Requirement AnyOf(Requirement[] all) => async attempt =>
    {
        var worst = Outcome.Missing;
        foreach (var requirement in all)
        {
            var outcome = await requirement(attempt).ConfigureAwait(false);
            if (outcome.Kind == OutcomeKind.Good) return outcome;
            // An invalid token of this issuer is a better reason than a token of another issuer.
            if (worst.Kind == OutcomeKind.Missing || worst.Failure == UnknownIssuer) worst = outcome.Kind == OutcomeKind.Missing ? worst : outcome;
        }
        return worst;
    };

    private static Requirement AllOf(Requirement[] all) => async attempt =>
    {
        var tokens = new List<(Provider, Found)>();
        foreach (var requirement in all)
        {
            var outcome = await requirement(attempt).ConfigureAwait(false);
            if (outcome.Kind != OutcomeKind.Good) return outcome;
            tokens.AddRange(outcome.Tokens);
        }
        return new(OutcomeKind.Good, "", [.. tokens.DistinctBy(item => (item.Item1.Name, item.Item2.Place, item.Item2.Position, item.Item2.Token.Text))]);
    };

    private const string UnknownIssuer = "Jwt issuer is not configured";

    private static bool IsPreflight(RequestHead request) =>
        request.Method == "OPTIONS" && request.Headers.Contains("origin"u8) && request.Headers.Contains("access-control-request-method"u8);

    /// <summary>A token and where it was found.</summary>
    /// <param name="Position">Of the line and the item of a field: a field has one token. Parameters and cookies may repeat theirs.</param>
    private sealed record Found(WebToken Token, string Place, (int Line, int Item) Position, Action<RequestHead> Remove);

    /// <summary>One issuer.</summary>
    private sealed class Provider
    {
        private readonly JwtProvider _config;
        private readonly JsonWebKeys? _local;
        private readonly RemoteKeys? _remote;

        public Provider(string name, JwtProvider config)
        {
            (Name, _config, Audiences) = (name, config, config.Audiences.ToValueList());
            if (config.Subjects is not null || config.MaxLifetime is not null)
                throw new ResourceException($"jwt_authn provider '{name}': subjects and max_lifetime are not supported");
            switch (config.JwksSourceSpecifierCase)
            {
                case JwtProvider.JwksSourceSpecifierOneofCase.LocalJwks:
                    var text = config.LocalJwks.SpecifierCase == DataSource.SpecifierOneofCase.InlineBytes
                        ? config.LocalJwks.InlineBytes.ToByteArray()
                        : Encoding.UTF8.GetBytes(config.LocalJwks.InlineString);
                    _local = JsonWebKeys.Parse(text) ?? throw new ResourceException($"jwt_authn provider '{name}': its keys are not a valid JWKS");
                    break;
                case JwtProvider.JwksSourceSpecifierOneofCase.RemoteJwks when config.RemoteJwks.HttpUri is { } uri:
                    _remote = new(uri.Uri, uri.Cluster, uri.Timeout?.ToTimeSpan() ?? TimeSpan.FromSeconds(5),
                        config.RemoteJwks.CacheDuration?.ToTimeSpan() ?? TimeSpan.FromMinutes(10));
                    break;
                default:
                    throw new ResourceException($"jwt_authn provider '{name}' has no keys");
            }
        }

        public string Name { get; }

        public ValueList<string> Audiences { get; }

        public string MetadataKey => _config.PayloadInMetadata;

        public IReadOnlyCollection<string> WordClaims => _config.NormalizePayloadInMetadata?.SpaceDelimitedClaims ?? [];

        public string Issuer => _config.Issuer;

        public string LocalKeys => _config.LocalJwks?.InlineString ?? "";

        public bool IsForAll => _config.Issuer.Length == 0;

        public bool Issues(WebToken token) => IsForAll || token.Issuer == _config.Issuer;

        /// <summary>Why a token is invalid; empty when it is valid.</summary>
        public async ValueTask<string> WhyNotAsync(WebToken token, ValueList<string> audiences, KeySource keys, DateTimeOffset now)
        {
            if (token.Algorithm.Length == 0) return "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
            if (!Issues(token)) return UnknownIssuer;
            if (_config.RequireExpiration && !token.Claims.ContainsKey("exp")) return "Jwt expiration is missing";
            if (token.WhyNotAt(now, TimeSpan.FromSeconds(_config.ClockSkewSeconds > 0 ? _config.ClockSkewSeconds : 60)) is { Length: > 0 } when) return when;
            if (!audiences.IsEmpty && !token.Audiences.Any(audience => audiences.Any(allowed => allowed.TrimEnd('/') == audience.TrimEnd('/'))))
                return AudienceRefused;
            if ((_local ?? await keys(_remote!, again: false).ConfigureAwait(false)) is not { } set) return "Jwks remote fetch is failed";
            var verified = set.Verify(token);
            if (verified is null && _remote is not null && await keys(_remote, again: true).ConfigureAwait(false) is { } newer) verified = newer.Verify(token);
            return verified switch { true => "", false => "Jwt verification fails", _ => "Jwks doesn't have key to match kid or alg from Jwt" };
        }

        /// <summary>Every token at the locations of this issuer. A malformed one counts as a token without an algorithm.</summary>
        public List<Found> FindIn(RequestHead request)
        {
            var found = new List<Found>();
            var byDefault = _config.FromHeaders.Count == 0 && _config.FromParams.Count == 0 && _config.FromCookies.Count == 0;
            foreach (var header in byDefault ? [new JwtHeader { Name = "authorization", ValuePrefix = "Bearer " }] : _config.FromHeaders.ToArray())
                AddHeader(found, request, header.Name.ToLowerInvariant(), header.ValuePrefix);
            foreach (var parameter in byDefault ? ["access_token"] : _config.FromParams.ToArray())
                foreach (var value in RequestFields.Queries(request, parameter))
                    Add(found, value, $"?{parameter}", default, head => RemoveQuery(head, parameter));
            foreach (var cookie in _config.FromCookies)
                foreach (var value in RequestFields.Cookies(request, cookie)) Add(found, value, $"cookie {cookie}", default, _ => { });
            return found;
        }

        // A server may read any line of a field, or any item of a line.
        private static void AddHeader(List<Found> found, RequestHead request, string name, string prefix)
        {
            var bytes = Encoding.ASCII.GetBytes(name);
            for (var i = request.Headers.IndexOf(bytes); i >= 0; i = request.Headers.IndexOf(bytes, i + 1))
            {
                foreach (var (number, item) in Encoding.UTF8.GetString(request.Headers.Value(i)).Split(',').Index())
                {
                    var at = item.IndexOf(prefix, name == "authorization" ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal);
                    if (at < 0) continue;
                    var rest = item[(at + prefix.Length)..].TrimStart();
                    var end = rest.IndexOfAny([' ', ';']);
                    Add(found, end < 0 ? rest : rest[..end], name, (i, number), head => head.Headers.Remove(bytes));
                }
            }
        }

        private static void Add(List<Found> found, string text, string place, (int, int) position, Action<RequestHead> remove)
        {
            if (text.Length > 0) found.Add(new(WebToken.Parse(text) ?? WebToken.Broken(text), place, position, remove));
        }

        private static void RemoveQuery(RequestHead request, string name)
        {
            // One character for each byte: what is left must not change.
            var target = Encoding.Latin1.GetString(request.Target);
            var begin = Encoding.Latin1.GetString(Encoding.UTF8.GetBytes($"{name}="));
            var question = target.IndexOf('?', StringComparison.Ordinal);
            if (question < 0) return;
            var rest = target[(question + 1)..].Split('&').Where(pair => !pair.StartsWith(begin, StringComparison.Ordinal)).ToArray();
            request.SetTarget(Encoding.Latin1.GetBytes(rest.Length == 0 ? target[..question] : $"{target[..question]}?{string.Join('&', rest)}"));
        }

        /// <summary>Only a valid token may set these fields.</summary>
        public void RemoveClaimed(RequestHead request)
        {
            if (_config.ForwardPayloadHeader.Length > 0) request.Headers.Remove(Encoding.ASCII.GetBytes(_config.ForwardPayloadHeader.ToLowerInvariant()));
            foreach (var claim in _config.ClaimToHeaders) request.Headers.Remove(Encoding.ASCII.GetBytes(claim.HeaderName.ToLowerInvariant()));
        }

        public void Tell(RequestHead request, Found found)
        {
            if (!_config.Forward) found.Remove(request);
            if (_config.ForwardPayloadHeader.Length > 0)
                request.Headers.Set(Encoding.ASCII.GetBytes(_config.ForwardPayloadHeader.ToLowerInvariant()), found.Token.Payload);
            foreach (var claim in _config.ClaimToHeaders)
                if (Text(found.Token.Claims, claim.ClaimName) is { } value)
                    request.Headers.Set(Encoding.ASCII.GetBytes(claim.HeaderName.ToLowerInvariant()), value);
        }

        /// <summary>A claim as a field's value; dots lead into nested claims. Null when it is absent or would break the head.</summary>
        private static string? Text(JsonObject claims, string name)
        {
            JsonNode? at = claims;
            foreach (var part in name.Split('.')) at = (at as JsonObject)?[part];
            var text = at switch { null => null, JsonValue value when value.TryGetValue<string>(out var words) => words, _ => at.ToJsonString() };
            return text is null || text.Any(char.IsControl) ? null : text;
        }
    }
}
