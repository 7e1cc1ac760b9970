using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose;
using Isthmus.Wire.Tls;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>What is wrong with the Secret of a gateway's certificate. The code is that of a proxy without a certificate.</summary>
internal sealed class CredentialCauses(TraceFacts facts, TraceNeeds needs, CallerConfig config)
{
    public FileCauses Files { get; } = new(facts, needs);

    /// <summary>Why a gateway has no certificate; null when nothing is wrong with its Secret, or it must be looked at first.</summary>
    /// <param name="owner">The Gateway.</param>
    /// <param name="field">The field that names the Secret.</param>
    /// <param name="own">The namespace of the owner, where a Secret may have been put by mistake.</param>
    public Problem? Unusable(string owner, string field, string ns, string name, string? own = null)
    {
        var context = facts.Client.Context;
        if (needs.Held(new(context, "Secret", ns, name)) is not { Problem: { Length: > 0 } why } secret) return null;
        var kubectl = $"kubectl --context={context} -n {ns}";
        if (secret.IsMissing && own is not null && own != ns)
        {
            if (needs.Held(new(context, "Secret", own, name)) is not { } other) return null;
            if (other is { Problem: "", Keys.Count: > 0 })
                return Faults.Of("ISM2060", owner, field,
                    $"names Secret {ns}/{name}, which {why}, so {facts.Client} has no certificate and refuses TLS: gateways have the Secrets of their own "
                        + $"namespace, and Secret {own}/{name} is not there",
                    $"copy it: {SecretFacts.Copy(context, own, ns, name)}");
        }
        return Faults.Of("ISM2060", owner, field,
            $"names Secret {ns}/{name}, which {why}{(secret.Keys.Count > 0 ? $": it has {string.Join(", ", secret.Keys)}" : "")}, so {facts.Client} has no "
                + "certificate and refuses TLS",
            secret.IsMissing ? $"{kubectl} create secret tls {name} --cert=FILE --key=FILE (the certificate with its chain, and its key), or correct the name"
                : $"{kubectl} create secret tls {name} --cert=FILE --key=FILE --dry-run=client -o yaml | {kubectl} replace --force -f -, with the "
                    + "certificate, its chain and the key that belongs to it");
    }

    /// <summary>The CAs that the Secret of a gateway's certificate has beside it; none: it has none, or must be looked at first.</summary>
    public IEnumerable<X509Certificate2> Beside(string ns, string name)
    {
        try { return CertificateText.ReadAny(needs.Held(new(facts.Client.Context, "Secret", ns, name))?.Authorities ?? "", "ca.crt"); }
        catch (ProblemException) { return []; }
    }

    /// <summary>The ServiceAccount of the gateway may not list the Secrets of its namespace, so that it gets none that a credentialName names; null when it
    /// may, or that must be asked first.</summary>
    /// <param name="owner">The Gateway, with the field.</param>
    public Problem? Denied(string owner, string ns, string name)
    {
        var account = facts.ClientPod.Spec.ServiceAccountName is { Length: > 0 } own ? own : "default";
        if (needs.Held(new(facts.Client.Context, MeshApi.ServiceAccount.Name, ns, account)) is not { Problem: { Length: > 0 } why }) return null;
        var kubectl = $"kubectl --context={facts.Client.Context} -n {ns} create";
        return Faults.Of("ISM2060", $"ServiceAccount {ns}/{account} in {facts.Client.Context}", "",
            $"{why}, so the control plane does not send the gateway Secret {ns}/{name}, which {owner} names: it has no certificate and refuses TLS",
            $"{kubectl} role {account}-secrets --verb=get,list,watch --resource=secrets && {kubectl} rolebinding {account}-secrets --role={account}-secrets "
                + $"--serviceaccount={ns}:{account}");
    }

    /// <summary>The first reference of a listener to a certificate that is not permitted, or that cannot be used; null when there is none.</summary>
    public Problem? OfListener(EntryListener one)
    {
        foreach (var (index, reference) in (one.Listener.Tls?.Certificates ?? default).Index())
        {
            var path = $"{one.Field}.tls.certificateRefs[{index}]";
            if (reference is not { Group: "", Kind: "Secret" }) continue;
            if (config.NotPermitted(one.Owner, reference) is var (why, remedy))
                return Faults.Of("ISM2060", one.OwnerName, path,
                    $"names Secret {reference.Namespace}/{reference.Name}, and {why}, so the listener is not served", remedy);
            if (Unusable(one.OwnerName, path, reference.Namespace, reference.Name) is { } unusable) return unusable;
        }
        return null;
    }
}
