using System.Text;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Telemetry;
using Isthmus.Wire.Envoy.HttpFilters.CdnLoops;

namespace Isthmus.Proxy.Filters;

/// <summary>A cdn_loop filter (RFC 8586): requests name the networks that have passed them on, and one that comes back too often is refused.</summary>
/// <param name="id">What this network adds.</param>
/// <param name="most">How often a request may name it already.</param>
internal sealed class LoopFilter(string name, byte[] id, uint most) : RequestFilter(name)
{
    public static readonly HttpFilterKind Kind = HttpFilterKind.Of<CdnLoopConfig>("envoy.filters.http.cdn_loop",
        (config, from) => new LoopFilter(from.Name, Checked(config.CdnId), config.MaxAllowedOccurrences));

    public override FilterSteps Steps => FilterSteps.Request;

    public override ValueTask<FilterAnswer?> OnRequestAsync(FilteredRequest request)
    {
        var headers = request.Head.Headers;
        var list = headers.JoinedBytes("cdn-loop"u8);
        if (Count(list, id) is not { } count)
            return new(request.Refuse(new(400, "Invalid CDN-Loop header in request."u8.ToArray(), "invalid_cdn_loop_header", EndReason.DirectResponse)));
        if (count > most)
            return new(request.Refuse(new(502, "The server has detected a loop between CDNs."u8.ToArray(), "cdn_loop_detected", EndReason.DirectResponse)));
        headers.Set("cdn-loop"u8, list.Length == 0 ? id : [.. list, (byte)',', .. id]);
        return default;
    }

    /// <summary>How often a list of networks names one; null: it is not a list of networks.</summary>
    internal static int? Count(ReadOnlySpan<byte> list, ReadOnlySpan<byte> id)
    {
        var count = 0;
        for (var rest = list.TrimStart(", \t"u8); !rest.IsEmpty; rest = rest.TrimStart(", \t"u8))
        {
            var length = IdLength(rest);
            if (length == 0) return null;
            if (rest[..length].SequenceEqual(id)) count++;
            rest = rest[length..].TrimStart(" \t"u8);
            while (!rest.IsEmpty && rest[0] == ';')
            {
                if (!TryParameter(ref rest)) return null;
                rest = rest.TrimStart(" \t"u8);
            }
            if (!rest.IsEmpty && rest[0] != ',') return null;
        }
        return count;
    }

    /// <summary>A host or a name, and perhaps a port.</summary>
    private static int IdLength(ReadOnlySpan<byte> text)
    {
        var length = TokenLength(text);
        if (text[0] == '[')
        {
            length = 1 + text[1..].IndexOfAnyExcept("0123456789abcdefABCDEF:."u8);
            if (length == 0 || text[length++] != ']') return 0;
        }
        if (length == 0 || length == text.Length || text[length] != ':') return length;
        var port = text[(length + 1)..].IndexOfAnyExceptInRange((byte)'0', (byte)'9');
        return port < 0 ? text.Length : length + 1 + port;
    }

    private static bool TryParameter(ref ReadOnlySpan<byte> rest)
    {
        rest = rest[1..].TrimStart(" \t"u8);
        var name = TokenLength(rest);
        if (name == 0 || name + 1 >= rest.Length || rest[name] != '=') return false;
        rest = rest[(name + 1)..];
        var value = rest[0] == '"' ? QuotedLength(rest) : TokenLength(rest);
        rest = rest[value..];
        return value > 0;
    }

    private static int TokenLength(ReadOnlySpan<byte> text)
    {
        var length = 0;
        while (length < text.Length && HeadRules.IsToken(text.Slice(length, 1))) length++;
        return length;
    }

    /// <summary>0: the quotation does not end.</summary>
    private static int QuotedLength(ReadOnlySpan<byte> text)
    {
        for (var at = 1; at < text.Length; at++)
        {
            if (text[at] == '"') return at + 1;
            if (text[at] == '\\') at++;
            // No field has other bytes that a quotation may not have.
            if (at < text.Length && text[at] == 0x7f) return 0;
        }
        return 0;
    }

    private static byte[] Checked(string id)
    {
        var bytes = Encoding.UTF8.GetBytes(id);
        return bytes.Length > 0 && IdLength(bytes) == bytes.Length ? bytes : throw new ResourceException($"cdn_loop: '{id}' is not a host or a name");
    }
}
