using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>The objects of a cluster that were made for Gateways, as they are. Writes those that differ from what they are to be.</summary>
internal sealed class MadeObjects
{
    /// <summary>Istio's manager: who upgrades from it takes the fields over.</summary>
    private const string Manager = GatewayClasses.Controller;

    internal static readonly IReadOnlyList<ResourceKind> Kinds =
    [
        Kubernetes.Objects.Kinds.ServiceAccount, Kubernetes.Objects.Kinds.Deployment, Kubernetes.Objects.Kinds.Service,
        Kubernetes.Objects.Kinds.HorizontalPodAutoscaler,
        Kubernetes.Objects.Kinds.PodDisruptionBudget,
    ];

    private readonly KubeClient _client;
    private readonly IReadOnlyDictionary<string, WatchedList<JsonObject>> _lists;

    /// <summary>What was written, and the version of the object that was the answer.</summary>
    private readonly ConcurrentDictionary<(string Kind, string Namespace, string Name), (string Text, string Version)> _written = [];

    public MadeObjects(KubeClient client, TimeProvider time)
    {
        _client = client;
        _lists = Kinds.ToDictionary(kind => kind.Kind,
            kind => new WatchedList<JsonObject>(client, kind, new InformerSettings { LabelSelector = GatewayObjects.Managed }, time), StringComparer.Ordinal);
    }

    /// <summary>Completes when they are known, or the API server has said that they may not be read.</summary>
    public Task Answered => Task.WhenAll(_lists.Values.Select(list => list.Informer.Answered));

    /// <summary>Why they may not be read; null: they may.</summary>
    public string? Refusal =>
        _lists.Values.Where(list => !list.Synced.IsCompleted).Select(list => list.Informer.LastError?.Message).FirstOrDefault(message => message is not null);

    /// <param name="changed">Called with the namespace and the label of the Gateway of an object that has changed.</param>
    /// <param name="stop">Ends it.</param>
    public Task RunAsync(Action<(string Namespace, string Label)> changed, CancellationToken stop) =>
        Task.WhenAll(_lists.Values.Select(list => list.Listen(change =>
    {
        if ((change.Object ?? change.Before) is { } item) changed((Text(item, "namespace"), Label(item)));
    }).RunAsync(stop)));

    /// <summary>Writes an object, unless it is there as it was written.</summary>
    /// <returns>Why it must not be written; null if it is as it should be.</returns>
    public async Task<string?> PutAsync(JsonObject wanted, CancellationToken stop)
    {
        var kind = Kinds.First(known => known.Kind == wanted["kind"]!.ToString());
        var (ns, name, text) = (Text(wanted, "namespace"), Text(wanted, "name"), wanted.ToJsonString());
        var known = _lists[kind.Kind].Find(ns, name);
        if (known is not null && _written.TryGetValue((kind.Kind, ns, name), out var last) && last == (text, VersionOf(known))) return null;
        if (known is null && await _client.FindAsync(kind, ns, name, stop).ConfigureAwait(false) is { } other && Labels(other)?[GatewayObjects.Managed] is null)
        {
            // An account can be somebody's own: the Gateway names it.
            return kind == Kubernetes.Objects.Kinds.ServiceAccount
                ? null
                : $"{kind.Kind} {ns}/{name} exists, and was not made for a Gateway: rename it or the Gateway";
        }
        var answer = await _client.TakeFieldsAsync(kind, wanted, Manager, stop).ConfigureAwait(false);
        _written[(kind.Kind, ns, name)] = (text, VersionOf(answer));
        return null;
    }

    /// <summary>Removes what was made for a Gateway, and is not among these.</summary>
    public async Task RemoveOthersAsync(ApiGateway gateway, string uid, IReadOnlyList<JsonObject> wanted, CancellationToken stop)
    {
        var kept = wanted.Select(item => (item["kind"]!.ToString(), Text(item, "name"))).ToHashSet();
        foreach (var kind in Kinds)
        {
            foreach (var item in _lists[kind.Kind].Items.Where(item => IsOf(item, gateway, uid) && IsOurs(item)
                && !kept.Contains((kind.Kind, Text(item, "name")))))
            {
                await _client.DeleteAsync(kind, gateway.Namespace, Text(item, "name"), stop, uid: Text(item, "uid")).ConfigureAwait(false);
            }
        }
    }

    /// <summary>The Gateways for which objects were made, as <c>(namespace, name)</c>.</summary>
    public IEnumerable<(string Namespace, string Name)> Owners => _lists.Values
        .SelectMany(list => list.Items.Where(item => IsOurs(item) && item["metadata"]?["deletionTimestamp"] is null))
        .SelectMany(item => (item["metadata"]?["ownerReferences"] as JsonArray ?? []).OfType<JsonObject>()
            .Where(owner => (string?)owner["kind"] == MeshApi.ApiGateway.Kind
                && ((string?)owner["apiVersion"] ?? "").StartsWith($"{MeshApi.ApiGateway.Group}/", StringComparison.Ordinal))
            .Select(owner => (Text(item, "namespace"), (string?)owner["name"] ?? ""))).Distinct();

    /// <summary>Whether a Service was made for this Gateway.</summary>
    public bool HasService(string ns, string name, ApiGateway gateway) => ns == gateway.Namespace
        && (_lists[Kubernetes.Objects.Kinds.Service.Kind].Find(ns, name)?["metadata"]?["ownerReferences"] as JsonArray ?? []).OfType<JsonObject>()
            .Any(owner => (string?)owner["kind"] == MeshApi.ApiGateway.Kind && (string?)owner["name"] == gateway.Name);

    /// <summary>Others mark what they make with the same label, for waypoints for instance: its value names the controller.</summary>
    private static bool IsOurs(JsonObject item) =>
        (string?)Labels(item)?[GatewayObjects.Managed] is { } by
        && ((string[])[GatewayClasses.Controller, GatewayClasses.EastWest]).Contains(by.Replace("istio.io-", "istio.io/", StringComparison.Ordinal));

    /// <summary>Why no Pods are created for a Deployment; null: they are.</summary>
    public string? FailureOf(string ns, string deployment) =>
        (_lists["Deployment"].Find(ns, deployment)?["status"]?["conditions"] as JsonArray ?? []).OfType<JsonObject>()
            .Where(condition => (string?)condition["type"] == "ReplicaFailure" && (string?)condition["status"] == "True")
            .Select(condition => WithoutPod((string?)condition["message"] ?? "", $"{ns}/{deployment}")).FirstOrDefault();

    /// <summary>Each Pod that is tried has another name: the status of the Gateway would never rest.</summary>
    private static string WithoutPod(string message, string deployment)
    {
        const string Pod = "pods \"", Forbidden = "\" is forbidden: ";
        var at = message.StartsWith(Pod, StringComparison.Ordinal) ? message.IndexOf(Forbidden, StringComparison.Ordinal) : -1;
        return at < 0 ? message : $"the Pods of Deployment {deployment} are forbidden: {message[(at + Forbidden.Length)..]}";
    }

    private static bool IsOf(JsonObject item, ApiGateway gateway, string uid) =>
        Text(item, "namespace") == gateway.Namespace && item["metadata"]?["deletionTimestamp"] is null
        && (item["metadata"]?["ownerReferences"] as JsonArray ?? []).OfType<JsonObject>().Any(owner => (string?)owner["uid"] == uid);

    /// <summary>A status has no effect on the generation, which accounts and Services lack.</summary>
    private static string VersionOf(JsonObject item) => (item["metadata"]?["generation"] ?? item["metadata"]?["resourceVersion"])?.ToString() ?? "";

    private static string Label(JsonObject item) => (string?)Labels(item)?[GatewayNaming.GatewayLabel] ?? "";

    private static JsonObject? Labels(JsonObject item) => item["metadata"]?["labels"] as JsonObject;

    private static string Text(JsonObject item, string field) => (string?)item["metadata"]?[field] ?? "";
}
