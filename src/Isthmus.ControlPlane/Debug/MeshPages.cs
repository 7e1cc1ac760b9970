using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Problems;
using Isthmus.Graph.Derive;
using Isthmus.Mesh.Losses;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Overflows;
using Isthmus.Mesh.Spoken;
using Isthmus.Reports;
using Isthmus.Wire.Xds;
using Microsoft.AspNetCore.Http;

namespace Isthmus.ControlPlane.Debug;

/// <summary>Debug pages about mesh and proxies, with istiod's names and JSON keys where it has them.</summary>
internal static class MeshPages
{
    /// <param name="settings">The object with MeshConfig.</param>
    /// <param name="others">What is wrong beside the objects of the mesh.</param>
    internal static Dictionary<string, Func<HttpContext, Task<JsonNode>>> All(PushEngine engine, string settings,
        Func<MeshGraph, IEnumerable<Problem>> others, TimeProvider time) =>
        new(StringComparer.Ordinal)
    {
        ["syncz"] = _ => Task.FromResult(Sync(engine)),
        ["config_dump"] = http => Task.FromResult<JsonNode>(ConfigDumpPage.Json(ProxyPages.Asked(engine, http))),
        ["connections"] = _ => Task.FromResult<JsonNode>(Connections(engine)),
        ["networkz"] = http => engine.AskAsync<JsonNode>(writer => Networks(writer.Mesh), http.RequestAborted),
        ["registryz"] = http => engine.AskAsync<JsonNode>(writer => Registry(writer.Mesh), http.RequestAborted),
        ["endpointShardz"] = http => engine.AskAsync(writer => Shards(writer.Mesh), http.RequestAborted),
        ["problemz"] = http => engine.AskAsync(writer => Problems(writer.Mesh, engine.Proxies, settings, others, time.GetUtcNow()), http.RequestAborted),
        ["live"] = http => engine.AskAsync<JsonNode>(writer => Live(writer.Mesh, http.Request.Query.ContainsKey("verify")), http.RequestAborted),
    };

    private static JsonNode Sync(PushEngine engine) => DebugPage.Of([.. engine.Proxies.Select(Report)], ControlPlaneReports.Default.Sync);

    private static SyncReport Report(ProxyFeed feed)
    {
        var (status, proxy) = (feed.Status, feed.Status.Proxy);
        (string? Sent, string? Acked, string? Error) Of(string url) => status.Types.FirstOrDefault(type => type.TypeUrl == url) is { } sync
            ? (sync.Sent, sync.Acked, sync.Error.Length > 0 ? sync.Error : null) : default;
        var (clusters, listeners, routes) = (Of(TypeUrls.Cluster), Of(TypeUrls.Listener), Of(TypeUrls.Route));
        var (endpoints, filters) = (Of(TypeUrls.Endpoints), Of(TypeUrls.ExtensionConfig));
        string[] problems = [.. feed.Problems.Concat(feed.Refusals).Select(problem => $"{problem.Code} {problem}")];
        var losses = feed.Losses;
        return new()
        {
            ClusterId = proxy.Cluster, Proxy = proxy.Id, ProxyType = proxy.Kind.ToString(), IstioVersion = proxy.Version, Since = status.Since,
            Program = proxy.Program.Length > 0 ? proxy.Program : null, Problems = problems.Length > 0 ? problems : null,
            Losses = losses.IsEmpty ? null : [.. losses.Select(loss => new LossReport(loss.Counter, loss.Target, loss.Cause))],
            ClusterSent = clusters.Sent, ClusterAcked = clusters.Acked, ClusterError = clusters.Error,
            ListenerSent = listeners.Sent, ListenerAcked = listeners.Acked, ListenerError = listeners.Error,
            RouteSent = routes.Sent, RouteAcked = routes.Acked, RouteError = routes.Error,
            EndpointSent = endpoints.Sent, EndpointAcked = endpoints.Acked, EndpointError = endpoints.Error,
            ExtensionConfigSent = filters.Sent, ExtensionConfigAcked = filters.Acked, ExtensionConfigError = filters.Error,
        };
    }

    private static JsonObject Connections(PushEngine engine) => new()
    {
        ["totalClients"] = engine.Proxies.Count,
        ["clients"] = new JsonArray([.. engine.Proxies.Select(feed => (JsonNode)new JsonObject
        {
            ["connectionId"] = feed.Proxy.Id, ["connectedAt"] = feed.Since.UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
            ["address"] = feed.Proxy.Addresses[0].ToString(),
        })]),
    };

    private static JsonArray Networks(MeshGraph mesh) => new([.. mesh.Gateways
        .OrderBy(gateway => gateway.Network, StringComparer.Ordinal).ThenBy(gateway => gateway.Address.ToString(), StringComparer.Ordinal)
        .Select(gateway => (JsonNode)new JsonObject
        {
            ["Network"] = gateway.Network, ["Cluster"] = gateway.Cluster, ["Addr"] = gateway.Address.ToString(), ["Port"] = gateway.Port,
            ["Ready"] = gateway.Ready, ["Source"] = gateway.Source.ToString(),
        })]);

    private static JsonArray Registry(MeshGraph mesh) => new([.. mesh.Services.Items.OrderBy(item => item.Key, StringComparer.Ordinal).Select(item =>
        (JsonNode)new JsonObject
        {
            ["hostname"] = item.Key,
            ["ports"] = new JsonArray([.. item.Value.Ports.Select(port => (JsonNode)new JsonObject
            {
                ["name"] = port.Name, ["port"] = port.Number, ["protocol"] = port.Protocol.ToString()
            })]),
            ["clusterVIPs"] = new JsonObject(item.Value.Vips.Select(vip => KeyValuePair.Create(vip.Key,
                (JsonNode?)new JsonArray([.. vip.Value.Select(ip => (JsonNode)JsonValue.Create(ip.ToString()))])))),
        })]);

    private static JsonNode Shards(MeshGraph mesh) => DebugPage.Of(
        mesh.Endpoints.Items.OrderBy(item => item.Key, StringComparer.Ordinal).ToDictionary(host => host.Key,
            host => host.Value.Endpoints.GroupBy(endpoint => endpoint.Cluster, StringComparer.Ordinal)
                .ToDictionary(shard => $"Kubernetes/{shard.Key}", shard => (IReadOnlyList<ShardEndpoint>)[.. shard.Select(Report)])),
        ControlPlaneReports.Default.Shards);

    private static ShardEndpoint Report(MeshEndpoint endpoint) => new()
    {
        Address = endpoint.Address.ToString(), Network = endpoint.Network, Locality = JsonValue.Create(endpoint.Locality.ToString()),
        Health = endpoint.Health.ToString(),
        ServiceAccount = endpoint.ServiceAccount, Workload = endpoint.Workload.Name, Source = endpoint.Source.ToString(),
        Ports = [.. endpoint.Ports.Select(port => new ShardPort(port.Service, port.Target, port.Mtls))],
    };

    /// <summary>Objects with errors or warnings, hosts that clusters define differently, what proxies ask for and cannot get, the telemetry
    /// that they lose, what clients speak to them, and what their limits refuse.</summary>
    private static JsonNode Problems(MeshGraph mesh, IReadOnlyList<ProxyFeed> proxies, string settings,
        Func<MeshGraph, IEnumerable<Problem>> others, DateTimeOffset now) =>
        DebugPage.Of([.. mesh.Sources.Problems.Items.OrderBy(item => item.Key)
        .SelectMany(item => item.Value.Problems.Select(problem => (item.Key.Cluster, Problem: problem)))
        .Concat(mesh.Disagreements.Items.OrderBy(item => item.Key, StringComparer.Ordinal)
            .SelectMany(item => item.Value.Problems.Select(problem => (Cluster: "", Problem: problem))))
        .Concat(mesh.ForeignClaims.Items.OrderBy(item => item.Key)
            .SelectMany(item => item.Value.Problems.Select(problem => (item.Key.Cluster, Problem: problem))))
        .Concat(proxies.SelectMany(proxy => proxy.Problems.Concat(proxy.Refusals).Select(problem => (proxy.Proxy.Cluster, Problem: problem))).Distinct())
        .Concat(Losses(mesh, proxies, settings))
        .Concat(Spoken(mesh, proxies))
        .Concat(Refused(mesh, proxies, now))
        .Concat(others(mesh).Select(problem => (Cluster: "", Problem: problem)))
        .Select(item => new ProblemReport(item.Problem.Code, item.Problem.Severity.ToString(), item.Cluster, item.Problem.Object, item.Problem.Path,
            item.Problem.Message, item.Problem.Remedy))], ControlPlaneReports.Default.Problems);

    // A Telemetry is an object of the control plane's cluster, whose proxies may be elsewhere.
    private static IEnumerable<(string Cluster, Problem Problem)> Losses(MeshGraph mesh, IReadOnlyList<ProxyFeed> proxies, string settings)
    {
        var losing = proxies.Select(feed => new LosingProxy(feed.Proxy, feed.Losses)).Where(proxy => !proxy.Losses.IsEmpty).ToList();
        return losing.Count == 0 ? [] : LossProblems.Of(mesh.View(), losing, settings).Select(loss => ("", loss.Problem));
    }

    private static IEnumerable<(string Cluster, Problem Problem)> Spoken(MeshGraph mesh, IReadOnlyList<ProxyFeed> proxies)
    {
        var spoken = proxies.Select(feed => new SpokenProxy(feed.Proxy, feed.Spoken)).Where(proxy => !proxy.Spoken.IsEmpty).ToList();
        return spoken.Count == 0 ? [] : SpokenProblems.Of(mesh.View(), spoken);
    }

    private static IEnumerable<(string Cluster, Problem Problem)> Refused(MeshGraph mesh, IReadOnlyList<ProxyFeed> proxies, DateTimeOffset now)
    {
        var refusing = proxies.Select(feed => new RefusingProxy(feed.Proxy, feed.Refused)).Where(proxy => !proxy.Refused.IsEmpty).ToList();
        return refusing.Count == 0 ? [] : RefusedProblems.Of(mesh.View(), refusing, now);
    }

    private const int MostConflicts = 100;

    private static JsonObject Live(MeshGraph mesh, bool verify)
    {
        var page = new JsonObject
        {
            ["revision"] = mesh.Graph.Revision,
            ["failures"] = mesh.Graph.Failures,
            ["conflicts"] = mesh.Graph.Conflicts,
            ["collections"] = new JsonArray([.. mesh.Graph.Nodes.Select(node => (JsonNode)new JsonObject
            {
                ["name"] = node.Name, ["items"] = node.Count, ["transforms"] = node.Transforms, ["failures"] = node.Failures,
                ["lastFailure"] = node.LastFailure?.Message,
                ["conflicts"] = new JsonArray([.. node.Conflicts.Take(MostConflicts).Select(conflict => (JsonNode)new JsonObject
                {
                    ["key"] = conflict.Key, ["holder"] = conflict.Holder,
                    ["waiting"] = new JsonArray([.. conflict.Waiting.Select(name => (JsonNode)JsonValue.Create(name)!)]),
                })]),
            })]),
        };
        if (verify) page["differences"] = new JsonArray([.. mesh.Graph.Verify().Select(text => (JsonNode)JsonValue.Create(text)!)]);
        return page;
    }
}
