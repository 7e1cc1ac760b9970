using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.Graph.Derive;
using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model;
using Isthmus.Reports;
using Microsoft.AspNetCore.Http;

namespace Isthmus.ControlPlane.Debug;

/// <summary>
/// <c>/debug/sourcez?proxyID=POD.NAMESPACE</c>: which cluster reported each address that the proxy may have, and how recent that is.
/// An address in the proxy's own network is an endpoint's, any other a gateway's.
/// </summary>
internal static class SourcePage
{
    internal static KeyValuePair<string, Func<HttpContext, Task<JsonNode>>> For(PushEngine engine, ClusterReport clusters, string own) =>
        new("sourcez", async http =>
    {
        var proxy = engine.Proxies.Select(feed => feed.Status.Proxy).FirstOrDefault(identity => identity.Id == http.Request.Query["proxyID"]);
        var addresses = proxy is null ? [] : await engine.AskAsync(writer => Addresses(writer.Mesh, proxy), http.RequestAborted);
        var sources = clusters.Lines().Where(cluster => cluster.Source != ClusterSource.Nothing)
            .Select(cluster => KeyValuePair.Create(cluster.Id,
                new SourceReport(cluster.Source.ToString().ToLowerInvariant()) { Confirmed = cluster.Confirmed }))
            .Append(new(own, new("live"))).DistinctBy(item => item.Key);
        return DebugPage.Of(new(proxy is not null, new(sources), addresses.ToDictionary(item => item.Key, item => (IReadOnlyList<string>)[.. item.Value])),
            ControlPlaneReports.Default.SourcesReport);
    });

    private static SortedDictionary<string, SortedSet<string>> Addresses(MeshGraph mesh, ProxyIdentity proxy)
    {
        var found = new SortedDictionary<string, SortedSet<string>>(StringComparer.Ordinal);
        void Add(string address, string cluster)
        {
            if (address.Length == 0 || cluster.Length == 0) return;
            if (!found.TryGetValue(address, out var clusters)) found[address] = clusters = new(StringComparer.Ordinal);
            clusters.Add(cluster);
        }
        foreach (var endpoint in mesh.Endpoints.Items.Values.SelectMany(host => host.Endpoints))
        {
            if (endpoint.Network.Length == 0 || proxy.Network.Length == 0 || endpoint.Network == proxy.Network) Add(endpoint.Address.ToString(),
                endpoint.Cluster);
        }
        foreach (var gateway in mesh.Gateways) Add(gateway.Address.ToString(), gateway.Cluster);
        return found;
    }
}
