using System.Security.Cryptography.X509Certificates;
using Isthmus.Core.Collections;

namespace Isthmus.Mesh.Certificates;

/// <summary>A server does not send the certificate of whoever issued its own. Clients know roots: whether they miss it depends on whether the issuer is one,
/// which its name does not tell.</summary>
/// <param name="Issuer">The name of the issuer.</param>
public sealed record ChainGap(string Issuer)
{
    /// <summary>The names of certificates that are sent after the server's own, and did not issue it.</summary>
    public ValueList<string> Astray { get; init; }

    /// <summary>Who issued the certificate of the issuer, which is known: it is not a root. Empty when it is not known.</summary>
    public string Above { get; init; } = "";

    /// <summary>Where the certificate of the issuer is; empty when it is not known.</summary>
    public string HeldBy { get; init; } = "";

    /// <summary>Where the issuer offers its certificate, as CAs do for the sake of clients that do not get it from the server.</summary>
    public string OfferedAt { get; init; } = "";

    /// <summary>Whether something is known to be missing.</summary>
    public bool IsCertain => Astray.Count > 0 || Above.Length > 0;

    /// <summary>What is wrong, as the end of a sentence about the server's certificate.</summary>
    public string Why => Above.Length > 0
        ? $"was issued by {Issuer}, which is not a root ({Above} issued its certificate), and the certificate of {Issuer} is not sent: clients that know only "
            + "the root refuse it"
        : Astray.Count > 0
        ? $"was issued by {Issuer}, and what is sent after it did not issue it ({string.Join("; ", Astray)}): clients that do not know {Issuer} itself "
            + "refuse it"
        : $"was issued by {Issuer}, whose certificate is not sent: if that is an intermediate CA, clients that know only the root refuse it";

    public string Remedy => Above.Length > 0 || OfferedAt.Length == 0
        ? $"put the certificate of {Issuer}{(HeldBy.Length > 0 ? $", which is in {HeldBy}," : "")} into tls.crt, after the first one"
        : $"put the certificate that {OfferedAt} has into tls.crt, after the first one, unless it is a root";

    /// <summary>Null when nothing is missing: the issuer's certificate is sent, or is that of a root.</summary>
    /// <param name="sent">What is sent after the server's own certificate.</param>
    /// <param name="known">Other certificates, and where they are.</param>
    public static ChainGap? Find(X509Certificate2 leaf, IEnumerable<X509Certificate2> sent, IEnumerable<(X509Certificate2 Certificate, string HeldBy)> known)
    {
        var rest = sent.Where(one => !one.Equals(leaf)).ToList();
        if (IsIssuedBy(leaf, leaf) || rest.Exists(one => IsIssuedBy(leaf, one))) return null;
        var issuers = known.Where(one => IsIssuedBy(leaf, one.Certificate)).ToList();
        // One name may have several certificates: a root that another one has signed, too, is known to clients by its own.
        if (issuers.Exists(one => IsIssuedBy(one.Certificate, one.Certificate))) return null;
        var gap = new ChainGap(leaf.Issuer)
        {
            Astray = rest.Select(one => one.Subject).ToValueList(),
            OfferedAt = leaf.Extensions.OfType<X509AuthorityInformationAccessExtension>().SelectMany(one => one.EnumerateCAIssuersUris()).FirstOrDefault()
                ?? "",
        };
        if (issuers.Count > 0) return gap with { Above = issuers[0].Certificate.Issuer, HeldBy = issuers[0].HeldBy };
        // Some certificates name the issuer of their issuer's certificate.
        return leaf.Extensions.OfType<X509AuthorityKeyIdentifierExtension>().FirstOrDefault()?.NamedIssuer is { } above
            && !above.RawData.AsSpan().SequenceEqual(leaf.IssuerName.RawData) ? gap with { Above = above.Name } : gap;
    }

    private static bool IsIssuedBy(X509Certificate2 one, X509Certificate2 other)
    {
        if (!one.IssuerName.RawData.AsSpan().SequenceEqual(other.SubjectName.RawData)) return false;
        var named = one.Extensions.OfType<X509AuthorityKeyIdentifierExtension>().FirstOrDefault()?.KeyIdentifier;
        var own = other.Extensions.OfType<X509SubjectKeyIdentifierExtension>().FirstOrDefault()?.SubjectKeyIdentifierBytes;
        // Of CAs with one name, their keys tell which one it is.
        return named is null || own is null || named.Value.Span.SequenceEqual(own.Value.Span);
    }
}
