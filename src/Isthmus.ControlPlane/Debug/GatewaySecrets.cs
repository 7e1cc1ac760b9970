using System.Runtime.CompilerServices;
using Isthmus.Core.Collections;
using Isthmus.Graph.Derive;
using Isthmus.Mesh.Certificates;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.ControlPlane.Debug;

/// <summary>The certificates that servers of gateways name, and those that DestinationRules, Gateways and BackendTLSPolicies name for calls to others, as the
/// objects that hold them are now. Whoever asks pays for it: once for what is read of each object, and for a look at the Pods, in whose namespaces the
/// Secrets are.</summary>
internal sealed class GatewaySecrets(MeshGraph mesh)
{
    /// <param name="Pair">The certificate of a server; null when it cannot be read, or there is none.</param>
    /// <param name="Cas">Those of CAs of clients.</param>
    private sealed record Contents(MeshCertificate? Pair, IReadOnlyList<MeshCertificate> Cas);

    private readonly ConditionalWeakTable<TlsCredential, Contents> _read = [];

    public IEnumerable<MeshCertificate> Read()
    {
        var gateways = mesh.GatewayObjects.Items.Values.ToList();
        var rules = mesh.Sources.DestinationRules.Items.Values.Where(rule => rule.Tls.Any(tls => tls.CredentialName.Length > 0)).ToList();
        var callers = rules.Exists(rule => rule.WorkloadSelector.Count == 0) ? gateways : [];
        var places = new PodPlaces(callers.Concat(gateways.Where(NeedsPods)).Select(gateway => gateway.Selector),
            mesh.Sources.Workloads.Items.Values.Where(workload => workload.IsPod));
        return gateways.SelectMany(gateway => Served(gateway, places)).Concat(Called(rules, callers, places))
            .Concat(gateways.SelectMany(Shown)).Concat(mesh.Sources.BackendTlsPolicies.Items.Values.SelectMany(Checked));
    }

    private static bool NeedsPods(Gateway gateway) =>
        gateway.Servers.Any(server => server.Tls is { } tls && tls.Credentials.Any(credential => credential.Namespace.Length == 0));

    private IEnumerable<MeshCertificate> Served(Gateway gateway, PodPlaces places)
    {
        foreach (var server in gateway.Servers)
        {
            if (server.Tls is not { } tls) continue;
            foreach (var (index, name) in tls.Credentials.Index())
                foreach (var (cluster, ns) in name.Namespace.Length > 0 ? [(gateway.Source.Cluster, name.Namespace)] : places.Of(gateway))
                    foreach (var one in Of(gateway, server, tls, index, other => Find(cluster, ns, other))) yield return one;
            foreach (var one in tls.ClientCas.SelectMany(ca => CasOf(gateway, Find(gateway.Source.Cluster, ca.Namespace, ca)))) yield return one;
        }
    }

    /// <summary>A rule's Secret is in the namespace of the proxy that calls: a gateway, or the Pods that the rule selects.</summary>
    private IEnumerable<MeshCertificate> Called(IEnumerable<DestinationRule> rules, IEnumerable<Gateway> callers, PodPlaces places)
    {
        var everywhere = callers.SelectMany(places.Of).Distinct().ToList();
        foreach (var rule in rules)
        {
            foreach (var name in rule.Tls.Select(tls => tls.CredentialName).Where(name => name.Length > 0).Distinct())
            {
                foreach (var (cluster, ns) in rule.WorkloadSelector.Count > 0 ? [(rule.Source.Cluster, rule.Namespace)] : everywhere)
                {
                    var named = new NamedCredential(name, "");
                    if (Find(cluster, ns, named) is { } own && ContentsOf(own).Pair is { } pair)
                        yield return pair with { Role = CertificateRole.Origination, Fault = own.Problem };
                    foreach (var ca in GatewayCredentials.CaOf(named, other => Find(cluster, ns, other)) is { } holder ? ContentsOf(holder).Cas : [])
                        yield return ca with { Role = CertificateRole.ServerAuthority };
                }
            }
        }
    }

    /// <summary>What a gateway shows to backends.</summary>
    private IEnumerable<MeshCertificate> Shown(Gateway gateway) =>
        gateway.BackendCredential is { Name.Length: > 0 } named && Find(gateway.Source.Cluster, named.Namespace, named) is { } own
            && ContentsOf(own).Pair is { } pair
            ? [pair with { Role = CertificateRole.Origination, Fault = own.Problem }] : [];

    /// <summary>What backends are checked by.</summary>
    private IEnumerable<MeshCertificate> Checked(BackendTlsPolicy policy) =>
        from reference in policy.CaCertificates
        where reference is { Group: "", Kind: "ConfigMap" } or { IsTrustBundle: true }
        let bundle = mesh.Sources.CaBundles.Items.GetValueOrDefault(new(policy.Source.Cluster, reference.Bundle.Namespace, reference.Bundle.Name))
        where bundle is not null
        from ca in bundle.CaProblem.Length > 0 ? [Blank(bundle, CertificateRole.ServerAuthority)] : ContentsOf(bundle).Cas
        select ca with { Role = CertificateRole.ServerAuthority, Fault = bundle.CaProblem };

    private IEnumerable<MeshCertificate> Of(Gateway gateway, GatewayServer server, ServerTls tls, int index, Func<NamedCredential, TlsCredential?> find)
    {
        if (find(tls.Credentials[index]) is { } credential)
        {
            var hosts = server.HostNames.ToValueList();
            // Of several certificates of the Gateway API, clients get the one that fits: none has to be for all hosts.
            if (gateway.PodNamespace.Length > 0 && tls.Credentials.Count > 1) hosts = default;
            yield return (ContentsOf(credential).Pair ?? Blank(credential, CertificateRole.Gateway)) with
            {
                Hosts = hosts, NeededBy = gateway.Author, Fault = credential.Certificate.Length == 0 ? "holds no certificate (tls.crt)" : credential.Problem,
            };
        }
        if (!tls.NeedsCa(index)) yield break;
        foreach (var ca in CasOf(gateway, GatewayCredentials.CaOf(tls.Credentials[index], find))) yield return ca;
    }

    private IEnumerable<MeshCertificate> CasOf(Gateway gateway, TlsCredential? credential)
    {
        if (credential is not { CaCertificates.Length: > 0 }) return [];
        var cas = credential.CaProblem.Length > 0 ? [Blank(credential, CertificateRole.ClientAuthority)] : ContentsOf(credential).Cas;
        return cas.Select(ca => ca with { NeededBy = gateway.Author, Fault = credential.CaProblem });
    }

    private TlsCredential? Find(string cluster, string ns, NamedCredential name) =>
        (name.Holder == CredentialHolder.Secret ? mesh.Sources.Credentials.Items : mesh.Sources.CaBundles.Items).GetValueOrDefault(new(cluster, ns, name.Name));

    private Contents ContentsOf(TlsCredential credential) => _read.GetValue(credential, static one =>
    {
        var (cluster, owner) = (one.Source.Cluster, OwnerOf(one));
        return new(CertificateRecord.Leaf(cluster, CertificateRole.Gateway, owner, one.Certificate),
            [.. CertificateRecord.All(cluster, CertificateRole.ClientAuthority, owner, one.CaCertificates)]);
    });

    private static MeshCertificate Blank(TlsCredential credential, CertificateRole role) =>
        new(credential.Source.Cluster, role, OwnerOf(credential), "", null, null);

    private static string OwnerOf(TlsCredential credential) => credential.Source is { Namespace.Length: > 0 } named
        ? $"{named.Kind} {named.Namespace}/{named.Name}" : $"{credential.Source.Kind} {credential.Source.Name}";
}
