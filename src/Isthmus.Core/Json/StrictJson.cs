using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;
using Isthmus.Core.Names;

namespace Isthmus.Core.Json;

/// <summary>
/// JSON that others wrote (RFC 8259), as two readers cannot understand it differently: in UTF-8, without comments or trailing commas, with no member
/// twice and no half of a surrogate pair, and nested no deeper than <see cref="MaxDepth"/>. What is returned can be read without a further error,
/// except for values of another type than the reader asks for.
/// </summary>
public static class StrictJson
{
    /// <summary>How many objects and lists may be in each other.</summary>
    public const int MaxDepth = 64;

    private static readonly JsonDocumentOptions Options = new() { AllowDuplicateProperties = false, MaxDepth = MaxDepth };

    private static readonly UTF8Encoding Encoding = new(false, throwOnInvalidBytes: true);

    /// <exception cref="JsonException">It is not such JSON; the message is one line that is safe to show.</exception>
    public static JsonNode? Parse(ReadOnlySpan<byte> utf8)
    {
        try
        {
            Check(utf8);
            return JsonNode.Parse(utf8, documentOptions: Options);
        }
        catch (JsonException e)
        {
            throw new JsonException(Visible.Text(e.Message), e);
        }
    }

    /// <inheritdoc cref="Parse(ReadOnlySpan{byte})"/>
    public static JsonNode? Parse(string text) => Parse(Bytes(text));

    /// <summary>Reads a record.</summary>
    /// <param name="type">Of a context that allows no member twice.</param>
    /// <exception cref="JsonException">It is not such JSON, or has a value of another type; the message is one line that is safe to show.</exception>
    public static T Parse<T>(string text, JsonTypeInfo<T> type)
    {
        var utf8 = Bytes(text);
        try
        {
            Check(utf8);
            return JsonSerializer.Deserialize(utf8, type) ?? throw new JsonException("it is null");
        }
        catch (JsonException e)
        {
            throw new JsonException(Visible.Text(e.Message), e);
        }
    }

    /// <summary>As <see cref="Parse(ReadOnlySpan{byte})"/>, without nodes that can be changed. The bytes must stay as they are while it is used.</summary>
    /// <inheritdoc cref="Parse(ReadOnlySpan{byte})"/>
    public static JsonDocument Document(ReadOnlyMemory<byte> utf8)
    {
        try
        {
            Check(utf8.Span);
            return JsonDocument.Parse(utf8, Options);
        }
        catch (JsonException e)
        {
            throw new JsonException(Visible.Text(e.Message), e);
        }
    }

    /// <summary>Reads a stream to its end.</summary>
    /// <param name="most">How many bytes it may have.</param>
    /// <exception cref="JsonException">It is not such JSON, or longer.</exception>
    public static async Task<JsonNode?> ReadAsync(Stream stream, int most, CancellationToken stop)
    {
        using var read = new MemoryStream();
        var part = new byte[Math.Min(most, 16 << 10) + 1];
        while (await stream.ReadAsync(part, stop).ConfigureAwait(false) is > 0 and var count)
        {
            if (read.Length + count > most) throw new JsonException($"it is longer than {most} bytes");
            read.Write(part, 0, count);
        }
        return Parse(read.GetBuffer().AsSpan(0, (int)read.Length));
    }

    private static byte[] Bytes(string text)
    {
        try
        {
            return Encoding.GetBytes(text);
        }
        catch (EncoderFallbackException e)
        {
            throw new JsonException("it contains half of a surrogate pair", e);
        }
    }

    /// <summary>What parsers of .NET leave to whoever reads a text later, when it is an exception in an odd place.</summary>
    private static void Check(ReadOnlySpan<byte> utf8)
    {
        if (!Utf8.IsValid(utf8)) throw new JsonException("it is not UTF-8");
        if (utf8.IndexOf((byte)'\\') < 0) return;
        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = MaxDepth });
        while (reader.Read())
        {
            if (reader.TokenType is not (JsonTokenType.String or JsonTokenType.PropertyName) || !reader.ValueIsEscaped) continue;
            try
            {
                reader.GetString();
            }
            catch (InvalidOperationException e)
            {
                throw new JsonException($"the text at byte {reader.TokenStartIndex} contains half of a surrogate pair", e);
            }
        }
    }
}
