using System.Text.RegularExpressions;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Explain.Tracing.Judgement;

/// <summary>What is wrong with TLS of its own that the caller's proxy begins, and that fails.</summary>
/// <param name="where">The other end.</param>
/// <param name="hasSidecar">Whether a proxy of the mesh is there.</param>
internal sealed partial class OriginatedTls(TraceFacts facts, string where, bool hasSidecar)
{
    /// <param name="by">The kind and name of the object that asks for TLS.</param>
    /// <param name="detail">What the caller's proxy says.</param>
    public Problem Of(string by, string detail)
    {
        var at = facts.ConfigOf(facts.Home);
        var policy = at.BackendTlsPolicies.FirstOrDefault(one => by == $"{one.Source.Kind} {one.Namespace}/{one.Source.Name}");
        var owner = $"{by} in {at.Context}";
        return policy is null ? OfRule(owner, detail) : OfPolicy(owner, by, policy, detail.Split("; ")[^1]);
    }

    private Problem OfRule(string owner, string detail)
    {
        if (UnreadFile().Match(detail) is { Success: true } unread)
        {
            var (isRoot, file) = (unread.Groups[1].Value == "file-root", unread.Groups[2].Value);
            return Faults.Of("ISM2089", owner, $"spec.trafficPolicy.tls.{(isRoot ? "caCertificates" : "clientCertificate")}",
                $"names {file.Replace("~", " and ", StringComparison.Ordinal)}, which the proxy of {facts.Client} cannot read, so it begins no TLS with "
                    + where,
                "mount the files into the proxies of callers (annotations sidecar.istio.io/userVolume and sidecar.istio.io/userVolumeMount of their Pods)"
                    + (facts.IsGateway(facts.Client) ? ", or name a Secret in credentialName" : ""));
        }
        if (OfGateways(owner) is { } withheld) return withheld;
        if (OfClient(owner, detail.Split("; ")[^1]) is { } unshown) return unshown;
        return Faults.Of("ISM2089", owner,
            "spec.trafficPolicy.tls", $"makes the caller's proxy begin TLS with {where}, which fails: {detail.Split("; ")[^1]}",
            hasSidecar ? $"{TlsCauses.AgainBy(facts)}: the callee has a sidecar"
                : IsRefused(detail)
                ? "set caCertificates to the CA of the server, and sni or subjectAltNames to a name in its certificate"
                : $"{OtherPort()}if the server speaks plain text at this port, remove trafficPolicy.tls");
    }

    /// <summary>A rule whose certificates are in a Secret, of which sidecars get none; null for others.</summary>
    private Problem? OfGateways(string owner)
    {
        var at = facts.ConfigOf(facts.Home);
        if (facts.IsGateway(facts.Client)
            || at.Istio<DestinationRule>().FirstOrDefault(one => owner == $"DestinationRule {one.Namespace}/{one.Name} in {at.Context}") is not { } rule
            || Named(rule) is not var (field, tls)) return null;
        var files = tls.Mode == ClientTlsMode.Mutual ? "caCertificates, clientCertificate and privateKey" : "caCertificates";
        return Faults.Of("ISM2089", owner, field,
            $"is {tls.CredentialName}, a Secret that only gateways in its namespace get: the sidecar of {facts.Client} has no certificates for {where}, and "
                + "makes no connection",
            $"for sidecars, write {files} with files instead, and mount them into the proxies of callers (annotations sidecar.istio.io/userVolume and "
                + "sidecar.istio.io/userVolumeMount of their Pods); or let the calls leave by an egress gateway, and select it with spec.workloadSelector"
                + (rule.WorkloadSelector.Count > 0 ? ", which selects the caller now" : ""));
    }

    /// <summary>What the server wants of a certificate of the caller (RFC 8446, 6.2), where it ends TLS for that; null where it does not.</summary>
    private Problem? OfClient(string owner, string said)
    {
        var isDemanded = said.Contains("certificate_required", StringComparison.Ordinal);
        if (!isDemanded && !((string[])["alert_unknown_ca", "alert_bad_certificate", "alert_certificate_unknown"])
            .Any(alert => said.Contains(alert, StringComparison.Ordinal))) return null;
        var own = facts.IsGateway(facts.Client) ? "credentialName: a Secret with the certificate, its key and the CA of the server"
            : "clientCertificate, privateKey and caCertificates: files that are mounted into the proxies of callers (annotations sidecar.istio.io/userVolume "
                + "and sidecar.istio.io/userVolumeMount of their Pods)";
        return isDemanded
            ? Faults.Of("ISM2089", owner, "spec.trafficPolicy.tls.mode",
                $"lets the caller's proxy show no certificate of its own, and {where} demands one of its clients: {said}",
                $"set it to MUTUAL, with {own}; or let the server demand none")
            : Faults.Of("ISM2089", owner, "spec.trafficPolicy.tls",
                $"makes the caller's proxy begin TLS with {where}, which does not accept the certificate that it shows: {said}",
                $"use MUTUAL with a certificate of a CA that the server trusts ({own}), or give the server the CA of this one");
    }

    /// <summary>The TLS of a rule that is from a Secret; null where it is not.</summary>
    private static (string Field, ClientTls Tls)? Named(DestinationRule rule)
    {
        foreach (var (index, port) in rule.Policy.Ports.Index())
            if (port.Policy.Tls is { CredentialName.Length: > 0 } own) return ($"spec.trafficPolicy.portLevelSettings[{index}].tls.credentialName", own);
        return rule.Policy.Tls is { CredentialName.Length: > 0 } tls ? ("spec.trafficPolicy.tls.credentialName", tls) : null;
    }

    /// <summary>Requests that come to the port of HTTP are meant to leave by that of HTTPS, which a ServiceEntry has to say.</summary>
    private string OtherPort() => (from entry in facts.EntriesFor(facts.Target.Host)
                                   from port in entry.Ports.Index()
                                   where port.Item.Protocol.IsHttp() && port.Item.TargetPort.Length == 0
                                       && (facts.Target.Port == port.Item.Number || entry.Ports.Count == 1)
                                   select $"if the server speaks TLS at another port, as HTTPS does at 443, set spec.ports[{port.Index}].targetPort of "
                                       + $"ServiceEntry {entry.Namespace}/{entry.Name} to that one; ").FirstOrDefault() ?? "";

    private Problem OfPolicy(string owner, string by, BackendTlsPolicy policy, string said)
    {
        var without = TlsCauses.Without(facts.ConfigOf(facts.Home), by);
        if (!IsRefused(said))
        {
            return Faults.Of("ISM2089", owner, "spec.targetRefs", $"makes the caller's proxy begin TLS with {where}, which fails: {said}",
                hasSidecar ? $"{without}: the callee has a sidecar, and the mesh encrypts calls without the policy"
                    : $"if the server speaks plain text at this port: {without}; or name the port that speaks TLS in sectionName");
        }
        if (said.Contains("SAN", StringComparison.Ordinal))
        {
            var names = Shown().Match(said) is { Success: true } shown ? shown.Groups[1].Value.Split(',', StringSplitOptions.RemoveEmptyEntries) : null;
            var has = names is null ? "" : names.Length == 0 ? ", which has no names," : $", which is for {string.Join(", ", names)},";
            return policy.SubjectAltNames.IsEmpty
                ? Faults.Of("ISM2089", owner, "spec.validation.hostname",
                    $"is {policy.Hostname}, and the certificate of {where}{has} is not for that name: {said}",
                    names is [var only] ? $"set it to {only}" : "set it to a name in the certificate of the server")
                : Faults.Of("ISM2089", owner, "spec.validation.subjectAltNames",
                    $"has {string.Join(", ", policy.SubjectAltNames.Select(name => name.Value))}, "
                        + $"and the certificate of {where}{has} has none of these: {said}",
                    "add a name that is in the certificate of the server");
        }
        var named = string.Join(", ", policy.CaCertificates.Select(reference =>
            reference.IsTrustBundle ? $"{reference.Kind} {reference.Name}" : $"{reference.Kind} {reference.Namespace}/{reference.Name}"));
        return named.Length == 0
            ? Faults.Of("ISM2089", owner, "spec.validation.wellKnownCACertificates",
                $"trusts the CAs of the caller's system, and none of these issued the certificate of {where}: {said}",
                "name the CA of the server in caCertificateRefs instead")
            : Faults.Of("ISM2089", owner, "spec.validation.caCertificateRefs",
                $"trusts the CAs of {named}, and none of these issued the certificate of {where}: {said}",
                "put the CA that issued it there, or name another object that has it");
    }

    /// <summary>The server speaks TLS, and the proxy does not accept who it is.</summary>
    private static bool IsRefused(string said) => said.Contains("CERTIFICATE_VERIFY_FAILED", StringComparison.Ordinal);

    /// <summary>The names of a certificate, as a proxy says them that refuses it.</summary>
    [GeneratedRegex(@"SAN_(?:matcher|list):_it_has_\[([^\]]*)\]")]
    private static partial Regex Shown();

    /// <summary>Files that a proxy names with what it lacks.</summary>
    [GeneratedRegex(@"(file-root|file-cert):(\S+?)(?=[;,}\s]|$)")]
    private static partial Regex UnreadFile();
}
