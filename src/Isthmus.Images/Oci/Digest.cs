using System.Security.Cryptography;

namespace Isthmus.Images.Oci;

/// <summary>The name of a blob: <c>sha256:</c> and 64 hexadecimal digits.</summary>
public readonly record struct Digest
{
    private const string Prefix = "sha256:";

    private Digest(string hex) => Hex = hex;

    public string Hex { get; }

    public static Digest Of(ReadOnlySpan<byte> content) => new(Convert.ToHexStringLower(SHA256.HashData(content)));

    /// <summary>Reads <c>sha256:…</c>. False for other algorithms and malformed digests, such as those that name a path.</summary>
    public static bool TryParse(string? text, out Digest digest)
    {
        var hex = text is not null && text.StartsWith(Prefix, StringComparison.Ordinal) ? text[Prefix.Length..] : "";
        var valid = hex.Length == SHA256.HashSizeInBytes * 2 && hex.All(char.IsAsciiHexDigitLower);
        digest = valid ? new(hex) : default;
        return valid;
    }

    public override string ToString() => Prefix + Hex;

    internal static Digest OfHash(byte[] hash) => new(Convert.ToHexStringLower(hash));
}
