using System.Net;
using Isthmus.Proxy.Matching;
using Isthmus.Wire.Envoy;

namespace Isthmus.Proxy.Tls;

/// <summary>The kinds of subject alternative names.</summary>
internal enum NameKind { Dns, Uri, Address }

/// <summary>A subject alternative name that a peer's certificate may have.</summary>
/// <param name="Kind">The kind of name that it compares with; null: every kind.</param>
internal sealed record PeerName(NameKind? Kind, TextMatch Text)
{
    /// <exception cref="ResourceException">An unknown kind of match.</exception>
    public static PeerName From(StringMatcher matcher) => new(null, TextMatch.From(matcher));

    /// <exception cref="ResourceException">An unknown kind of match or of name.</exception>
    public static PeerName From(SubjectAltNameMatcher matcher) => new(matcher.SanType switch
    {
        SubjectAltNameMatcher.Types.SanType.Dns => NameKind.Dns,
        SubjectAltNameMatcher.Types.SanType.Uri => NameKind.Uri,
        SubjectAltNameMatcher.Types.SanType.IpAddress => NameKind.Address,
        _ => throw new ResourceException($"match_typed_subject_alt_names: names of type {matcher.SanType} are not supported"),
    }, TextMatch.From(matcher.Matcher));

    /// <summary>Whether a name of a certificate is this one. As in Envoy, an exact DNS name also matches the certificate's
    /// wildcard.</summary>
    public bool IsMatch(NameKind kind, string name) =>
        (Kind is null || Kind == kind) && (kind == NameKind.Dns && Text.ExactText is { } exact ? Covers(name, exact) : Text.IsMatch(name));

    /// <summary>Whether a certificate's DNS name, perhaps <c>*.DOMAIN</c>, includes a host. The asterisk stands for one label.</summary>
    public static bool Covers(string name, string host)
    {
        if (name.Equals(host, StringComparison.OrdinalIgnoreCase)) return true;
        if (!name.StartsWith("*.", StringComparison.Ordinal)) return false;
        var dot = host.IndexOf('.', StringComparison.Ordinal);
        return dot > 0 && host.AsSpan(dot).Equals(name.AsSpan(1), StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Whether a name of a certificate proves that the peer is <paramref name="host"/>: a host name, an address, or
    /// <c>*.DOMAIN</c> for any host of a domain.</summary>
    public static bool Proves(NameKind kind, string name, string host) => kind switch
    {
        NameKind.Dns when host.StartsWith("*.", StringComparison.Ordinal) => name.EndsWith(host[1..], StringComparison.OrdinalIgnoreCase),
        NameKind.Dns => Covers(name, host),
        NameKind.Address => IPAddress.TryParse(host, out var address) && name == address.ToString(),
        _ => name == host,
    };

    public override string ToString() => Text.ToString();
}
