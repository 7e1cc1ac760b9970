using System.Buffers.Text;
using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tls;
using Isthmus.Proxy.Traffic;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Http;

/// <summary>Prepares every request before routing: sets or removes the mesh's fields and normalises the path.</summary>
internal static class RequestPreparation
{
    public static void Apply(RequestHead request, Downstream connection, HttpAction action, ISecretSource secrets, Random random)
    {
        var headers = request.Headers;
        var isTls = connection.Peer is not null;
        RemoveSteering(headers);
        if (action.Client.UseRemoteAddress)
        {
            var address = RemoteAddress(headers, connection, action.Client);
            if (!IsInternal(address, action.Client.InternalRanges)) RemoveEnvoyFields(headers);
            // Only a trusted proxy knows how the client connected to it.
            if (action.Client.TrustedHops == 0) headers.Remove("x-forwarded-proto"u8);
            if (!action.Client.SkipXffAppend) headers.AppendElement("x-forwarded-for"u8, connection.Source.Address.ToString());
            headers.Set("x-envoy-external-address"u8, RemoteAddress(headers, connection, action.Client).ToString());
        }
        if (!headers.Contains("x-forwarded-proto"u8)) headers.Add("x-forwarded-proto"u8, isTls ? "https"u8 : "http"u8);
        SetRequestId(headers, action, random);
        SetClientCertificate(headers, connection, action.Client, secrets);
        if (action.Paths.StripPort && !request.IsConnect && request.Authority.LastIndexOf(':') is > 0 and var colon
            && !request.Authority[colon..].Contains(']', StringComparison.Ordinal))
            request.Authority = request.Authority[..colon];
        if (action.Server.Via.Length > 0) headers.Add("via"u8, action.Server.Via);
    }

    /// <summary>Whether the connection may change to the protocol that the client asks for.</summary>
    public static bool TakeUpgrade(RequestHead request, HttpAction action, ForwardAct act)
    {
        // An offer to upgrade to HTTP/2 in plain text may be ignored, and is.
        if (request.Upgrade.StartsWith("h2c", StringComparison.Ordinal))
        {
            request.Upgrade = "";
            request.Headers.Remove("http2-settings"u8);
            return true;
        }
        var protocol = request.IsConnect ? "connect" : request.Upgrade;
        return act.Upgrades.TryGetValue(protocol, out var isEnabled) ? isEnabled : action.Upgrades.Contains(protocol);
    }

    /// <summary>
    /// The original client of the request, as far as the proxies that forwarded it are trusted: the field's last entry is
    /// the peer of the hop before this proxy, or of this proxy itself where it appends.
    /// </summary>
    public static IPAddress RemoteAddress(HeaderBlock headers, Downstream connection, ClientTrust trust)
    {
        if (trust is { UseRemoteAddress: true, TrustedHops: 0 } || headers.GetJoined("x-forwarded-for"u8) is not { } field) return connection.Source.Address;
        var hops = field.Split(',', StringSplitOptions.TrimEntries);
        // Whoever sent the request is the last entry, except where this proxy should have appended it and does not.
        var at = hops.Length - trust.TrustedHops - (trust is { UseRemoteAddress: true, SkipXffAppend: true } ? 0 : 1);
        return at >= 0 && IPAddress.TryParse(hops[at], out var address) ? address : connection.Source.Address;
    }

    /// <summary>Drops fields whose names have an underscore, or returns false when they make the request invalid.</summary>
    public static bool CheckUnderscores(HeaderBlock headers, Underscores action)
    {
        if (action == Underscores.Allow) return true;
        for (var i = headers.Count - 1; i >= 0; i--)
        {
            if (!headers.Name(i).Contains((byte)'_')) continue;
            if (action == Underscores.Reject) return false;
            headers.RemoveAt(i);
        }
        return true;
    }

    /// <summary>
    /// Normalises the path as the connection manager specifies. Returns a status to refuse the request with, or 0; a
    /// redirect's target is in the request afterwards.
    /// </summary>
    public static int NormalizePath(RequestHead request, PathRules rules)
    {
        // CONNECT has no path.
        if (request.Target.IsEmpty) return 0;
        var isRedirect = false;
        if (rules.RefusesAmbiguous && Paths.IsAmbiguous(PathOf(request))) return 400;
        if (rules.EscapedSlashes != EscapedSlashes.Keep && HasEscapedSlash(PathOf(request)))
        {
            if (rules.EscapedSlashes == EscapedSlashes.Reject) return 400;
            isRedirect = rules.EscapedSlashes == EscapedSlashes.Redirect;
            ReplacePath(request, Paths.Unescape(PathOf(request)));
        }
        if (rules.Normalize && PathOf(request) is [(byte)'/', ..] && Paths.NeedsWork(PathOf(request)))
        {
            if (Paths.Normalize(PathOf(request)) is not { } normal) return 400;
            ReplacePath(request, normal);
        }
        if (rules.MergeSlashes && PathOf(request).IndexOf("//"u8) >= 0) ReplacePath(request, Paths.MergeSlashes(PathOf(request)));
        return isRedirect ? 307 : 0;
    }

    private static ReadOnlySpan<byte> PathOf(RequestHead request)
    {
        ReadOnlySpan<byte> target = request.Target;
        var query = target.IndexOf((byte)'?');
        return query < 0 ? target : target[..query];
    }

    private static bool HasEscapedSlash(ReadOnlySpan<byte> path) =>
        path.IndexOf("%2F"u8) >= 0 || path.IndexOf("%2f"u8) >= 0 || path.IndexOf("%5C"u8) >= 0 || path.IndexOf("%5c"u8) >= 0;

    private static void ReplacePath(RequestHead request, byte[] path) => request.SetTarget([.. path, .. request.Target[PathOf(request).Length..]]);

    private static bool IsInternal(IPAddress address, ValueList<Cidr> ranges)
    {
        for (var i = 0; i < ranges.Count; i++)
            if (ranges[i].Contains(address)) return true;
        return false;
    }

    // They steer proxies and servers behind this one, which believe them.
    private static void RemoveEnvoyFields(HeaderBlock headers)
    {
        for (var i = headers.Count - 1; i >= 0; i--)
            if (headers.Name(i).StartsWith("x-envoy-"u8)) headers.RemoveAt(i);
    }

    // Only an edge may say that a request comes from inside, and no client steers the retries of a server.
    private static void RemoveSteering(HeaderBlock headers)
    {
        for (var i = headers.Count - 1; i >= 0; i--)
        {
            var name = headers.Name(i);
            if (!name.StartsWith("x-envoy-"u8)) continue;
            if (name.StartsWith("x-envoy-retry-"u8) || name.StartsWith("x-envoy-retriable-"u8) || name.SequenceEqual("x-envoy-max-retries"u8)
                || name.SequenceEqual("x-envoy-internal"u8))
                headers.RemoveAt(i);
        }
    }

    private static void SetRequestId(HeaderBlock headers, HttpAction action, Random random)
    {
        var isEdge = action.Client.UseRemoteAddress && !action.Ids.KeepsExternal;
        if (!action.Ids.Generates || (!isEdge && headers.Contains("x-request-id"u8))) return;
        Span<byte> bytes = stackalloc byte[16];
        random.NextBytes(bytes);
        bytes[7] = (byte)((bytes[7] & 0x0f) | 0x40);
        bytes[8] = (byte)((bytes[8] & 0x3f) | 0x80);
        Span<byte> text = stackalloc byte[36];
        Utf8Formatter.TryFormat(new Guid(bytes), text, out _);
        headers.Set("x-request-id"u8, text);
    }

    // The field identifies the caller. Only an authenticated client may extend it, and only modes that forward it trust it.
    private static void SetClientCertificate(HeaderBlock headers, Downstream connection, ClientTrust trust, ISecretSource secrets)
    {
        if (trust.Certificate == ClientCertMode.AlwaysForwardOnly) return;
        if (trust.Certificate == ClientCertMode.Sanitize || connection.Peer is not { Sha256.Length: > 0 } peer)
        {
            headers.Remove("x-forwarded-client-cert"u8);
            return;
        }
        if (trust.Certificate == ClientCertMode.ForwardOnly) return;
        var own = connection.Chain?.Tls is { } tls ? secrets.FindCertificate(tls.Certificate)?.Self.Identity : null;
        var element = ClientCertificateElement.Of(peer, own, trust.CertificateFields);
        if (trust.Certificate == ClientCertMode.AppendForward) headers.AppendElement("x-forwarded-client-cert"u8, element);
        else headers.Set("x-forwarded-client-cert"u8, element);
    }
}
