using System.Security.Cryptography;

namespace Isthmus.Testing;

/// <summary>RSA keys that all tests of a process share, because a new one takes up to 0.2 CPU seconds.</summary>
public static class TestKeys
{
    private static readonly Lazy<RSAParameters> Shared = new(Create), Strange = new(Create);

    public static RSA Rsa() => RSA.Create(Shared.Value);

    /// <summary>One that differs from <see cref="Rsa"/>.</summary>
    public static RSA StrangeRsa() => RSA.Create(Strange.Value);

    private static RSAParameters Create()
    {
        using var key = RSA.Create(2048);
        return key.ExportParameters(includePrivateParameters: true);
    }
}
