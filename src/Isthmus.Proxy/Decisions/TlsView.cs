using System.Security.Authentication;
using Isthmus.Core.Collections;
using Isthmus.Proxy.Tls;

namespace Isthmus.Proxy.Decisions;

/// <summary>The TLS of one side of connections.</summary>
public sealed class TlsView
{
    private readonly TlsSettings _settings;

    private TlsView(TlsSettings settings) => _settings = settings;

    internal static TlsView? Of(TlsSettings? settings) => settings is null ? null : new(settings);

    /// <summary>The name of the secret with the certificate that is shown; empty when none is.</summary>
    public string Certificate => _settings.Certificate;

    /// <summary>Whether several certificates may be shown, so that it depends on the client which one is.</summary>
    public bool HasSeveralCertificates => _settings.Certificates.Count > 1;

    /// <summary>The cipher suites of TLS 1.2, by OpenSSL's names; empty: the default.</summary>
    public ValueList<string> Suites => _settings.Ciphers.Split(':', StringSplitOptions.RemoveEmptyEntries).ToValueList();

    /// <summary>Whether TLS 1.3 may be spoken.</summary>
    public bool Allows13 => _settings.Protocols.HasFlag(SslProtocols.Tls13);

    /// <summary>Whether TLS 1.2 may be spoken.</summary>
    public bool Allows12 => _settings.Protocols.HasFlag(SslProtocols.Tls12);

    /// <summary>The name of the secret with the roots; empty when any peer will do.</summary>
    public string Root => _settings.Root;

    /// <summary>The server name that is asked for.</summary>
    public string Sni => _settings.Sni;

    /// <summary>The server name that is asked for on behalf of a request: settings without a name may take that of the request.</summary>
    /// <param name="authority">Empty: there is no request.</param>
    public string SniFor(string authority) => _settings.NamesFor(authority).Sni;

    /// <summary>The protocols that are offered.</summary>
    public IReadOnlyList<string> Alpn => _settings.Alpn;

    /// <summary>Whether clients must show a certificate.</summary>
    public bool RequirePeer => _settings.RequirePeer;

    /// <summary>The names of which peers must have one, as text; empty: any name will do.</summary>
    public IReadOnlyList<string> Peers => [.. _settings.Peers.Select(peer => peer.ToString())];

    /// <summary>Whether a name is among those that peers must have.</summary>
    public bool Names(string uri) => _settings.Peers.Any(peer => peer.IsMatch(NameKind.Uri, uri));

    /// <summary>Whether a peer with a name is accepted.</summary>
    public bool Accepts(string uri) => _settings.Peers.Count == 0 || Names(uri);
}
