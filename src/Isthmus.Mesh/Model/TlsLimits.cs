using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Model;

public enum TlsVersion { Auto, Tls12, Tls13 }

/// <summary>The versions and cipher suites of TLS that a proxy may use.</summary>
/// <param name="CipherSuites">By OpenSSL's names. They apply to TLS 1.2 only; empty: the default ones.</param>
public sealed record TlsLimits(TlsVersion Min, TlsVersion Max, ValueList<string> CipherSuites)
{
    public static readonly TlsLimits None = new(TlsVersion.Auto, TlsVersion.Auto, default);

    /// <summary>These limits, with the mesh's where they set none. A maximum also overrides the mesh's minimum.</summary>
    public TlsLimits Over(TlsLimits mesh) =>
        new(Min == TlsVersion.Auto && Max != TlsVersion.Tls12 ? mesh.Min : Min, Max, CipherSuites.IsEmpty ? mesh.CipherSuites : CipherSuites);
}
