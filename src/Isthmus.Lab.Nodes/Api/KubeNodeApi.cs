using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;

namespace Isthmus.Lab.Nodes.Api;

/// <summary>The node's view of its cluster through the Kubernetes API: copies of what Pods refer to, kept by watches.</summary>
internal sealed class KubeNodeApi(KubeClient client, TimeProvider time) : INodeApi
{
    private readonly WatchedList<ConfigMap> _configMaps = new(client, Kinds.ConfigMap, Watching, time);
    private readonly WatchedList<Secret> _secrets = new(client, Kinds.Secret, Watching, time);
    private readonly WatchedList<PersistentVolumeClaim> _claims = new(client, Kinds.PersistentVolumeClaim, Watching, time);
    private readonly WatchedList<Service> _services = new(client, Kinds.Service, Watching, time);

    /// <summary>The API server runs on the same machine and starts together with the node, so the back-off is short.</summary>
    internal static InformerSettings Watching { get; } = new() { LongestBackoff = TimeSpan.FromMilliseconds(500) };

    /// <summary>Completes when everything has been read once: a Pod must not start without existing objects that it refers
    /// to.</summary>
    internal Task Synced => Task.WhenAll(_configMaps.Synced, _secrets.Synced, _claims.Synced, _services.Synced);

    /// <param name="onChange">Called with the namespace in which a ConfigMap, Secret or claim changed.</param>
    internal Task RunAsync(Action<string> onChange, CancellationToken stop)
    {
        _configMaps.Listen(change => onChange((change.Object ?? change.Before!).Metadata.Namespace));
        _secrets.Listen(change => onChange((change.Object ?? change.Before!).Metadata.Namespace));
        _claims.Listen(change => onChange((change.Object ?? change.Before!).Metadata.Namespace));
        return Task.WhenAll(_configMaps.RunAsync(stop), _secrets.RunAsync(stop), _claims.RunAsync(stop), _services.RunAsync(stop));
    }

    public ConfigMap? ConfigMap(string ns, string name) => _configMaps.Find(ns, name);

    public Secret? Secret(string ns, string name) => _secrets.Find(ns, name);

    public PersistentVolumeClaim? Claim(string ns, string name) => _claims.Find(ns, name);

    public IEnumerable<Service> Services() => _services.Items;

    public async Task<AccountToken> RequestTokenAsync(Pod pod, string audience, long expirationSeconds, CancellationToken stop)
    {
        var request = new JsonObject
        {
            ["apiVersion"] = "authentication.k8s.io/v1",
            ["kind"] = "TokenRequest",
            ["spec"] = new JsonObject
            {
                ["audiences"] = audience.Length > 0 ? new JsonArray(audience) : new JsonArray(),
                ["expirationSeconds"] = expirationSeconds,
                ["boundObjectRef"] = new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Pod", ["name"] = pod.Metadata.Name, ["uid"] = pod.Metadata.Uid },
            },
        };
        var account = pod.Spec.ServiceAccountName.Length > 0 ? pod.Spec.ServiceAccountName : "default";
        var answer = await client.CreateAsync(Kinds.ServiceAccount, pod.Metadata.Namespace, request, stop, account, "token");
        var status = answer["status"] ?? throw new InvalidDataException("the TokenRequest's answer has no status");
        return new((string)status["token"]!, DateTimeOffset.Parse((string)status["expirationTimestamp"]!, CultureInfo.InvariantCulture));
    }

    public async Task<bool> WriteStatusAsync(Pod pod, JsonObject status, CancellationToken stop)
    {
        // The UID is a precondition: a new Pod of the same name must not get this status.
        var patch = new JsonObject { ["metadata"] = new JsonObject { ["uid"] = pod.Metadata.Uid }, ["status"] = status.DeepClone() };
        try
        {
            await client.PatchAsync(Kinds.Pod, pod.Metadata.Namespace, pod.Metadata.Name, patch, PatchType.Merge, stop, "status");
            return true;
        }
        catch (KubeException e) when (e.Code is 404 or 409 or 422)
        {
            return false;
        }
    }

    public async Task RemoveAsync(Pod pod, CancellationToken stop)
    {
        try
        {
            await client.DeleteAsync(Kinds.Pod, pod.Metadata.Namespace, pod.Metadata.Name, stop, gracePeriodSeconds: 0, uid: pod.Metadata.Uid);
        }
        catch (KubeException e) when (e.Code == 409)
        {
            // A new Pod already has the name: the old one is gone.
        }
    }

    public async Task<bool> IsReadyEndpointAsync(string ns, string podIp, CancellationToken stop)
    {
        var slices = await client.ListAllAsync<EndpointSlice>(Kinds.EndpointSlice, ns, new ListOptions(), stop);
        return slices.SelectMany(slice => slice.Endpoints).Any(one => one.Conditions.Ready != false && one.Addresses.Contains(podIp));
    }

    public async Task WriteEventAsync(JsonObject value, CancellationToken stop)
    {
        var (ns, name) = ((string)value["metadata"]!["namespace"]!, (string)value["metadata"]!["name"]!);
        if ((int)value["count"]! > 1)
        {
            var again = new JsonObject { ["count"] = (int)value["count"]!, ["lastTimestamp"] = (string)value["lastTimestamp"]! };
            try
            {
                await client.PatchAsync(Kinds.Event, ns, name, again, PatchType.Merge, stop);
                return;
            }
            catch (KubeException e) when (e.IsNotFound)
            {
                // The event has expired: create it again.
            }
        }
        await client.CreateAsync(Kinds.Event, ns, value, stop);
    }
}
