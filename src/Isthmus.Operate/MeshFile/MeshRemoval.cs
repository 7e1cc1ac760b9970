using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.GlobalNames;
using Isthmus.Operate.Install;

namespace Isthmus.Operate.MeshFile;

/// <summary>What a cluster loses.</summary>
/// <param name="Others">Objects that are not the mesh's and that a namespace or a definition of the mesh would take along.</param>
public sealed record ClusterRemoval(ClusterLink Link, IReadOnlyList<Removal> Removals, IReadOnlyList<Bystander> Others);

/// <summary>What goes with a mesh.</summary>
/// <param name="Leaving">Names of the clusters that leave; the mesh continues without them.</param>
/// <param name="Purges">Also removes namespaces and definitions that hold objects of others.</param>
public sealed record RemovalScope(IReadOnlyCollection<string> Leaving, bool Purges = false);

/// <summary>Removes a mesh, or some of its clusters: everything that <c>up</c> or its control planes created. Certificate
/// files stay.</summary>
public sealed class MeshRemoval(MeshDesign design, MeshLinks links, RemovalScope scope, TimeSpan limit, IMeshProgress progress, TimeProvider time)
{
    private readonly StepLog _steps = new(progress, time);

    /// <summary>What will be removed, by cluster.</summary>
    public async Task<IReadOnlyList<ClusterRemoval>> PlanAsync(CancellationToken stop) =>
        await Task.WhenAll(links.All.Select(async link => scope.Leaving.Contains(link.Name)
            ? await ClusterAsync(link, stop)
            : new(link, await CredentialsAsync(link, stop), [])));

    public async Task RunAsync(IReadOnlyList<ClusterRemoval> plan, CancellationToken stop)
    {
        // The remaining clusters forget the leaving ones first. Until their proxies are updated, gateways and workloads of
        // the leaving clusters keep serving.
        await Task.WhenAll(plan.Where(cluster => cluster.Removals.Count > 0 && !scope.Leaving.Contains(cluster.Link.Name)).Select(cluster =>
            _steps.RunAsync(cluster.Link.Name, $"forgets {string.Join(", ", scope.Leaving)}", () => ForgetAsync(cluster.Link, cluster.Removals, stop))));
        var begun = plan.Where(cluster => cluster.Removals.Count > 0 && scope.Leaving.Contains(cluster.Link.Name)).ToList();
        // External control planes write into this cluster too: all of them stop before anything that they created is
        // removed.
        await Task.WhenAll(begun.Select(cluster => _steps.RunAsync(cluster.Link.Name, "control plane and gateways stopped",
            () => new Uninstaller(cluster.Link.Client).StopAsync(cluster.Removals, _ => { }, stop))));
        await Task.WhenAll(begun.Select(cluster => _steps.RunAsync(cluster.Link.Name, "objects removed", async () =>
        {
            // Objects created between plan and stop are removed as well.
            var rest = cluster.Removals.Concat((await ClusterAsync(cluster.Link, stop)).Removals).Distinct().ToList();
            await new Uninstaller(cluster.Link.Client).RemoveAsync(rest, _ => { }, stop);
            await ReleaseNamespaceAsync(cluster.Link, stop);
            await new NodePlaces(design, cluster.Link).RemoveAsync(stop);
            if (design.JoinsByNames) await new GlobalZone(cluster.Link.Client).RemoveAsync(stop);
            // The API server removes what these contain in the background.
            await Task.WhenAll(rest.Where(removal => removal.Kind == Kinds.Namespace || removal.Kind == Kinds.CustomResourceDefinition)
                .Select(removal => GoneAsync(cluster.Link, removal, stop)));
        })));
    }

    private async Task<ClusterRemoval> ClusterAsync(ClusterLink link, CancellationToken stop)
    {
        var purge = await new Uninstaller(link.Client).PlanPurgeAsync(stop);
        var namespaces = await link.Client.ListAllAsync<Namespace>(Kinds.Namespace, null, new ListOptions(), stop);
        var places = namespaces.Where(ns => IsOurs(ns.Metadata)).Select(ns => ns.Metadata.Name).Append(WellKnown.SystemNamespace)
            .Concat(design.Hosted(link.Cluster).Select(hosted => hosted.SystemNamespace)).Distinct();
        var secrets = await Task.WhenAll(places.Select(ns => link.Client.ListAllAsync<Secret>(Kinds.Secret, ns, new ListOptions(), stop)));
        var remote = design.Watches().Where(watch => watch.Watcher == link.Name).Select(watch => RemoteSecretCheck.Name(watch.Watched))
            .ToHashSet(StringComparer.Ordinal);
        var own = secrets.SelectMany(list => list).Where(secret => IsOurs(secret.Metadata) || remote.Contains(secret.Metadata.Name))
            .Select(secret => new Removal(Kinds.Secret, secret.Metadata.Namespace, secret.Metadata.Name));
        var last = namespaces.Where(ns => IsOurs(ns.Metadata)).Select(ns => new Removal(Kinds.Namespace, null, ns.Metadata.Name));
        IReadOnlyList<Removal> all = [.. own.Concat(purge).Distinct(), .. last];
        var bystanders = new Bystanders(
            link.Client, value => value["metadata"]!["annotations"]?[Annotations.Mesh]?.ToString() == design.Mesh.Name || GatewayApiBundle.IsMade(value));
        var others = await bystanders.FindAsync(all, stop);
        if (scope.Purges || others.Count == 0) return new(link, all, others);
        // What holds objects of others stays, without those of the mesh.
        var kept = others.Select(other => other.With).ToHashSet();
        var exposed = await Task.WhenAll(kept.Where(removal => removal.Kind == Kinds.CustomResourceDefinition)
            .Select(definition => OursAsync(link, bystanders, definition, stop)));
        return new(link, [.. exposed.SelectMany(list => list).Concat(GatewayApiBundle.Without(all, others)).Distinct()], others);
    }

    /// <summary>The mesh's objects of a kind whose definition stays.</summary>
    private async Task<IEnumerable<Removal>> OursAsync(ClusterLink link, Bystanders bystanders, Removal definition, CancellationToken stop)
    {
        if (await bystanders.KindAsync(definition, stop) is not { } kind) return [];
        return (await link.Client.ListAllAsync<JsonObject>(kind, null, new ListOptions(), stop))
            .Where(value => value["metadata"]!["annotations"]?[Annotations.Mesh]?.ToString() == design.Mesh.Name).Select(value => Removal.Of(kind, value));
    }

    /// <summary>Removes, in a remaining cluster, the credentials with which its control plane watches the leaving
    /// ones.</summary>
    private async Task<IReadOnlyList<Removal>> CredentialsAsync(ClusterLink link, CancellationToken stop)
    {
        var names = design.Watches().Where(watch => watch.Watcher == link.Name && scope.Leaving.Contains(watch.Watched))
            .Select(watch => RemoteSecretCheck.Name(watch.Watched));
        var found = await Task.WhenAll(names.Select(name => link.Client.FindAsync<Secret>(Kinds.Secret, WellKnown.SystemNamespace, name, stop)));
        return [.. found.OfType<Secret>().Select(secret => new Removal(Kinds.Secret, secret.Metadata.Namespace, secret.Metadata.Name))];
    }

    private async Task ForgetAsync(ClusterLink link, IReadOnlyList<Removal> credentials, CancellationToken stop)
    {
        await new Uninstaller(link.Client).RemoveAsync(credentials, _ => { }, stop);
        if (!link.Cluster.IsPrimary) return;
        var silent = await new ForgottenClusters(new MeshQuery(link.Client, WellKnown.SystemNamespace), limit, time).AwaitAsync(scope.Leaving,
            $"control plane of {link.Name}", $"see 'isthmus remote-clusters --context={link.Cluster.Context}'", stop);
        foreach (var problem in silent) _steps.Note(link.Name, $"{problem}");
    }

    private bool IsOurs(ObjectMeta metadata) => metadata.Annotations.GetValueOrDefault(Annotations.Mesh) == design.Mesh.Name;

    /// <summary>Keeps a namespace that this program did not create, without the labels that this program added.</summary>
    private async Task ReleaseNamespaceAsync(ClusterLink link, CancellationToken stop)
    {
        var ns = await link.Client.FindAsync<Namespace>(Kinds.Namespace, null, link.Cluster.SystemNamespace, stop);
        if (ns is null || IsOurs(ns.Metadata)) return;
        var metadata = new JsonObject();
        if (ns.Metadata.Labels.GetValueOrDefault(Labels.Network) == link.Cluster.Network) metadata["labels"] = new JsonObject { [Labels.Network] = null };
        if (ns.Metadata.Annotations.GetValueOrDefault(Annotations.ControlPlaneClusters) == string.Join(",", link.Cluster.Primaries)
            && !link.Cluster.Primaries.IsEmpty)
            metadata["annotations"] = new JsonObject { [Annotations.ControlPlaneClusters] = null };
        if (metadata.Count > 0)
            await link.Client.PatchAsync(Kinds.Namespace, null, link.Cluster.SystemNamespace, new JsonObject { ["metadata"] = metadata }, PatchType.Merge,
                stop);
    }

    private async Task GoneAsync(ClusterLink link, Removal removal, CancellationToken stop)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(stop);
        deadline.CancelAfter(limit);
        try
        {
            while (await link.Client.FindAsync(removal.Kind, null, removal.Name, deadline.Token) is not null)
                await Task.Delay(TimeSpan.FromMilliseconds(50), time, deadline.Token);
        }
        catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
        {
            throw new ProblemException($"{removal.Kind.Kind} {removal.Name} in {link.Name}", $"still exists after {limit.TotalSeconds:0} s",
                $"find out why: kubectl --context={link.Cluster.Context} get {removal.Kind.Kind.ToLowerInvariant()} {removal.Name} -o yaml", e);
        }
    }
}
