using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Wire.Tls;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>What a listener asks of TLS, and what is wrong with it.</summary>
/// <param name="Tls">Null: connections have no TLS.</param>
/// <param name="Fault">The reason of the condition <c>ResolvedRefs</c>; null: every reference leads to what it should.</param>
/// <param name="LacksCa">No CA of clients is left, although some must have signed their certificates.</param>
internal sealed record ListenerTls(ServerTls? Tls, ApiFault? Fault, bool LacksCa = false)
{
    private const string CiphersOption = "gateway.istio.io/tls-cipher-suites";
    private const string InvalidCertificate = "InvalidCertificateRef";

    private static readonly ServerTls Closed = new(ServerTlsMode.Simple) { IsBlocked = true };

    public static ListenerTls Of(OwnedListeners owned, int index, ListenerReferences references)
    {
        var listener = owned.Listeners[index];
        if (listener.Protocol is not ("HTTPS" or "TLS")) return new(null, null);
        if (listener.Tls is not { } tls) return new(Closed, new(InvalidCertificate, $"protocol {listener.Protocol} needs tls.certificateRefs"));
        if (tls.IsPassthrough)
            return new(new(owned.Gateway.PassesByName(listener) ? ServerTlsMode.AutoPassthrough : ServerTlsMode.Passthrough), null);
        return Terminated(owned, index, tls, references);
    }

    private static ListenerTls Terminated(OwnedListeners owned, int index, ApiListenerTls tls, ListenerReferences references)
    {
        var option = tls.Options.TryGetValue(ApiListenerTls.ModeOption, out var asked) ? asked : "";
        ServerTlsMode? mode = option switch
        {
            "" or "SIMPLE" => ServerTlsMode.Simple,
            "MUTUAL" => ServerTlsMode.Mutual,
            "OPTIONAL_MUTUAL" => ServerTlsMode.OptionalMutual,
            "ISTIO_MUTUAL" => ServerTlsMode.IstioMutual,
            _ => null,
        };
        if (mode is not { } known)
            return new(Closed, new(InvalidCertificate,
                $"option {ApiListenerTls.ModeOption} \"{option}\" is not supported: use MUTUAL, OPTIONAL_MUTUAL or ISTIO_MUTUAL"));
        var limits = new TlsLimits(TlsVersion.Auto, TlsVersion.Auto, Ciphers(tls));
        if (known == ServerTlsMode.IstioMutual) return new(new(known) { Limits = limits }, null);
        if (tls.Certificates.IsEmpty) return new(Closed, new(InvalidCertificate, "tls.certificateRefs is empty"));

        var faults = tls.Certificates.Select(reference => references.PairFault(owned.Owner, reference, InvalidCertificate)).ToList();
        // A Secret that is missing may come back: until then, gateways keep the last good certificate or refuse handshakes.
        var named = tls.Certificates.Index()
            .Where(item => faults[item.Index] is null || (item.Item is { Group: "", Kind: "Secret" } && faults[item.Index]!.Reason == InvalidCertificate))
            .Select(item => new NamedCredential(item.Item.Name,
                string.Create(CultureInfo.InvariantCulture, $"listeners[{index}].tls.certificateRefs[{item.Index}]")) { Namespace = item.Item.Namespace });
        var fault = faults.OfType<ApiFault>().FirstOrDefault();
        var made = new ServerTls(known) { Credentials = named.OrderBy(credential => Lacks(references, credential)).ToValueList(), Limits = limits };
        if (made.Credentials.IsEmpty) return new(Closed, fault);
        return owned.Gateway.ValidationAt(owned.Listeners[index].Port) is { } validation
            ? WithClients(owned.Gateway, made, fault, validation, references, option) : new(made, fault);
    }

    /// <summary>A Gateway's rule for clients applies to listeners of ListenerSets, too; its references are the Gateway's.</summary>
    private static ListenerTls WithClients(
        ApiGateway gateway, ServerTls tls, ApiFault? fault, FrontendValidation validation, ListenerReferences references, string option)
    {
        var faults = validation.CaCertificates.Select(reference => references.CaFault(gateway.Source, reference)).ToList();
        var cas = validation.CaCertificates.Index().Where(item => faults[item.Index] is null)
            .Select(item => new NamedCredential(item.Item.Name, "tls.frontend")
            {
                Namespace = item.Item.Bundle.Namespace,
                Holder = item.Item.IsTrustBundle ? CredentialHolder.ClusterTrustBundle
                    : item.Item.Kind == "ConfigMap" ? CredentialHolder.ConfigMap : CredentialHolder.Secret,
            }).ToValueList();
        var wrong = faults.OfType<ApiFault>().FirstOrDefault();
        if (cas.IsEmpty) return new(Closed, wrong ?? new("InvalidCACertificateRef", "tls.frontend names no CA of clients"), LacksCa: true);
        return new(tls with
        {
            Mode = option switch
            {
                "MUTUAL" => ServerTlsMode.Mutual,
                "OPTIONAL_MUTUAL" => ServerTlsMode.OptionalMutual,
                _ => validation.AllowsInsecure ? ServerTlsMode.OptionalMutual : ServerTlsMode.Mutual,
            },
            ClientCas = cas,
            AcceptsUntrusted = validation.AllowsInsecure && option.Length == 0,
        }, fault ?? wrong);
    }

    /// <summary>The first certificate is the one for clients without preferences.</summary>
    private static bool Lacks(ListenerReferences references, NamedCredential credential) =>
        references.Secret(new(credential.Namespace, credential.Name)) is not { HasPair: true };

    /// <summary>The strictest suites, if none of those that are asked for is known.</summary>
    private static ValueList<string> Ciphers(ApiListenerTls tls)
    {
        if (!tls.Options.TryGetValue(CiphersOption, out var asked) || asked.Length == 0) return default;
        var known = asked.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Where(CipherNames.IsKnown).Distinct().ToValueList();
        return known.IsEmpty ? CipherNames.Strictest : known;
    }
}
