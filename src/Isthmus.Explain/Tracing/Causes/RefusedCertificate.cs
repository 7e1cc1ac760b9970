using System.Security.Cryptography.X509Certificates;
using Isthmus.Wire.Tls;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why clients that check the certificate of a server refuse it, whoever issued it.</summary>
/// <param name="Code">The code of the problem.</param>
/// <param name="Why">The end of a sentence about the certificate.</param>
/// <param name="Needed">What the server needs instead.</param>
/// <param name="Besides">What else is to be done, as the end of a sentence; mostly empty.</param>
internal sealed record RefusedCertificate(string Code, string Why, string Needed, string Besides = "")
{
    /// <summary>The code of a certificate whose time is over, or has not begun.</summary>
    public const string Untimely = "ISM2061";

    /// <summary>The code of a certificate for other names than the host that is called.</summary>
    public const string Misnamed = "ISM2102";

    /// <summary>The code of a chain that lacks the certificate of its issuer, where that is not a root.</summary>
    public const string Unlinked = "ISM2151";

    /// <summary>Null: its time, its uses and its names are right.</summary>
    /// <param name="host">The name by which clients call; empty: its names do not matter.</param>
    public static RefusedCertificate? Of(X509Certificate2 leaf, string host, DateTimeOffset now)
    {
        if (leaf.NotAfter.ToUniversalTime() is var ends && ends <= now.UtcDateTime)
            return new(Untimely, $"expired at {ends:u}", "a new certificate");
        if (leaf.NotBefore.ToUniversalTime() is var begins && begins > now.UtcDateTime)
            return new(Untimely, $"is not valid before {begins:u}", "one that is valid now", ", and correct the clock of the machine that made it");
        if (ServerUse.Lacks(leaf))
            return new("ISM2178", "is not for servers (its extended key usage lacks serverAuth)", "one that the CA has issued for servers");
        return host.Length == 0 || leaf.MatchesHostname(host, allowWildcards: true, allowCommonName: false) ? null
            : new(Misnamed, $"is for {Names(leaf)}, and not for {host}", $"a certificate for {host}");
    }

    /// <summary>The names that clients compare with the host that they call.</summary>
    public static IReadOnlyList<string> NamesOf(X509Certificate2 leaf) =>
        leaf.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault() is { } all
            ? [.. all.EnumerateDnsNames(), .. all.EnumerateIPAddresses().Select(one => $"{one}")] : [];

    /// <summary>The same in words.</summary>
    public static string Names(X509Certificate2 leaf) => NamesOf(leaf) is [_, ..] names ? string.Join(", ", names)
        : SubjectNames.Of(leaf).Uris is [var identity, ..] ? identity : "no DNS name (few clients read its CN)";
}
