using System.Globalization;
using Google.Protobuf;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.Routes;
using CorsPolicy = Isthmus.Wire.Envoy.HttpFilters.CorsPolicy;

namespace Isthmus.Mesh.Generate;

/// <summary>The action for a matched request.</summary>
internal static class RouteActions
{
    public static RedirectAction Redirect(HttpRedirect redirect, HttpMatch? match, HttpRoutes.Context context)
    {
        var action = new RedirectAction
        {
            HostRedirect = redirect.Authority,
            PathRedirect = redirect.Uri,
            PortRedirect = (uint)(redirect.FromRequest ? context.Port : redirect.Port),
            ResponseCode = redirect.Code switch
            {
                302 => RedirectAction.Types.RedirectResponseCode.Found,
                303 => RedirectAction.Types.RedirectResponseCode.SeeOther,
                307 => RedirectAction.Types.RedirectResponseCode.TemporaryRedirect,
                308 => RedirectAction.Types.RedirectResponseCode.PermanentRedirect,
                _ => RedirectAction.Types.RedirectResponseCode.MovedPermanently,
            },
        };
        if (redirect.PrefixRewrite.Length > 0) action.PrefixRewrite = redirect.PrefixRewrite;
        if (redirect.Scheme.Length > 0) action.SchemeRedirect = redirect.Scheme;
        if (redirect.Elements is { } elements)
        {
            var (prefix, regex) = Elements(elements, match);
            if (regex is not null) action.RegexRewrite = regex;
            else action.PrefixRewrite = prefix;
        }
        return action;
    }

    /// <summary>
    /// How elements take the place of the prefix that matches. Slashes at the end of both mean nothing, and what is left is a path:
    /// with <c>/x</c> for <c>/a</c>, <c>/a</c> becomes <c>/x</c>, and with <c>/</c> for <c>/a</c>, both <c>/a</c> and <c>/a/</c> become <c>/</c>.
    /// </summary>
    private static (string Prefix, RegexMatchAndSubstitute? Regex) Elements(string replacement, HttpMatch? match)
    {
        var matched = match?.Uri is { Kind: MatchKind.PathPrefix } uri ? uri.Value.TrimEnd('/') : "";
        var whole = replacement.TrimEnd('/');
        if (matched.Length == 0) return (whole + "/", null);
        return whole.Length > 0 ? (whole, null) : ("", new() { Pattern = RouteMatches.Regex($"^{LinearRegex.Literal(matched)}/?"), Substitution = "/" });
    }

    public static DirectResponseAction Direct(DirectResponse direct)
    {
        var action = new DirectResponseAction { Status = (uint)direct.Status };
        if (direct.Body.Length > 0) action.Body = direct.IsBytes ? new() { InlineBytes = Bytes(direct.Body) } : new() { InlineString = direct.Body };
        return action;
    }

    private static ByteString Bytes(string base64)
    {
        var buffer = new byte[base64.Length];
        return Convert.TryFromBase64String(base64, buffer, out var length) ? ByteString.CopyFrom(buffer, 0, length) : ByteString.CopyFromUtf8(base64);
    }

    public static void Rewrite(RouteAction action, HttpRewrite rewrite, HttpMatch? match)
    {
        if (rewrite.Authority.Length > 0) action.HostRewriteLiteral = rewrite.Authority;
        if (rewrite.Regex is { } regex) action.RegexRewrite = new() { Pattern = RouteMatches.Regex(regex.Pattern), Substitution = regex.Replacement };
        if (rewrite.Elements is { } elements)
        {
            var (prefix, elementRegex) = Elements(elements, match);
            if (elementRegex is not null) action.RegexRewrite = elementRegex;
            else action.PrefixRewrite = prefix;
        }
        if (rewrite.Uri.Length == 0) return;
        // A rewrite replaces the whole path for an exact or regex match, and only the prefix for a prefix match.
        if (match?.Uri is { Kind: MatchKind.Regex } uri) action.RegexRewrite = new() { Pattern = RouteMatches.Regex(uri.Value), Substitution = rewrite.Uri };
        else action.PrefixRewrite = rewrite.Uri;
    }

    public static WeightedCluster.Types.ClusterWeight Weighted(RouteBackend backend, string cluster)
    {
        var weighted = new WeightedCluster.Types.ClusterWeight { Name = cluster, Weight = (uint)backend.Weight };
        if (backend.Authority.Length > 0) weighted.HostRewriteLiteral = backend.Authority;
        if (backend.Headers is not { } headers) return weighted;
        weighted.RequestHeadersToAdd.AddRange(Added(headers.Request));
        weighted.RequestHeadersToRemove.AddRange(headers.Request.Remove);
        weighted.ResponseHeadersToAdd.AddRange(Added(headers.Response));
        weighted.ResponseHeadersToRemove.AddRange(headers.Response.Remove);
        if (HostHeader(headers.Request.Set) is { } host) weighted.HostRewriteLiteral = host;
        return weighted;
    }

    /// <summary>Header changes of a single destination need a weighted cluster with one member: a route action has none itself.</summary>
    public static void AddDestinationHeaders(RouteAction action, RouteBackend backend)
    {
        if (backend.Authority.Length == 0 && (backend.Headers is not { } headers || (headers.Request.IsEmpty && headers.Response.IsEmpty))) return;
        var only = Weighted(backend with { Weight = 1 }, action.Cluster);
        action.WeightedClusters = new() { Clusters = { only } };
    }

    public static void AddHeaders(Route route, HeaderChanges? headers)
    {
        if (headers is null) return;
        route.RequestHeadersToAdd.AddRange(Added(headers.Request));
        route.RequestHeadersToRemove.AddRange(headers.Request.Remove);
        route.ResponseHeadersToAdd.AddRange(Added(headers.Response));
        route.ResponseHeadersToRemove.AddRange(headers.Response.Remove);
    }

    /// <summary>Setting Host is a rewrite: Envoy does not allow it as an added header.</summary>
    public static string? HostHeader(ValueMap<string> set) =>
        set.FirstOrDefault(header => header.Key.Equals("host", StringComparison.OrdinalIgnoreCase) || header.Key == ":authority").Value;

    private static IEnumerable<HeaderValueOption> Added(HeaderChange change) =>
        change.Set.Where(header => !header.Key.Equals("host", StringComparison.OrdinalIgnoreCase) && header.Key != ":authority")
            .Select(header => new HeaderValueOption
            {
                Header = new() { Key = header.Key, Value = header.Value }, AppendAction = HeaderValueOption.Types.HeaderAppendAction.OverwriteIfExistsOrAdd
            })
            .Concat(change.Add.Select(header => new HeaderValueOption { Header = new() { Key = header.Key, Value = header.Value } }));

    public static HTTPFault Fault(HttpFault fault)
    {
        var made = new HTTPFault();
        if (fault.Delay is { Delay.Ticks: > 0 } delay)
            made.Delay = new() { FixedDelay = Parts.Duration(delay.Delay), Percentage = Parts.PerMillion(delay.Percent) };
        if (fault.Abort is { } abort)
        {
            made.Abort = new() { Percentage = Parts.PerMillion(abort.Percent) };
            if (abort.GrpcStatus.Length > 0) made.Abort.GrpcStatus = (uint)(GrpcStatuses.Parse(abort.GrpcStatus) ?? 2);
            else made.Abort.HttpStatus = (uint)abort.HttpStatus;
        }
        return made;
    }

    public static CorsPolicy Cors(Model.CorsPolicy cors)
    {
        var made = new CorsPolicy
        {
            AllowMethods = string.Join(',', cors.Methods),
            AllowHeaders = string.Join(',', cors.Headers),
            ExposeHeaders = string.Join(',', cors.ExposeHeaders),
            MaxAge = cors.MaxAge is { } age ? ((long)age.TotalSeconds).ToString(CultureInfo.InvariantCulture) : "",
            AllowCredentials = cors.Credentials,
            ForwardNotMatchingPreflights = cors.ForwardsUnmatched ? null : false,
        };
        made.AllowOriginStringMatch.AddRange(cors.Origins.Select(RouteMatches.Text));
        return made;
    }
}
