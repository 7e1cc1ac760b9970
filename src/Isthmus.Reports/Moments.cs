using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Isthmus.Reports;

/// <summary>A time in UTC with milliseconds, such as <c>2026-01-31T12:00:00.000Z</c>. Any form of ISO 8601 is read.</summary>
internal sealed class MillisecondConverter() : MomentConverter("yyyy-MM-dd'T'HH:mm:ss.fff'Z'");

/// <summary>A time in UTC with ticks, such as <c>2026-01-31T12:00:00.0000000Z</c>.</summary>
internal sealed class TickConverter() : MomentConverter("yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'");

/// <summary>A time with ticks and its offset, such as <c>2026-01-31T12:00:00.0000000+00:00</c>.</summary>
internal sealed class OffsetConverter() : MomentConverter("yyyy-MM-dd'T'HH:mm:ss.fffffffzzz");

/// <summary>A time as text.</summary>
internal abstract class MomentConverter(string format) : JsonConverter<DateTimeOffset?>
{
    public override DateTimeOffset? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        DateTimeOffset.TryParse(reader.TokenType == JsonTokenType.String ? reader.GetString() : "", CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal, out var time) ? time : throw new JsonException("expected a time such as 2026-01-31T12:00:00Z");

    public override void Write(Utf8JsonWriter writer, DateTimeOffset? value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value?.UtcDateTime.ToString(format, CultureInfo.InvariantCulture));
}
