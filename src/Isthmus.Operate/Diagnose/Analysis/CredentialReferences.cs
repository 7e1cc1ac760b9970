using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>A Secret that a Gateway names.</summary>
/// <param name="Path">The field that names it.</param>
/// <param name="ChecksClients">The Secret is also the place of the CA of client certificates.</param>
public sealed record CredentialReference(Gateway Gateway, string Path, string Namespace, string Name, bool ChecksClients)
{
    /// <summary>Where <see cref="ClusterInventory.Credentials"/> says what is wrong with it.</summary>
    public string Key => $"{Namespace}/{Name}{(ChecksClients ? " with CA" : "")}";

    /// <summary>The namespace of the object that names it, where a Secret of this name may have been put by mistake; empty: the Secret belongs there.</summary>
    public string Own { get; init; } = "";

    /// <summary>What the server says of cipher suites, if it has no other certificate.</summary>
    public TlsLimits Limits { get; init; } = TlsLimits.None;

    /// <summary>The hosts of the server.</summary>
    public ValueList<string> Hosts { get; init; }

    /// <summary>The ServiceAccounts of the Pods that serve it: each must be allowed to list Secrets there.</summary>
    public ValueList<string> Accounts { get; init; }

    /// <summary>Where <see cref="ClusterInventory.Credentials"/> says why an account may not.</summary>
    public string KeyOf(string account) => $"access of {Namespace}/{account}";
}

/// <summary>Gateways whose <c>credentialName</c> names no usable Secret. Pure.</summary>
public static class CredentialReferences
{
    /// <summary>What <see cref="ClusterInventory.Credentials"/> says of a Secret that is not there.</summary>
    internal const string DoesNotExist = "does not exist";

    public static Analyzer Analyzer { get; } = new("gateway.SecretAnalyzer", "Checks the Secrets that Gateways and Ingress objects name for TLS",
        [IstioCodes.ReferencedResourceNotFound, IstioCodes.InvalidGatewayCredential], ["Gateway", "Ingress", "Pod"], mesh => Check(mesh.Readable));

    /// <summary>The Secrets that Gateways name: each must be in the namespace of the Pods that serve it.</summary>
    public static IEnumerable<CredentialReference> Of(ClusterInventory cluster) =>
        from gateway in cluster.Istio<Gateway>()
            .Concat(IngressObjects.Served(cluster).Select(ingress => IngressRouting.GatewayOf(ingress, Settings(cluster))))
        from server in gateway.Servers.Index()
        from credential in (server.Item.Tls?.Credentials ?? []).Index()
        let checksClients = server.Item.Tls!.NeedsCa(credential.Index)
        from pods in cluster.Pods.Where(pod => Selectors.Matches(gateway.Selector, pod.Metadata.Labels.ToValueMap()))
            .GroupBy(pod => pod.Metadata.Namespace, StringComparer.Ordinal)
        // Their field is one of the Ingress itself.
        let field = gateway.Owner is null ? $"spec.servers[{server.Index}].tls.{credential.Item.Field}" : $"spec.{credential.Item.Field}"
        select new CredentialReference(gateway, field, pods.Key, credential.Item.Name, checksClients)
        {
            Own = (gateway.Owner?.Namespace ?? gateway.Namespace) is var own && own != pods.Key ? own : "",
            Limits = server.Item.Tls!.Credentials.Count == 1 ? server.Item.Tls!.Limits : TlsLimits.None,
            Hosts = server.Item.HostNames.ToValueList(),
            Accounts = pods.Select(pod => pod.Spec.ServiceAccountName is { Length: > 0 } name ? name : "default").Distinct().Order(StringComparer.Ordinal)
                .ToValueList(),
        };

    /// <summary>The cluster with what Secrets of files say of the references.</summary>
    /// <param name="files">The objects of the files. Secrets that they lack are those of the cluster.</param>
    /// <param name="isAll">Only files are read, without a cluster: if they contain Secrets, one that they lack does not exist.</param>
    public static ClusterInventory WithSecrets(ClusterInventory cluster, IReadOnlyList<JsonObject> files, bool isAll)
    {
        var secrets = files.Where(value => value["kind"]?.ToString() == "Secret" && value["apiVersion"]?.ToString() == "v1")
            .ToDictionary(Name, Facts, StringComparer.Ordinal);
        if (secrets.Count == 0) return cluster;
        var known = cluster.Credentials.ToDictionary(StringComparer.Ordinal);
        foreach (var reference in Of(cluster))
        {
            var own = secrets.GetValueOrDefault($"{reference.Namespace}/{reference.Name}");
            if (own is not null || isAll)
                known[reference.Key] = SecretFacts.Problem(own, secrets.GetValueOrDefault($"{reference.Namespace}/{reference.Name}{SecretFacts.CaSuffix}"),
                    reference.ChecksClients);
        }
        var remotes = secrets.Where(secret => secret.Key.StartsWith($"{cluster.SystemNamespace}/", StringComparison.Ordinal))
            .SelectMany(secret => secret.Value.Remote).ToList();
        return cluster.WithCredentials(known.ToValueMap()).WithRegistries(remotes.Select(remote => remote.Cluster).Distinct().ToValueList())
            .WithRemoteSecrets(cluster.RemoteSecrets.Where(other => !secrets.ContainsKey(other.Secret)).Concat(remotes)
                .OrderBy(entry => entry.Secret, StringComparer.Ordinal).ToValueList(), cluster.Server);

        static string Name(JsonObject value) => $"{value["metadata"]?["namespace"]}/{value["metadata"]?["name"]}";
    }

    private static IngressSettings Settings(ClusterInventory cluster) => cluster.Mesh?.Ingress ?? IngressSettings.Default;

    private static SecretFacts Facts(JsonObject value) => SecretFacts.Of(GatewayApiReferences.Read(value));

    public static IEnumerable<Finding> Check(IReadOnlyList<ClusterInventory> clusters) =>
        LeftOut(clusters).Concat(Unusable(clusters, (_, _) => true)).Concat(Denied(clusters));

    /// <summary>Secrets that no control plane of the cluster reads, because its setting names other namespaces.</summary>
    private static IEnumerable<Finding> LeftOut(IReadOnlyList<ClusterInventory> clusters) =>
        from cluster in clusters
        let read = Scopes(cluster).ToList()
        where read.Count > 0
        from reference in Of(cluster)
        where read.TrueForAll(names => names.Count > 0 && !names.Contains(reference.Namespace))
        select IstioCodes.InvalidGatewayCredential.At(cluster, reference.Gateway.Author, reference.Path,
            $"Secret {reference.Namespace}/{reference.Name} is not read: {WellKnown.SecretNamespaces} of the control plane "
                + $"({string.Join(',', read.SelectMany(names => names).Distinct())}) leaves out namespace {reference.Namespace}",
            $"add the namespace to values.pilot.env.{WellKnown.SecretNamespaces} of the installation");

    /// <summary>The namespaces whose Secrets each control plane of the cluster reads; none: all.</summary>
    private static IEnumerable<IReadOnlyCollection<string>> Scopes(ClusterInventory cluster) =>
        cluster.Pods.Where(pod => IsControlPlane(pod.Metadata.Labels)).Select(pod => pod.Spec)
            .Concat(cluster.Templates.Where(template => IsControlPlane(template.Labels)).Select(template => template.Spec))
            .Select(spec => spec.Containers.SelectMany(container => container.Env).LastOrDefault(variable => variable.Name == WellKnown.SecretNamespaces)?.Value
                ?? "")
            .Select(text => text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));

    private static bool IsControlPlane(IReadOnlyDictionary<string, string> labels) => labels.GetValueOrDefault("app") == WellKnown.Istiod;

    private static IEnumerable<Finding> Denied(IReadOnlyList<ClusterInventory> clusters) =>
        from cluster in clusters
        from reference in Of(cluster)
        from account in reference.Accounts
        let problem = cluster.Credentials.GetValueOrDefault(reference.KeyOf(account), "")
        where problem.Length > 0
        select IstioCodes.InvalidGatewayCredential.At(cluster, reference.Gateway.Author, reference.Path,
            $"Secret {reference.Namespace}/{reference.Name} is not sent to gateways of ServiceAccount {reference.Namespace}/{account}: {problem}",
            $"bind the ServiceAccount to a Role that gets, lists and watches Secrets in namespace {reference.Namespace}");

    /// <summary>Secrets that are in the namespace of the object that names them, and not in that of the gateway.</summary>
    public static Analyzer Misplaced { get; } = new("gateway.SecretAnalyzer", Analyzer.Description, [IstioCodes.ReferencedResourceNotFound], Analyzer.Inputs,
        mesh => Unusable(mesh.Readable, IsMisplaced));

    private static bool IsMisplaced(ClusterInventory cluster, CredentialReference reference) => reference.Own.Length > 0
        && cluster.Credentials.GetValueOrDefault(reference.Key, "") == DoesNotExist
        && cluster.Credentials.GetValueOrDefault($"{reference.Own}/{reference.Name}", DoesNotExist).Length == 0;

    private static IEnumerable<Finding> Unusable(IReadOnlyList<ClusterInventory> clusters, Func<ClusterInventory, CredentialReference, bool> which) =>
        from cluster in clusters
        from reference in Of(cluster)
        let problem = cluster.Credentials.GetValueOrDefault(reference.Key, "")
        where problem.Length > 0 && which(cluster, reference)
        let isMissing = problem == DoesNotExist
        let isMisplaced = IsMisplaced(cluster, reference)
        select (isMissing ? IstioCodes.ReferencedResourceNotFound : IstioCodes.InvalidGatewayCredential)
            .At(cluster, reference.Gateway.Author, reference.Path,
            isMissing
                ? $"Referenced credentialName not found: \"{reference.Name}\" (Secret {reference.Namespace}/{reference.Name} {problem})"
                    + (isMisplaced ? $": gateways have the Secrets of their own namespace, and Secret {reference.Own}/{reference.Name} is not there" : "")
                : $"Secret {reference.Namespace}/{reference.Name} {problem}",
            isMisplaced ? $"copy it: {SecretFacts.Copy(cluster.Context, reference.Own, reference.Namespace, reference.Name)}"
                : isMissing ? $"create the Secret in namespace {reference.Namespace}, or correct the name" : "correct the Secret");
}
