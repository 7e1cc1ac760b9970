using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Certificates;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Isthmus.Wire.Tls;

namespace Isthmus.Operate.Rotation;

/// <summary>
/// Takes a mesh from one root to another, one step at a time. What to do is computed from what clusters and proxies have, so it can be interrupted and
/// run again. What signed before is kept in a Secret beside <c>cacerts</c>, for the way back.
/// </summary>
/// <param name="clusters">Each with a namespace: what turns out to have another root than the control planes of the named one is left alone.</param>
/// <param name="files">The new root and its intermediates.</param>
public sealed class RotationRun(IReadOnlyList<RotatedCluster> clusters, string istioNamespace, CaFiles files, TimeProvider time)
{
    /// <summary>The Secret with what signed before.</summary>
    public const string Previous = "cacerts-previous";

    private const string Certificate = "ca-cert.pem", Key = "ca-key.pem", Chain = "cert-chain.pem", Roots = "root-cert.pem";

    /// <summary>The root that signed before the rotation began: the way back leads there, however often Secrets change places.</summary>
    private const string Origin = "rotated-from";

    private static readonly TimeSpan Look = TimeSpan.FromSeconds(2);

    /// <summary>Reads all clusters, and keeps what is of the same root. One that cannot be read could lose calls in every step.</summary>
    public async Task<IReadOnlyList<ClusterInventory>> ReadAsync(CancellationToken stop)
    {
        var read = await Task.WhenAll(clusters.Select(cluster =>
            new InventoryReader(cluster.Namespace, int.MaxValue) { Certificates = true, Time = time }.ReadAsync(cluster.Context, cluster.Client, stop)));
        if (read.FirstOrDefault(cluster => cluster.Error.Length > 0) is { } unreadable)
            throw new ProblemException($"cluster {unreadable.Context}", unreadable.Error,
                "the root is rotated in all clusters of the mesh together: start the cluster, or leave it out with --contexts if it is not of this mesh");
        if (!read.Any(cluster => cluster.SystemNamespace == istioNamespace && cluster.CertificatesAt is not null))
            throw new ProblemException($"namespace {istioNamespace}", "no cluster has a control plane", "choose the clusters with --contexts");
        var members = RotationScope.Of(read, istioNamespace);
        return RotationScope.WithoutServed(members) is { } host
            ? throw new ProblemException($"cluster {host.Context}",
                $"its control plane in {host.SystemNamespace} has this root and serves another cluster, whose proxies nobody can ask",
                "name that cluster in --contexts, too")
            : members;
    }

    /// <summary>The namespaces with a Secret of a control plane that takes part, with their cluster.</summary>
    public static IEnumerable<string> Places(IReadOnlyList<ClusterInventory> read) =>
        read.Where(IsSigning).Select(inventory => $"{inventory.SystemNamespace} in {inventory.Context}");

    /// <summary>The digest of the root to end with: the one in the files.</summary>
    public string NewRoot() => CertificateRecord.Fingerprint(files.Root());

    /// <summary>The digest of the root on the way back: what signed before, or what signs as long as nothing else does.</summary>
    /// <exception cref="ProblemException">There is nothing to undo.</exception>
    public async Task<string> OldRootAsync(IReadOnlyList<ClusterInventory> read, CancellationToken stop)
    {
        var trusted = read.SelectMany(cluster => cluster.Certificates).Where(one => one is { Role: CertificateRole.Root, IsInForce: true })
            .Select(one => one.Fingerprint).ToHashSet(StringComparer.Ordinal);
        foreach (var inventory in read)
        {
            var cluster = Of(inventory);
            if (await cluster.Client.FindAsync<Secret>(Kinds.Secret, cluster.Namespace, Previous, stop) is not { } saved) continue;
            // While two roots are trusted, what an earlier rotation left is not the way back.
            if (Text(saved, Origin) is { Length: > 0 } root && (trusted.Count < 2 || trusted.Contains(root))) return root;
        }
        var signing = read.SelectMany(cluster => cluster.Certificates).Where(one => one.Signs).Select(one => one.Root).Distinct().ToList();
        return signing.Count == 1 && read.Any(cluster => cluster.Certificates.Any(one => one.Role == CertificateRole.Root && one.Fingerprint != signing[0]))
            ? signing[0]
            : throw new ProblemException($"Secret {istioNamespace}/{Previous}", "does not exist, and only one root is trusted: there is nothing to undo");
    }

    /// <summary>Takes the step, as far as it is not done. A step that waits for others changes nothing.</summary>
    /// <returns>What was changed.</returns>
    public async Task<IReadOnlyList<string>> TakeAsync(RotationPlan plan, IReadOnlyList<ClusterInventory> read, CancellationToken stop)
    {
        var changed = new List<string>();
        if (plan.Due is not { } due) return changed;
        foreach (var inventory in read.Where(IsSigning))
        {
            var cluster = Of(inventory);
            var next = due.Action switch
            {
                RotationAction.Trust => await TrustAsync(cluster, plan.Target, read, stop),
                RotationAction.Sign when !inventory.Certificates.Any(one => one.Signs && one.Root == plan.Target) => await SignAsync(cluster, plan.Target,
                    stop),
                RotationAction.Distrust => await DistrustAsync(cluster, plan.Target, stop),
                _ => "",
            };
            if (next.Length > 0) changed.Add($"{cluster.Context}: {next}");
        }
        return changed;
    }

    private static bool IsSigning(ClusterInventory inventory) => inventory.Trust.InstalledAt is not null;

    private RotatedCluster Of(ClusterInventory inventory) =>
        clusters.First(cluster => cluster.Context == inventory.Context && cluster.Namespace == inventory.SystemNamespace);

    /// <summary>Reads until the step is done, and reports who is not there yet.</summary>
    public async Task<RotationPlan> WaitAsync(string target, RotationAction action, Action<RotationStep> report, CancellationToken stop)
    {
        while (true)
        {
            var plan = RotationPlan.Of(await ReadAsync(stop), target);
            if (plan.Due is not { } due || due.Action > action) return plan;
            report(due);
            await Task.Delay(Look, time, stop);
        }
    }

    private async Task<string> TrustAsync(RotatedCluster cluster, string target, IReadOnlyList<ClusterInventory> read, CancellationToken stop)
    {
        var secret = await cluster.Client.FindAsync<Secret>(Kinds.Secret, cluster.Namespace, WellKnown.CaCerts, stop);
        var current = secret is null ? await OwnAsync(cluster, stop) : Data(cluster, secret);
        var roots = CertificateText.Read(current[Roots], Roots);
        if (secret is not null && roots.Any(root => CertificateRecord.Fingerprint(root) == target)) return "";
        current[Roots] = CertificateText.Write(roots)
            + (roots.Any(root => CertificateRecord.Fingerprint(root) == target) ? "" : await RootTextAsync(target, stop));
        await PutAsync(cluster, WellKnown.CaCerts, current, stop);
        return $"Secret {cluster.Namespace}/{WellKnown.CaCerts} trusts both roots";
    }

    private async Task<string> SignAsync(RotatedCluster cluster, string target, CancellationToken stop)
    {
        var current = Data(cluster, await RequireAsync(cluster, WellKnown.CaCerts, stop));
        // The control plane may not have taken it yet: what signed before must not be overwritten by what signs next.
        if (RootOf(current) == target) return "";
        var saved = await cluster.Client.FindAsync<Secret>(Kinds.Secret, cluster.Namespace, Previous, stop);
        Dictionary<string, string> next;
        if (saved is not null && RootOf(Data(cluster, saved)) == target) next = Data(cluster, saved);
        else if (CertificateRecord.Fingerprint(files.Root()) == target) next = new(files.Intermediate(cluster.Name, cluster.Namespace), StringComparer.Ordinal);
        else throw new ProblemException($"cluster {cluster.Context}", $"Secret {cluster.Namespace}/{Previous} with what signed before does not exist",
            "put the earlier four files into the Secret cacerts, with both roots in root-cert.pem");
        next[Roots] = current[Roots];
        // First what is needed for the way back. After an interruption here, the Secret still holds what signs.
        var origin = saved is null ? "" : Text(saved, Origin);
        await PutAsync(cluster, Previous, new(current) { [Origin] = origin == target ? origin : RootOf(current) }, stop);
        await PutAsync(cluster, WellKnown.CaCerts, next, stop);
        return $"Secret {cluster.Namespace}/{WellKnown.CaCerts} has the intermediate '{CertificateText.Read(next[Certificate], Certificate)[0].Subject}'; what "
            + $"signed before is in {Previous}";
    }

    private async Task<string> DistrustAsync(RotatedCluster cluster, string target, CancellationToken stop)
    {
        var current = Data(cluster, await RequireAsync(cluster, WellKnown.CaCerts, stop));
        var roots = CertificateText.Read(current[Roots], Roots);
        var kept = roots.Where(root => CertificateRecord.Fingerprint(root) == target).ToList();
        if (kept.Count == roots.Count) return "";
        current[Roots] = CertificateText.Write(kept);
        await PutAsync(cluster, WellKnown.CaCerts, current, stop);
        return $"Secret {cluster.Namespace}/{WellKnown.CaCerts} trusts the new root only";
    }

    /// <summary>The root's text: of the files, or of a cluster that has it.</summary>
    private async Task<string> RootTextAsync(string target, CancellationToken stop)
    {
        if (files.HasRoot && CertificateRecord.Fingerprint(files.Root()) == target) return CertificateText.Write(files.Root());
        foreach (var cluster in clusters)
        {
            foreach (var name in (string[])[Previous, WellKnown.CaCerts])
            {
                if (await cluster.Client.FindAsync<Secret>(Kinds.Secret, cluster.Namespace, name, stop) is not { } secret) continue;
                if (CertificateText.ReadAny(Text(secret, Roots), Roots).FirstOrDefault(root => CertificateRecord.Fingerprint(root) == target) is { } found)
                    return CertificateText.Write(found);
            }
        }
        throw new ProblemException("root", $"no cluster has the root {target[..16]}", "specify the directory with its files with --dir");
    }

    /// <summary>A control plane that made its own root signs with that root itself.</summary>
    private async Task<Dictionary<string, string>> OwnAsync(RotatedCluster cluster, CancellationToken stop)
    {
        var own = await RequireAsync(cluster, WellKnown.SelfSignedCa, stop);
        var certificate = Text(own, Certificate);
        return new(StringComparer.Ordinal) { [Certificate] = certificate, [Key] = Text(own, Key), [Chain] = certificate, [Roots] = certificate };
    }

    private async Task<Secret> RequireAsync(RotatedCluster cluster, string name, CancellationToken stop) =>
        await cluster.Client.FindAsync<Secret>(Kinds.Secret, cluster.Namespace, name, stop)
            ?? throw new ProblemException($"Secret {cluster.Namespace}/{name} in {cluster.Context}", "does not exist",
                "the control plane of this cluster has its CA from elsewhere: give it a Secret cacerts first");

    private Dictionary<string, string> Data(RotatedCluster cluster, Secret secret) => secret.Data.ContainsKey("tls.crt")
        ? throw new ProblemException($"Secret {secret.Key} in {cluster.Context}", "has the form of cert-manager, which would write it again",
            "rotate with the Issuer of cert-manager, in the order of docs/tasks/root-rotation.md")
        : ((string[])[Certificate, Key, Chain, Roots]).ToDictionary(key => key, key => Text(secret, key), StringComparer.Ordinal);

    /// <summary>The type of a Secret cannot change, and somebody else may have made it.</summary>
    private async Task PutAsync(RotatedCluster cluster, string name, Dictionary<string, string> data, CancellationToken stop)
    {
        var content = new JsonObject(data.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)Convert.ToBase64String(Encoding.UTF8.GetBytes(pair.Value)))));
        if (await cluster.Client.FindAsync(Kinds.Secret, cluster.Namespace, name, stop) is not null)
        {
            await cluster.Client.PatchAsync(Kinds.Secret, cluster.Namespace, name, new JsonObject { ["data"] = content }, PatchType.Merge, stop);
            return;
        }
        await cluster.Client.CreateAsync(Kinds.Secret, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Secret", ["type"] = "Opaque",
            ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = cluster.Namespace }, ["data"] = content,
        }, stop);
    }

    private static string RootOf(Dictionary<string, string> data) => CertificateRecord.RootOf(data[Certificate] + data[Chain], data[Roots]);

    private static string Text(Secret secret, string key) => Encoding.UTF8.GetString(secret.Bytes(key) ?? []);
}
