using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>VirtualServices that delegate parts of their routing to others.</summary>
public static class Delegation
{
    /// <summary>
    /// The root with the routes of its delegates in place. A delegate's match must lie within the root's: the paths as prefixes,
    /// the other conditions added up. A delegate that does not exist adds no routes.
    /// </summary>
    public static VirtualService Merge(VirtualService root, Func<ObjectName, VirtualService?> find)
    {
        if (root.Http.All(route => route.Delegate is null)) return root;
        var routes = new List<HttpRoute>();
        foreach (var route in root.Http)
        {
            if (route.Delegate is not { } name) routes.Add(route);
            else if (find(name) is { Hosts.IsEmpty: true } target) routes.AddRange(target.Http.Select(child => Merge(route, child)).OfType<HttpRoute>());
        }
        return root with { Http = routes.ToValueList() };
    }

    private static HttpRoute? Merge(HttpRoute parent, HttpRoute child)
    {
        ValueList<HttpMatch> matches;
        if (parent.Matches.IsEmpty) matches = child.Matches;
        else if (child.Matches.IsEmpty) matches = parent.Matches;
        else
        {
            matches = parent.Matches.SelectMany(outer => child.Matches.Select(inner => Merge(outer, inner))).OfType<HttpMatch>().ToValueList();
            if (matches.IsEmpty) return null;
        }
        return child with
        {
            Name = parent.Name.Length > 0 && child.Name.Length > 0 ? $"{parent.Name}-{child.Name}" : parent.Name + child.Name,
            Matches = matches,
            Delegate = null,
            Timeout = child.Timeout ?? parent.Timeout,
            Retries = child.Retries ?? parent.Retries,
            Fault = child.Fault ?? parent.Fault,
            Cors = child.Cors ?? parent.Cors,
            Mirrors = child.Mirrors.IsEmpty ? parent.Mirrors : child.Mirrors,
            Headers = child.Headers ?? parent.Headers,
            Rewrite = child.Rewrite ?? parent.Rewrite,
        };
    }

    /// <summary>The field by which a match of a delegate is not within that of its root; empty: it is.</summary>
    public static string Misfit(HttpMatch outer, HttpMatch inner) =>
        outer.Uri is { } wide && inner.Uri is { } narrow && !Within(wide, narrow) ? "uri"
        : Conflict(outer.Method, inner.Method) ? "method"
        : Conflict(outer.Scheme, inner.Scheme) ? "scheme"
        : Conflict(outer.Authority, inner.Authority) ? "authority"
        : outer.Port != 0 && inner.Port != 0 && outer.Port != inner.Port ? "port"
        : "";

    private static HttpMatch? Merge(HttpMatch outer, HttpMatch inner)
    {
        if (Misfit(outer, inner).Length > 0) return null;
        return new(
            inner.Name.Length > 0 ? inner.Name : outer.Name,
            inner.Uri ?? outer.Uri, inner.IgnoreUriCase || outer.IgnoreUriCase,
            inner.Scheme ?? outer.Scheme, inner.Method ?? outer.Method, inner.Authority ?? outer.Authority,
            Both(outer.Headers, inner.Headers), Both(outer.WithoutHeaders, inner.WithoutHeaders), Both(outer.QueryParams, inner.QueryParams),
            inner.Port != 0 ? inner.Port : outer.Port,
            Both(outer.SourceLabels, inner.SourceLabels),
            inner.SourceNamespace.Length > 0 ? inner.SourceNamespace : outer.SourceNamespace,
            inner.Gateways.IsEmpty ? outer.Gateways : inner.Gateways);
    }

    private static bool Within(StringMatch outer, StringMatch inner) => outer.Kind switch
    {
        MatchKind.Prefix => inner.Kind is MatchKind.Prefix or MatchKind.Exact && inner.Value.StartsWith(outer.Value, StringComparison.Ordinal),
        MatchKind.Exact => inner == outer,
        MatchKind.Regex => false,
        _ => true,
    };

    private static bool Conflict(StringMatch? outer, StringMatch? inner) => outer is { } a && inner is { } b && a != b;

    private static ValueMap<T> Both<T>(ValueMap<T> outer, ValueMap<T> inner) =>
        outer.Count == 0 ? inner : inner.Count == 0 ? outer : outer.Items.SetItems(inner.Items).ToValueMap();
}
