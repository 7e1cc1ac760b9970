using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.HttpFilters;
using HttpFilter = Isthmus.Wire.Envoy.NetworkFilters.HttpFilter;
using NetworkCheck = Isthmus.Wire.Envoy.NetworkFilters.ExtAuthz;
using HttpService = Isthmus.Wire.Envoy.HttpFilters.HttpService;

namespace Isthmus.Mesh.Generate;

/// <summary>Calls of external authorizers as ext_authz filters. Each follows an rbac filter, whose shadow rules find out what it is about.</summary>
internal static class ExternalChecks
{
    public const string HttpRbac = "envoy.filters.http.rbac";
    public const string TcpRbac = "envoy.filters.network.rbac";

    /// <summary>What the names of shadow rules begin with.</summary>
    public const string Match = "istio-ext-authz";

    /// <summary>What the names of shadow results begin with.</summary>
    public const string Prefix = "istio_ext_authz_";

    public static HttpFilter Http(ReachedAuthorizer reached, string prefix)
    {
        var authorizer = reached.Authorizer;
        var check = new ExtAuthz
        {
            TransportApiVersion = ApiVersion.V3,
            FailureModeAllow = authorizer.FailOpen,
            ClearRouteCache = authorizer.ClearRouteCache,
            StatusOnError = authorizer.StatusOnError > 0 ? new() { Code = (StatusCode)authorizer.StatusOnError } : null,
            WithRequestBody = authorizer.Body is { } body
                ? new() { MaxRequestBytes = body.MaxBytes, AllowPartialMessage = body.AllowPartial, PackAsBytes = body.AsBytes }
                : null,
            FilterEnabledMetadata = IsMatched(HttpRbac, prefix),
        };
        if (authorizer.IsGrpc) check.GrpcService = Grpc(reached);
        else
        {
            check.HttpService = Plain(reached);
            check.AllowedHeaders = Names(authorizer.RequestHeaders);
        }
        return new() { Name = "envoy.filters.http.ext_authz", TypedConfig = Parts.Pack(check) };
    }

    public static Wire.Envoy.Listeners.Filter Tcp(ReachedAuthorizer reached, string prefix) => new()
    {
        Name = "envoy.filters.network.ext_authz",
        TypedConfig = Parts.Pack(new NetworkCheck
        {
            StatPrefix = "tcp.", GrpcService = Grpc(reached), FailureModeAllow = reached.Authorizer.FailOpen, TransportApiVersion = ApiVersion.V3,
            FilterEnabledMetadata = IsMatched(TcpRbac, prefix),
        }),
    };

    internal static GrpcService Grpc(ReachedAuthorizer reached) => new()
    {
        EnvoyGrpc = new() { ClusterName = reached.Cluster, Authority = reached.Host }, Timeout = Parts.Duration(reached.Authorizer.Timeout),
    };

    internal static HttpService Plain(ReachedAuthorizer reached)
    {
        var authorizer = reached.Authorizer;
        var service = new HttpService
        {
            ServerUri = new() { Uri = $"http://{reached.Host}", Cluster = reached.Cluster, Timeout = Parts.Duration(authorizer.Timeout) },
            PathPrefix = authorizer.PathPrefix,
        };
        if (authorizer.AdditionalHeaders.Count > 0)
        {
            service.AuthorizationRequest = new();
            service.AuthorizationRequest.HeadersToAdd.AddRange(authorizer.AdditionalHeaders.OrderBy(header => header.Key, StringComparer.Ordinal)
                .Select(header => new HeaderValue { Key = header.Key, Value = header.Value }));
        }
        if (!authorizer.UpstreamOnAllow.IsEmpty || !authorizer.DownstreamOnDeny.IsEmpty || !authorizer.DownstreamOnAllow.IsEmpty)
        {
            service.AuthorizationResponse = new()
            {
                AllowedUpstreamHeaders = Names(authorizer.UpstreamOnAllow), AllowedClientHeaders = Names(authorizer.DownstreamOnDeny),
                AllowedClientHeadersOnSuccess = Names(authorizer.DownstreamOnAllow),
            };
        }
        if (authorizer.PassesAll)
            service.AuthorizationResponse = new() { AllowedUpstreamHeaders = new() { Patterns = { TextMatches.Regex(RouteChecks.Others) } } };
        return service;
    }

    internal static ListStringMatcher? Names(ValueList<string> names)
    {
        if (names.IsEmpty) return null;
        var list = new ListStringMatcher();
        list.Patterns.AddRange(names.Select(name => name.StartsWith('*') ? TextMatches.Suffix(name[1..], ignoreCase: true)
            : name.EndsWith('*') ? TextMatches.Prefix(name[..^1], ignoreCase: true) : new() { Exact = name, IgnoreCase = true }));
        return list;
    }

    private static MetadataMatcher IsMatched(string filter, string prefix) => new()
    {
        Filter = filter,
        Path = { new MetadataMatcher.Types.PathSegment { Key = $"{prefix}shadow_effective_policy_id" } },
        Value = new() { StringMatch = new() { Prefix = Match } },
    };
}
