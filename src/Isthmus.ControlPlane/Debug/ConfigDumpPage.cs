using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Push;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Dumps;
using Isthmus.Wire.Envoy.Listeners;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Xds;

namespace Isthmus.ControlPlane.Debug;

/// <summary>What the control plane holds for one proxy, in the form of Envoy's configuration dump, so that istioctl can compare
/// both.</summary>
internal static class ConfigDumpPage
{
    private const string Prefix = "type.googleapis.com/";

    /// <summary>As istiod has them, byte for byte: istioctl looks for these texts.</summary>
    internal const string NoProxy = "You must provide a proxyID in the query string",
        NotConnected = "Proxy not connected to this Pilot instance. It may be connected to another instance.";

    internal static JsonObject Json(ProxyFeed feed) => new() { ["configs"] = new JsonArray([.. Sections(feed).Select(Show)]) };

    /// <summary>The sections of the dump. Certificates are not in it: their keys would be.</summary>
    internal static IEnumerable<Any> Sections(ProxyFeed feed)
    {
        var status = feed.Status.Types.ToDictionary(type => type.TypeUrl, StringComparer.Ordinal);
        Timestamp At(string url) => Timestamp.FromDateTimeOffset(status.TryGetValue(url, out var type) ? type.SentAt : feed.Since);
        string Version(string url) => status.TryGetValue(url, out var type) ? type.Version : "";
        var types = feed.Snapshot?.Types;
        IEnumerable<XdsResource> Of(string url) =>
            types?.GetValueOrDefault(url)?.All.OrderBy(resource => resource.Name, StringComparer.Ordinal) ?? Enumerable.Empty<XdsResource>();

        var clusters = new ClustersConfigDump { VersionInfo = Version(TypeUrls.Cluster) };
        foreach (var cluster in Of(TypeUrls.Cluster))
            clusters.DynamicActiveClusters.Add(new ClustersConfigDump.Types.DynamicCluster
            {
                VersionInfo = cluster.Version, Cluster = cluster.Body, LastUpdated = At(TypeUrls.Cluster)
            });
        yield return Pack(clusters);

        var listeners = new ListenersConfigDump { VersionInfo = Version(TypeUrls.Listener) };
        var routed = new HashSet<string>(StringComparer.Ordinal);
        foreach (var listener in Of(TypeUrls.Listener))
        {
            routed.UnionWith(RoutesOf(listener));
            listeners.DynamicListeners.Add(new ListenersConfigDump.Types.DynamicListener
            {
                Name = listener.Name, ActiveState = new() { VersionInfo = listener.Version, Listener = listener.Body, LastUpdated = At(TypeUrls.Listener) },
            });
        }
        yield return Pack(listeners);

        var routes = new RoutesConfigDump();
        // A scope has the routes of all proxies that share it; each asks for those that its listeners name.
        foreach (var route in Of(TypeUrls.Route).Where(route => routed.Contains(route.Name)))
            routes.DynamicRouteConfigs.Add(new RoutesConfigDump.Types.DynamicRouteConfig
            {
                VersionInfo = route.Version, RouteConfig = route.Body, LastUpdated = At(TypeUrls.Route)
            });
        yield return Pack(routes);
    }

    internal static Any Pack(IMessage message) => Any.Pack(message, Prefix);

    private static IEnumerable<string> RoutesOf(XdsResource resource)
    {
        var listener = Listener.Parser.ParseFrom(resource.Body.Value);
        return listener.FilterChains.Append(listener.DefaultFilterChain).OfType<FilterChain>().SelectMany(chain => chain.Filters)
            .Where(filter => filter.TypedConfig?.TypeUrl.EndsWith("http_connection_manager.v3.HttpConnectionManager", StringComparison.Ordinal) == true)
            .Select(filter => HttpConnectionManager.Parser.ParseFrom(filter.TypedConfig.Value).Rds?.RouteConfigName ?? "");
    }

    private static JsonObject Show(Any section)
    {
        try
        {
            // An EnvoyFilter may have added a message of a type that we do not know.
            return ShownMessages.Show(section);
        }
        catch (InvalidOperationException e)
        {
            return new() { ["@type"] = section.TypeUrl, ["isthmus_note"] = $"not shown: {e.Message}" };
        }
    }
}
