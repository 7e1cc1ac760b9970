using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Clusters;
using Isthmus.ControlPlane.Derive;
using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model;
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
        return new JsonObject
        {
            ["connected"] = proxy is not null,
            ["clusters"] = new JsonObject(clusters.Lines().Where(cluster => cluster.Source != ClusterSource.Nothing)
                .Select(cluster => KeyValuePair.Create(cluster.Id, (JsonNode?)new JsonObject
            {
                ["source"] = cluster.Source.ToString().ToLowerInvariant(),
                ["confirmed"] = cluster.Confirmed?.UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
            })).Append(new(own, new JsonObject { ["source"] = "live" })).DistinctBy(item => item.Key)),
            ["addresses"] = new JsonObject(addresses.Select(item => KeyValuePair.Create(item.Key,
                (JsonNode?)new JsonArray([.. item.Value.Select(cluster => (JsonNode)JsonValue.Create(cluster)!)])))),
        };
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
            if (endpoint.Network.Length == 0 || proxy.Network.Length == 0 || endpoint.Network == proxy.Network) Add(endpoint.Address, endpoint.Cluster);
        }
        foreach (var gateway in mesh.Gateways) Add(gateway.Address, gateway.Cluster);
        return found;
    }
}
