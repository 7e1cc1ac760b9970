using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Configuration of filters for a route that this proxy does not apply.</summary>
internal static class RouteFilters
{
    /// <summary>Filters that decide who may call: what a route says of them can be stricter than what applies without it. By their names, and by the types of
    /// what routes say.</summary>
    private static readonly string[] Deciding =
    [
        "envoy.filters.http.rbac", "envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
        "envoy.filters.http.jwt_authn", "envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig",
    ];

    /// <summary>The filter for which the route refuses all requests; empty: there is none. What else is not applied is only noted.</summary>
    public static string Refusing(Route route, VirtualHost host, RouteConfiguration table, List<string> notes)
    {
        var refusing = "";
        foreach (var level in new[] { table.TypedPerFilterConfig, host.TypedPerFilterConfig, route.TypedPerFilterConfig })
        {
            foreach (var (name, any) in level)
            {
                if (TypedConfigs.TryForRoute(any, out var config, out var fault))
                {
                    if (config is null || LimitDecoder.Reads(config) || RouteDecoder.Reads(name, config)) continue;
                    fault = TypedConfigs.TypeOf(config);
                }
                var isOptional = any.TryRead(out FilterConfig wrapped) && wrapped.IsOptional;
                var refuses = !isOptional && (IsDeciding(name) || (config is not null && IsDeciding(config)));
                var effect = refuses ? "not supported, so that the route refuses all requests" : "ignored";
                notes.Add($"typed_per_filter_config '{name}' with {fault} is {effect}");
                if (refuses) refusing = name;
            }
        }
        return refusing;
    }

    private static bool IsDeciding(Any config) => IsDeciding(config.TypeUrl[(config.TypeUrl.LastIndexOf('/') + 1)..]);

    private static bool IsDeciding(string name) => Deciding.Contains(name, StringComparer.Ordinal);
}
