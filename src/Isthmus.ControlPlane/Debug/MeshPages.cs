using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Losses;
using Isthmus.Wire.Xds;
using Microsoft.AspNetCore.Http;

namespace Isthmus.ControlPlane.Debug;

/// <summary>Debug pages about mesh and proxies, with istiod's names and JSON keys where it has them.</summary>
internal static class MeshPages
{
    private static readonly (string Key, string TypeUrl)[] Types =
        [("cluster", TypeUrls.Cluster), ("listener", TypeUrls.Listener), ("route", TypeUrls.Route), ("endpoint", TypeUrls.Endpoints),
            ("extensionconfig", TypeUrls.ExtensionConfig)];

    /// <param name="settings">The object with MeshConfig.</param>
    /// <param name="others">What is wrong beside the objects of the mesh.</param>
    internal static Dictionary<string, Func<HttpContext, Task<JsonNode>>> All(PushEngine engine, string settings,
        Func<Derive.MeshGraph, IEnumerable<Problem>> others) =>
        new(StringComparer.Ordinal)
    {
        ["syncz"] = _ => Task.FromResult<JsonNode>(Sync(engine)),
        ["config_dump"] = http => Task.FromResult<JsonNode>(ConfigDumpPage.Json(ProxyPages.Asked(engine, http))),
        ["connections"] = _ => Task.FromResult<JsonNode>(Connections(engine)),
        ["networkz"] = http => engine.AskAsync<JsonNode>(writer => Networks(writer.Mesh), http.RequestAborted),
        ["registryz"] = http => engine.AskAsync<JsonNode>(writer => Registry(writer.Mesh), http.RequestAborted),
        ["endpointShardz"] = http => engine.AskAsync<JsonNode>(writer => Shards(writer.Mesh), http.RequestAborted),
        ["problemz"] = http => engine.AskAsync<JsonNode>(writer => Problems(writer.Mesh, engine.Proxies, settings, others), http.RequestAborted),
        ["live"] = http => engine.AskAsync<JsonNode>(writer => Live(writer.Mesh, http.Request.Query.ContainsKey("verify")), http.RequestAborted),
    };

    private static JsonArray Sync(PushEngine engine) => new([.. engine.Proxies.Select(feed =>
    {
        var status = feed.Status;
        var line = new JsonObject
        {
            ["cluster_id"] = status.Proxy.Cluster, ["proxy"] = status.Proxy.Id, ["proxy_type"] = status.Proxy.Kind.ToString(),
            ["istio_version"] = status.Proxy.Version, ["since"] = status.Since.ToString("O", CultureInfo.InvariantCulture),
        };
        if (status.Proxy.Program.Length > 0) line["program"] = status.Proxy.Program;
        var problems = feed.Problems.Concat(feed.Refusals).Select(problem => (JsonNode)JsonValue.Create($"{problem.Code} {problem}")!).ToArray();
        if (problems.Length > 0) line["problems"] = new JsonArray(problems);
        var losses = feed.Losses.Select(loss => (JsonNode)new JsonObject { ["counter"] = loss.Counter, ["target"] = loss.Target, ["cause"] = loss.Cause })
            .ToArray();
        if (losses.Length > 0) line["losses"] = new JsonArray(losses);
        foreach (var (key, url) in Types)
        {
            if (status.Types.FirstOrDefault(type => type.TypeUrl == url) is not { } sync) continue;
            line[$"{key}_sent"] = sync.Sent;
            line[$"{key}_acked"] = sync.Acked;
            if (sync.Error.Length > 0) line[$"{key}_error"] = sync.Error;
        }
        return (JsonNode)line;
    })]);

    private static JsonObject Connections(PushEngine engine) => new()
    {
        ["totalClients"] = engine.Proxies.Count,
        ["clients"] = new JsonArray([.. engine.Proxies.Select(feed => (JsonNode)new JsonObject
        {
            ["connectionId"] = feed.Proxy.Id, ["connectedAt"] = feed.Since.UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
            ["address"] = feed.Proxy.Addresses[0],
        })]),
    };

    private static JsonArray Networks(Derive.MeshGraph mesh) => new([.. mesh.Gateways
        .OrderBy(gateway => gateway.Network, StringComparer.Ordinal).ThenBy(gateway => gateway.Address, StringComparer.Ordinal)
        .Select(gateway => (JsonNode)new JsonObject
        {
            ["Network"] = gateway.Network, ["Cluster"] = gateway.Cluster, ["Addr"] = gateway.Address, ["Port"] = gateway.Port,
            ["Ready"] = gateway.Ready, ["Source"] = gateway.Source.ToString(),
        })]);

    private static JsonArray Registry(Derive.MeshGraph mesh) => new([.. mesh.Services.Items.OrderBy(item => item.Key, StringComparer.Ordinal).Select(item =>
        (JsonNode)new JsonObject
        {
            ["hostname"] = item.Key,
            ["ports"] = new JsonArray([.. item.Value.Ports.Select(port => (JsonNode)new JsonObject
            {
                ["name"] = port.Name, ["port"] = port.Number, ["protocol"] = port.Protocol.ToString()
            })]),
            ["clusterVIPs"] = new JsonObject(item.Value.Vips.Select(vip => KeyValuePair.Create(vip.Key,
                (JsonNode?)new JsonArray([.. vip.Value.Select(ip => (JsonNode)JsonValue.Create(ip)!)])))),
        })]);

    private static JsonObject Shards(Derive.MeshGraph mesh) => new(mesh.Endpoints.Items.OrderBy(item => item.Key, StringComparer.Ordinal).Select(host =>
        KeyValuePair.Create(host.Key,
            (JsonNode?)new JsonObject(host.Value.Endpoints.GroupBy(endpoint => endpoint.Cluster, StringComparer.Ordinal).Select(shard =>
            KeyValuePair.Create($"Kubernetes/{shard.Key}", (JsonNode?)new JsonArray([.. shard.Select(endpoint => (JsonNode)new JsonObject
            {
                ["Address"] = endpoint.Address, ["Network"] = endpoint.Network, ["Locality"] = endpoint.Locality.ToString(),
                ["Health"] = endpoint.Health.ToString(),
                ["ServiceAccount"] = endpoint.ServiceAccount, ["Workload"] = endpoint.Workload.Name, ["Source"] = endpoint.Source.ToString(),
                ["Ports"] = new JsonArray([.. endpoint.Ports.Select(port => (JsonNode)new JsonObject
                {
                    ["service"] = port.Service, ["target"] = port.Target, ["mtls"] = port.Mtls
                })]),
            })])))))));

    /// <summary>Objects with errors or warnings, hosts that clusters define differently, what proxies ask for and cannot get, and the telemetry
    /// that they lose.</summary>
    private static JsonArray Problems(Derive.MeshGraph mesh, IReadOnlyList<ProxyFeed> proxies, string settings,
        Func<Derive.MeshGraph, IEnumerable<Problem>> others) =>
        new([.. mesh.Sources.Problems.Items.OrderBy(item => item.Key)
        .SelectMany(item => item.Value.Problems.Select(problem => (item.Key.Cluster, Problem: problem)))
        .Concat(mesh.Disagreements.Items.OrderBy(item => item.Key, StringComparer.Ordinal)
            .SelectMany(item => item.Value.Problems.Select(problem => (Cluster: "", Problem: problem))))
        .Concat(mesh.ForeignClaims.Items.OrderBy(item => item.Key)
            .SelectMany(item => item.Value.Problems.Select(problem => (item.Key.Cluster, Problem: problem))))
        .Concat(proxies.SelectMany(proxy => proxy.Problems.Concat(proxy.Refusals).Select(problem => (proxy.Proxy.Cluster, Problem: problem))).Distinct())
        .Concat(Losses(mesh, proxies, settings))
        .Concat(others(mesh).Select(problem => (Cluster: "", Problem: problem)))
        .Select(item => (JsonNode)new JsonObject
        {
            ["code"] = item.Problem.Code, ["severity"] = item.Problem.Severity.ToString(), ["cluster"] = item.Cluster, ["object"] = item.Problem.Object,
            ["path"] = item.Problem.Path, ["message"] = item.Problem.Message, ["remedy"] = item.Problem.Remedy,
        })]);

    // A Telemetry is an object of the control plane's cluster, whose proxies may be elsewhere.
    private static IEnumerable<(string Cluster, Problem Problem)> Losses(Derive.MeshGraph mesh, IReadOnlyList<ProxyFeed> proxies, string settings)
    {
        var losing = proxies.Select(feed => new LosingProxy(feed.Proxy, feed.Losses)).Where(proxy => !proxy.Losses.IsEmpty).ToList();
        return losing.Count == 0 ? [] : LossProblems.Of(mesh.View(), losing, settings).Select(loss => ("", loss.Problem));
    }

    private const int MostConflicts = 100;

    private static JsonObject Live(Derive.MeshGraph mesh, bool verify)
    {
        var page = new JsonObject
        {
            ["revision"] = mesh.Graph.Revision,
            ["failures"] = mesh.Graph.Failures,
            ["conflicts"] = mesh.Graph.Conflicts,
            ["collections"] = new JsonArray([.. mesh.Graph.Nodes.Select(node => (JsonNode)new JsonObject
            {
                ["name"] = node.Name, ["items"] = node.Count, ["failures"] = node.Failures, ["lastFailure"] = node.LastFailure?.Message,
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
