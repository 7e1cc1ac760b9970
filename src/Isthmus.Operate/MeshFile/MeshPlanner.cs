using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.GlobalNames;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.Install.Render;

namespace Isthmus.Operate.MeshFile;

/// <summary>Compares live clusters with a mesh file. It only reads.</summary>
/// <param name="takesOver">Whether to report clusters of another mesh, or with another root, as a note instead of a
/// problem.</param>
public sealed class MeshPlanner(MeshDesign design, MeshLinks links, TimeProvider time, bool takesOver = false)
{
    /// <summary>The placeholder for an address that is unknown until the gateway exists.</summary>
    private const string UnknownAddress = "0.0.0.0";

    /// <exception cref="MeshProblemsException">The CA files are not usable for this mesh, or a cluster belongs to another
    /// one.</exception>
    public async Task<MeshPlan> PlanAsync(CancellationToken stop)
    {
        var trust = new MeshTrust(design.Mesh, time);
        var clusters = await Task.WhenAll(links.All.Select(link => ClusterAsync(link, trust, stop)));
        var faults = trust.Check().Concat(clusters.SelectMany(cluster => cluster.Problems)).ToList();
        if (faults.Count > 0) throw new MeshProblemsException(faults);
        return new([.. trust.Plan(), .. clusters.SelectMany(cluster => cluster.Changes)], [.. clusters.SelectMany(cluster => cluster.Notes)]);
    }

    private sealed record Findings(IReadOnlyList<Change> Changes, IReadOnlyList<string> Notes, IReadOnlyList<Problem> Problems);

    private async Task<Findings> ClusterAsync(ClusterLink link, MeshTrust trust, CancellationToken stop)
    {
        var cluster = link.Cluster;
        var work = new List<Task<IEnumerable<Change>>> { ObjectsAsync(link, Part.Namespace, [design.Namespace(cluster)], stop), SecretsAsync(link, stop) };
        var elsewhere = await new OtherMesh(design, trust).FindAsync(link, stop);
        var problems = takesOver ? [] : elsewhere.ToList();
        var installation = design.Installation(cluster, await DiscoveryAsync(cluster, stop));
        if (await new GatewayApiBundle(link.Client).FindProblemAsync(Manifests.Render(installation), stop) is { } unfit) problems.Add(unfit);
        if (cluster.IsPrimary) work.Add(AuthorityAsync(link, cluster, Part.Namespace, trust, problems, stop));
        foreach (var hosted in design.Hosted(cluster)) work.Add(HostedAsync(link, hosted, trust, problems, stop));
        work.Add(InstallationAsync(link, cluster.IsPrimary ? Part.ControlPlane : Part.RemoteInstallation, installation, stop));
        if (design.HasGateway(cluster)) work.Add(InstallationAsync(link, Part.Gateway, design.Gateway(cluster), stop));
        else work.Add(UnwantedGatewayAsync(link, stop));
        work.Add(ObjectsAsync(link, Part.Exposure, design.Exposure(cluster), stop));
        var changes = (await Task.WhenAll(work)).SelectMany(found => found).ToList();
        var notes = await NotesAsync(link, stop);
        notes.AddRange(await new Joining(link, links).NotesAsync(stop));
        var (places, wrong) = await new NodePlaces(design, link).CompareAsync(stop);
        changes.AddRange(places);
        problems.AddRange(wrong);
        if (takesOver) notes.AddRange(elsewhere.Select(problem => problem.Message));
        if (design.JoinsByNames)
        {
            var zone = await new GlobalZone(link.Client).FindAsync(stop);
            if (zone is null) notes.Add($"{link.Name}: {GlobalZone.ByHand}");
            else if (zone.Found != zone.Wanted || zone.Wanted is null) changes.Add(ZoneChange(link, zone));
        }
        return new(changes, notes, problems);
    }

    private static Change ZoneChange(ClusterLink link, ZoneBlock zone) => new(link.Name, Part.DnsZone,
        zone.Found is null ? ChangeKind.Create : ChangeKind.Change, GlobalZone.Map,
        zone.Found is null ? [] : [new(GlobalZone.Field, zone.Wanted ?? $"a forward to {GlobalZone.Server}", zone.Found)], $"zone {GlobalZone.Zone}");

    /// <summary>The primaries' current gateways. Everything that depends on an address that does not exist yet is new
    /// anyway.</summary>
    private async Task<string> DiscoveryAsync(ClusterSpec cluster, CancellationToken stop) =>
        cluster.IsPrimary
            ? ""
            : MeshDesign.Discovery(await Task.WhenAll(cluster.Entries.Select(async primary => await GatewayAddress.FindAsync(links[primary], stop)
                ?? UnknownAddress)));

    private static async Task<IEnumerable<Change>> ObjectsAsync(ClusterLink link, string part, IReadOnlyList<JsonObject> wanted, CancellationToken stop) =>
        (await Task.WhenAll(wanted.Select(value => ObjectAsync(link, part, value, stop)))).OfType<Change>();

    private static async Task<Change?> ObjectAsync(ClusterLink link, string part, JsonObject wanted, CancellationToken stop)
    {
        var kind = Applier.KindOf(wanted);
        var name = $"{kind.Kind} {Applier.Name(wanted)}";
        var live = await link.Client.FindAsync(kind, wanted["metadata"]!["namespace"]?.ToString(), wanted["metadata"]!["name"]!.ToString(), stop);
        if (live is null) return new(link.Name, part, ChangeKind.Create, name, []);
        var fields = ObjectDifference.Find(Applier.Wanted(wanted, live), live);
        if (fields.Count == 0) return null;
        // A key that differs is reported, never shown.
        if (kind == Kinds.Secret)
            fields = [.. fields.Select(field => field with { Wanted = "(secret)", Found = field.Found.Length == 0 ? "" : "(another secret)" })];
        return new(link.Name, part, ChangeKind.Change, name, fields.ToValueList());
    }

    private async Task<IEnumerable<Change>> InstallationAsync(ClusterLink link, string part, OperatorSpec spec, CancellationToken stop)
    {
        var components = await new GatewayApiBundle(link.Client).FitAsync(Manifests.Render(spec), stop);
        var changes = Task.WhenAll(components.Select(component => ObjectsAsync(link, Place(part, component), component.Objects, stop)));
        var extra = await new Installer(link.Client, time, Unheard.Instance).ExtraAsync(spec, components, stop);
        return (await changes).SelectMany(found => found)
            .Concat(extra.Select(removal => new Change(link.Name, part, ChangeKind.Remove, removal.ToString(), [], "no longer part of the installation")));
    }

    private static string Place(string part, Component component) =>
        part is Part.ControlPlane or Part.RemoteInstallation && Manifests.IsGateways(component) ? Part.Gateways : part;

    /// <summary>Removes a gateway of an earlier version of the file.</summary>
    private static async Task<IEnumerable<Change>> UnwantedGatewayAsync(ClusterLink link, CancellationToken stop)
    {
        var found = await Installed.ListAsync(link.Client, $"{ObjectLabels.Owner}=eastwest,{ObjectLabels.Release}=istio", stop);
        return found.Select(item => Change.Remove(link.Name, Part.Gateway, Removal.Of(item.Kind, item.Item), "the file has no gateway here"));
    }

    private async Task<IEnumerable<Change>> SecretsAsync(ClusterLink link, CancellationToken stop)
    {
        var check = new RemoteSecretCheck(links);
        var wanted = design.Watches().Where(watch => watch.Watcher == link.Name).ToList();
        var changes = await Task.WhenAll(wanted.Select(watch => check.CompareAsync(watch, stop)));
        var extra = (await RemoteSecretsAsync(link, stop))
            .Where(secret => IsOurs(secret) && wanted.All(watch => RemoteSecretCheck.Name(watch.Watched) != secret.Metadata.Name));
        return changes.OfType<Change>()
            .Concat(extra.Select(secret => Change.Remove(link.Name, Part.RemoteSecrets, new(Kinds.Secret, secret.Metadata.Namespace, secret.Metadata.Name),
                "its cluster is no longer in the file")));
    }

    private bool IsOurs(Secret secret) => secret.Metadata.Annotations.GetValueOrDefault(Annotations.Mesh) == design.Mesh.Name;

    private static Task<IReadOnlyList<Secret>> RemoteSecretsAsync(ClusterLink link, CancellationToken stop) =>
        link.Client.ListAllAsync<Secret>(Kinds.Secret, WellKnown.SystemNamespace, new ListOptions { LabelSelector = $"{Labels.MultiCluster}=true" }, stop);

    private Task<IEnumerable<Change>> AuthorityAsync(ClusterLink link, ClusterSpec owner, string part, MeshTrust trust, List<Problem> problems,
        CancellationToken stop) =>
        trust.CaSecret(owner) is { } secret
            ? ObjectsAsync(link, part, [secret], stop)
            : NewAuthorityAsync(link, owner, part, trust.BeginsNewRoot, problems, stop);

    /// <summary>New files must not silently replace a CA that workloads trust.</summary>
    private async Task<IEnumerable<Change>> NewAuthorityAsync(ClusterLink link, ClusterSpec owner, string part, bool beginsNewRoot, List<Problem> problems,
        CancellationToken stop)
    {
        var name = $"{owner.SystemNamespace}/{WellKnown.CaCerts}";
        var exists = await link.Client.FindAsync(Kinds.Secret, owner.SystemNamespace, WellKnown.CaCerts, stop) is not null;
        if (exists && beginsNewRoot)
        {
            problems.Add(new("ISM0332", design.Mesh.Source, "spec.trust.directory",
                $"'{design.Mesh.Trust.Directory}' has no root, but '{link.Name}' has the Secret {name}: with a new root, proxies would no longer trust "
                    + $"certificates that this CA signed",
                $"put the root there, name the cluster's files in 'certificates', or remove the Secret: kubectl --context={link.Cluster.Context} -n "
                    + $"{owner.SystemNamespace} delete secret {WellKnown.CaCerts}"));
        }
        return [new(link.Name, part, exists ? ChangeKind.Change : ChangeKind.Create, $"Secret {name}", [])];
    }

    /// <summary>The control plane of another cluster, hosted in this one.</summary>
    private async Task<IEnumerable<Change>> HostedAsync(ClusterLink link, ClusterSpec hosted, MeshTrust trust, List<Problem> problems, CancellationToken stop)
    {
        var part = Part.Hosted(hosted.Name);
        var (ns, exposure) = design.HostedPlace(hosted);
        var found = await Task.WhenAll(
            ObjectsAsync(link, part, [ns, .. exposure], stop), AuthorityAsync(link, hosted, part, trust, problems, stop),
            InstallationAsync(link, part, design.HostedControlPlane(hosted), stop));
        var secret = await new RemoteSecretCheck(links).CompareConfigAsync(hosted, part, stop);
        return secret is null ? found.SelectMany(changes => changes) : found.SelectMany(changes => changes).Append(secret);
    }

    private async Task<List<string>> NotesAsync(ClusterLink link, CancellationToken stop)
    {
        var notes = new List<string>();
        var wanted = design.Watches().Where(watch => watch.Watcher == link.Name).Select(watch => RemoteSecretCheck.Name(watch.Watched))
            .ToHashSet(StringComparer.Ordinal);
        notes.AddRange((await RemoteSecretsAsync(link, stop)).Where(secret => !IsOurs(secret) && !wanted.Contains(secret.Metadata.Name))
            .Select(secret => $"{link.Name}: Secret {secret.Key} names a cluster that is not in the file; it stays"));
        return notes;
    }
}

/// <summary>Reports nothing.</summary>
internal sealed class Unheard : IInstallProgress
{
    internal static readonly Unheard Instance = new();

    public void Started(string component) { }

    public void Finished(string component, TimeSpan took) { }

    public void Note(string text) { }
}
