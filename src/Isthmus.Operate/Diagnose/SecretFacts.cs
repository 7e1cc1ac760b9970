using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Inventory;
using Isthmus.Wire.Tls;

namespace Isthmus.Operate.Diagnose;

/// <summary>What the commands need to know of a Secret: its values are examined, and not kept.</summary>
/// <param name="KeyPairProblem">Why a gateway cannot use its certificate and key; empty when it can.</param>
/// <param name="HasClientCa">Whether it holds a CA for client certificates.</param>
/// <param name="ClientCaProblem">Why a gateway cannot use that CA; empty when it can.</param>
/// <param name="GivenRoot">The root that it gives to a control plane.</param>
/// <param name="OwnRoot">The root that a control plane made for itself.</param>
/// <param name="Remote">How it reaches other clusters.</param>
public sealed record SecretFacts(DateTimeOffset? CreatedAt, string KeyPairProblem, bool HasClientCa, string ClientCaProblem, Root GivenRoot, Root OwnRoot,
    ValueList<RemoteSecretFacts> Remote)
{
    /// <summary>Who writes the Secret, and so renews what is in it.</summary>
    private const string CertManager = "cert-manager.io/certificate-name", Person = "you";

    private static readonly string[] CertificateKeys = ["tls.crt", "cert", "ca.crt", "cacert", "ca-cert.pem", "cert-chain.pem", "root-cert.pem"];

    /// <summary>Its certificates as PEM, by key, without anything else that is beside them.</summary>
    public ValueMap<string> Certificates { get; init; }

    /// <summary>Why a control plane cannot sign with it, apart from its time; empty when it can, or when it holds no CA.</summary>
    public string CaProblem { get; init; } = "";

    public string RenewedBy { get; init; } = Person;

    /// <summary>The annotation with which a snapshot replaces the values of a Secret.</summary>
    internal const string Annotation = "isthmus.io/facts";

    /// <summary>What ends the name of a Secret that holds the CA for another one.</summary>
    public const string CaSuffix = "-cacert";

    /// <summary>Those of a Secret without values.</summary>
    public static readonly SecretFacts None = Examine(new());

    /// <summary>The command that copies a Secret into another namespace.</summary>
    /// <param name="context">The cluster.</param>
    public static string Copy(string context, string from, string to, string name) =>
        $"kubectl --context={context} -n {from} get secret {name} -o yaml | "
            + $"sed 's/namespace: {from}$/namespace: {to}/' | kubectl --context={context} apply -f -";

    public static SecretFacts Of(Secret secret) =>
        secret.Data.Count == 0 && secret.Metadata.Annotations.GetValueOrDefault(Annotation) is { } text ? Parse(secret, text) : Examine(secret);

    /// <summary>Why a gateway cannot use a Secret; empty when it can.</summary>
    /// <param name="own">Null: it does not exist.</param>
    /// <param name="ca">The Secret of the same name with <see cref="CaSuffix"/>.</param>
    /// <param name="checksClients">The gateway needs the CA of client certificates as well.</param>
    internal static string Problem(SecretFacts? own, SecretFacts? ca, bool checksClients)
    {
        if (own is null) return Analysis.CredentialReferences.DoesNotExist;
        return own.KeyPairProblem.Length > 0 || !checksClients ? own.KeyPairProblem : (own.HasClientCa ? own : ca ?? None).ClientCaProblem;
    }

    /// <summary>The text of the annotation.</summary>
    internal string Write() => new JsonObject
    {
        ["keyPairProblem"] = KeyPairProblem, ["hasClientCa"] = HasClientCa, ["clientCaProblem"] = ClientCaProblem, ["givenRoot"] = GivenRoot.Fingerprint ?? "",
        ["ownRoot"] = OwnRoot.Fingerprint ?? "",
        ["certificates"] = new JsonObject(Certificates.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value))), ["caProblem"] = CaProblem,
        ["renewedBy"] = RenewedBy,
        ["remote"] = new JsonArray([.. Remote.Select(entry => (JsonNode)new JsonObject
        {
            ["cluster"] = entry.Cluster, ["server"] = entry.Server, ["expires"] = entry.Expires?.ToString("O", CultureInfo.InvariantCulture),
            ["issued"] = entry.Issued?.ToString("O", CultureInfo.InvariantCulture), ["error"] = entry.Error,
        })]),
    }.ToJsonString();

    private static SecretFacts Parse(Secret secret, string text)
    {
        JsonObject? facts = null;
        try { facts = StrictJson.Parse(text) as JsonObject; }
        catch (JsonException) { /* someone else's annotation: nothing is known */ }
        string Text(string field) => facts?[field]?.ToString() ?? "";
        return new(secret.Metadata.CreationTimestamp, Text("keyPairProblem"), Text("hasClientCa") == "true", Text("clientCaProblem"), new(Text("givenRoot")),
            new(Text("ownRoot")),
            (facts?["remote"] as JsonArray ?? [])
                .Select(entry => new RemoteSecretFacts(secret.Key, entry?["cluster"]?.ToString() ?? "", entry?["server"]?.ToString() ?? "",
                Time(entry?["expires"]), entry?["error"]?.ToString() ?? "") { Issued = Time(entry?["issued"]) })
                .ToValueList())
        {
            Certificates = (facts?["certificates"] as JsonObject ?? [])
                .ToDictionary(pair => pair.Key, pair => pair.Value?.ToString() ?? "", StringComparer.Ordinal).ToValueMap(),
            CaProblem = Text("caProblem"), RenewedBy = Text("renewedBy") is { Length: > 0 } by ? by : Person,
        };
    }

    private static DateTimeOffset? Time(JsonNode? text) =>
        DateTimeOffset.TryParse(text?.ToString(), CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out var time) ? time : null;

    private static SecretFacts Examine(Secret secret)
    {
        var isRemote = secret.Metadata.Labels.GetValueOrDefault(Labels.MultiCluster) == "true";
        return new(secret.Metadata.CreationTimestamp, KeyPair(secret), Text(secret, "ca.crt", "cacert") is not null, ClientCa(secret),
            Root.Of(Text(secret, "root-cert.pem") ?? Text(secret, "ca.crt")), Root.Of(Text(secret, "ca-cert.pem")),
            isRemote ? RemoteSecretFacts.Read(secret).ToValueList() : default)
        {
            Certificates = CertificateKeys.Select(key => KeyValuePair.Create(key, Public(Text(secret, key)))).Where(pair => pair.Value.Length > 0).ToValueMap(),
            CaProblem = secret.Metadata.Name is WellKnown.CaCerts or WellKnown.SelfSignedCa ? Authority(secret) : "",
            RenewedBy = secret.Metadata.Annotations.GetValueOrDefault(CertManager) is { } certificate ? $"cert-manager (Certificate {certificate})" : Person,
        };
    }

    /// <summary>The first of the keys that is there.</summary>
    internal string? First(params IEnumerable<string> keys) => keys.Select(key => Certificates.GetValueOrDefault(key)).FirstOrDefault(text => text is not null);

    /// <summary>Someone may have put a key beside the certificates.</summary>
    private static string Public(string? pem)
    {
        try { return pem is null ? "" : CertificateText.Write(CertificateText.ReadAny(pem, "certificates")); }
        catch (ProblemException) { return ""; }
    }

    /// <summary>What the control plane would say of it. When it ends is judged where the time is known.</summary>
    private static string Authority(Secret secret)
    {
        var isTls = secret.Data.ContainsKey("tls.crt");
        var (certificate, key) = isTls ? (Text(secret, "tls.crt"), Text(secret, "tls.key")) : (Text(secret, "ca-cert.pem"), Text(secret, "ca-key.pem"));
        var roots = isTls ? Text(secret, "ca.crt") : Text(secret, "root-cert.pem") ?? (secret.Metadata.Name == WellKnown.SelfSignedCa ? certificate : null);
        foreach (var (text, name) in ((string?, string)[])[(certificate, isTls ? "tls.crt" : "ca-cert.pem"), (key, isTls ? "tls.key" : "ca-key.pem"),
            (roots, isTls ? "ca.crt" : "root-cert.pem")])
            if (text is null) return $"data[{name}] is missing";
        var chain = isTls ? $"{certificate}\n{roots}" : Text(secret, "cert-chain.pem") ?? "";
        var problem = "";
        // Their chain is verified at a moment at which all of them are valid, if there is one: it begins with one of them.
        foreach (var begin in Begins($"{certificate}\n{chain}\n{roots}"))
        {
            try
            {
                using var bundle = CaBundle.Load(certificate!, key!, chain, roots!, "the Secret", begin);
                return "";
            }
            catch (ProblemException e)
            {
                problem = e.Problem.Message;
            }
        }
        return problem;
    }

    /// <summary>When the certificates begin to be valid, the last one first.</summary>
    private static IEnumerable<DateTimeOffset> Begins(string pem)
    {
        try
        {
            return [.. CertificateText.ReadAny(pem, "the CA").Select(certificate => new DateTimeOffset(certificate.NotBefore.ToUniversalTime())).Distinct()
                .OrderDescending()];
        }
        catch (ProblemException) { return [DateTimeOffset.UnixEpoch]; }
    }

    private static string KeyPair(Secret secret)
    {
        if (Text(secret, "tls.crt", "cert") is not { } certificate) return "holds no certificate (tls.crt)";
        if (Text(secret, "tls.key", "key") is not { } key) return "holds no private key (tls.key)";
        return Keys.WhyUnusable(certificate, key);
    }

    private static string ClientCa(Secret secret) =>
        Text(secret, "ca.crt", "cacert") is null ? $"holds no CA for client certificates (ca.crt), and neither does the Secret of the same name with {CaSuffix}"
        : Public(Text(secret, "ca.crt", "cacert")).Length == 0 ? "holds a CA (ca.crt) that cannot be read: it must be PEM"
        : Text(secret, "ca.crl", "crl") is not null
        ? "holds a certificate revocation list (ca.crl), which is not supported: all clients with a certificate are refused"
        : "";

    /// <summary>The first of the keys that is there and not empty.</summary>
    private static string? Text(Secret secret, params IEnumerable<string> keys) =>
        keys.Select(secret.Bytes).FirstOrDefault(bytes => bytes is { Length: > 0 }) is { } found ? Encoding.UTF8.GetString(found) : null;
}
