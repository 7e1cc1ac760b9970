using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy.Retries;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Mesh.Generate;

/// <summary>Routes of a virtual host: the default one, or those of a set.</summary>
internal static class HttpRoutes
{
    private const string DefaultRetryOn = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";

    /// <param name="Gateway"><c>mesh</c> or the gateway's full name, as matches name it.</param>
    /// <param name="Port">Of the listener.</param>
    internal sealed record Context(RouteCaller Caller, MeshConfig Mesh, int Port, string Gateway, ValueMap<DestinationShape> Destinations)
    {
        /// <summary>Requests come over TLS.</summary>
        public bool IsTls { get; init; }
    }

    public static Route Default(string hostname, Context context)
    {
        var action = new RouteAction
        {
            Cluster = ResourceNames.Outbound(context.Port, "", hostname),
            Timeout = Parts.Zero,
            RetryPolicy = Retry(null, context.Mesh),
            MaxStreamDuration = RouteGenerator.Unlimited,
        };
        var destination = new Destination(hostname, "", context.Port);
        AddHash(action, destination, context);
        var route = new Route
        {
            Name = "default",
            Match = new() { Prefix = "/" },
            Decorator = new() { Operation = ResourceNames.HostPort(hostname, context.Port) + "/*" },
            Route_ = action,
        };
        StatefulSessions.Add(route, null, [new(destination, 1)], to => SessionOf(to, context));
        return route;
    }

    public static IEnumerable<Route> Of(RouteSet routing, Context context)
    {
        foreach (var http in routing.Rules)
        {
            if (http.Matches.IsEmpty)
            {
                yield return One(routing, http, null, context);
                if (http.Share < 1) continue;
                yield break; // what follows can never match
            }
            foreach (var match in http.Matches)
            {
                if (!RouteMatches.Applies(match, context)) continue;
                yield return One(routing, http, match, context);
                if (http.Share >= 1 && RouteMatches.IsEverything(match)) yield break;
            }
        }
    }

    private static Route One(RouteSet routing, RouteRule http, HttpMatch? match, Context context)
    {
        var route = new Route
        {
            Name = match is { Name.Length: > 0 } ? (http.Name.Length > 0 ? $"{http.Name}.{match.Name}" : match.Name) : http.Name,
            Match = RouteMatches.Build(match),
            Metadata = Parts.Metadata(("istio", Parts.Fields(("config", Parts.ConfigPath(http.Source ?? routing.Source))))),
            Decorator = new() { Operation = Operation(routing, http, match, context) },
            StatPrefix = match?.StatPrefix ?? "",
        };
        if (http.Share < 1) route.Match.RuntimeFraction = new() { DefaultValue = Parts.PerMillion(http.Share * 100) };
        var filters = http.Filters;
        if (filters.Authorizer is not null && context.Caller.CannotAsk)
        {
            route.DirectResponse = new() { Status = 500 };
            return route;
        }
        if (filters.Redirect is { } redirect) route.Redirect = RouteActions.Redirect(redirect, match, context);
        else if (filters.Direct is { } direct) route.DirectResponse = RouteActions.Direct(direct);
        else if (http.LeadsNowhere) route.DirectResponse = new() { Status = 500 };
        else
        {
            route.Route_ = Forward(http, match, context);
            StatefulSessions.Add(route, filters.Session, RouteBackend.Used(http.Backends), to => SessionOf(to, context));
            if (filters.Cors is { } cors) route.TypedPerFilterConfig["envoy.filters.http.cors"] = Parts.Pack(RouteActions.Cors(cors));
        }
        if (filters.Authorizer is { } asked) RouteChecks.Add(route, asked, Cluster(asked.To, context));
        RouteActions.AddHeaders(route, filters.Headers);
        if (filters.Fault is { } fault) route.TypedPerFilterConfig["envoy.filters.http.fault"] = Parts.Pack(RouteActions.Fault(fault));
        return route;
    }

    private static string Operation(RouteSet routing, RouteRule http, HttpMatch? match, Context context)
    {
        var path = match?.Uri switch
        {
            { Kind: MatchKind.Exact or MatchKind.Regex } uri => uri.Value,
            { Kind: MatchKind.Prefix or MatchKind.PathPrefix } uri => uri.Value + "*",
            _ => "/*",
        };
        if (http.Backends.Count != 1 || http.Backends[0].To is not { } destination) return ResourceNames.HostPort(routing.Name, context.Port) + path;
        return ResourceNames.HostPort(destination.Host, PortOf(destination, context)) + path;
    }

    private static RouteAction Forward(RouteRule http, HttpMatch? match, Context context)
    {
        var filters = http.Filters;
        var timeout = filters.Timeout is { } given ? Parts.Duration(given) : Parts.Zero;
        var action = new RouteAction { Timeout = timeout, RetryPolicy = Retry(filters.Retries, context.Mesh) };
        if (filters.TryTimeout is { } perTry) (action.RetryPolicy ??= new() { NumRetries = 0u }).PerTryTimeout = Parts.Duration(perTry);
        var used = RouteBackend.Used(http.Backends);
        if (used.Count == 1)
        {
            action.Cluster = Cluster(used[0], context);
            RouteActions.AddDestinationHeaders(action, used[0]);
        }
        else
        {
            action.WeightedClusters = new();
            action.WeightedClusters.Clusters.AddRange(used.Select(backend => RouteActions.Weighted(backend, Cluster(backend, context))));
            // The share of a reference that leads nowhere.
            if (used.Exists(backend => backend.To is null))
                action.ClusterNotFoundResponseCode = RouteAction.Types.ClusterNotFoundResponseCode.InternalServerError;
        }
        if (filters.Rewrite is { } rewrite) RouteActions.Rewrite(action, rewrite, match);
        if (filters.Headers?.Request.Set is { } set && RouteActions.HostHeader(set) is { } host) action.HostRewriteLiteral = host;
        foreach (var mirror in filters.Mirrors)
        {
            action.RequestMirrorPolicies.Add(new RouteAction.Types.RequestMirrorPolicy
            {
                Cluster = Cluster(mirror.Destination, context),
                RuntimeFraction = new() { DefaultValue = Parts.PerMillion(mirror.Percent) },
                TraceSampled = false,
            });
        }
        foreach (var to in used.Select(backend => backend.To).OfType<Destination>()) AddHash(action, to, context);
        return action;
    }

    private static string Cluster(RouteBackend backend, Context context) => backend.To is { } to ? Cluster(to, context) : ResourceNames.Unresolved;

    private static string Cluster(Destination destination, Context context) =>
        ResourceNames.Outbound(PortOf(destination, context), destination.Subset, destination.Host);

    /// <summary>The explicit port, otherwise the service's only port, otherwise the listener's.</summary>
    private static int PortOf(Destination destination, Context context)
    {
        if (destination.Port > 0) return destination.Port;
        return context.Destinations.TryGetValue(destination.Host, out var shape) && shape.Ports.Count == 1 ? shape.Ports[0] : context.Port;
    }

    private static SessionPersistence? SessionOf(Destination destination, Context context) =>
        context.Destinations.TryGetValue(destination.Host, out var shape) ? shape.Session : null;

    /// <summary>The hash key of the destination's rule: Envoy configures the hash ring on the cluster and its key on the route.</summary>
    private static void AddHash(RouteAction action, Destination destination, Context context)
    {
        if (!context.Destinations.TryGetValue(destination.Host, out var shape) || shape.Rule is not { } rule) return;
        var subset = rule.Subsets.FirstOrDefault(candidate => candidate.Name == destination.Subset);
        var policy = TrafficPolicy.Effective(rule, subset, PortOf(destination, context));
        if (policy.Balancing?.Hash is not { } hash) return;
        var policyOfKey = hash.Key switch
        {
            HashKey.Header => new() { Header = new() { HeaderName = hash.Name } },
            HashKey.Cookie => new() { Cookie = Cookie(hash) },
            HashKey.QueryParameter => new() { QueryParameter = new() { Name = hash.Name } },
            _ => new RouteAction.Types.HashPolicy { ConnectionProperties = new() { SourceIp = true } },
        };
        if (!action.HashPolicy.Contains(policyOfKey)) action.HashPolicy.Add(policyOfKey);
    }

    private static RouteAction.Types.HashPolicy.Types.Cookie Cookie(HashPolicy hash) => new()
    {
        Name = hash.Name,
        Path = hash.Path,
        Ttl = hash.Ttl is { } ttl ? Parts.Duration(ttl) : null,
        Attributes =
        {
            hash.CookieAttributes.Select(attribute => new RouteAction.Types.HashPolicy.Types.CookieAttribute { Name = attribute.Name, Value = attribute.Value })
        },
    };

    internal static RetryPolicy? Retry(HttpRetry? own, MeshConfig mesh)
    {
        var retry = own ?? mesh.DefaultHttpRetry;
        if (retry is { Attempts: 0 }) return null;
        var policy = new RetryPolicy
        {
            NumRetries = (uint)(retry?.Attempts ?? 2),
            HostSelectionRetryMaxAttempts = 5,
        };
        if (retry?.AvoidsTriedHosts != false)
        {
            policy.RetryHostPredicate.Add(new RetryPolicy.Types.RetryHostPredicate
            {
                Name = "envoy.retry_host_predicates.previous_hosts",
                TypedConfig = Parts.Pack(new PreviousHostsPredicate()),
            });
        }
        if (retry?.Backoff is { } backoff) policy.RetryBackOff = new() { BaseInterval = Parts.Duration(backoff) };
        SetConditions(policy, retry?.RetryOn is { Length: > 0 } conditions ? conditions : DefaultRetryOn + ",503");
        if (retry?.PerTryTimeout is { } perTry) policy.PerTryTimeout = Parts.Duration(perTry);
        if (retry?.RemoteLocalities == true)
        {
            policy.RetryPriority = new()
            {
                Name = "envoy.retry_priorities.previous_priorities",
                TypedConfig = Parts.Pack(new PreviousPrioritiesConfig { UpdateFrequency = 2 }),
            };
        }
        return policy;
    }

    /// <summary>Envoy lists status codes separately from the other retry conditions.</summary>
    private static void SetConditions(RetryPolicy policy, string text)
    {
        var names = new List<string>();
        foreach (var condition in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (uint.TryParse(condition, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var code))
                policy.RetriableStatusCodes.Add(code);
            else names.Add(condition);
        }
        if (policy.RetriableStatusCodes.Count > 0 && !names.Contains("retriable-status-codes")) names.Add("retriable-status-codes");
        policy.RetryOn = string.Join(',', names);
    }
}
