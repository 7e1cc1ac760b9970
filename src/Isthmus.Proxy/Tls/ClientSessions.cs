using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.Versioning;

namespace Isthmus.Proxy.Tls;

/// <summary>
/// Sessions that servers gave to clients with the same settings. A session is offered to the same address, for the same names, with the same
/// certificate and roots, and only while the server's certificate is valid; with TLS 1.3 once (RFC 8446, appendix C.4).
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class ClientSessions
{
    private const int Most = 32;

    private static readonly ConditionalWeakTable<TlsSettings, ClientSessions> Known = [];

    private readonly Dictionary<Server, OpenSsl.SessionHandle> _sessions = [];     // guarded by itself
    private TlsContext? _context;

    internal readonly record struct Server(EndPoint? Address, string Sni, string Expected);

    internal static ClientSessions Of(TlsSettings settings) => Known.GetOrCreateValue(settings);

    /// <summary>Keeps a session, in place of an older one.</summary>
    internal void Keep(TlsContext context, Server server, OpenSsl.SessionHandle session)
    {
        lock (_sessions)
        {
            Forget(context);
            if (_sessions.Remove(server, out var older) || (_sessions.Count >= Most && _sessions.Remove(_sessions.Keys.First(), out older))) older.Dispose();
            _sessions.Add(server, session);
        }
    }

    /// <summary>Offers the session with a server, if there is one, in the handshake of a connection.</summary>
    internal void Offer(TlsContext context, Server server, OpenSsl.ConnectionHandle connection)
    {
        lock (_sessions)
        {
            Forget(context);
            if (!_sessions.TryGetValue(server, out var session)) return;
            var isUsable = OpenSsl.IsUsable(session);
            if (isUsable) _ = OpenSsl.SSL_set_session(connection, session);
            if (isUsable && !OpenSsl.IsForSingleUse(session)) return;
            _sessions.Remove(server);
            session.Dispose();
        }
    }

    // Another certificate, or other roots, since the last connection.
    private void Forget(TlsContext context)
    {
        if (ReferenceEquals(_context, context)) return;
        _context = context;
        foreach (var session in _sessions.Values) session.Dispose();
        _sessions.Clear();
    }
}
