namespace Isthmus.Mesh.Certificates;

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

    /// <summary>The life of what does not say when it began: people have a week to act on a warning.</summary>
    private static readonly TimeSpan UnknownLife = TimeSpan.FromDays(35);

    /// <summary>The words of <see cref="ReasonOf"/>.</summary>
    public const string OtherHosts = "other_hosts", UnusableKey = "unusable_key", UnusableCa = "unusable_ca", Untrusted = "untrusted",
        RefusedCa = "refused_ca", WaitingCa = "waiting_ca";

    /// <summary>By a share of its life.</summary>
    public static CertificateTime TimeOf(MeshCertificate certificate, DateTimeOffset now)
    {
        if (certificate.Ends is not { } end) return CertificateTime.Good;
        if (end <= now) return CertificateTime.Expired;
        if (certificate.Begins - Skew > now) return CertificateTime.Early;
        var ((warning, error), left) = (Notice(certificate), end - now);
        return left < error ? CertificateTime.EndsNow : left < warning ? CertificateTime.EndsSoon : CertificateTime.Good;
    }

    /// <summary>When people are first told that it must be renewed; null when they never are.</summary>
    public static DateTimeOffset? WarnedAt(MeshCertificate certificate) => certificate.Ends - Notice(certificate).Warning;

    /// <summary>How long before its end. What is renewed on its own is judged later: only if nobody did. The alerts of samples/addons use the same
    /// shares.</summary>
    private static (TimeSpan Warning, TimeSpan Error) Notice(MeshCertificate certificate)
    {
        var life = certificate.Ends - certificate.Begins ?? UnknownLife;
        return certificate.IsRenewed
            ? (Shorter(life / 20, EarliestWarning), Shorter(life / 50, EarliestError))
            : (Shorter(life / 5, EarliestWarning), Shorter(life / 20, EarliestError));
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
        CertificateRole.ServerAuthority => "CA of servers",
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

    /// <summary>Why it does not do its work, apart from its time, in one word for programs; empty when it does.</summary>
    public static string ReasonOf(MeshCertificate certificate) =>
        certificate.Fault.Length == 0 ? Misnamed(certificate) ? OtherHosts : certificate.IsInForce ? "" : WaitingCa
        : certificate.Role switch
        {
            CertificateRole.Authority => RefusedCa,
            CertificateRole.WebhookBundle => Untrusted,
            CertificateRole.ClientAuthority or CertificateRole.ServerAuthority => UnusableCa,
            _ => UnusableKey,
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
