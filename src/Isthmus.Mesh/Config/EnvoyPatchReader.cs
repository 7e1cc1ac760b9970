using Google.Protobuf.Reflection;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Discovery;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Routes;
using Listeners = Isthmus.Wire.Envoy.Listeners;

namespace Isthmus.Mesh.Config;

/// <summary>Reads a patch of an EnvoyFilter.</summary>
internal static class EnvoyPatchReader
{
    private const int LongestPattern = 1024;

    private static readonly string[] Merges = ["MERGE", "MERGE_AND_REPLACE_LIST"];

    /// <summary>The operations that change something, as Istio defines them.</summary>
    private static readonly Dictionary<string, (PatchTarget Target, MessageDescriptor Type, string[] Operations,
        string Match)> Targets = new(StringComparer.Ordinal)
    {
        ["LISTENER"] = (PatchTarget.Listener, Listeners.Listener.Descriptor, [.. Merges, "ADD", "REMOVE"], "listener"),
        ["LISTENER_FILTER"] = (PatchTarget.ListenerFilter, Listeners.ListenerFilter.Descriptor,
            ["ADD", "REMOVE", "INSERT_FIRST", "INSERT_BEFORE", "INSERT_AFTER", "REPLACE"], "listener"),
        ["FILTER_CHAIN"] = (PatchTarget.FilterChain, Listeners.FilterChain.Descriptor, [.. Merges, "ADD", "REMOVE"], "listener"),
        ["NETWORK_FILTER"] = (PatchTarget.NetworkFilter, Listeners.Filter.Descriptor,
            [.. Merges, "ADD", "REMOVE", "INSERT_FIRST", "INSERT_BEFORE", "INSERT_AFTER", "REPLACE"], "listener"),
        ["HTTP_FILTER"] = (PatchTarget.HttpFilter, HttpFilter.Descriptor, [.. Merges, "REMOVE", "INSERT_FIRST", "INSERT_BEFORE", "INSERT_AFTER", "REPLACE"],
            "listener"),
        ["ROUTE_CONFIGURATION"] = (PatchTarget.RouteConfiguration, RouteConfiguration.Descriptor, Merges, "routeConfiguration"),
        ["VIRTUAL_HOST"] = (PatchTarget.VirtualHost, VirtualHost.Descriptor, [.. Merges, "ADD", "REMOVE", "REPLACE"], "routeConfiguration"),
        ["HTTP_ROUTE"] = (PatchTarget.HttpRoute, Route.Descriptor, [.. Merges, "ADD", "REMOVE", "INSERT_FIRST", "INSERT_BEFORE", "INSERT_AFTER"],
            "routeConfiguration"),
        ["CLUSTER"] = (PatchTarget.Cluster, Cluster.Descriptor, [.. Merges, "ADD", "REMOVE"], "cluster"),
        ["EXTENSION_CONFIG"] = (PatchTarget.ExtensionConfig, TypedExtensionConfig.Descriptor, ["ADD"], ""),
        ["BOOTSTRAP"] = (PatchTarget.Bootstrap, BootstrapPatch.Descriptor, ["MERGE"], ""),
    };

    /// <summary>The types of the filters that the control plane generates, by name.</summary>
    private static readonly Dictionary<string, string> TypesOfFilters = new(StringComparer.Ordinal)
    {
        ["envoy.filters.network.http_connection_manager"] = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        ["envoy.filters.network.tcp_proxy"] = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        ["envoy.filters.network.rbac"] = "envoy.extensions.filters.network.rbac.v3.RBAC",
        ["envoy.filters.http.router"] = "envoy.extensions.filters.http.router.v3.Router",
        ["envoy.filters.http.fault"] = "envoy.extensions.filters.http.fault.v3.HTTPFault",
        ["envoy.filters.http.cors"] = "envoy.extensions.filters.http.cors.v3.Cors",
        ["envoy.filters.http.rbac"] = "envoy.extensions.filters.http.rbac.v3.RBAC",
        ["envoy.filters.http.jwt_authn"] = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    };

    /// <summary>Null when the patch has errors.</summary>
    public static EnvoyPatch? Read(Field patch)
    {
        var (place, match, change) = (patch["applyTo"], patch["match"], patch["patch"]);
        if (match["context"].Text == "WAYPOINT") match["context"].Error("there are no waypoints", "remove the patch");
        if (!Targets.TryGetValue(place.Text, out var known)) return null;
        foreach (var other in (string[])["listener", "routeConfiguration", "cluster"])
            if (other != known.Match && match[other].Exists)
                match[other].Error($"says nothing about what {place.Text} applies to, so the patch would apply everywhere",
                    known.Match.Length > 0 ? $"use {known.Match}" : "remove it");
        var operation = change["operation"].Text;
        if (!known.Operations.Contains(operation))
        {
            change["operation"]
                .Error(place.Text == "HTTP_FILTER" && operation == "ADD"
                    ? "would add the filter after the router, where none can be"
                    : $"{operation} has no effect on {place.Text}",
                    $"use one of {string.Join(", ", known.Operations)}");
            return null;
        }
        var kind = Enum.Parse<PatchOperation>(operation.Replace("_", "", StringComparison.Ordinal), ignoreCase: true);
        var isMerge = Merges.Contains(operation);
        var proxy = Proxy(match["proxy"]);
        var json = kind == PatchOperation.Remove ? ""
            : known.Target == PatchTarget.Bootstrap ? BootstrapReader.Read(change["value"])
            : PatchValueReader.Read(change["value"], known.Type, isMerge);
        if (isMerge && (known.Target is PatchTarget.Listener or PatchTarget.RouteConfiguration or PatchTarget.Cluster) && change["value"]["name"].Exists)
            change["value"]["name"].Error("cannot be changed: proxies know the resource by its name", "remove it");
        if (known.Target == PatchTarget.ExtensionConfig) CheckExtension(place, change["value"]);
        if (known.Target == PatchTarget.Bootstrap)
            place.OnlyEnvoys("Envoys read their bootstrap when they start, and proxies of Isthmus have none: the patch", "remove the patch");
        else if (isMerge) CheckType(match["listener"]["filterChain"]["filter"], change["value"]["typed_config"], known.Target);
        return json is null || proxy is null
            ? null
            : new(known.Target, Context(match["context"].Text), kind, proxy, json.Length == 0 ? null : new(known.Type.FullName, json))
        {
            Listener = match["listener"].Exists ? OfListeners(match["listener"]) : null,
            RouteTable = match["routeConfiguration"].Exists ? Table(match["routeConfiguration"]) : null,
            Cluster = match["cluster"].Exists ? OfClusters(match["cluster"]) : null,
            IsForEnvoys = known.Target is PatchTarget.ExtensionConfig or PatchTarget.Bootstrap || PatchValueReader.IsForEnvoys(json),
        };
    }

    private static void CheckExtension(Field place, Field value)
    {
        place.OnlyEnvoys(PatchValueReader.OnlyEnvoysDiscover, "insert the filter with typed_config");
        var name = value["name"];
        if (name.Text.Length == 0) name.Error("is missing: filters find the configuration by its name");
        else if (name.Text.StartsWith(WasmPlugin.ResourcePrefix, StringComparison.Ordinal))
            name.Error($"begins with {WasmPlugin.ResourcePrefix}, as the configuration of WasmPlugins does", "use another name");
        if (!value["typed_config"].Exists && !value["typedConfig"].Exists) value["typed_config"].Error("is missing: it is what filters discover");
    }

    /// <summary>Configuration of another type than the filter's would change nothing.</summary>
    private static void CheckType(Field filter, Field config, PatchTarget target)
    {
        var name = target == PatchTarget.HttpFilter ? filter["subFilter"]["name"].Text : filter["name"].Text;
        var type = config["@type"].Text;
        if (config.Exists && TypesOfFilters.TryGetValue(name, out var wanted) && !type.EndsWith($"/{wanted}", StringComparison.Ordinal)
            && !type.EndsWith(".TypedStruct", StringComparison.Ordinal))
            config["@type"]
                .Error($"the filter {name} has configuration of another type, so the patch would change nothing", $"use type.googleapis.com/{wanted}");
    }

    private static PatchContext Context(string text) => text switch
    {
        "SIDECAR_INBOUND" => PatchContext.SidecarInbound,
        "SIDECAR_OUTBOUND" => PatchContext.SidecarOutbound,
        "GATEWAY" => PatchContext.Gateway,
        _ => PatchContext.Any,
    };

    private static PatchProxy? Proxy(Field proxy)
    {
        var version = proxy["proxyVersion"];
        if (version.Text.Length > LongestPattern) version.Error($"must have at most {LongestPattern} characters");
        else if (LinearRegex.Fault(version.Text) is { } fault) version.Error($"\"{version.Text}\" is not a usable regular expression: {fault}");
        return version.IsWrong ? null : new(version.Text, proxy["metadata"].TextMap);
    }

    private static ListenerMatch OfListeners(Field listener)
    {
        var chain = listener["filterChain"];
        return new(
            listener["name"].Text, listener["portNumber"].Int ?? 0,
            new(chain["name"].Text, chain["sni"].Text, chain["transportProtocol"].Text,
                chain["applicationProtocols"].Text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).ToValueList(),
                chain["destinationPort"].Int ?? 0),
            listener["listenerFilter"].Text, chain["filter"]["name"].Text, chain["filter"]["subFilter"]["name"].Text);
    }

    private static RouteTableMatch Table(Field table)
    {
        var (host, route) = (table["vhost"], table["vhost"]["route"]);
        return new(
            table["name"].Text, table["portNumber"].Int ?? 0, table["portName"].Text, table["gateway"].Text, host["name"].Text, host["domainName"].Text,
            route["name"].Text,
            route["action"].Text switch
            {
                "ROUTE" => PatchRouteAction.Route,
                "REDIRECT" => PatchRouteAction.Redirect,
                "DIRECT_RESPONSE" => PatchRouteAction.DirectResponse,
                _ => PatchRouteAction.Any
            });
    }

    private static ClusterMatch OfClusters(Field cluster) =>
        new(cluster["name"].Text, cluster["service"].Text, cluster["subset"].Text, cluster["portNumber"].Int ?? 0);
}
