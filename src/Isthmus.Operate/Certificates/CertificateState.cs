namespace Isthmus.Operate.Certificates;

/// <summary>How long a certificate still lasts, judged by its life. Pure.</summary>
public enum CertificateTime
{
    Good,

    /// <summary>It should have been renewed by now.</summary>
    EndsSoon,

    /// <summary>It ends before people act on a warning.</summary>
    EndsNow,
    Expired,

    /// <summary>It is not valid yet.</summary>
    Early,
}

public static class CertificateState
{
    private static readonly TimeSpan EarliestWarning = TimeSpan.FromDays(60), EarliestError = TimeSpan.FromDays(14), Skew = TimeSpan.FromMinutes(5);

    /// <summary>A share of its life. What is renewed on its own is judged later: only if nobody did.</summary>
    public static CertificateTime TimeOf(MeshCertificate certificate, DateTimeOffset now)
    {
        if (certificate.Ends is not { } end) return CertificateTime.Good;
        if (end <= now) return CertificateTime.Expired;
        if (certificate.Begins - Skew > now) return CertificateTime.Early;
        var (life, left) = (end - (certificate.Begins ?? now), end - now);
        var (warning, error) = certificate.IsRenewed ? (life / 20, life / 50) : (Shorter(life / 5, EarliestWarning), Shorter(life / 20, EarliestError));
        return left < error ? CertificateTime.EndsNow : left < warning ? CertificateTime.EndsSoon : CertificateTime.Good;
    }

    /// <summary>What people call it.</summary>
    public static string NameOf(CertificateRole role) => role switch
    {
        CertificateRole.Root => "root",
        CertificateRole.Authority => "intermediate",
        CertificateRole.WebhookBundle => "webhook CA",
        CertificateRole.ControlPlane => "control plane",
        CertificateRole.Workload => "workload",
        CertificateRole.Gateway => "gateway",
        CertificateRole.ClientAuthority => "CA of clients",
        CertificateRole.Origination => "client",
        _ => "remote token",
    };

    /// <summary>What people read of it.</summary>
    public static string Describe(MeshCertificate certificate, DateTimeOffset now) =>
        certificate.Fault.Length > 0 ? certificate.IsInForce ? certificate.Fault : $"refused: {certificate.Fault}"
        : TimeOf(certificate, now) switch
        {
            CertificateTime.Expired => "expired",
            CertificateTime.Early => "not valid yet",
            _ when Misnamed(certificate) => "for other hosts",
            CertificateTime.EndsNow or CertificateTime.EndsSoon => "ends soon",
            _ => certificate.IsInForce ? "ok" : "waits",
        };

    /// <summary>Whether it is valid for none of the hosts that it is served for, so that every client that checks refuses it.</summary>
    public static bool Misnamed(MeshCertificate certificate) =>
        certificate.Hosts.Count > 0 && certificate.Hosts.All(host => host != "*")
            && !certificate.Hosts.Any(host => certificate.Names.Any(name => Covers(name, host)));

    /// <summary>Whether a name of a certificate is valid for a host, or for a host below a wildcard.</summary>
    private static bool Covers(string name, string host)
    {
        if (string.Equals(name, host, StringComparison.OrdinalIgnoreCase)) return true;
        if (host.StartsWith("*.", StringComparison.Ordinal)) return name.EndsWith(host[1..], StringComparison.OrdinalIgnoreCase);
        // A wildcard stands for one label (RFC 6125 6.4.3).
        return name.StartsWith("*.", StringComparison.Ordinal) && host.IndexOf('.', StringComparison.Ordinal) is var dot and > 0
            && string.Equals(host[dot..], name[1..], StringComparison.OrdinalIgnoreCase);
    }

    private static TimeSpan Shorter(TimeSpan one, TimeSpan other) => one < other ? one : other;
}
