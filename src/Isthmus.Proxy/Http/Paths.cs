using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace Isthmus.Proxy.Http;

/// <summary>Normalisation of paths (RFC 3986 section 6.2.2), so that a policy and the server behind it see the same path.</summary>
internal static class Paths
{
    private static readonly SearchValues<byte> PathBytes = SearchValues.Create(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,=:@/%"u8);

    /// <summary>Whether <see cref="Normalize"/> could change the path.</summary>
    public static bool NeedsWork(ReadOnlySpan<byte> path) => path.Contains((byte)'%') || path.Contains((byte)'\\') || path.IndexOf("/."u8) >= 0;

    /// <summary>Whether two servers could read the path differently: it has parameters (<c>;</c>), empty or dot segments, backslashes or bytes
    /// that no path has, or escapes of such characters, of a slash, an escape, a query or a fragment, or of bytes that are not UTF-8.</summary>
    public static bool IsAmbiguous(ReadOnlySpan<byte> path)
    {
        if (path is [(byte)'*']) return false;
        if (path.IsEmpty || path[0] != '/' || path.IndexOf("//"u8) >= 0 || path.ContainsAnyExcept(PathBytes)) return true;
        foreach (var segment in path.Split((byte)'/'))
            if (path[segment] is [(byte)'.'] or [(byte)'.', (byte)'.']) return true;
        return path.Contains((byte)'%') && HasAmbiguousEscape(path);
    }

    private static bool HasAmbiguousEscape(ReadOnlySpan<byte> path)
    {
        var decoded = new List<byte>(path.Length);
        for (var i = 0; i < path.Length; i++)
        {
            if (path[i] != '%')
            {
                decoded.Add(path[i]);
                continue;
            }
            if (i + 2 >= path.Length || !char.IsAsciiHexDigit((char)path[i + 1]) || !char.IsAsciiHexDigit((char)path[i + 2])) return true;
            var value = Convert.FromHexString(Encoding.ASCII.GetString(path.Slice(i + 1, 2)))[0];
            if (value is < 0x20 or 0x7f || "/\\;.%?#"u8.Contains(value)) return true;
            decoded.Add(value);
            i += 2;
        }
        return !Utf8.IsValid(decoded.ToArray());
    }

    /// <summary>Decodes unreserved characters, converts backslashes, resolves dot segments; null for a malformed path.</summary>
    public static byte[]? Normalize(ReadOnlySpan<byte> path)
    {
        var decoded = new List<byte>(path.Length);
        for (var i = 0; i < path.Length; i++)
        {
            if (path[i] == '\\')
            {
                decoded.Add((byte)'/');
                continue;
            }
            if (path[i] != '%')
            {
                decoded.Add(path[i]);
                continue;
            }
            if (i + 2 >= path.Length || !char.IsAsciiHexDigit((char)path[i + 1]) || !char.IsAsciiHexDigit((char)path[i + 2])) return null;
            var value = Convert.FromHexString(Encoding.ASCII.GetString(path.Slice(i + 1, 2)))[0];
            if (value == 0) return null;
            if (IsUnreserved(value)) decoded.Add(value);
            else decoded.AddRange([(byte)'%', (byte)char.ToUpperInvariant((char)path[i + 1]), (byte)char.ToUpperInvariant((char)path[i + 2])]);
            i += 2;
        }
        return RemoveDots(decoded);
    }

    public static byte[] MergeSlashes(ReadOnlySpan<byte> path)
    {
        var merged = new List<byte>(path.Length);
        foreach (var b in path)
            if (b != '/' || merged.Count == 0 || merged[^1] != '/') merged.Add(b);
        return [.. merged];
    }

    /// <summary>Decodes escaped slashes and backslashes.</summary>
    public static byte[] Unescape(ReadOnlySpan<byte> path) => Encoding.Latin1.GetBytes(Encoding.Latin1.GetString(path)
        .Replace("%2f", "/", StringComparison.OrdinalIgnoreCase).Replace("%5c", "\\", StringComparison.OrdinalIgnoreCase));

    private static bool IsUnreserved(byte b) => char.IsAsciiLetterOrDigit((char)b) || b is (byte)'-' or (byte)'.' or (byte)'_' or (byte)'~';

    private static byte[]? RemoveDots(List<byte> path)
    {
        var segments = new List<string>();
        var text = Encoding.Latin1.GetString([.. path]);
        var parts = text[1..].Split('/');
        for (var i = 0; i < parts.Length; i++)
        {
            var isLast = i == parts.Length - 1;
            switch (parts[i])
            {
                case ".":
                    if (isLast) segments.Add("");
                    break;
                case "..":
                    if (segments.Count == 0) return null;
                    segments.RemoveAt(segments.Count - 1);
                    if (isLast) segments.Add("");
                    break;
                default:
                    segments.Add(parts[i]);
                    break;
            }
        }
        return Encoding.Latin1.GetBytes("/" + string.Join('/', segments));
    }
}
