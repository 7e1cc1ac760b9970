using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;

namespace Isthmus.Kubernetes.Client;

/// <summary>How long a credential is valid, as far as the credential itself shows it.</summary>
/// <param name="Issued">Null when the credential does not contain it.</param>
public readonly record struct CredentialLifetime(DateTimeOffset? Issued, DateTimeOffset Expires)
{
    private static readonly TimeSpan WarningOfUnknown = TimeSpan.FromDays(7);

    /// <summary>Whether less than a fifth of its lifetime is left, so that it is time to create another.</summary>
    public bool IsEnding(DateTimeOffset now) => Expires - now < (Issued is { } issued && issued < Expires ? (Expires - issued) / 5 : WarningOfUnknown);

    /// <summary>Null for credentials that do not expire, or that do not show when.</summary>
    public static CredentialLifetime? Of(ClusterAccess access) =>
        OfToken(access.Token) is { } token ? token : access.ClientCertificate is { } pem ? OfCertificate(pem) : null;

    /// <summary>The claims of a JSON Web Token. Only its API server can verify them. Any other token has none.</summary>
    public static CredentialLifetime? OfToken(string? token)
    {
        if (token?.Split('.') is not [_, var payload, _]) return null;
        try
        {
            var claims = StrictJson.Parse(Base64Url.DecodeFromChars(payload)) as JsonObject;
            return Time(claims?["exp"]) is { } expires ? new(Time(claims?["iat"]), expires) : null;
        }
        catch (Exception e) when (e is FormatException or JsonException or ArgumentException or DecoderFallbackException)
        {
            return null;
        }
    }

    private static DateTimeOffset? Time(JsonNode? claim) =>
        claim is JsonValue value && value.TryGetValue<double>(out var seconds) && seconds is > 0 and < 253402300800
            ? DateTimeOffset.FromUnixTimeSeconds((long)seconds)
            : null;

    private static CredentialLifetime? OfCertificate(string pem)
    {
        try
        {
            using var certificate = X509Certificate2.CreateFromPem(pem);
            return new(certificate.NotBefore.ToUniversalTime(), certificate.NotAfter.ToUniversalTime());
        }
        catch (CryptographicException)
        {
            return null;
        }
    }
}
