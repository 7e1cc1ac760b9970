using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

/// <summary>Which of several rules that match a request applies.</summary>
public enum RoutePrecedence
{
    /// <summary>The first of the list, as in VirtualServices.</summary>
    Listed,

    /// <summary>The most exact one, then that of the oldest object, then by name, as in the Gateway API: rules of all objects of a host compete.</summary>
    Exactness,
}

/// <summary>A host at one of the Gateways that serve it, which has its name as <c>namespace/name</c>.</summary>
public readonly record struct GatewayHost(string Gateway, string Host);

/// <summary>
/// The routes of some hosts, whichever kind of object declares them: VirtualServices and Ingress objects become sets, and generators read
/// nothing else.
/// </summary>
/// <param name="Source">The object that declares them; proxies name it in what they report.</param>
/// <param name="Parents">The Gateways that they apply to, as <c>namespace/name</c>, or <c>mesh</c> for sidecars.</param>
/// <param name="CreatedAt">Unix seconds: when two claim a host, the older wins.</param>
public sealed record RouteSet(
    ObjectRef Source,
    ValueList<string> Hosts,
    ValueList<string> Parents,
    ValueList<string> ExportTo,
    ValueList<RouteRule> Rules,
    ValueList<L4Rule> Tls,
    ValueList<L4Rule> Tcp,
    long CreatedAt)
{
    /// <summary>The parent that stands for all sidecars.</summary>
    public const string Mesh = "mesh";

    public RoutePrecedence Precedence { get; init; }

    /// <summary>It is for callers of its own namespace, and takes the place of what others declare for the host.</summary>
    public bool IsOfConsumer { get; init; }

    /// <summary>It is for calls to the addresses of a Service, whatever host they name. Those to a port that no rule is for go to the Service itself.</summary>
    public bool IsOfService { get; init; }

    /// <summary>The hosts as the object names them, where <see cref="Hosts"/> are narrower; none: every host.</summary>
    public ValueList<string> Claims { get; init; }

    /// <summary>Distinguishes it from other sets of its object; empty if there is one.</summary>
    public string Part { get; init; } = "";

    /// <summary>Unique among all sets.</summary>
    public ObjectKey Key => new(Source.Cluster, Source.Namespace, Part.Length == 0 ? Source.Name : $"{Source.Kind}/{Source.Name}/{Part}");

    /// <summary>Its <see cref="Tls"/> rules are also for connections whose TLS the gateway terminates.</summary>
    public bool MatchesTerminated { get; init; }

    /// <summary>Where datagrams go, at gateways. They have no hosts and no matches: the first rule applies.</summary>
    public ValueList<L4Rule> Udp { get; init; }

    public string Namespace => Source.Namespace;

    public string Name => Source.Name;

    public bool ForSidecars => Parents.Contains(Mesh);

    /// <summary>The Gateways among its parents.</summary>
    public IEnumerable<string> Gateways => Parents.Where(parent => parent != Mesh);

    /// <summary>It routes connections or datagrams, so that it is part of listeners.</summary>
    public bool RoutesConnections => !Tcp.IsEmpty || !Tls.IsEmpty || !Udp.IsEmpty;

    /// <summary>The labels of callers that its matches ask for.</summary>
    public IEnumerable<string> CallerLabels => Rules.SelectMany(rule => rule.Matches).SelectMany(match => match.SourceLabels.Keys)
        .Concat(Tls.Concat(Tcp).SelectMany(rule => rule.Matches).SelectMany(match => match.SourceLabels.Keys));

    /// <summary>Every host that HTTP requests may go to.</summary>
    public IEnumerable<string> HttpDestinations => Rules.SelectMany(rule => rule.Backends.Select(backend => backend.To).OfType<Destination>()
        .Concat(rule.Filters.Mirrors.Select(mirror => mirror.Destination))).Select(to => to.Host);

    /// <summary>Every destination of connections.</summary>
    public IEnumerable<Destination> L4Destinations =>
        Tcp.Concat(Tls).Concat(Udp).SelectMany(rule => rule.Backends).Select(backend => backend.To).OfType<Destination>();

    /// <summary>The same with other names for the hosts that it routes to.</summary>
    public RouteSet WithDestinations(Func<string, string> nameOf)
    {
        if (HttpDestinations.Concat(L4Destinations.Select(to => to.Host)).All(host => nameOf(host) == host)) return this;
        return this with
        {
            Rules = Rules.Select(rule => rule with
            {
                Backends = Renamed(rule.Backends),
                Filters = rule.Filters with
                {
                    Mirrors = rule.Filters.Mirrors.Select(mirror => mirror with { Destination = Of(mirror.Destination) }).ToValueList(),
                },
            }).ToValueList(),
            Tls = Tls.Select(rule => rule with { Backends = Renamed(rule.Backends) }).ToValueList(),
            Tcp = Tcp.Select(rule => rule with { Backends = Renamed(rule.Backends) }).ToValueList(),
            Udp = Udp.Select(rule => rule with { Backends = Renamed(rule.Backends) }).ToValueList(),
        };

        Destination Of(Destination destination) => destination with { Host = nameOf(destination.Host) };
        ValueList<RouteBackend> Renamed(ValueList<RouteBackend> all) =>
            all.Select(backend => backend.To is { } to ? backend with { To = Of(to) } : backend).ToValueList();
    }
}

/// <summary>What happens to requests that match.</summary>
/// <param name="Matches">Any of them; none: every request.</param>
public sealed record RouteRule(string Name, ValueList<HttpMatch> Matches, ValueList<RouteBackend> Backends, RouteFilters Filters)
{
    /// <summary>The object that declares it, where its set has rules of several.</summary>
    public ObjectRef? Source { get; init; }

    /// <summary>The part of the requests that match and get here, from 0 to 1. The others go on to the next rule.</summary>
    public double Share { get; init; } = 1;

    /// <summary>It has backends, and none of them leads anywhere.</summary>
    public bool LeadsNowhere => RouteBackend.Used(Backends) is { Count: > 0 } used && used.TrueForAll(backend => backend.To is null);
}

/// <summary>A share of the requests or connections of a rule.</summary>
/// <param name="To">Null: the reference leads nowhere, or is not permitted. Requests of the share get 500, connections end.</param>
/// <param name="Weight">0 with others beside it: none.</param>
/// <param name="Headers">Changes for this share alone.</param>
public sealed record RouteBackend(Destination? To, int Weight, HeaderChanges? Headers = null)
{
    /// <summary>The host that the backend is asked for; empty: that of the request, or of the rule.</summary>
    public string Authority { get; init; } = "";

    /// <summary>Those that get something.</summary>
    public static List<RouteBackend> Used(ValueList<RouteBackend> all) => [.. all.Where(backend => backend.Weight > 0 || all.Count == 1)];
}

/// <summary>What a rule does to requests and responses besides where they go. A redirect or a direct response takes the place of backends.</summary>
public sealed record RouteFilters
{
    public static readonly RouteFilters None = new();

    public HttpRedirect? Redirect { get; init; }
    public DirectResponse? Direct { get; init; }
    public HttpRewrite? Rewrite { get; init; }
    public HeaderChanges? Headers { get; init; }
    public ValueList<HttpMirror> Mirrors { get; init; }
    public HttpFault? Fault { get; init; }
    public CorsPolicy? Cors { get; init; }

    /// <summary>Decides about the requests before they go anywhere.</summary>
    public RouteAuthorizer? Authorizer { get; init; }

    /// <summary>Null: as the destination says.</summary>
    public SessionPersistence? Session { get; init; }
    public TimeSpan? Timeout { get; init; }

    /// <summary>How long each attempt may take; null: as <see cref="Retries"/> say.</summary>
    public TimeSpan? TryTimeout { get; init; }
    public HttpRetry? Retries { get; init; }
}

/// <summary>How the requests of a client stay with the endpoint that got its first one.</summary>
/// <param name="Name">Of the cookie or the header.</param>
/// <param name="IsHeader">Clients repeat a header of the response, not a cookie.</param>
/// <param name="Path">Of the cookie.</param>
/// <param name="Lifetime">Of the cookie; null: as long as the client runs.</param>
public sealed record SessionPersistence(string Name, bool IsHeader, string Path, TimeSpan? Lifetime);

/// <summary>Where connections that match go.</summary>
public sealed record L4Rule(ValueList<L4Match> Matches, ValueList<RouteBackend> Backends);
