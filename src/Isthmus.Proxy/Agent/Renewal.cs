using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Tls;
using Isthmus.Wire.Tls;

namespace Isthmus.Proxy.Agent;

/// <summary>When a workload asks for its next certificate.</summary>
internal static class Renewal
{
    /// <summary>The certificates of a CA that is about to expire get shorter and shorter: this is how often proxies ask for them at most.</summary>
    public static readonly TimeSpan ShortestPause = TimeSpan.FromSeconds(10);

    public static readonly TimeSpan LongestPause = TimeSpan.FromDays(20);

    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(200), LongestRetry = TimeSpan.FromSeconds(30);

    /// <summary>Over how long proxies spread that renew because another CA signs.</summary>
    public static readonly TimeSpan Spread = TimeSpan.FromSeconds(3);

    /// <summary>How long to wait: until the configured fraction is left, or a little less, so that proxies that started together spread out.</summary>
    /// <param name="left">For how long the certificate is still valid. What passed before is not counted: a CA backdates its certificates.</param>
    /// <param name="chance">From 0 to 1.</param>
    public static TimeSpan Pause(TimeSpan left, double ratio, double chance)
    {
        var (pause, shortest) = (left * (1 - ratio) - left * 0.05 * chance, ShortestPause * (1 + chance));
        return pause > shortest ? pause : shortest;
    }

    /// <summary>How long to wait after a failure.</summary>
    /// <param name="failures">Those before it.</param>
    /// <param name="chance">From 0 to 1.</param>
    public static TimeSpan Retry(int failures, double chance) =>
        TimeSpan.FromMilliseconds(Math.Min(LongestRetry.TotalMilliseconds, FirstRetry.TotalMilliseconds * Math.Pow(2, failures)) * (0.5 + chance / 2));

    /// <summary>Whether the certificate is one of <paramref name="issuer"/>'s.</summary>
    /// <param name="issuer">What signs at present, as PEM. Something unreadable changes nothing.</param>
    public static bool Leads(CertificateSecret certificate, string issuer)
    {
        try
        {
            var signing = CertificateText.Read(issuer, "issuer")[0];
            return certificate.Intermediates.Count > 0
                ? certificate.Intermediates[0].RawDataMemory.Span.SequenceEqual(signing.RawDataMemory.Span)
                : IsTrusted(certificate, [signing]);
        }
        catch (ProblemException)
        {
            return true;
        }
    }

    /// <summary>Whether the certificate leads to one of the roots, at any time.</summary>
    public static bool IsTrusted(CertificateSecret certificate, IEnumerable<X509Certificate2> roots) =>
        new TrustBundle(roots).Reject(certificate.Leaf, certificate.Intermediates, CertificateUse.Any,
            certificate.Leaf.NotAfter.ToUniversalTime().AddSeconds(-1)) is null;
}
