using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>
/// Signs and opens service account tokens: JWTs with ES256. Does not check whether the objects that they name still exist.
/// </summary>
internal sealed class TokenSigner(ECDsa key)
{
    // A token with every claim is about 1 KiB; nobody needs more than this and parsing must stay cheap.
    private const int MaxTokenLength = 16 * 1024;

    private readonly string _keyId = Base64Url.EncodeToString(SHA256.HashData(key.ExportSubjectPublicKeyInfo()));

    /// <summary>The outcome of opening a token: its claims, a wrong signature, or neither if it is not a service account token.</summary>
    public sealed record Opened(TokenClaims? Claims, bool BadSignature);

    public string Sign(TokenClaims claims)
    {
        var header = new JsonObject { ["alg"] = "ES256", ["kid"] = _keyId };
        var text = $"{Encode(header)}.{Encode(claims.ToJson())}";
        byte[] signature;
        // A key is not thread-safe.
        lock (key) signature = key.SignData(Encoding.ASCII.GetBytes(text), HashAlgorithmName.SHA256);
        return $"{text}.{Base64Url.EncodeToString(signature)}";
    }

    /// <param name="issuers">Accepted issuers. The tokens of others are not opened.</param>
    public Opened Open(string token, params ReadOnlySpan<string> issuers)
    {
        if (token.Length > MaxTokenLength) return new(null, false);
        var parts = token.Split('.');
        if (parts.Length != 3 || Decode(parts[0]) is not { } header || Decode(parts[1]) is not { } payload) return new(null, false);
        if (TokenClaims.FromJson(payload) is not { } claims || !issuers.Contains(claims.Issuer)) return new(null, false);
        var genuine = Json.Text(header["alg"]) == "ES256" && Bytes(parts[2]) is { Length: 64 } signature
            && IsSigned(Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), signature);
        return genuine ? new(claims, false) : new(null, true);
    }

    private bool IsSigned(byte[] text, byte[] signature)
    {
        lock (key) return key.VerifyData(text, signature, HashAlgorithmName.SHA256);
    }

    /// <summary>The public key as served at <c>/openid/v1/jwks</c>.</summary>
    public JsonObject KeySet()
    {
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        return new()
        {
            ["keys"] = new JsonArray(new JsonObject
            {
                ["use"] = "sig",
                ["kty"] = "EC",
                ["kid"] = _keyId,
                ["crv"] = "P-256",
                ["alg"] = "ES256",
                ["x"] = Base64Url.EncodeToString(point.X),
                ["y"] = Base64Url.EncodeToString(point.Y),
            }),
        };
    }

    private static string Encode(JsonObject part) => Base64Url.EncodeToString(JsonText.ToBytes(part));

    private static JsonObject? Decode(string part)
    {
        if (Bytes(part) is not { } utf8) return null;
        try
        {
            return JsonNode.Parse(utf8) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static byte[]? Bytes(string part)
    {
        try
        {
            return Base64Url.DecodeFromChars(part);
        }
        catch (FormatException)
        {
            return null;
        }
    }
}
