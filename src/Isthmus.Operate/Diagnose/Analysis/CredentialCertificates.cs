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
        await Task.WhenAll(FindAsync(cluster.SystemNamespace, WellKnown.CaCerts), FindAsync(cluster.SystemNamespace, WellKnown.SelfSignedCa));
        var served = await Task.WhenAll(CredentialReferences.Of(cluster).Select(ServedAsync));
        var listening = await Task.WhenAll(ListenerCertificate.Of(cluster).Select(ListeningAsync));
        var named = await Task.WhenAll(ApiCredential.Of(cluster).Select(NamedAsync));
        var calling = await Task.WhenAll(Rules().Select(CallingAsync));
        var known = _read.OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .SelectMany(pair => pair.Value.Certificates.SelectMany(one => Read(one.Value).Select(certificate => (certificate, $"{pair.Key} ({one.Key})"))))
            .ToList();
        return served.Concat(listening).Concat(named).Concat(calling).SelectMany(some => some)
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
        found.Add(PairOf(owner, facts, facts.First("tls.crt", "cert")) with
        {
            Hosts = reference.Hosts, NeededBy = by, User = reference.Gateway.Author,
            Suites = SuitesOf(reference, Read(facts.First("tls.crt", "cert")).FirstOrDefault()),
        });
        if (!reference.ChecksClients) return found;
        var (holder, holding) = await CaOfAsync(reference.Namespace, reference.Name, facts);
        found.AddRange(CasOf(CertificateRole.ClientAuthority, holder, holding)
            .Select(root => root with { NeededBy = $"clients of {by}", User = reference.Gateway.Author }));
        return found;
    }

    /// <summary>CAs are in the Secret itself, or in one beside it.</summary>
    /// <param name="own">Null if the Secret does not exist.</param>
    private async Task<(string Owner, SecretFacts? Facts)> CaOfAsync(string ns, string name, SecretFacts? own) => own is { HasClientCa: true }
        ? ($"Secret {ns}/{name}", own) : ($"Secret {ns}/{name}{SecretFacts.CaSuffix}", await FindAsync(ns, $"{name}{SecretFacts.CaSuffix}"));

    private IEnumerable<MeshCertificate> CasOf(CertificateRole role, string owner, SecretFacts? facts)
    {
        if (facts is not { HasClientCa: true }) return [];
        var readable = CertificateRecord.All(cluster.Context, role, owner, facts.First("ca.crt", "cacert")).ToList();
        // What of a Secret is a fault for clients, such as revocations, need not be one for servers.
        return (readable.Count > 0 ? readable : [new(cluster.Context, role, owner, "", null, null)])
            .Select(root => root with
            {
                Fault = role == CertificateRole.ClientAuthority || readable.Count == 0 ? facts.ClientCaProblem : "", RenewedBy = facts.RenewedBy,
            });
    }

    private async Task<IReadOnlyList<MeshCertificate>> NamedAsync(ApiCredential used)
    {
        var (ns, name) = (used.Reference.Namespace, used.Reference.Name);
        var (owner, facts) = ($"Secret {ns}/{name}", used.Reference.Kind == "Secret" ? await FindAsync(ns, name) : null);
        if (used.IsBeside) (owner, facts) = await CaOfAsync(ns, name, facts);
        var found = used.Reference.Kind != "Secret" ? BundleOf(used)
            : used.Role != CertificateRole.Origination ? CasOf(used.Role, owner, facts)
            : CertificateRecord.Leaf(cluster.Context, used.Role, owner, facts?.First("tls.crt")) is { } leaf
            ? [leaf with { Fault = facts!.KeyPairProblem, RenewedBy = facts.RenewedBy }] : [];
        return [.. found.Select(one => one with { NeededBy = used.NeededBy, User = used.User })];
    }

    private IEnumerable<MeshCertificate> BundleOf(ApiCredential used)
    {
        if (used.BundleIn(cluster) is not { } bundle) return [];
        var owner = JudgedGatewayApi.Name(bundle.Source);
        return (bundle.CaProblem.Length > 0 ? [new(cluster.Context, used.Role, owner, "", null, null)]
            : CertificateRecord.All(cluster.Context, used.Role, owner, bundle.CaCertificates))
            .Select(root => root with { Fault = bundle.CaProblem, RenewedBy = "you" });
    }

    private async Task<IReadOnlyList<MeshCertificate>> ListeningAsync(ListenerCertificate used) =>
        await FindAsync(used.Namespace, used.Name) is { } facts
            ? [PairOf($"Secret {used.Namespace}/{used.Name}", facts, facts.First("tls.crt")) with { Hosts = used.Hosts, NeededBy = used.NeededBy }] : [];

    /// <summary>What a gateway serves, also when that is nothing.</summary>
    private MeshCertificate PairOf(string owner, SecretFacts facts, string? pem) =>
        (CertificateRecord.Leaf(cluster.Context, CertificateRole.Gateway, owner, pem) ?? new(cluster.Context, CertificateRole.Gateway, owner, "", null, null))
            with { Fault = facts.KeyPairProblem, RenewedBy = facts.RenewedBy };

    private async Task<IReadOnlyList<MeshCertificate>> CallingAsync((string Namespace, string Name, string Rule) used)
    {
        var facts = await FindAsync(used.Namespace, used.Name);
        var found = new List<MeshCertificate>();
        if (CertificateRecord.Leaf(cluster.Context, CertificateRole.Origination, $"Secret {used.Namespace}/{used.Name}", facts?.First("tls.crt", "cert"))
            is { } leaf)
            found.Add(leaf with { Fault = facts!.KeyPairProblem, RenewedBy = facts.RenewedBy });
        var (holder, holding) = await CaOfAsync(used.Namespace, used.Name, facts);
        found.AddRange(CasOf(CertificateRole.ServerAuthority, holder, holding));
        return [.. found.Select(one => one with { NeededBy = $"calls by DestinationRule {used.Rule}" })];
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
