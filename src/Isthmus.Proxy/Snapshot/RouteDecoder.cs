using System.Collections.Immutable;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Tokens;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Wire.Xds;
using RetryPolicy = Isthmus.Wire.Envoy.Routes.RetryPolicy;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Decodes RDS resources and the routes inside connection managers.</summary>
internal static class RouteDecoder
{
    /// <exception cref="ResourceException">The resource cannot be used.</exception>
    public static RouteTable Decode(RouteConfiguration table) => Decode(XdsParts.Split(table.ToByteString(), RouteConfiguration.VirtualHostsFieldNumber), null);

    /// <param name="parts">The resource.</param>
    /// <param name="before">The table before it: what both have is not decoded again. Null: there is none.</param>
    /// <exception cref="ResourceException">The resource cannot be used.</exception>
    /// <exception cref="InvalidProtocolBufferException">The resource cannot be read.</exception>
    public static RouteTable Decode(XdsParts parts, RouteTable? before)
    {
        var notes = new List<string>();
        var table = RouteConfiguration.Parser.ParseFrom(parts.Head);
        if (table.Vhds is not null) throw new ResourceException($"route '{table.Name}': vhds: works only in tables that come from discovery");
        // What a table says applies to all of its hosts.
        var known = before?.Parts.Head.Equals(parts.Head) == true ? before : null;
        var hosts = Hosts(parts.Items, table, known);
        var domains = known is not null && HaveSameDomains(hosts, known.Hosts) ? known.Domains : Domains(hosts, table);
        var edits = HeadDecoder.Edits(table.RequestHeadersToAdd, table.RequestHeadersToRemove, table.ResponseHeadersToAdd, table.ResponseHeadersToRemove,
            notes);
        return new(table.Name, parts, hosts, domains, edits, notes.Distinct().ToValueList());
    }

    private static bool HaveSameDomains(ImmutableArray<DecodedHost> hosts, ImmutableArray<DecodedHost> before)
    {
        if (hosts.Length != before.Length) return false;
        for (var place = 0; place < hosts.Length; place++)
        {
            if (!ReferenceEquals(hosts[place], before[place]) && !hosts[place].Domains.AsSpan().SequenceEqual(before[place].Domains.AsSpan())) return false;
        }
        return true;
    }

    private static ImmutableArray<DecodedHost> Hosts(ImmutableArray<XdsPart> parts, RouteConfiguration table, RouteTable? known)
    {
        var hosts = ImmutableArray.CreateBuilder<DecodedHost>(parts.Length);
        Dictionary<XdsPart, DecodedHost>? elsewhere = null;
        for (var place = 0; place < parts.Length; place++)
        {
            var part = parts[place];
            if (known is null) hosts.Add(Decode(part, table));
            else if (place < known.Hosts.Length && ReferenceEquals(known.Parts.Items[place], part)) hosts.Add(known.Hosts[place]);
            else hosts.Add((elsewhere ??= ByPart(known)).TryGetValue(part, out var host) ? host : Decode(part, table));
        }
        return hosts.DrainToImmutable();
    }

    /// <summary>By object: equal bytes are not looked for.</summary>
    private static Dictionary<XdsPart, DecodedHost> ByPart(RouteTable table)
    {
        var found = new Dictionary<XdsPart, DecodedHost>(ReferenceEqualityComparer.Instance);
        for (var place = 0; place < table.Hosts.Length; place++) found.TryAdd(table.Parts.Items[place], table.Hosts[place]);
        return found;
    }

    private static DecodedHost Decode(XdsPart part, RouteConfiguration table)
    {
        var notes = new List<string>();
        var resource = VirtualHost.Parser.ParseFrom(part.Bytes);
        return new(Host(resource, table, notes), [.. resource.Domains.Select(domain => domain.ToLowerInvariant())], [.. notes.Distinct()]);
    }

    private static DomainTable Domains(ImmutableArray<DecodedHost> hosts, RouteConfiguration table)
    {
        // Tables of gateways have a prefix for each of tens of thousands of hosts.
        Dictionary<string, int> exact = new(StringComparer.Ordinal), suffixes = new(StringComparer.Ordinal), prefixes = new(StringComparer.Ordinal);
        var any = -1;
        for (var host = 0; host < hosts.Length; host++)
        {
            foreach (var domain in hosts[host].Domains)
            {
                var isNew = domain switch
                {
                    "*" => any < 0,
                    _ when domain.StartsWith('*') => suffixes.TryAdd(domain[1..], host),
                    _ when domain.EndsWith('*') => prefixes.TryAdd(domain[..^1], host),
                    _ => exact.TryAdd(domain, host),
                };
                if (!isNew)
                    throw new ResourceException($"route '{table.Name}': only unique values for domains are permitted; duplicate entry of domain {domain}");
                if (domain == "*") any = host;
            }
        }
        return new(exact, suffixes, prefixes, any, table.IgnorePortInHostMatching);
    }

    private static VirtualHostSnapshot Host(VirtualHost host, RouteConfiguration table, List<string> notes)
    {
        var retry = host.RetryPolicy is null ? null : Retry(host.RetryPolicy, notes);
        return new(
            host.Name,
            [.. host.Routes.Select(r => RouteFilters.Add(Route(r, host, retry, notes), r, host, table, notes))],
            host.RequireTls != VirtualHost.Types.TlsRequirementType.None,
            host.IncludeRequestAttemptCount, host.IncludeAttemptCountInResponse,
            HeadDecoder.Edits(host.RequestHeadersToAdd, host.RequestHeadersToRemove, host.ResponseHeadersToAdd, host.ResponseHeadersToRemove, notes));
    }

    private static RouteSnapshot Route(Route route, VirtualHost host, RetrySettings? retry, List<string> notes)
    {
        var match = route.Match ?? new();
        RouteAct act = route.ActionCase switch
        {
            Wire.Envoy.Routes.Route.ActionOneofCase.Route_ => Forward(route.Route_, retry, notes),
            Wire.Envoy.Routes.Route.ActionOneofCase.Redirect => Redirect(route.Redirect),
            Wire.Envoy.Routes.Route.ActionOneofCase.DirectResponse => new DirectAct((int)route.DirectResponse.Status, Text(route.DirectResponse.Body)),
            _ => throw new ResourceException($"route '{route.Name}' of '{host.Name}': action {route.ActionCase} is not supported"),
        };
        return new(
            route.Name, MatchDecoder.Path(match),
            [.. match.Headers.Select(MatchDecoder.Header)],
            [.. match.QueryParameters.Select(MatchDecoder.Query)],
            match.Grpc is not null,
            match.RuntimeFraction is { } runtime ? MatchDecoder.Fraction(runtime.DefaultValue) : null,
            act, route.Decorator?.Operation ?? "",
            HeadDecoder.Edits(route.RequestHeadersToAdd, route.RequestHeadersToRemove, route.ResponseHeadersToAdd, route.ResponseHeadersToRemove, notes))
        {
            Metadata = [.. match.DynamicMetadata.Select(RequestMetadata.Matcher)],
        };
    }

    private static ForwardAct Forward(RouteAction action, RetrySettings? inherited, List<string> notes)
    {
        ImmutableArray<WeightedTarget> targets = action.ClusterSpecifierCase switch
        {
            RouteAction.ClusterSpecifierOneofCase.Cluster => [new(action.Cluster, 1, null, HeaderEdits.None)],
            RouteAction.ClusterSpecifierOneofCase.WeightedClusters => [.. action.WeightedClusters.Clusters.Select(weight => Target(weight, notes))],
            RouteAction.ClusterSpecifierOneofCase.ClusterHeader => [],
            _ => throw new ResourceException($"cluster specifier {action.ClusterSpecifierCase} is not supported"),
        };
        if (action.ClusterSpecifierCase == RouteAction.ClusterSpecifierOneofCase.WeightedClusters && targets.Sum(t => (long)t.Weight) == 0)
            throw new ResourceException("weighted_clusters: the sum of weights is zero");
        if (action.MetadataMatch is not null) notes.Add("metadata_match is ignored");
        if (action.MaxStreamDuration?.GrpcTimeoutHeaderMax is not null) notes.Add("max_stream_duration.grpc_timeout_header_max is ignored");
        if (action.HedgePolicy is not null) notes.Add("hedge_policy is ignored");
        if (action.InternalRedirectPolicy is not null) notes.Add("internal_redirect_policy is ignored");
        return new(
            targets, action.ClusterHeader.ToLowerInvariant(),
            // As in Envoy, max_stream_duration takes the place of the timeout.
            action.MaxStreamDuration is not null ? TimeSpan.Zero : action.Timeout?.ToTimeSpan() ?? TimeSpan.FromSeconds(15),
            action.RetryPolicy is null ? inherited : Retry(action.RetryPolicy, notes),
            HeadDecoder.Path(action.PrefixRewrite, "prefix_rewrite"),
            Rewrite(action.RegexRewrite),
            HeadDecoder.Authority(action.HostRewriteLiteral, "host_rewrite_literal"),
            action.HostRewriteHeader.Length > 0 ? action.HostRewriteHeader.ToLowerInvariant() : null,
            action.AppendXForwardedHost,
            [.. action.RequestMirrorPolicies.Select(m => new MirrorSettings(m.Cluster, MatchDecoder.Fraction(m.RuntimeFraction?.DefaultValue)))],
            [.. action.HashPolicy.Select(Hash).OfType<HashKey>()],
            action.ClusterNotFoundResponseCode switch
            {
                RouteAction.Types.ClusterNotFoundResponseCode.NotFound => 404,
                RouteAction.Types.ClusterNotFoundResponseCode.InternalServerError => 500,
                _ => 503,
            },
            Upgrades(action))
        {
            Connect = Connect(action),
            IdleTimeout = action.IdleTimeout?.ToTimeSpan(),
            MaxDuration = action.MaxStreamDuration?.MaxStreamDuration_?.ToTimeSpan(),
        };
    }

    private static ValueMap<bool> Upgrades(RouteAction action)
    {
        var upgrades = new Dictionary<string, bool>(StringComparer.Ordinal);
        foreach (var config in action.UpgradeConfigs)
        {
            if (config.Enabled ?? true) CheckUpgrade(config.UpgradeType);
            if (!upgrades.TryAdd(config.UpgradeType.ToLowerInvariant(), config.Enabled ?? true))
                throw new ResourceException($"upgrade_configs: '{config.UpgradeType}' is there twice");
        }
        return upgrades.ToValueMap();
    }

    /// <summary>Datagrams in capsules (RFC 9298) cannot simply be copied as bytes.</summary>
    /// <exception cref="ResourceException">The proxy does not have that protocol.</exception>
    internal static void CheckUpgrade(string type)
    {
        if (type.Equals("CONNECT-UDP", StringComparison.OrdinalIgnoreCase)) throw new ResourceException("upgrade_configs: CONNECT-UDP is not supported");
    }

    private static ConnectSettings? Connect(RouteAction action)
    {
        if (action.UpgradeConfigs.FirstOrDefault(config => config.ConnectConfig is not null) is not { } upgrade) return null;
        if (!upgrade.UpgradeType.Equals("CONNECT", StringComparison.OrdinalIgnoreCase))
            throw new ResourceException($"upgrade_configs: connect_config is for CONNECT, not for '{upgrade.UpgradeType}'");
        if (upgrade.ConnectConfig.AllowPost) throw new ResourceException("connect_config.allow_post is not supported");
        return new(ClusterDecoder.Version(upgrade.ConnectConfig.ProxyProtocolConfig));
    }

    private static WeightedTarget Target(WeightedCluster.Types.ClusterWeight weight, List<string> notes) => new(
        weight.Name, (int)Math.Min(weight.Weight ?? 0u, int.MaxValue),
        HeadDecoder.Authority(weight.HostRewriteLiteral, "host_rewrite_literal"),
        HeadDecoder.Edits(weight.RequestHeadersToAdd, weight.RequestHeadersToRemove, weight.ResponseHeadersToAdd, weight.ResponseHeadersToRemove, notes))
    {
        Filters = HttpFilters.OfShare(weight.TypedPerFilterConfig, notes),
    };

    private static HashKey? Hash(RouteAction.Types.HashPolicy policy) => policy.PolicySpecifierCase switch
    {
        RouteAction.Types.HashPolicy.PolicySpecifierOneofCase.Header => new(HashSource.Header, policy.Header.HeaderName.ToLowerInvariant(), null, "",
            policy.Terminal),
        RouteAction.Types.HashPolicy.PolicySpecifierOneofCase.Cookie =>
            new(HashSource.Cookie, policy.Cookie.Name, policy.Cookie.Ttl?.ToTimeSpan(), policy.Cookie.Path, policy.Terminal)
            {
                CookieAttributes = string.Concat(policy.Cookie.Attributes.Select(attribute => attribute.Value.Length == 0
                    ? $"; {attribute.Name}"
                    : $"; {attribute.Name}={attribute.Value}")),
            },
        RouteAction.Types.HashPolicy.PolicySpecifierOneofCase.ConnectionProperties => new(HashSource.SourceIp, "", null, "", policy.Terminal),
        RouteAction.Types.HashPolicy.PolicySpecifierOneofCase.QueryParameter => new(HashSource.Query, policy.QueryParameter.Name, null, "", policy.Terminal),
        _ => null,
    };

    private static RegexRewrite? Rewrite(RegexMatchAndSubstitute? rewrite)
    {
        if (rewrite?.Pattern is null) return null;
        // RE2 writes groups as \1; $ is special only in .NET.
        var substitution = rewrite.Substitution.Replace("$", "$$", StringComparison.Ordinal);
        for (var group = 0; group < 10; group++) substitution = substitution.Replace($"\\{group}", $"${{{group}}}", StringComparison.Ordinal);
        return new(TextMatch.CompileRegex(rewrite.Pattern.Regex, whole: false), substitution);
    }

    private static RetrySettings Retry(RetryPolicy policy, List<string> notes)
    {
        var on = RetryOn.None;
        var codes = policy.RetriableStatusCodes.Select(c => (int)c).ToHashSet();
        foreach (var word in policy.RetryOn.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (int.TryParse(word, out var code)) codes.Add(code);
            else if (Condition(word) is { } condition) on |= condition;
            else notes.Add($"retry_on '{word}' is ignored");
        }
        var backoff = policy.RetryBackOff?.BaseInterval?.ToTimeSpan() ?? TimeSpan.FromMilliseconds(25);
        return new(
            on, (int)(policy.NumRetries ?? 1u), policy.PerTryTimeout?.ToTimeSpan() ?? TimeSpan.Zero,
            policy.RetryHostPredicate.Any(p => p.Name == "envoy.retry_host_predicates.previous_hosts"
                || p.TypedConfig?.TypeUrl.EndsWith("PreviousHostsPredicate", StringComparison.Ordinal) == true),
            codes, backoff, policy.RetryBackOff?.MaxInterval?.ToTimeSpan() ?? backoff * 10)
        {
            AlwaysWaits = policy.RetryBackOff is not null,
            Headers = [.. policy.RetriableHeaders.Select(MatchDecoder.Header)],
            LeaveAfter = policy.RetryPriority?.TypedConfig is { } priority && priority.TryRead(out Wire.Envoy.Retries.PreviousPrioritiesConfig previous)
                ? Math.Max(1, previous.UpdateFrequency)
                : 0,
        };
    }

    private static RetryOn? Condition(string word) => word switch
    {
        "connect-failure" => RetryOn.ConnectFailure,
        "refused-stream" => RetryOn.RefusedStream,
        "reset" => RetryOn.Reset,
        "reset-before-request" => RetryOn.ResetBeforeRequest,
        "gateway-error" => RetryOn.GatewayError,
        "5xx" => RetryOn.ServerError | RetryOn.Reset | RetryOn.ConnectFailure | RetryOn.RefusedStream,
        "retriable-status-codes" => RetryOn.StatusCodes,
        "retriable-4xx" => RetryOn.Retriable4xx,
        "retriable-headers" => RetryOn.Headers,
        "envoy-ratelimited" => RetryOn.RateLimited,
        "cancelled" => RetryOn.GrpcCancelled,
        "deadline-exceeded" => RetryOn.GrpcDeadline,
        "internal" => RetryOn.GrpcInternal,
        "resource-exhausted" => RetryOn.GrpcExhausted,
        "unavailable" => RetryOn.GrpcUnavailable,
        _ => null,
    };

    private static RedirectAct Redirect(RedirectAction redirect) => new(
        redirect.ResponseCode switch
        {
            RedirectAction.Types.RedirectResponseCode.Found => 302,
            RedirectAction.Types.RedirectResponseCode.SeeOther => 303,
            RedirectAction.Types.RedirectResponseCode.TemporaryRedirect => 307,
            RedirectAction.Types.RedirectResponseCode.PermanentRedirect => 308,
            _ => 301,
        },
        redirect.HttpsRedirect ? "https" : HeadDecoder.Path(redirect.SchemeRedirect, "scheme_redirect") ?? "",
        HeadDecoder.Authority(redirect.HostRedirect, "host_redirect") ?? "",
        (int)redirect.PortRedirect, HeadDecoder.Path(redirect.PathRedirect, "path_redirect"), HeadDecoder.Path(redirect.PrefixRewrite, "prefix_rewrite"),
        Rewrite(redirect.RegexRewrite), redirect.StripQuery);

    private static byte[] Text(DataSource? source) => source?.SpecifierCase switch
    {
        null or DataSource.SpecifierOneofCase.None => [],
        DataSource.SpecifierOneofCase.InlineString => Encoding.UTF8.GetBytes(source.InlineString),
        DataSource.SpecifierOneofCase.InlineBytes => source.InlineBytes.ToByteArray(),
        _ => throw new ResourceException("direct_response: only an inline body is supported"),
    };
}
