using System.Runtime.CompilerServices;
using System.Text;
using Isthmus.Proxy.Loops;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Envoy.HttpFilters;

namespace Isthmus.Proxy.Filters;

/// <summary>A jwt_authn filter.</summary>
/// <param name="clearsRoute">The route is chosen again, by the claims of the token.</param>
internal sealed class TokenFilter(string name, TokenCheck check, bool clearsRoute) : RequestFilter(name)
{
    public static readonly HttpFilterKind Kind = HttpFilterKind.Of<JwtAuthentication>("envoy.filters.http.jwt_authn",
        (tokens, from) => new TokenFilter(from.Name, new(tokens),
            from.ClearsRouteLater || tokens.Providers.Values.Any(provider => provider.ClearRouteCache)));

    public override FilterSteps Steps => FilterSteps.Request;

    public TokenCheck Check => check;

    [AsyncMethodBuilder(typeof(PooledMethodBuilder<>))]
    public override async ValueTask<FilterAnswer?> OnRequestAsync(FilteredRequest request)
    {
        var (head, scheme) = (request.Head, request.Scheme);
        var verdict = await check.DecideAsync(head, scheme, request.Ports.Keys, request.Ports.Time.GetUtcNow()).ConfigureAwait(false);
        request.Metadata = verdict.Metadata ?? request.Metadata;
        if (verdict.Status == 0)
        {
            if (clearsRoute) request.ForgetRoute();
            return null;
        }
        var realm = $"{scheme}://{head.Authority}{head.TargetText.Split('?')[0]}".Replace("\"", "", StringComparison.Ordinal)
            .Replace("\\", "", StringComparison.Ordinal);
        return request.Refuse(new(verdict.Status, Encoding.UTF8.GetBytes(verdict.Failure),
            $"jwt_authn_access_denied{{{verdict.Failure.Replace(' ', '_')}}}", EndReason.Unauthorized)
        {
            Fields = [new("www-authenticate"u8.ToArray(), $"Bearer realm=\"{realm}\", error=\"invalid_token\"", EditAction.Append)],
        });
    }
}
