using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Isthmus.Testing;

/// <summary>A token issuer. All share one RSA key.</summary>
public sealed class TokenMint : IDisposable
{
    private readonly RSA _rsa;
    private readonly ECDsa _ec = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly byte[] _secret = RandomNumberGenerator.GetBytes(32);

    public TokenMint() : this(TestKeys.Rsa()) { }

    private TokenMint(RSA rsa) => _rsa = rsa;

    /// <summary>One whose keys nobody has.</summary>
    public static TokenMint OfStranger() => new(TestKeys.StrangeRsa());

    /// <summary>Its key set: one key for each kind of algorithm.</summary>
    public string Keys => new JsonObject
    {
        ["keys"] = new JsonArray(
            new JsonObject
            {
                ["kty"] = "RSA", ["kid"] = "r", ["n"] = Text(_rsa.ExportParameters(false).Modulus!), ["e"] = Text(_rsa.ExportParameters(false).Exponent!)
            },
            new JsonObject
            {
                ["kty"] = "EC", ["kid"] = "e", ["crv"] = "P-256", ["x"] = Text(_ec.ExportParameters(false).Q.X!), ["y"] = Text(_ec.ExportParameters(false).Q.Y!)
            },
            new JsonObject { ["kty"] = "oct", ["kid"] = "o", ["k"] = Text(_secret) }),
    }.ToJsonString();

    public string Sign(JsonObject claims, string algorithm = "RS256", string? kid = null) => SignText(claims.ToJsonString(), algorithm, kid);

    /// <summary>Signs any text as claims.</summary>
    public string SignText(string claims, string algorithm = "RS256", string? kid = null)
    {
        kid ??= algorithm[0] switch { 'E' => "e", 'H' => "o", _ => "r" };
        var signed = $"{Text(new JsonObject { ["alg"] = algorithm, ["kid"] = kid })}.{Text(Encoding.UTF8.GetBytes(claims))}";
        var bytes = Encoding.ASCII.GetBytes(signed);
        var signature = algorithm[..2] switch
        {
            "RS" => _rsa.SignData(bytes, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
            "PS" => _rsa.SignData(bytes, HashAlgorithmName.SHA256, RSASignaturePadding.Pss),
            "ES" => _ec.SignData(bytes, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation),
            _ => HMACSHA256.HashData(_secret, bytes),
        };
        return $"{signed}.{Text(signature)}";
    }

    /// <summary>A token from an attacker who knows only the public keys: the RSA key's bytes used as a shared
    /// secret.</summary>
    public string Forge(JsonObject claims)
    {
        var signed = $"{Text(new JsonObject { ["alg"] = "HS256", ["kid"] = "r" })}.{Text(claims)}";
        return $"{signed}.{Text(HMACSHA256.HashData(_rsa.ExportSubjectPublicKeyInfo(), Encoding.ASCII.GetBytes(signed)))}";
    }

    public void Dispose()
    {
        _rsa.Dispose();
        _ec.Dispose();
    }

    private static string Text(JsonObject json) => Text(Encoding.UTF8.GetBytes(json.ToJsonString()));

    private static string Text(byte[] bytes) => Base64Url.EncodeToString(bytes);
}
