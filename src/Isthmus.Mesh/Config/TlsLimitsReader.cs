using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

/// <summary>Protocol versions and cipher suites, of Gateways and of the mesh.</summary>
internal static class TlsLimitsReader
{
    private static readonly string[] KnownCiphers =
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA", "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA",
    ];

    public static TlsLimits Read(Field tls)
    {
        var (min, max) = (ReadVersion(tls["minProtocolVersion"]), ReadVersion(tls["maxProtocolVersion"]));
        if (min == TlsVersion.Tls13 && max == TlsVersion.Tls12) tls["maxProtocolVersion"].Error("TLSV1_2 is below minProtocolVersion: no version is left", "raise it, or lower minProtocolVersion");
        return new(min, max, ReadCiphers(tls["cipherSuites"]));
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
                version.Error($"{version.Text} is not supported: the oldest version that proxies speak is TLS 1.2", "use TLSV1_2 or TLSV1_3, or remove the field");
                return TlsVersion.Auto;
            default:
                version.Error($"unsupported value \"{version.Text}\"", "use TLS_AUTO, TLSV1_2 or TLSV1_3");
                return TlsVersion.Tls13;
        }
    }

    private static ValueList<string> ReadCiphers(Field ciphers)
    {
        var seen = new HashSet<string>();
        foreach (var cipher in ciphers.Items)
        {
            if (!KnownCiphers.Contains(cipher.Text)) cipher.Warn($"ignoring invalid cipher suites: [{cipher.Text}]");
            else if (!seen.Add(cipher.Text)) cipher.Warn($"ignoring duplicate cipher suites: [{cipher.Text}]");
        }
        return ciphers.Texts.Distinct().ToValueList();
    }
}
