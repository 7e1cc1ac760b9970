using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Time;

namespace Isthmus.Mesh.Config;

/// <summary>A rule of a value that API servers check by an expression, and admission by code.</summary>
/// <param name="Cel">True for valid values; <c>self</c> is the value. Its cost is bounded by the limits of the lists and texts around it.</param>
/// <param name="Holds">The same as <paramref name="Cel"/>, for any value.</param>
internal sealed record SchemaRule(string Cel, string Message, Func<JsonNode, bool> Holds)
{
    private const string Socket = "unix://";

    private static readonly TimeSpan Millisecond = TimeSpan.FromMilliseconds(1);

    public static readonly SchemaRule LongEnough = new(
        "duration(self) >= duration('1ms')", "must be a duration of at least 1ms",
        value => Durations.TryParse(Text(value), out var duration) && duration >= Millisecond);

    public static readonly SchemaRule Port = new("self >= 1 && self <= 65535", "must be a port, from 1 to 65535", value => Number(value) is >= 1 and <= 65535);

    public static readonly SchemaRule PortKeys = new(
        "self.all(port, int(port) >= 1 && int(port) <= 65535)", "each key must be a port, from 1 to 65535",
        value => Keys(value).All(key => ushort.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port > 0));

    public static readonly SchemaRule PortNames = new(
        "self.all(name, name.size() < 63 && name.matches('^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$'))", "each key must be the name of a port",
        value => Keys(value).All(IsPortName));

    public static readonly SchemaRule DistinctNumbers = new(
        "self.all(port, self.exists_one(other, other.number == port.number))", "each port must have another number",
        value => value is not JsonArray ports || ports.Select(port => Number(Member(port, "number"))).Distinct().Count() == ports.Count);

    public static readonly SchemaRule NoWildcard = new("!self.contains('*')", "must not have a wildcard",
        value => !Text(value).Contains('*', StringComparison.Ordinal));

    public static readonly SchemaRule NoWildcardKeys = new(
        "self.all(key, !key.contains('*'))", "no key may have a wildcard", value => !Keys(value).Any(key => key.Contains('*', StringComparison.Ordinal)));

    public static readonly SchemaRule NoEmptyKey = new("self.all(key, key.size() > 0)", "no key may be empty", value => !Keys(value).Contains(""));

    public static readonly SchemaRule OwnNamespace = new("self.size() == 0", "must be empty: objects of other namespaces cannot be targets",
        value => Text(value).Length == 0);

    public static readonly SchemaRule NotEverything = new("self != '*'", "must not be *", value => Text(value) != "*");

    public static readonly SchemaRule HttpScheme = new("self in ['', 'HTTP', 'HTTPS']", "must be HTTP or HTTPS",
        value => Text(value) is "" or "HTTP" or "HTTPS");

    public static readonly SchemaRule HttpAddress = new(
        "url(self).getScheme() in ['http', 'https']", "must be a URL that begins with http:// or https://",
        value => SchemeOf(Text(value)) is "http" or "https");

    public static readonly SchemaRule ModuleAddress = new(
        "isURL(self) ? url(self).getScheme() in ['', 'http', 'https', 'oci', 'file'] : isURL('http://' + self)",
        "must be a URL of http, https, oci or file, and one with a port needs its scheme, as in oci://registry:5000/filter",
        value => SchemeOf(Text(value)) is { } scheme ? scheme is "" or "http" or "https" or "oci" or "file" : SchemeOf("http://" + Text(value)) is not null);

    public static readonly SchemaRule WholePath = new(
        "!self.startsWith('unix://') || self.startsWith('unix:///') || self.startsWith('unix://@')", "a socket must have an absolute path, or be abstract (@)",
        value => !Text(value).StartsWith(Socket, StringComparison.Ordinal) || Text(value).Length > Socket.Length && Text(value)[Socket.Length] is '/' or '@');

    public static readonly SchemaRule NoDirectory = new(
        "!self.startsWith('unix://') || !self.endsWith('/')", "must be a socket, not a directory",
        value => !Text(value).StartsWith(Socket, StringComparison.Ordinal) || !Text(value).EndsWith('/'));

    public static readonly SchemaRule SocketWithoutPorts = new(
        "!has(self.address) || !self.address.startsWith('unix://') || !has(self.ports)", "a socket has no ports",
        value => Member(value, "address") is not { } address || !Text(address).StartsWith(Socket, StringComparison.Ordinal) || Member(value, "ports") is null);

    /// <summary>At most one of these fields is set.</summary>
    public static SchemaRule AtMostOne(params string[] fields) => new(
        $"{string.Join(" + ", fields.Select(field => $"(has(self.{field}) ? 1 : 0)"))} <= 1", $"only one of {string.Join(", ", fields)} may be set",
        value => fields.Count(field => Member(value, field) is not null) <= 1);

    /// <summary>At least one of these fields is set.</summary>
    public static SchemaRule AtLeastOne(params string[] fields) => new(
        string.Join(" || ", fields.Select(field => $"has(self.{field})")), $"one of {string.Join(", ", fields)} must be set",
        value => fields.Any(field => Member(value, field) is not null));

    /// <summary>A field of an object; null if it has no such field, or is not an object.</summary>
    public static JsonNode? Member(JsonNode? value, string field) => (value as JsonObject)?[field];

    public static string Text(JsonNode? value) => value is JsonValue text && text.TryGetValue<string>(out var result) ? result : "";

    private static double? Number(JsonNode? value) =>
        value?.GetValueKind() == JsonValueKind.Number && double.TryParse(value.ToJsonString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
            ? number : null;

    private static IEnumerable<string> Keys(JsonNode value) => value is JsonObject fields ? fields.Select(field => field.Key) : [];

    private static bool IsPortName(string name) =>
        name.Length is > 0 and < 63 && name.All(c => char.IsAsciiLetterOrDigit(c) || c == '-') && name.Trim('-') == name;

    /// <summary>The scheme of a URL; empty for a path from the root, null for text that is no URL, as API servers read it.</summary>
    private static string? SchemeOf(string text) =>
        text.Any(c => c is <= ' ' or '\x7f') ? null
        : text.StartsWith('/') ? ""
        : Uri.TryCreate(text, UriKind.Absolute, out var address) && text.Contains(':', StringComparison.Ordinal) ? address.Scheme : null;
}
