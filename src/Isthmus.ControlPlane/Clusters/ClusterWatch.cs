using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using System.Text.Json.Nodes;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>Watches one cluster's objects for as long as it belongs to the mesh. Losing its API server loses nothing but news.</summary>
public sealed class ClusterWatch : IAsyncDisposable
{
    private static readonly TimeSpan ContactInterval = TimeSpan.FromSeconds(1);

    private readonly IClusterObjects _objects;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<(Task Synced, Func<DateTimeOffset?> LastContact, Func<Exception?> LastError)> _informers = [];
    private readonly List<Task> _tasks = [];
    private ClusterContact? _told;

    public ClusterWatch(string id, string secret, ClusterAccess access, bool isConfig, string istioNamespace, IClusterObjects objects, TimeProvider time)
    {
        (Id, Secret, Access, IsConfig, _objects, _time) = (id, secret, access, isConfig, objects, time);
        Client = new KubeClient(access, "isthmus-discovery");
        Watch<Service>(Kinds.Service);
        Watch<EndpointSlice>(Kinds.EndpointSlice);
        Watch<Pod>(Kinds.Pod);
        Watch<Node>(Kinds.Node);
        Watch<Namespace>(Kinds.Namespace);
        if (!isConfig) return;
        // Istio's resources are read from the configuration cluster only.
        foreach (var kind in IstioKind.Effective)
        {
            Watch<JsonObject>(new ResourceKind(kind.Group, kind.StoredVersion, kind.Kind, kind.Plural, true));
        }
        Watch<ConfigMap>(Kinds.ConfigMap, istioNamespace);
    }

    public string Id { get; }

    /// <summary>The Secret that names the cluster; empty for the configuration cluster.</summary>
    public string Secret { get; }

    public ClusterAccess Access { get; }

    public bool IsConfig { get; }

    public KubeClient Client { get; }

    /// <summary>Completes when every kind has been listed once.</summary>
    public Task Synced => Task.WhenAll(_informers.Select(informer => informer.Synced));

    /// <summary>Why the API server could not be reached last; null while all watches are up.</summary>
    public Exception? LastError => _informers.Select(informer => informer.LastError()).FirstOrDefault(error => error is not null);

    public ClusterContact Contact
    {
        get
        {
            var last = _informers.Select(informer => informer.LastContact()).Max();
            return new(Id, IsConfig, Connected: LastError is null && last is not null, Synced.IsCompletedSuccessfully, last?.ToUnixTimeSeconds() ?? 0, Secret);
        }
    }

    public void Start() => _tasks.Add(TellContactAsync(_stop.Token));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_tasks).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Client.Dispose();
        _stop.Dispose();
    }

    private void Watch<T>(ResourceKind kind, string? ns = null) where T : class
    {
        var informer = new Informer<T>(Client, kind, new InformerSettings { Namespace = ns }, _time);
        var first = true;
        _informers.Add((informer.Synced, () => informer.LastContact, () => informer.LastError));
        _tasks.Add(Task.Run(() => informer.RunAsync(async changes =>
        {
            // The first list replaces what an earlier watch of the cluster, with other credentials, had brought.
            if (first) await _objects.Replace(Id, kind, [.. changes.Where(change => change.Object is not null).Select(change => KeyValuePair.Create(change.Key, change.Object!))]);
            else await _objects.Apply(Id, kind, changes);
            first = false;
        }, _stop.Token)));
    }

    /// <summary>Tells when contact is lost or regained; the passing of time alone is no news.</summary>
    private async Task TellContactAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(ContactInterval, _time);
        do
        {
            var contact = Contact;
            if (_told is not null && _told with { LastContact = contact.LastContact } == contact) continue;
            _told = contact;
            await _objects.Contact(contact);
        }
        while (await timer.WaitForNextTickAsync(stop));
    }
}
