using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Derive;
using Isthmus.ControlPlane.History;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Collections;
using Isthmus.Core.Time;
using Isthmus.Mesh.Model;
using Microsoft.AspNetCore.Http;

namespace Isthmus.ControlPlane.Debug;

/// <summary>Which control plane answers.</summary>
internal sealed record HistoryOwner(string Cluster, string Pod);

/// <summary>
/// <c>/debug/history?host=HOST&amp;pod=NAMESPACE/NAME&amp;since=DURATION</c>: what changed in the mesh, oldest first. With a host or a Pod, only
/// what concerns one of them; <c>since</c> is a duration such as 1h, or a time.
/// </summary>
internal static class HistoryPage
{
    internal static KeyValuePair<string, Func<HttpContext, Task<JsonNode>>> For(PushEngine engine, ChangeHistory history, HistoryOwner owner,
        TimeProvider time) =>
        new("history", async http =>
    {
        var query = http.Request.Query;
        var now = time.GetUtcNow();
        var changes = history.After(Since(query["since"].ToString(), now));
        var (host, pod) = (query["host"].ToString(), query["pod"].ToString());
        if (host.Length > 0 || pod.Length > 0)
        {
            var subject = await engine.AskAsync(writer => Subject.Of(writer.Mesh, host, pod), http.RequestAborted);
            changes = [.. changes.Where(change => subject.IsConcernedBy(change.Change.Reach))];
        }
        return new JsonObject
        {
            ["cluster"] = owner.Cluster, ["istiod"] = owner.Pod, ["now"] = Text(now), ["since"] = history.Since is { } since ? Text(since) : null,
            ["forgotten"] = history.Forgotten,
            ["changes"] = new JsonArray([.. changes.Select(change => (JsonNode)Json(change))]),
        };
    });

    /// <summary>A duration before now, or a time; everything when it is empty or neither.</summary>
    private static DateTimeOffset Since(string text, DateTimeOffset now) =>
        Durations.TryParse(text, out var ago) ? now - ago
        : DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at) ? at : DateTimeOffset.MinValue;

    private static JsonObject Json(RememberedChange remembered)
    {
        var (source, write) = (remembered.Change.Source, remembered.Change.Write);
        var line = new JsonObject
        {
            ["first"] = Text(remembered.First), ["last"] = Text(remembered.Last), ["count"] = remembered.Count,
            ["cluster"] = source.Cluster, ["kind"] = source.Kind, ["namespace"] = source.Namespace, ["name"] = source.Name,
            ["verb"] = remembered.Change.Verb.ToString().ToLowerInvariant(),
        };
        if (write is not null)
        {
            line["resourceVersion"] = write.ResourceVersion;
            if (write.Generation > 0) line["generation"] = write.Generation;
            if (write.Manager.Length > 0) line["fieldManager"] = write.Manager;
            if (write.At is { } at) line["written"] = Text(at);
        }
        if (remembered.Change.User is { Name.Length: > 0 } user) (line["user"], line["userProven"]) = (user.Name, user.IsProven);
        Concerns(line, remembered.Change.Reach);
        if (remembered.Change.Departure is { } departure) (line["secret"], line["services"]) = (departure.Secret, departure.Services);
        if (remembered.Endpoints is { } counts)
            line["endpoints"] = new JsonObject { ["before"] = Count(counts.Before), ["fewest"] = Count(counts.Fewest), ["after"] = Count(counts.After) };
        if (remembered.Effect is not { } effect) return line;
        line["proxies"] = effect.Proxies;
        if (effect.Changes > 1) line["changesInPush"] = effect.Changes;
        if (effect.Types.Count > 0)
        {
            line["resources"] = new JsonObject(effect.Types.Select(type => KeyValuePair.Create(type.Type, (JsonNode?)new JsonObject
            {
                ["proxies"] = type.Proxies, ["count"] = type.Count, ["names"] = Texts(type.Names),
            })));
        }
        return line;
    }

    private static void Concerns(JsonObject line, Reach reach)
    {
        if (reach.IsEverything) line["everything"] = true;
        if (reach.IsAtGateways) line["gateways"] = true;
        if (reach.Hosts.Count > 0) line["hosts"] = Texts(reach.Hosts);
        if (reach.Namespace is not { } ns) return;
        line["workloads"] = new JsonObject
        {
            ["namespace"] = ns, ["labels"] = new JsonObject(reach.Selector.Items.Select(label => KeyValuePair.Create(label.Key, (JsonNode?)label.Value)))
        };
    }

    private static JsonObject Count(EndpointCount count) => new() { ["ready"] = count.Ready, ["total"] = count.Total };

    private static JsonArray Texts(ValueList<string> texts) => new([.. texts.Select(text => (JsonNode)JsonValue.Create(text)!)]);

    private static string Text(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>The host and the Pod that a question is about, as the mesh knows them now.</summary>
    private sealed record Subject(IReadOnlyList<string> Hosts, IReadOnlyList<(string Namespace, ValueMap<string> Labels)> Workloads, string RootNamespace)
    {
        internal static Subject Of(MeshGraph mesh, string host, string pod)
        {
            // A name may be short: NAME.NAMESPACE, or NAME alone for those of all namespaces.
            var hosts = host.Length == 0
                ? []
                : mesh.Services.Items.Keys.Where(known => known == host || known.StartsWith(host + ".", StringComparison.Ordinal)).Append(host).Distinct()
                    .ToList();
            var workloads = hosts.SelectMany(known => mesh.Endpoints.Items.GetValueOrDefault(known)?.Endpoints.Select(endpoint => (endpoint.Workload.Namespace,
                endpoint.Labels))
                ?? [])
                .ToList();
            // A host without endpoints still stands for the workloads that it selects.
            workloads.AddRange(mesh.Sources.Services.Items.Values.Where(service => hosts.Contains(service.Hostname))
                .Select(service => (service.Namespace, service.Selector)));
            if (pod.Split('/') is [var ns, var name])
            {
                workloads.AddRange(mesh.Sources.Pods.Items.Where(item => item.Key.Namespace == ns && item.Key.Name == name)
                    .Select(item => (ns, item.Value.Labels)));
            }
            return new(hosts, workloads, (mesh.Sources.Settings.Items.GetValueOrDefault("") ?? MeshSettings.Default).Mesh.RootNamespace);
        }

        internal bool IsConcernedBy(Reach reach) =>
            reach.IsEverything || Hosts.Any(host => reach.Covers(host) || reach.Hosts.Any(known => known.StartsWith(host + ".", StringComparison.Ordinal)))
            || (reach.Namespace is { } ns
                && Workloads.Any(workload => (ns == workload.Namespace || ns == RootNamespace) && Selectors.Matches(reach.Selector, workload.Labels)));
    }
}
