using Isthmus.Graph.Derive;
using Isthmus.Graph.History;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Intake;

/// <summary>
/// Stages what watches report, and commits it together with the addresses that it requires. All methods belong to one thread;
/// collections may be read from any.
/// </summary>
public sealed class MeshWriter
{
    private MeshChanges _changes = new();

    public MeshWriter(MeshGraph mesh, AddressAllocator allocator, MeshKinds kinds)
    {
        (Mesh, Allocator, Kinds) = (mesh, allocator, kinds);
        mesh.Graph.Committed += _ => Collect();
    }

    public MeshGraph Mesh { get; }

    public AddressAllocator Allocator { get; }

    public MeshKinds Kinds { get; }

    /// <summary>When each cluster last changed.</summary>
    public ClusterRevisions Revisions { get; } = new();

    /// <summary>What changed; null: it is not kept.</summary>
    public ChangeHistory? History { get; init; }

    /// <summary>False while an earlier table may still be imported: addresses allocated before that would differ from the
    /// stored ones.</summary>
    public bool Allocates { get; private set; } = true;

    /// <summary>Allocates no addresses before <see cref="StartAllocating"/>.</summary>
    public void HoldAllocation() => Allocates = false;

    public void StartAllocating() => (Allocates, _needsChanged) = (true, true);

    private MeshSources Sources => Mesh.Sources;

    /// <summary>A writer of a second mesh with the same objects and addresses, for what must not be served.</summary>
    public MeshWriter Copy(MultiClusterSettings multiCluster)
    {
        var mesh = new MeshGraph(multiCluster) { SecretNamespaces = Mesh.SecretNamespaces };
        Mesh.Graph.CopyInputsTo(mesh.Graph);
        var allocator = new AddressAllocator(Allocator.Ranges);
        allocator.Import(Allocator.Export().ToDictionary(StringComparer.Ordinal));
        return new(mesh, allocator, Kinds) { Allocates = Allocates };
    }

    /// <summary>Stages the facts of an object.</summary>
    public void Put<TFacts>(MeshKind<TFacts> kind, TFacts facts) where TFacts : class => kind.Put(Sources, facts);

    /// <summary>Stages the removal of an object.</summary>
    public void Remove(MeshKind kind, ObjectKey key) => kind.Remove(Sources, key);

    /// <summary>A cluster joins, or what is known about the connection to it changes.</summary>
    public void PutContact(ClusterContact contact)
    {
        if (History is { } history)
        {
            var known = Sources.Clusters.Items.GetValueOrDefault(contact.Cluster);
            if (known is null) history.Note(Of(contact.Cluster, ChangeVerb.Joined));
            else if (known.Connected && !contact.Connected) history.Note(Of(contact.Cluster, ChangeVerb.Lost));
            else if (!known.Connected && contact.Connected && known.Synced) history.Note(Of(contact.Cluster, ChangeVerb.Regained));
        }
        Sources.Clusters.Put(contact.Cluster, contact);
    }

    /// <summary>A cluster left the mesh: all of its facts are removed.</summary>
    public void RemoveCluster(string cluster)
    {
        History?.Note(Of(cluster,
            ChangeVerb.Left) with
            {
                Departure = new(Sources.Clusters.Items.GetValueOrDefault(cluster)?.Secret ?? "",
                    Sources.Services.Items.Keys.Count(service => service.Cluster == cluster))
            });
        foreach (var kind in Kinds.All) kind.RemoveCluster(Sources, cluster);
        Sources.Problems.RemoveWhere(source => source.Cluster == cluster);
        Sources.Clusters.Remove(cluster);
    }

    public void PutResolved(string host, ValueList<Address> addresses) => Sources.ResolvedHosts.Put(host, new(addresses));

    public void RemoveResolved(string host) => Sources.ResolvedHosts.Remove(host);

    public void PutKeys(KeyPlace place, string jwks) => Sources.IssuerKeys.Put(place, new(jwks));

    public void RemoveKeys(KeyPlace place) => Sources.IssuerKeys.Remove(place);

    public void PutSecretAccess(AccountKey account, SecretAccess access) => Sources.SecretAccess.Put(account, access);

    public void RemoveSecretAccess(AccountKey account) => Sources.SecretAccess.Remove(account);

    /// <summary>Commits what was staged as one revision, with addresses allocated, and returns the changes.</summary>
    public MeshChanges Commit()
    {
        Mesh.Graph.Commit();
        if (Allocate()) Mesh.Graph.Commit();
        var changes = _changes;
        _changes = new();
        return changes;
    }

    private bool Allocate()
    {
        if (!_needsChanged || !Allocates) return false;
        _needsChanged = false;
        var addresses = Allocator.Reconcile(Mesh.AddressNeeds.Items.Keys, Taken());
        var staged = false;
        foreach (var (host, given) in addresses)
        {
            var next = new AllocatedAddress(host, given);
            if (Sources.Allocated.Items.TryGetValue(host, out var known) && known == next) continue;
            Sources.Allocated.Put(host, next);
            staged = true;
        }
        foreach (var host in Sources.Allocated.Items.Keys.Where(host => !addresses.ContainsKey(host)))
        {
            Sources.Allocated.Remove(host);
            staged = true;
        }
        return staged;
    }

    private bool _needsChanged;

    /// <summary>Addresses in the allocator's ranges that objects declare themselves.</summary>
    private HashSet<Address> Taken() => Mesh.Unaddressed.Items.Values
        .SelectMany(service => service.Addresses.Where(address => !address.IsRange).Select(address => address.Address)
            .Concat(service.Vips.Values.SelectMany(ips => ips)))
        .Where(Allocator.Covers).ToHashSet();

    private void Collect()
    {
        _needsChanged |= Mesh.AddressNeeds.Changed.Count > 0
            || Mesh.Unaddressed.Changed.Any(host => Mesh.Unaddressed.Items.TryGetValue(host, out var service) && !service.Addresses.IsEmpty);
        foreach (var part in Mesh.ViewParts) part.Collect(_changes);
        Revisions.Collect(Mesh);
        if (History is not { } history) return;
        foreach (var host in Mesh.Endpoints.Changed) history.NoteEndpoints(host, Mesh.Endpoints.Items.GetValueOrDefault(host));
    }

    private static NotedChange Of(string cluster, ChangeVerb verb) => new(new(cluster, "Cluster", "", cluster), verb, Reach.Everything);
}
