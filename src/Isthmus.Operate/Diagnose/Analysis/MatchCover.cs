using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Whether everything that one match of a route matches, another one matches too. It is never wrong about a yes. Pure.</summary>
internal static class MatchCover
{
    /// <param name="gateways">The gateways of the VirtualService, where a match names none.</param>
    public static bool Covers(HttpMatch wide, HttpMatch narrow, ValueList<string> gateways) =>
        CoversPath(wide, narrow)
        && Covers(wide.Scheme, narrow.Scheme) && Covers(wide.Method, narrow.Method) && Covers(wide.Authority, narrow.Authority)
        && Covers(wide.Headers, narrow.Headers) && Covers(wide.WithoutHeaders, narrow.WithoutHeaders) && Covers(wide.QueryParams, narrow.QueryParams)
        && (wide.Port == 0 || wide.Port == narrow.Port)
        && Covers(wide.SourceLabels, narrow.SourceLabels) && (wide.SourceNamespace.Length == 0 || wide.SourceNamespace == narrow.SourceNamespace)
        && Covers(wide.Gateways, narrow.Gateways, gateways);

    /// <inheritdoc cref="Covers(HttpMatch, HttpMatch, ValueList{string})"/>
    public static bool Covers(L4Match wide, L4Match narrow, ValueList<string> gateways) =>
        !wide.IsNever
        && (wide.SniHosts.IsEmpty || (!narrow.SniHosts.IsEmpty && narrow.SniHosts.All(host => wide.SniHosts.Any(known => Hosts.Covers(known, host)))))
        && (wide.DestinationSubnets.IsEmpty
            || (!narrow.DestinationSubnets.IsEmpty && narrow.DestinationSubnets.All(subnet => wide.DestinationSubnets.Contains(subnet))))
        && (wide.Port == 0 || wide.Port == narrow.Port)
        && Covers(wide.SourceLabels, narrow.SourceLabels) && (wide.SourceNamespace.Length == 0 || wide.SourceNamespace == narrow.SourceNamespace)
        && Covers(wide.Gateways, narrow.Gateways, gateways);

    private static bool CoversPath(HttpMatch wide, HttpMatch narrow)
    {
        if (wide.Uri is not { } outer || outer is { Kind: MatchKind.Prefix, Value: "/" }) return true;
        if (narrow.Uri is not { } inner || (narrow.IgnoreUriCase && !wide.IgnoreUriCase)) return false;
        var comparison = wide.IgnoreUriCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;
        return outer.Kind == MatchKind.Prefix ? inner.Kind is MatchKind.Prefix or MatchKind.Exact && inner.Value.StartsWith(outer.Value, comparison)
            : outer.Kind == inner.Kind && string.Equals(outer.Value, inner.Value, comparison);
    }

    private static bool Covers(StringMatch? wide, StringMatch? narrow) => wide is null || (narrow is { } inner && Covers(wide.Value, inner));

    private static bool Covers(StringMatch wide, StringMatch narrow) =>
        wide == narrow
            || (wide.Kind == MatchKind.Prefix && narrow.Kind is MatchKind.Prefix or MatchKind.Exact
                && narrow.Value.StartsWith(wide.Value, StringComparison.Ordinal));

    private static bool Covers(ValueMap<StringMatch> wide, ValueMap<StringMatch> narrow) =>
        wide.All(wanted => narrow.TryGetValue(wanted.Key, out var has) && (wanted.Value.Kind == MatchKind.Present || Covers(wanted.Value, has)));

    private static bool Covers(ValueMap<string> wide, ValueMap<string> narrow) =>
        wide.All(wanted => narrow.TryGetValue(wanted.Key, out var has) && has == wanted.Value);

    private static bool Covers(ValueList<string> wide, ValueList<string> narrow, ValueList<string> all)
    {
        var outer = wide.IsEmpty ? all : wide;
        return (narrow.IsEmpty ? all : narrow).All(gateway => outer.Contains(gateway));
    }
}
