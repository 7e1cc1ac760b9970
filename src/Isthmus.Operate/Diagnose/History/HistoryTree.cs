using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;

namespace Isthmus.Operate.Diagnose.History;

/// <summary>A history for programs.</summary>
public static class HistoryTree
{
    public static JsonObject Of(MeshHistory history) => new()
    {
        ["changes"] = new JsonArray([.. history.Changes.Select(change => (JsonNode)Of(change))]),
        ["controlPlanes"] = new JsonArray([.. history.ControlPlanes.Select(plane => (JsonNode)new JsonObject
        {
            ["context"] = plane.Context, ["istiod"] = plane.Pod, ["since"] = plane.Since is { } since ? Text(since) : null,
            ["restarted"] = plane.Restarted is { } restarted ? Text(restarted) : null, ["forgotten"] = plane.Forgotten,
        })]),
        ["withoutHistory"] = new JsonArray([.. history.WithoutHistory.Select(plane => (JsonNode)new JsonObject
        {
            ["context"] = plane.Context, ["istiod"] = plane.Pod
        })]),
        ["unknown"] = new JsonArray([.. history.Silent.Concat(history.WithoutHistory.Select(plane => plane.Problem))
            .Select(problem => (JsonNode)JsonValue.Create(problem.ToString())!)]),
    };

    public static JsonObject Of(MeshChange change)
    {
        var line = new JsonObject
        {
            ["first"] = Text(change.First), ["last"] = Text(change.Last), ["count"] = change.Count, ["verb"] = change.Verb,
            ["cluster"] = change.Cluster, ["kind"] = change.Kind, ["namespace"] = change.Namespace, ["name"] = change.Name,
            // Null says that nobody knows, which is not the same as nobody.
            ["fieldManager"] = change.FieldManager.Length > 0 ? change.FieldManager : null, ["user"] = change.User.Length > 0 ? change.User : null,
        };
        if (change.User.Length > 0) line["userProven"] = change.IsUserProven;
        if (change.ResourceVersion.Length > 0) line["resourceVersion"] = change.ResourceVersion;
        if (change.Fields.Count > 0) line["fields"] = Texts(change.Fields);
        if (change.IsEverything) line["everything"] = true;
        if (change.IsAtGateways) line["gateways"] = true;
        if (change.Hosts.Count > 0) line["hosts"] = Texts(change.Hosts);
        if (change.Workloads.Length > 0) line["workloads"] = change.Workloads;
        if (change.ReadyEndpoints is { } ready)
            line["readyEndpoints"] = new JsonObject { ["before"] = ready.Before, ["fewest"] = ready.Fewest, ["after"] = ready.After };
        if (change.Scaling is { } scaling) line["replicas"] = new JsonObject { ["before"] = scaling.Before, ["after"] = scaling.After };
        if (change.Cause.Length > 0) line["cause"] = change.Cause;
        if (change.Secret.Length > 0) (line["secret"], line["services"]) = (change.Secret, change.LostServices);
        if (change.Proxies is { } proxies) line["proxies"] = proxies;
        if (change.ChangesInPush > 1) line["changesInPush"] = change.ChangesInPush;
        if (change.Resources.Count > 0)
        {
            line["resources"] = new JsonArray([.. change.Resources.Select(type => (JsonNode)new JsonObject
            {
                ["type"] = type.Type, ["proxies"] = type.Proxies, ["count"] = type.Count, ["names"] = Texts(type.Names),
            })]);
        }
        line["istiods"] = Texts(change.ControlPlanes);
        return line;
    }

    private static JsonArray Texts(ValueList<string> texts) => new([.. texts.Select(text => (JsonNode)JsonValue.Create(text)!)]);

    private static string Text(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
}
