using Google.Protobuf;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Envoy;

namespace Isthmus.Mesh.Generate;

/// <summary>The namespace of a gateway, as the place of its Secrets.</summary>
/// <param name="Denial">Why the gateway's account may not read them; empty: it may, or it is not known yet.</param>
/// <param name="IsRead">Whether the control plane reads Secrets there.</param>
public sealed record SecretPlace(string Namespace, string Denial, bool IsRead)
{
    /// <summary>Why none of its Secrets is sent, and what to do about it; null: they are.</summary>
    internal (string Reason, string Remedy)? Closed =>
        !IsRead
            ? ($"is not read: the control plane reads no Secrets of namespace {Namespace}",
                $"add the namespace to {WellKnown.SecretNamespaces} of the control plane (values.pilot.env)")
        : Denial.Length > 0
        ? ($"is not sent: {Denial}",
            $"bind the gateway's ServiceAccount to a Role that gets, lists and watches Secrets in namespace {Namespace}, as the chart of gateways does")
        : null;
}

/// <summary>SDS of gateways: the certificates that their servers, and the DestinationRules of the hosts that they call, refer to, and nothing else.</summary>
public static class GatewayCredentials
{
    /// <param name="find">Returns a credential; null when there is none.</param>
    /// <param name="rules">The DestinationRules of the hosts that the gateway can call.</param>
    /// <param name="isPermitted">Whether the proxy may have the certificates of a Gateway.</param>
    public static IEnumerable<(Secret Secret, ObjectRef Source)> Of(
        GatewayScope gateway, IEnumerable<DestinationRule> rules, Func<NamedCredential, TlsCredential?> find, Func<Gateway, bool> isPermitted)
    {
        var permitted = gateway.Gateways.Where(isPermitted).ToList();
        var servers = permitted.SelectMany(item => item.Servers).Select(server => server.Tls).OfType<ServerTls>().ToList();
        var names = servers.SelectMany(tls => tls.Credentials)
            .Concat(permitted.Select(item => item.BackendCredential).OfType<NamedCredential>().Where(name => name.Name.Length > 0))
            .Concat(rules.SelectMany(rule => rule.Tls).Where(tls => tls.CredentialName.Length > 0).Select(tls => new NamedCredential(tls.CredentialName, "")));
        foreach (var name in names.DistinctBy(name => name.Resource).OrderBy(name => name.Resource, StringComparer.Ordinal))
        {
            var own = find(name);
            if (own is { Certificate.Length: > 0, PrivateKey.Length: > 0 })
            {
                yield return (new()
                {
                    Name = name.Resource,
                    TlsCertificate = new() { CertificateChain = Inline(own.Certificate), PrivateKey = Inline(own.PrivateKey) },
                }, own.Source);
            }
            if (CaOf(name, find) is { CaCertificates.Length: > 0 } ca)
            {
                // Our proxy accepts nobody with revocations, which it cannot check. Without them, it would keep those it should refuse.
                yield return (new()
                {
                    Name = name.Ca.Resource,
                    ValidationContext = new() { TrustedCa = Inline(ca.CaCertificates), Crl = ca.Revocations.Length > 0 ? Inline(ca.Revocations) : null },
                }, ca.Source);
            }
        }
        foreach (var cas in servers.Where(tls => !tls.ClientCas.IsEmpty).Select(tls => tls.ClientCas).Distinct())
        {
            var found = cas.Select(find).OfType<TlsCredential>().Where(ca => ca.HasCa).ToList();
            if (found.Count == 0) continue;
            var (text, revoked) = (string.Join('\n', found.Select(ca => ca.CaCertificates)),
                string.Join('\n', found.Select(ca => ca.Revocations).Where(crl => crl.Length > 0)));
            yield return (new()
            {
                Name = NamedCredential.ResourceOf(cas),
                ValidationContext = new() { TrustedCa = Inline(text), Crl = revoked.Length > 0 ? Inline(revoked) : null },
            }, found[0].Source);
        }
    }

    /// <summary>The client CA of a credential: it is in the same Secret as the certificate, or in a Secret of its own.</summary>
    public static TlsCredential? CaOf(NamedCredential name, Func<NamedCredential, TlsCredential?> find) =>
        find(name) is { CaCertificates.Length: > 0 } own ? own : find(name.Ca);

    /// <summary>The servers that lack their certificate or the CA of their clients, or whose CA has revoked certificates.</summary>
    /// <param name="place">Where the gateway's Secrets are.</param>
    /// <param name="find">Returns a credential; null when there is none.</param>
    /// <param name="isKept">Whether the gateway gets the last good certificate of the server, at that place of its list, instead.</param>
    public static IEnumerable<Problem> Problems(GatewayScope gateway, SecretPlace place, Func<NamedCredential, TlsCredential?> find,
        Func<Gateway, GatewayServer, int, bool> isKept)
    {
        var ns = place.Namespace;
        // The status of a Gateway of the Gateway API says what is wrong with its certificates.
        foreach (var item in gateway.Gateways.Where(item => item.PodNamespace.Length == 0))
        {
            for (var i = 0; i < item.Servers.Count; i++)
            {
                if (item.Servers[i].Tls is not { } tls) continue;
                foreach (var (index, credential) in tls.Credentials.Index())
                {
                    var path = item.Owner is null ? $"spec.servers[{i}].tls.{credential.Field}" : $"spec.{credential.Field}";
                    if (place.Closed is var (reason, remedy))
                    {
                        yield return new("IST0161", item.Author, path, $"Secret {ns}/{credential.Name} {reason}", remedy);
                        continue;
                    }
                    if (tls.NeedsCa(index) && CaOf(credential, find) is { Revocations.Length: > 0 } ca)
                    {
                        yield return new("IST0161", item.Author, path,
                            $"Secret {ns}/{ca.Source.Name} holds a certificate revocation list (ca.crl), which is not supported: all clients with a "
                                + $"certificate are refused",
                            "remove ca.crl, and replace a CA that must not be trusted any more");
                    }
                    if (Lack(credential, tls.NeedsCa(index), ns, find) is not { } lack) continue;
                    var effect = isKept(item, item.Servers[i], index) ? "gateways get the last good certificate" : tls.Credentials.Count > 1
                        ? "gateways keep the last good certificate as long as they run; without one, they use the other certificates of the server"
                        : "gateways keep the last good certificate as long as they run; without one, they refuse TLS handshakes";
                    yield return new(find(credential) is null ? "IST0101" : "IST0161", item.Author, path, $"{lack}; {effect}",
                        $"create or correct the Secret in namespace {ns} of the gateway's cluster, or correct the name (a control plane reads Secrets of other "
                            + $"clusters only if it is set to)");
                }
            }
        }
    }

    private static string? Lack(NamedCredential credential, bool needsCa, string ns, Func<NamedCredential, TlsCredential?> find)
    {
        var name = credential.Name;
        if (find(credential) is not { } own)
            return $"Referenced credentialName not found: \"{name}\" (Secret {ns}/{name} does not exist or holds no certificate)";
        if (own.Problem.Length > 0) return $"Secret {ns}/{name} {own.Problem}";
        if (own.Certificate.Length == 0) return $"Secret {ns}/{name} holds no certificate (tls.crt)";
        if (!needsCa) return null;
        var ca = CaOf(credential, find);
        if (ca is { CaProblem.Length: > 0 }) return $"Secret {ns}/{ca.Source.Name} {ca.CaProblem}";
        return ca is not { CaCertificates.Length: > 0 }
            ? $"Referenced credentialName not found: \"{credential.Ca.Name}\" (the CA for client certificates is neither there nor in ca.crt of Secret "
                + $"{ns}/{name})"
            : null;
    }

    private static DataSource Inline(string pem) => new() { InlineBytes = ByteString.CopyFromUtf8(pem) };
}
