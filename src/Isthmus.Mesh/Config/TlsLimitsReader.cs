using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Tls;

namespace Isthmus.Mesh.Config;

/// <summary>Protocol versions and cipher suites, of Gateways and of the mesh.</summary>
internal static class TlsLimitsReader
{
    public static TlsLimits Read(Field tls)
    {
        var (min, max) = (ReadVersion(tls["minProtocolVersion"]), ReadVersion(tls["maxProtocolVersion"]));
        if (min == TlsVersion.Tls13 && max == TlsVersion.Tls12)
            tls["maxProtocolVersion"].Error("TLSV1_2 is below minProtocolVersion: no version is left", "raise it, or lower minProtocolVersion");
        var ciphers = ReadCiphers(tls["cipherSuites"]);
        if (min == TlsVersion.Tls13 && !ciphers.IsEmpty)
            tls["cipherSuites"].Idle("with TLS 1.3, cipher suites cannot be chosen", "remove the field, or lower minProtocolVersion");
        return new(min, max, ciphers);
    }

    /// <summary>The strictest version, if it is not known which is meant.</summary>
    private static TlsVersion ReadVersion(Field version)
    {
        if (!version.Exists) return TlsVersion.Auto;
        switch (version.Text)
        {
            case "TLS_AUTO": return TlsVersion.Auto;
            case "TLSV1_2": return TlsVersion.Tls12;
            case "TLSV1_3": return TlsVersion.Tls13;
            case "TLSV1_0" or "TLSV1_1":
                version.Error($"{version.Text} is not supported: the oldest version that proxies speak is TLS 1.2",
                    "use TLSV1_2 or TLSV1_3, or remove the field");
                return TlsVersion.Auto;
            default:
                version.Error($"unsupported value \"{version.Text}\"", "use TLS_AUTO, TLSV1_2 or TLSV1_3");
                return TlsVersion.Tls13;
        }
    }

    private static ValueList<string> ReadCiphers(Field ciphers)
    {
        var known = new List<string>();
        foreach (var cipher in ciphers.Items)
        {
            if (!CipherNames.IsKnown(cipher.Text))
                cipher.Error($"\"{cipher.Text}\" is not a cipher suite that proxies offer",
                    $"use any of {string.Join(", ", CipherNames.All)}; those of TLS 1.3 are always offered");
            else if (known.Contains(cipher.Text)) cipher.Warn($"ignoring duplicate cipher suites: [{cipher.Text}]");
            else known.Add(cipher.Text);
        }
        return known.Count == 0 && ciphers.IsWrong ? CipherNames.Strictest : known.ToValueList();
    }
}
