using System.Collections.Concurrent;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Certificates;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;
using Isthmus.Wire.Tls;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Certificates in Secrets: those that Gateways, of Istio and of the Gateway API, and DestinationRules name, and tokens for other clusters.</summary>
/// <param name="find">Reads a Secret; null when there is none, or nobody may read it.</param>
internal sealed class CredentialCertificates(ClusterInventory cluster, Func<string, string, Task<SecretFacts?>> find)
{
    private readonly ConcurrentDictionary<string, SecretFacts> _read = new(StringComparer.Ordinal);

    public async Task<IEnumerable<MeshCertificate>> ReadAsync()
    {
        await Task.WhenAll(FindAsync(cluster.RootNamespace, WellKnown.CaCerts), FindAsync(cluster.RootNamespace, WellKnown.SelfSignedCa));
        var served = await Task.WhenAll(CredentialReferences.Of(cluster).Select(ServedAsync));
        var listening = await Task.WhenAll(ListenerCertificate.Of(cluster).Select(ListeningAsync));
        var calling = await Task.WhenAll(Rules().Select(CallingAsync));
        var known = _read.OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .SelectMany(pair => pair.Value.Certificates.SelectMany(one => Read(one.Value).Select(certificate => (certificate, $"{pair.Key} ({one.Key})"))))
            .ToList();
        return served.Concat(listening).Concat(calling).SelectMany(some => some)
            .Select(one => one.Role == CertificateRole.Gateway ? one with { Gap = GapOf(one.Owner, known) } : one);
    }

    /// <summary>What clients of a gateway need, and its Secret does not have.</summary>
    private ChainGap? GapOf(string secret, IReadOnlyList<(X509Certificate2, string)> known) =>
        Read(_read[secret].First("tls.crt", "cert")) is [var leaf, ..] sent ? ChainGap.Find(leaf, sent[1..], known) : null;

    private static SuiteGap? SuitesOf(CredentialReference reference, X509Certificate2? leaf) => leaf is null ? null
        : SuiteGap.Find(leaf, reference.Limits.CipherSuites, reference.Limits.Max != TlsVersion.Tls12) is not { } gap ? null
        : gap with { Field = $"{reference.Path[..reference.Path.LastIndexOf('.')]}.cipherSuites" };

    private static List<X509Certificate2> Read(string? pem)
    {
        try { return [.. CertificateText.ReadAny(pem ?? "", "certificates")]; }
        catch (ProblemException) { return []; }
    }

    private async Task<SecretFacts?> FindAsync(string ns, string name)
    {
        var facts = await find(ns, name);
        if (facts is not null) _read[$"Secret {ns}/{name}"] = facts;
        return facts;
    }

    /// <summary>The tokens with which control planes here read other clusters.</summary>
    public static IEnumerable<MeshCertificate> Tokens(string context, IEnumerable<RemoteSecretFacts> remotes) =>
        remotes.Select(remote => new MeshCertificate(context, CertificateRole.RemoteToken, $"Secret {remote.Secret}", $"cluster {remote.Cluster}",
            remote.Issued, remote.Expires)
    {
        Fault = remote.Error, NeededBy = "the control planes here", RenewedBy = "you: isthmus create-remote-secret --rotate",
    });

    private async Task<IReadOnlyList<MeshCertificate>> ServedAsync(CredentialReference reference)
    {
        if (await FindAsync(reference.Namespace, reference.Name) is not { } facts) return [];
        var (owner, by) = ($"Secret {reference.Namespace}/{reference.Name}", $"Gateway {reference.Gateway.FullName}");
        var found = new List<MeshCertificate>();
        if (CertificateRecord.Leaf(cluster.Context, CertificateRole.Gateway, owner, facts.First("tls.crt", "cert")) is { } leaf)
            found.Add(leaf with
            {
                Fault = facts.KeyPairProblem, Hosts = reference.Hosts, NeededBy = by, User = reference.Gateway.Author, RenewedBy = facts.RenewedBy,
                Suites = SuitesOf(reference, Read(facts.First("tls.crt", "cert")).FirstOrDefault()),
            });
        if (!reference.ChecksClients) return found;
        var holder = facts.HasClientCa ? facts : await FindAsync(reference.Namespace, $"{reference.Name}{SecretFacts.CaSuffix}");
        found.AddRange(CertificateRecord.All(cluster.Context, CertificateRole.ClientAuthority, facts.HasClientCa ? owner : $"{owner}{SecretFacts.CaSuffix}",
            holder?.First("ca.crt", "cacert"))
            .Select(root => root with { NeededBy = $"clients of {by}", User = reference.Gateway.Author, RenewedBy = holder!.RenewedBy }));
        return found;
    }

    private async Task<IReadOnlyList<MeshCertificate>> ListeningAsync(ListenerCertificate used) =>
        await FindAsync(used.Namespace, used.Name) is { } facts
            && CertificateRecord.Leaf(cluster.Context, CertificateRole.Gateway, $"Secret {used.Namespace}/{used.Name}", facts.First("tls.crt")) is { } leaf
            ? [leaf with { Fault = facts.KeyPairProblem, Hosts = used.Hosts, NeededBy = used.NeededBy, RenewedBy = facts.RenewedBy }] : [];

    private async Task<IReadOnlyList<MeshCertificate>> CallingAsync((string Namespace, string Name, string Rule) used)
    {
        if (await FindAsync(used.Namespace, used.Name) is not { } facts) return [];
        var owner = $"Secret {used.Namespace}/{used.Name}";
        var found = new List<MeshCertificate>();
        if (CertificateRecord.Leaf(cluster.Context, CertificateRole.Origination, owner, facts.First("tls.crt", "cert")) is { } leaf)
            found.Add(leaf with { Fault = facts.KeyPairProblem });
        found.AddRange(CertificateRecord.All(cluster.Context, CertificateRole.Origination, owner, facts.First("ca.crt", "cacert")));
        return [.. found.Select(one => one with { NeededBy = $"calls by DestinationRule {used.Rule}", RenewedBy = facts.RenewedBy })];
    }

    /// <summary>A rule's Secret is in the namespace of the proxy that calls: a gateway, or the Pods that the rule selects.</summary>
    private IEnumerable<(string Namespace, string Name, string Rule)> Rules()
    {
        var gateways = cluster.Istio<Gateway>()
            .SelectMany(gateway => cluster.Pods.Where(pod => Selectors.Matches(gateway.Selector, pod.Metadata.Labels.ToValueMap())))
            .Select(pod => pod.Metadata.Namespace).Distinct().ToList();
        return from rule in cluster.Istio<DestinationRule>()
               from name in rule.Tls.Select(tls => tls.CredentialName).Where(name => name.Length > 0).Distinct()
               from ns in rule.WorkloadSelector.Count > 0 ? (IReadOnlyList<string>)[rule.Namespace] : gateways
               select (ns, name, $"{rule.Namespace}/{rule.Name}");
    }
}
