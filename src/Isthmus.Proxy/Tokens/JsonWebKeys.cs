using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Isthmus.Core.Json;

namespace Isthmus.Proxy.Tokens;

/// <summary>The keys of an issuer (RFC 7517): those that can verify signatures; others are skipped.</summary>
internal sealed class JsonWebKeys
{
    private const int MostKeys = 256;

    private readonly IReadOnlyList<Key> _keys;

    private JsonWebKeys(IReadOnlyList<Key> keys) => _keys = keys;

    public int Count => _keys.Count;

    /// <summary>Null when the text is not a key set.</summary>
    public static JsonWebKeys? Parse(ReadOnlyMemory<byte> json) => Parse(json, out _);

    /// <param name="fault">Why it is not one; empty otherwise.</param>
    public static JsonWebKeys? Parse(ReadOnlyMemory<byte> json, out string fault)
    {
        fault = "";
        try
        {
            using var document = StrictJson.Document(json);
            if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("keys", out var keys)
                || keys.ValueKind != JsonValueKind.Array)
            {
                fault = "no object with a list keys";
                return null;
            }
            return new([.. keys.EnumerateArray().Take(MostKeys).Select(Key.From).OfType<Key>()]);
        }
        catch (JsonException e)
        {
            fault = $"no JSON: {e.Message}";
            return null;
        }
    }

    /// <summary>The algorithms of its keys, where none of them is of the kind that an algorithm needs; null where one is, or it has no keys.</summary>
    public IReadOnlyList<string>? Others(string algorithm) =>
        _keys.Count == 0 || _keys.Any(key => key.IsFor(algorithm)) ? null : [.. _keys.Select(key => key.Usual).Distinct()];

    /// <summary>Whether one of the candidate keys signed the token; null when there is no candidate.</summary>
    public bool? Verify(WebToken token)
    {
        bool? verified = null;
        foreach (var key in _keys)
        {
            if (!key.MaySign(token)) continue;
            if (key.Verify(token)) return true;
            verified = false;
        }
        return verified;
    }

    /// <summary>One key. The algorithm of a token must match the type of the key: a public key is never used as a shared secret.</summary>
    private sealed record Key(string Id, string Algorithm, RSAParameters? Rsa, ECParameters? Ec, string Curve, byte[]? Secret, byte[]? Edwards = null)
    {
        public static Key? From(JsonElement item)
        {
            if (item.ValueKind != JsonValueKind.Object || (Text(item, "use") is { Length: > 0 } use && use != "sig")) return null;
            var key = new Key(Text(item, "kid"), Text(item, "alg"), null, null, "", null);
            switch (Text(item, "kty"))
            {
                case "RSA" when Bytes(item, "n") is { Length: >= 256 } modulus && Bytes(item, "e") is { Length: > 0 } exponent:
                    return key with { Rsa = new RSAParameters { Modulus = modulus, Exponent = exponent } };
                case "EC" when CurveOf(Text(item, "crv")) is { } curve && Bytes(item, "x") is { Length: > 0 } x && Bytes(item, "y") is { Length: > 0 } y:
                    return key with
                    {
                        Ec = new ECParameters { Curve = curve.Curve, Q = new() { X = Padded(x, curve.Size), Y = Padded(y, curve.Size) } },
                        Curve = Text(item, "crv")
                    };
                case "OKP" when OperatingSystem.IsLinux() && Text(item, "crv") == "Ed25519" && Bytes(item, "x") is { Length: Ed25519.KeySize } point:
                    return key with { Edwards = point };
                case "oct" when Bytes(item, "k") is { Length: >= 16 } secret:
                    return key with { Secret = secret };
                default:
                    return null;
            }
        }

        public bool MaySign(WebToken token)
        {
            if (Id.Length > 0 && token.KeyId.Length > 0 && Id != token.KeyId) return false;
            return IsFor(token.Algorithm);
        }

        /// <summary>The algorithm that it names, or else the most common one of its kind.</summary>
        public string Usual => Algorithm.Length > 0 ? Algorithm : Rsa is not null ? "RS256" : Secret is not null ? "HS256" : Edwards is not null ? "EdDSA"
            : Curve switch { "P-384" => "ES384", "P-521" => "ES512", _ => "ES256" };

        /// <summary>Whether it is of the kind that an algorithm needs.</summary>
        public bool IsFor(string algorithm)
        {
            if (Algorithm.Length > 0 && Algorithm != algorithm && Edwards is null) return false;
            return algorithm switch
            {
                "RS256" or "RS384" or "RS512" or "PS256" or "PS384" or "PS512" => Rsa is not null,
                "ES256" => Curve == "P-256",
                "ES384" => Curve == "P-384",
                "ES512" => Curve == "P-521",
                "EdDSA" or "Ed25519" => Edwards is not null,
                "HS256" or "HS384" or "HS512" => Secret is not null,
                _ => false,
            };
        }

        public bool Verify(WebToken token)
        {
            if (OperatingSystem.IsLinux() && Edwards is { } edwards) return Ed25519.Verify(edwards, token.Signed, token.Signature);
            var hash = token.Algorithm[2..] switch { "256" => HashAlgorithmName.SHA256, "384" => HashAlgorithmName.SHA384, _ => HashAlgorithmName.SHA512 };
            try
            {
                if (Rsa is { } rsa)
                {
                    using var key = RSA.Create(rsa);
                    return key.VerifyData(token.Signed, token.Signature, hash, token.Algorithm[0] == 'P' ? RSASignaturePadding.Pss : RSASignaturePadding.Pkcs1);
                }
                if (Ec is { } ec)
                {
                    using var key = ECDsa.Create(ec);
                    return key.VerifyData(token.Signed, token.Signature, hash, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
                }
                return CryptographicOperations.FixedTimeEquals(CryptographicOperations.HmacData(hash, Secret!, token.Signed), token.Signature);
            }
            catch (CryptographicException)
            {
                return false; // an invalid key, such as a point off its curve
            }
        }

        private static (ECCurve Curve, int Size)? CurveOf(string name) => name switch
        {
            "P-256" => (ECCurve.NamedCurves.nistP256, 32),
            "P-384" => (ECCurve.NamedCurves.nistP384, 48),
            "P-521" => (ECCurve.NamedCurves.nistP521, 66),
            _ => null,
        };

        private static byte[] Padded(byte[] number, int size) => number.Length >= size ? number : [.. new byte[size - number.Length], .. number];

        private static string Text(JsonElement item, string name) =>
            item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

        private static byte[]? Bytes(JsonElement item, string name) => WebToken.Decode(Encoding.UTF8.GetBytes(Text(item, name)));
    }
}
