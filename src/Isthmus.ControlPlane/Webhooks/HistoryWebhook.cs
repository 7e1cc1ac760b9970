using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Graph.History;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Isthmus.ControlPlane.Webhooks;

/// <summary>
/// Is told who deletes objects and who scales workloads (<c>/history</c>), and always agrees. Of an object that is watched, it keeps the name until the watch
/// reports that the object is gone; what happens to workloads, which nobody watches, it notes itself.
/// </summary>
/// <param name="own">The control plane's own cluster, whose API servers name none.</param>
/// <param name="isRemote">Whether a remote cluster has this name: its API servers ask at <c>/history/cluster/NAME</c>.</param>
/// <param name="callers">Who may ask.</param>
internal sealed class HistoryWebhook(string own, Predicate<string> isRemote, ChangeHistory history, ReviewCallers callers)
{
    internal const string Path = "/history";

    internal void Map(IEndpointRouteBuilder endpoints) => endpoints.MapPost($"{Path}/{{**place}}", (RequestDelegate)(http => callers.TakeAsync(http, isProven =>
        AdmissionReview.HandleAsync(http, question => Answer(question with { IsProven = isProven }, http.Request.Path.Value ?? ""),
            why => callers.Refused(http, "review", $"it is no AdmissionReview: {why}")))));

    internal AdmissionAnswer Answer(AdmissionQuestion question, string path = Path)
    {
        if (ClusterOf(path) is { } cluster && !question.IsDryRun && question.User.Length > 0 && (question.Object ?? question.OldObject) is { } any
            && MeshApi.All.FirstOrDefault(kind => kind.Group == question.Group && kind.Plural == question.Resource) is { } found)
            Note(question, found, new(cluster, found.Name, found.IsNamespaced ? question.Namespace : "", any["metadata"]?["name"]?.ToString() ?? ""));
        return new(true);
    }

    /// <summary>Null: none of the mesh.</summary>
    private string? ClusterOf(string path)
    {
        var named = $"{Path}/cluster/";
        if (!path.StartsWith(named, StringComparison.Ordinal)) return own;
        var cluster = path[named.Length..].Replace("--slash--", "/", StringComparison.Ordinal);
        return isRemote(cluster) ? cluster : null;
    }

    private void Note(AdmissionQuestion question, KindDescriptor kind, ObjectRef source)
    {
        var user = new Writer(question.User, question.IsProven);
        switch (question)
        {
            // What is being deleted already keeps the name of who did that.
            case { Operation: "DELETE", OldObject: { } old } when !IsDeleted(old):
                if (!kind.IsWorkload) history.Deletions.Add(source, user);
                else history.NoteWorkload(new(source, ChangeVerb.Deleted, ReachOf(source, old)) { User = user });
                break;
            case { Operation: "UPDATE", Object: { } next, OldObject: { } before } when kind.IsWorkload && Replicas(before) != Replicas(next):
                history.NoteWorkload(new(source, ChangeVerb.Changed, ReachOf(source, next))
                {
                    User = user, Scaling = new(Replicas(before), Replicas(next)),
                });
                break;
        }
    }

    private static bool IsDeleted(JsonObject item) => item["metadata"]?["deletionTimestamp"] is not null;

    /// <summary>A Scale leaves out 0, and a workload always has the number.</summary>
    private static int Replicas(JsonObject item) => item["spec"]?["replicas"] is JsonValue value && value.TryGetValue<int>(out var replicas) ? replicas : 0;

    /// <summary>The Pods of a workload: by its template or, of a Scale, by its selector.</summary>
    private static Reach ReachOf(ObjectRef source, JsonObject item) => Reach.OfWorkloads(source.Namespace,
        item["spec"]?["template"]?["metadata"]?["labels"] is JsonObject labels
            ? labels.Select(label => KeyValuePair.Create(label.Key, $"{label.Value}")).ToValueMap()
            : Labels($"{item["status"]?["selector"]}"));

    /// <summary>Those of a selector, without what it demands otherwise (<c>a in (b,c)</c>, <c>a!=b</c>): it may select fewer Pods then.</summary>
    private static ValueMap<string> Labels(string selector) => selector.Split(',').Select(term => term.Split('='))
        .Where(term => term.Length == 2 && term[0].IndexOfAny(['!', ' ']) < 0).DistinctBy(term => term[0])
        .Select(term => KeyValuePair.Create(term[0], term[1])).ToValueMap();
}
