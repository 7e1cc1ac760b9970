using System.Globalization;
using System.Net;
using System.Text;
using Google.Protobuf;
using Isthmus.Proxy.Clusters;
using Isthmus.Proxy.Messages;
using SessionCookie = Isthmus.Wire.Envoy.Sessions.Cookie;

namespace Isthmus.Proxy.Filters;

/// <summary>The host that a request asks for.</summary>
/// <param name="Address">Null: any.</param>
/// <param name="IsStrict">No other one may answer.</param>
internal readonly record struct HostWish(IPEndPoint? Address, bool IsStrict)
{
    /// <summary>No other host may answer.</summary>
    public bool IsOnly => IsStrict && Address is not null;

    /// <summary>Whether the cluster decides itself, because nobody asks, or the host is not in it or not healthy.</summary>
    /// <param name="host">The host that is asked for, if the result is false; null: no host may answer.</param>
    public bool IsFree(ClusterState cluster, out Host? host)
    {
        host = Address is null ? null : cluster.Healthy(Address);
        return host is null && !IsOnly;
    }
}

/// <summary>Sessions: what requests say of the host that they belong to, and what responses tell clients of it. Names of hosts are Envoy's: the address in
/// Base64, in cookies as a message with its end. Only hosts of the cluster are taken from a client.</summary>
internal static class Sessions
{
    /// <summary>Tells the client which host answered, unless it said so itself. A header is told each time: it is not a state of the client.</summary>
    public static void Tell(Session session, HeaderBlock response, Host host, DateTimeOffset now)
    {
        var address = host.Endpoint.AddressText;
        if (session.Settings.IsHeader) response.Set(session.Settings.Field, Convert.ToBase64String(Encoding.ASCII.GetBytes(address)));
        else if (!host.Address.Equals(session.Wanted)) response.Add("set-cookie"u8, Cookie(session.Settings, address, now));
    }

    /// <summary>The address that a request names; null: none that is one, or no longer.</summary>
    public static IPEndPoint? Wanted(SessionSettings settings, RequestHead request, DateTimeOffset now)
    {
        var given = settings.IsHeader ? request.Headers.GetString(settings.Field) : RequestFields.Cookie(request, settings.Name);
        if (given is not { Length: > 0 and <= 256 }) return null;
        Span<byte> bytes = stackalloc byte[192];
        if (!Convert.TryFromBase64String(given, bytes, out var length)) return null;
        var text = settings.IsHeader ? Encoding.ASCII.GetString(bytes[..length]) : Address(bytes[..length], now);
        return text is { Length: > 0 } && IPEndPoint.TryParse(text, out var address) && address.Port > 0 ? address : null;
    }

    private static string? Address(ReadOnlySpan<byte> bytes, DateTimeOffset now)
    {
        try
        {
            var cookie = SessionCookie.Parser.ParseFrom(bytes);
            return cookie.Expires > 0 && cookie.Expires < now.ToUnixTimeSeconds() ? null : cookie.Address;
        }
        catch (InvalidProtocolBufferException)
        {
            // Older Envoys write the address alone.
            return Encoding.ASCII.GetString(bytes);
        }
    }

    /// <summary>Whether the path of a request is one for which clients send the cookie.</summary>
    public static bool IsIn(SessionSettings settings, RequestHead request)
    {
        if (settings.IsHeader || settings.Path is "" or "/") return true;
        var target = request.Target;
        var end = target.IndexOf((byte)'?');
        var path = end < 0 ? target : target[..end];
        var prefix = Encoding.ASCII.GetBytes(settings.Path);
        return path.StartsWith(prefix) && (path.Length == prefix.Length || prefix[^1] == '/' || path[prefix.Length] == '/');
    }

    private static string Cookie(SessionSettings settings, string address, DateTimeOffset now)
    {
        var lives = settings.Lifetime > TimeSpan.Zero;
        var cookie = new SessionCookie { Address = address, Expires = lives ? (now + settings.Lifetime).ToUnixTimeSeconds() : 0 };
        var (value, seconds) = (Convert.ToBase64String(cookie.ToByteArray()), ((long)settings.Lifetime.TotalSeconds).ToString(CultureInfo.InvariantCulture));
        return $"{settings.Name}=\"{value}\"{(lives ? $"; Max-Age={seconds}" : "")}{(settings.Path.Length > 0 ? $"; Path={settings.Path}" : "")}"
            + $"{settings.Attributes}; HttpOnly";
    }
}
