using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Isthmus.Lab.ApiServer.Values;

/// <summary>The formats of texts that Kubernetes checks; others say nothing.</summary>
internal static class Formats
{
    public static bool Fits(string format, string text) => format switch
    {
        "date-time" or "datetime" => text.Length >= 20 && text[10] is 'T' or 't'
            && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out _) && EndsWithZone(text),
        "date" => DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out _),
        "duration" => IsDuration(text),
        "ipv4" => IPAddress.TryParse(text, out var four) && four.AddressFamily == AddressFamily.InterNetwork && text.Count(c => c == '.') == 3,
        "ipv6" => IPAddress.TryParse(text, out var six) && six.AddressFamily == AddressFamily.InterNetworkV6,
        "cidr" => IPNetwork.TryParse(text, out _),
        "mac" => System.Net.NetworkInformation.PhysicalAddress.TryParse(text.Replace(':', '-'), out _),
        "uri" => Uri.TryCreate(text, UriKind.Absolute, out _),
        "email" => text.IndexOf('@', StringComparison.Ordinal) is > 0 and var at && at < text.Length - 1,
        "hostname" => text.Length is > 0 and < 256 && Uri.CheckHostName(text) == UriHostNameType.Dns,
        "uuid" or "uuid3" or "uuid4" or "uuid5" => Guid.TryParse(text, out _),
        "byte" => Convert.TryFromBase64String(text, new byte[text.Length], out _),
        _ => true,
    };

    private static bool EndsWithZone(string text) =>
        text[^1] is 'Z' or 'z' || (text.Length > 6 && text[^6] is '+' or '-' && text[^3] == ':');

    /// <summary>As Go reads durations: <c>1h2m3.5s</c>; also days and weeks as words of some resources.</summary>
    private static bool IsDuration(string text)
    {
        var rest = text.AsSpan().TrimStart("+-");
        if (rest is "0") return true;
        if (rest.IsEmpty) return false;
        while (!rest.IsEmpty)
        {
            var digits = 0;
            while (digits < rest.Length && (char.IsAsciiDigit(rest[digits]) || rest[digits] == '.')) digits++;
            if (digits == 0) return false;
            rest = rest[digits..].TrimStart(' ');
            var letters = 0;
            while (letters < rest.Length && (char.IsLetter(rest[letters]) || rest[letters] == 'µ')) letters++;
            if (rest[..letters] is not ("ns" or "us" or "µs" or "ms" or "s" or "m" or "h" or "d" or "w")) return false;
            rest = rest[letters..].TrimStart(' ');
        }
        return true;
    }
}
