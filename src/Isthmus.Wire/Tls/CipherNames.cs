using System.Collections.Frozen;
using Isthmus.Core.Collections;

namespace Isthmus.Wire.Tls;

/// <summary>The cipher suites of TLS 1.2 that proxies offer, by OpenSSL's names, which Istio and Envoy use. Those of TLS 1.3 cannot be
/// chosen, as in Envoy.</summary>
public static class CipherNames
{
    private static readonly FrozenSet<string> Suites = FrozenSet.Create(StringComparer.Ordinal,
    [
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES256-SHA",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-RSA-AES128-SHA",
        "AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
        "AES256-SHA",
        "AES128-SHA",
    ]);

    /// <summary>What a list means of which no name is known: few clients can connect.</summary>
    public static ValueList<string> Strictest { get; } = ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"];

    public static IEnumerable<string> All => Suites.Order(StringComparer.Ordinal);

    /// <summary>False for names that are unknown, or of suites that proxies do not offer.</summary>
    public static bool IsKnown(string name) => Suites.Contains(name);
}
