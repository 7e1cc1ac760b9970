using Isthmus.Core.Net;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Proxy.Matching;

/// <summary>Decodes what routes, policies and filters match.</summary>
internal static class MatchDecoder
{
    public static HeaderMatch Header(HeaderMatcher matcher)
    {
        var value = matcher.HeaderMatchSpecifierCase switch
        {
            HeaderMatcher.HeaderMatchSpecifierOneofCase.ExactMatch => TextMatch.Exact(matcher.ExactMatch),
            HeaderMatcher.HeaderMatchSpecifierOneofCase.PrefixMatch => TextMatch.Prefix(matcher.PrefixMatch),
            HeaderMatcher.HeaderMatchSpecifierOneofCase.StringMatch => TextMatch.From(matcher.StringMatch),
            _ => null,
        };
        if (matcher.Name.Length == 0) throw new ResourceException("a header matcher without a name");
        var range = matcher.HeaderMatchSpecifierCase == HeaderMatcher.HeaderMatchSpecifierOneofCase.RangeMatch
            ? (matcher.RangeMatch.Start, matcher.RangeMatch.End) : ((long, long)?)null;
        var present = matcher.HeaderMatchSpecifierCase != HeaderMatcher.HeaderMatchSpecifierOneofCase.PresentMatch || matcher.PresentMatch;
        return new(matcher.Name, value, range, present, matcher.InvertMatch, matcher.TreatMissingHeaderAsEmpty);
    }

    public static Fraction Fraction(FractionalPercent? percent) => percent is null ? new(1_000_000) : new((int)Math.Min(1_000_000, percent.Denominator switch
    {
        FractionalPercent.Types.DenominatorType.Million => (long)percent.Numerator,
        FractionalPercent.Types.DenominatorType.TenThousand => percent.Numerator * 100L,
        _ => percent.Numerator * 10_000L,
    }));

    /// <summary>Request matches other than by runtime fraction or for gRPC.</summary>
    public static RequestMatch Match(RouteMatch? match) => match is null
        ? new(new(PathMatchKind.Prefix, "/", true, null), [], [])
        : new(Path(match), [.. match.Headers.Select(Header)], [.. match.QueryParameters.Select(Query)]);

    public static PathMatch Path(RouteMatch match)
    {
        var sensitive = match.CaseSensitive ?? true;
        return match.PathSpecifierCase switch
        {
            RouteMatch.PathSpecifierOneofCase.Prefix => new(PathMatchKind.Prefix, match.Prefix, sensitive, null),
            RouteMatch.PathSpecifierOneofCase.Path => new(PathMatchKind.Exact, match.Path, sensitive, null),
            RouteMatch.PathSpecifierOneofCase.SafeRegex => new(PathMatchKind.Regex, match.SafeRegex.Regex, sensitive,
                TextMatch.CompileRegex(match.SafeRegex.Regex, !sensitive)),
            RouteMatch.PathSpecifierOneofCase.ConnectMatcher when match.ConnectMatcher is not null => new(PathMatchKind.Connect, "", sensitive, null),
            RouteMatch.PathSpecifierOneofCase.PathSeparatedPrefix => new(PathMatchKind.SeparatedPrefix, match.PathSeparatedPrefix, sensitive, null),
            _ => throw new ResourceException($"path match {match.PathSpecifierCase} is not supported"),
        };
    }

    public static QueryMatch Query(QueryParameterMatcher matcher) => new(
        matcher.Name,
        matcher.QueryParameterMatchSpecifierCase == QueryParameterMatcher.QueryParameterMatchSpecifierOneofCase.StringMatch
            ? TextMatch.From(matcher.StringMatch)
            : null);

    public static Cidr Range(CidrRange range)
    {
        var text = $"{range.AddressPrefix}/{range.PrefixLen ?? 0}";
        return Cidr.TryParse(text, out var cidr) ? cidr : throw new ResourceException($"'{text}' is not an address range");
    }
}
