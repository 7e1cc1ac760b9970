using System.Globalization;
using System.Net;
using System.Text;
using Isthmus.Proxy.Balancing;
using Isthmus.Proxy.Snapshot;

namespace Isthmus.Proxy.Http;

/// <summary>Where a request goes: a pure function of the routes and the request (and chance, where a route splits traffic).</summary>
/// <param name="Host">Null when no virtual host matches the authority.</param>
/// <param name="Route">Null when no route of the host matches.</param>
internal readonly record struct RouteDecision(RouteTable Table, VirtualHostSnapshot? Host, RouteSnapshot? Route)
{
    /// <summary>A cookie that the client gets, so that its next requests go to the same host; empty: none.</summary>
    public string SetCookie { get; init; } = "";

    public static RouteDecision For(RouteTable table, RequestHead request, string scheme, Random random)
    {
        var host = table.Find(request.Authority);
        if (host is null) return new(table, null, null);
        var target = request.Target;
        var question = target.IndexOf((byte)'?');
        var path = question < 0 ? target : target[..question];
        foreach (var route in host.Routes)
            if (Matches(route, request, path, scheme, random)) return new(table, host, route);
        return new(table, host, null);
    }

    /// <summary>Chooses a cluster among those of the route.</summary>
    public static WeightedTarget Choose(ForwardAct act, RequestHead request, Random random)
    {
        if (act.ClusterHeader.Length > 0)
            return new(request.Headers.GetString(Encoding.ASCII.GetBytes(act.ClusterHeader)) ?? "", 1, null, HeaderEdits.None);
        if (act.Targets.Count == 1) return act.Targets[0];
        var at = random.NextInt64(act.TotalWeight);
        foreach (var target in act.Targets)
            if ((at -= target.Weight) < 0) return target;
        return act.Targets[^1];
    }

    /// <summary>The key for consistent hashing, and the decision with the cookie that the client must get. The key is null when the route
    /// has none or the request lacks it.</summary>
    public (ulong? Hash, RouteDecision Decision) Hash(ForwardAct act, RequestHead request, IPEndPoint source, IPEndPoint destination)
    {
        ulong? hash = null;
        var setCookie = "";
        foreach (var key in act.HashKeys)
        {
            var value = key.Source switch
            {
                HashSource.Header => request.Headers.GetJoined(Encoding.ASCII.GetBytes(key.Name)),
                HashSource.Cookie => Cookie(request, key.Name)?.Trim('"'),
                HashSource.Query => Query(request, key.Name),
                _ => source.Address.ToString(),
            };
            if (value is null && key is { Source: HashSource.Cookie, CookieTtl: { } ttl } && setCookie.Length == 0)
            {
                value = StableHash.Of($"{source}{destination}").ToString("x16", CultureInfo.InvariantCulture);
                setCookie = CookieText(key, value, ttl);
            }
            if (value is null) continue;
            var one = StableHash.Of(value);
            hash = hash is { } before ? ((before << 1) | (before >> 63)) ^ one : one;
            if (key.Terminal) break;
        }
        return (hash, setCookie.Length == 0 ? this : this with { SetCookie = setCookie });
    }

    private static string CookieText(HashKey key, string value, TimeSpan ttl) => string.Create(CultureInfo.InvariantCulture,
        $"{key.Name}=\"{value}\"{(ttl > TimeSpan.Zero ? $"; Max-Age={(long)ttl.TotalSeconds}" : "")}{(key.CookiePath.Length > 0 ? "; Path=" : "")}{key.CookiePath}; HttpOnly");

    internal static string? Cookie(RequestHead request, string name)
    {
        if (request.Headers.GetJoined("cookie"u8) is not { } cookies) return null;
        foreach (var cookie in cookies.Split([';', ','], StringSplitOptions.TrimEntries))
            if (cookie.StartsWith(name, StringComparison.Ordinal) && cookie.Length > name.Length && cookie[name.Length] == '=') return cookie[(name.Length + 1)..];
        return null;
    }

    internal static string? Query(RequestHead request, string name)
    {
        var target = request.TargetText;
        var question = target.IndexOf('?', StringComparison.Ordinal);
        if (question < 0) return null;
        foreach (var pair in target[(question + 1)..].Split('&'))
            if (pair.StartsWith(name, StringComparison.Ordinal) && pair.Length > name.Length && pair[name.Length] == '=') return pair[(name.Length + 1)..];
        return null;
    }

    private static bool Matches(RouteSnapshot route, RequestHead request, ReadOnlySpan<byte> path, string scheme, Random random)
    {
        if (!route.Path.IsMatch(path)) return false;
        foreach (var header in route.Headers)
            if (!header.IsMatch(request, scheme)) return false;
        foreach (var query in route.Queries)
            if (!query.IsMatch(request.Target)) return false;
        if (route.GrpcOnly && !request.Headers.Get("content-type"u8).StartsWith("application/grpc"u8)) return false;
        return route.Runtime is null || route.Runtime.Hits(random);
    }
}
