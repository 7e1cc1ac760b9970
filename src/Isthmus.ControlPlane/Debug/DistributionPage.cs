using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Reports;
using Microsoft.AspNetCore.Http;

namespace Isthmus.ControlPlane.Debug;

/// <summary>
/// <c>/debug/distribution?resource=PLURAL.GROUP&amp;resourceVersion=VERSION</c>: whether the change of the configuration cluster that has this
/// resource version is known here, and which connected proxies have accepted all that follows from it.
/// </summary>
internal static class DistributionPage
{
    internal static KeyValuePair<string, Func<HttpContext, Task<JsonNode>>> For(PushEngine engine, ClusterWatch config) => new("distribution", async http =>
    {
        var (resource, text) = (http.Request.Query["resource"].ToString(), http.Request.Query["resourceVersion"].ToString());
        if (config.Watched.FirstOrDefault(kind => $"{kind.Plural}.{kind.Group}" == resource) is not { } kind)
            throw new DebugPageException(StatusCodes.Status404NotFound,
                $"resource '{resource}' is not watched: name one as PLURAL.GROUP, for example virtualservices.networking.istio.io");
        if (!ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            throw new DebugPageException(StatusCodes.Status400BadRequest, $"resourceVersion '{text}' is not a number");
        var isObserved = IsObserved(config, kind, text);
        var isPublished = isObserved && await engine.IsPublishedAsync(http.RequestAborted);
        var proxies = engine.Proxies.OrderBy(feed => feed.Proxy.Id, StringComparer.Ordinal)
            .Select(feed => new DistributionProxy(feed.Proxy.Id, feed.Proxy.Cluster, StateOf(feed, isPublished)));
        return DebugPage.Of(new(isObserved, isPublished, [.. proxies]), ControlPlaneReports.Default.DistributionReport);
    });

    /// <summary>Whether the change that has this resource version was passed on.</summary>
    internal static bool IsObserved(ClusterWatch config, ResourceKind kind, string version) =>
        ulong.TryParse(version, NumberStyles.None, CultureInfo.InvariantCulture, out var asked)
        && ulong.TryParse(config.VersionOf(kind), NumberStyles.None, CultureInfo.InvariantCulture, out var known) && known >= asked;

    private static string StateOf(ProxyFeed feed, bool isPublished) => feed.Sync switch
    {
        SyncState.Rejected => "ERROR",
        SyncState.Synced when isPublished => "SYNCED",
        _ => "STALE",
    };
}
