using System.Globalization;
using System.Net;
using System.Text;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tokens;

namespace Isthmus.Proxy.Http;

/// <summary>Where a request goes: a pure function of the routes and the request (and chance, where a route splits traffic).</summary>
/// <param name="Host">Null when no virtual host matches the authority.</param>
/// <param name="Route">Null when no route of the host matches.</param>
internal readonly record struct RouteDecision(RouteTable Table, VirtualHostSnapshot? Host, RouteSnapshot? Route)
{
    /// <summary>A cookie that the client gets, so that its next requests go to the same host; empty for none.</summary>
    public string SetCookie { get; init; } = "";

    public bool RedirectsToHttps(string scheme) => Host!.RequireTls && scheme != "https";

    /// <summary>The route whose settings count for filters: one that only redirects to https has none. Null: there is none.</summary>
    public RouteSnapshot? ForFilters(string scheme) => Route is not null && !RedirectsToHttps(scheme) ? Route : null;

    /// <param name="metadata">What filters learned about the request; null for nothing.</param>
    public static RouteDecision For(RouteTable table, RequestHead request, string scheme, Random random, RequestMetadata? metadata)
    {
        var host = table.Find(request.Authority);
        if (host is null) return new(table, null, null);
        var target = request.Target;
        var question = target.IndexOf((byte)'?');
        var path = question < 0 ? target : target[..question];
        foreach (var route in host.Routes)
            if (Matches(route, request, path, scheme, random) && (route.Metadata.IsEmpty || KnowsAll(route, metadata))) return new(table, host, route);
        return new(table, host, null);
    }

    /// <summary>Chooses a cluster among those of the route.</summary>
    /// <param name="chance">Random, and at least 0.</param>
    public static WeightedTarget Choose(ForwardAct act, RequestHead request, long chance)
    {
        if (act.ClusterHeader.Length > 0)
            return new(request.Headers.GetString(Encoding.ASCII.GetBytes(act.ClusterHeader)) ?? "", 1, null, HeaderEdits.None);
        if (act.Targets.Length == 1) return act.Targets[0];
        var at = chance % act.TotalWeight;
        foreach (var target in act.Targets)
            if ((at -= target.Weight) < 0) return target;
        return act.Targets[^1];
    }

    /// <summary>The key for consistent hashing, and the decision with the cookie that the client must get. The key is null when the route
    /// has none or the request lacks it. Keys are Envoy's.</summary>
    /// <param name="client">The original client, as far as the proxies that forwarded the request are trusted.</param>
    public (ulong? Hash, RouteDecision Decision) Hash(ForwardAct act, RequestHead request, IPAddress client, IPEndPoint source, IPEndPoint destination)
    {
        ulong? hash = null;
        var setCookie = "";
        foreach (var key in act.HashKeys)
        {
            var one = key.Source switch
            {
                HashSource.Header => FieldHash(request.Headers, key.Field),
                HashSource.Cookie => RequestFields.Cookie(request, key.Name) is { Length: > 0 } cookie ? XxHash64.Of(cookie) : null,
                HashSource.Query => RequestFields.Query(request, key.Name) is { } value ? XxHash64.Of(value) : null,
                _ => XxHash64.Of(client),
            };
            if (one is null && key is { Source: HashSource.Cookie, CookieTtl: { } ttl } && setCookie.Length == 0)
            {
                var value = XxHash64.Of($"{source}{destination}").ToString("x16", CultureInfo.InvariantCulture);
                setCookie = CookieText(key, value, ttl);
                one = XxHash64.Of(value);
            }
            if (one is { } given) hash = hash is { } before ? ((before << 1) | (before >> 63)) ^ given : given;
            if (key.Terminal && hash is not null) break;
        }
        return (hash, setCookie.Length == 0 ? this : this with { SetCookie = setCookie });
    }

    /// <summary>The hash of a field's values in their order as text, each the seed of the next.</summary>
    private static ulong? FieldHash(HeaderBlock headers, byte[] name)
    {
        var (count, only) = (0, 0);
        for (var i = 0; i < headers.Count; i++)
            if (headers.Name(i).SequenceEqual(name)) (count, only) = (count + 1, i);
        if (count < 2) return count == 0 ? null : XxHash64.Of(headers.Value(only));
        var values = new List<string>(count);
        for (var i = 0; i < headers.Count; i++)
            if (headers.Name(i).SequenceEqual(name)) values.Add(Encoding.Latin1.GetString(headers.Value(i)));
        values.Sort(StringComparer.Ordinal);
        var hash = 0UL;
        foreach (var value in values) hash = XxHash64.Of(Encoding.Latin1.GetBytes(value), hash);
        return hash;
    }

    private static string CookieText(HashKey key, string value, TimeSpan ttl) => string.Create(CultureInfo.InvariantCulture,
        $"{key.Name}=\"{value}\"{(ttl > TimeSpan.Zero ? $"; Max-Age={(long)ttl.TotalSeconds}" : "")}"
            + $"{(key.CookiePath.Length > 0 ? "; Path=" : "")}{key.CookiePath}{key.CookieAttributes}; HttpOnly");

    private static bool KnowsAll(RouteSnapshot route, RequestMetadata? metadata)
    {
        foreach (var matches in route.Metadata)
            if (!matches(metadata)) return false;
        return true;
    }

    private static bool Matches(RouteSnapshot route, RequestHead request, ReadOnlySpan<byte> path, string scheme, Random random)
    {
        if (!route.Path.IsMatch(path)) return false;
        foreach (var header in route.Headers)
            if (!header.IsMatch(request, scheme)) return false;
        foreach (var query in route.Queries)
            if (!query.IsMatch(request.Target)) return false;
        if (route.GrpcOnly && !GrpcCalls.Is(request.Headers)) return false;
        return route.Runtime is null || route.Runtime.Hits(random);
    }
}
