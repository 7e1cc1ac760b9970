using System.Globalization;
using System.Text;

namespace Isthmus.Wire.Grpc;

/// <summary>The textual parts of gRPC over HTTP/2: timeouts and percent-encoded status messages.</summary>
internal static class GrpcText
{
    public const string ContentType = "application/grpc";
    public const string Status = "grpc-status";
    public const string Message = "grpc-message";
    public const string Timeout = "grpc-timeout";

    /// <summary>Null when the text is not a timeout. Huge ones are reduced to a value that timers accept.</summary>
    public static TimeSpan? ParseTimeout(string? text)
    {
        if (text is null || text.Length is < 2 or > 9) return null;
        if (!long.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var amount)) return null;
        double? milliseconds = text[^1] switch
        {
            'H' => amount * 3_600_000.0,
            'M' => amount * 60_000.0,
            'S' => amount * 1_000.0,
            'm' => amount,
            'u' => amount / 1_000.0,
            'n' => amount / 1_000_000.0,
            _ => null,
        };
        return milliseconds is { } value ? TimeSpan.FromMilliseconds(Math.Min(value, int.MaxValue - 1)) : null;
    }

    /// <summary>At most eight digits are allowed, hence the change of unit.</summary>
    public static string FormatTimeout(TimeSpan timeout)
    {
        var milliseconds = (long)Math.Max(1, Math.Ceiling(timeout.TotalMilliseconds));
        return milliseconds <= 99_999_999
            ? string.Create(CultureInfo.InvariantCulture, $"{milliseconds}m")
            : string.Create(CultureInfo.InvariantCulture, $"{Math.Min(99_999_999, milliseconds / 1000)}S");
    }

    public static string EncodeMessage(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (var unit in Encoding.UTF8.GetBytes(text))
        {
            if (unit is >= 0x20 and <= 0x7E && unit != '%') result.Append((char)unit);
            else result.Append('%').Append(unit.ToString("X2", CultureInfo.InvariantCulture));
        }
        return result.ToString();
    }

    /// <summary>Never fails: malformed escapes stay unchanged.</summary>
    public static string DecodeMessage(string text)
    {
        if (!text.Contains('%', StringComparison.Ordinal)) return text;
        var bytes = new List<byte>(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '%' && i + 2 < text.Length
                && byte.TryParse(text.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var unit))
            {
                bytes.Add(unit);
                i += 2;
            }
            else bytes.AddRange(Encoding.UTF8.GetBytes(text, i, 1));
        }
        return Encoding.UTF8.GetString([.. bytes]);
    }

    /// <summary>What an HTTP status means when the peer sent no gRPC status (gRPC "HTTP to gRPC Status Code Mapping").</summary>
    public static GrpcCode FromHttpStatus(int status) => status switch
    {
        400 => GrpcCode.Internal,
        401 => GrpcCode.Unauthenticated,
        403 => GrpcCode.PermissionDenied,
        404 => GrpcCode.Unimplemented,
        429 or 502 or 503 or 504 => GrpcCode.Unavailable,
        _ => GrpcCode.Unknown,
    };
}
