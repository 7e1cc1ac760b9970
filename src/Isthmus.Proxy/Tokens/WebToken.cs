using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;

namespace Isthmus.Proxy.Tokens;

/// <summary>A JSON Web Token in compact form (RFC 7519), parsed and not yet verified.</summary>
internal sealed class WebToken
{
    private const int MostBytes = 64 * 1024;

    private WebToken(string text, JsonObject header, JsonObject claims, byte[] signed, byte[] signature)
    {
        (Text, Claims, Signed, Signature) = (text, claims, signed, signature);
        (Algorithm, KeyId) = (StringOf(header["alg"]), StringOf(header["kid"]));
    }

    public string Text { get; }

    public string Algorithm { get; }

    public string KeyId { get; }

    public JsonObject Claims { get; }

    public byte[] Signed { get; }

    public byte[] Signature { get; }

    public string Issuer => StringOf(Claims["iss"]);

    public string Subject => StringOf(Claims["sub"]);

    /// <summary>The payload as it was sent.</summary>
    public string Payload => Text.Split('.')[1];

    public IEnumerable<string> Audiences => Strings(Claims["aud"]);

    /// <summary>Null when the text is not a token, or has critical extensions.</summary>
    public static WebToken? Parse(string text)
    {
        if (text.Length is 0 or > MostBytes || text.Split('.') is not { Length: 3 } parts) return null;
        if (ObjectOf(parts[0]) is not { } header || ObjectOf(parts[1]) is not { } claims
            || Decode(Encoding.UTF8.GetBytes(parts[2])) is not { Length: > 0 } signature)
            return null;
        // Critical extensions must be understood (RFC 7515 section 4.1.11), and this proxy supports none.
        if (header.ContainsKey("crit")) return null;
        return new(text, header, claims, Encoding.UTF8.GetBytes(text[..text.LastIndexOf('.')]), signature);
    }

    /// <summary>A malformed token.</summary>
    public static WebToken Broken(string text) => new(text, [], [], [], []);

    /// <summary>Why it is invalid at that moment; empty when it is valid.</summary>
    public string WhyNotAt(DateTimeOffset now, TimeSpan skew)
    {
        var second = (double)now.ToUnixTimeSeconds();
        if (TimeOf("exp", out var expires) && (expires is not { } end || second > end + skew.TotalSeconds)) return "Jwt is expired";
        if (TimeOf("nbf", out var begins) && (begins is not { } start || second < start - skew.TotalSeconds)) return "Jwt not yet valid";
        return "";
    }

    /// <summary>Decodes base64url without padding; null when malformed.</summary>
    public static byte[]? Decode(ReadOnlySpan<byte> text)
    {
        var bytes = new byte[Base64Url.GetMaxDecodedLength(text.Length)];
        return Base64Url.DecodeFromUtf8(text, bytes, out var read, out var written) == OperationStatus.Done && read == text.Length ? bytes[..written] : null;
    }

    /// <summary>A string, the words of a string, or a list of strings.</summary>
    public static IEnumerable<string> Strings(JsonNode? value) => value switch
    {
        JsonArray items => items.Select(StringOf).Where(item => item.Length > 0),
        _ => StringOf(value) is { Length: > 0 } text ? [text] : [],
    };

    public static string StringOf(JsonNode? value) => value is JsonValue scalar && scalar.TryGetValue<string>(out var text) ? text : "";

    /// <summary>False when there is no such claim; null when it is not a number.</summary>
    private bool TimeOf(string name, out double? seconds)
    {
        seconds = Claims[name] is JsonValue value && value.TryGetValue<double>(out var number) ? number : null;
        return Claims.ContainsKey(name);
    }

    private static JsonObject? ObjectOf(string part)
    {
        if (Decode(Encoding.UTF8.GetBytes(part)) is not { } bytes) return null;
        try
        {
            return StrictJson.Parse(bytes) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
