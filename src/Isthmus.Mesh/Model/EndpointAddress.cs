using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using Isthmus.Core.Net;

namespace Isthmus.Mesh.Model;

/// <summary>Where an endpoint is dialled: at an IP address, at a host name, at a Unix socket, or nowhere (only its network's gateway reaches it).
/// The default value is the last.</summary>
[JsonConverter(typeof(EndpointAddressJson))]
public readonly record struct EndpointAddress : IComparable<EndpointAddress>
{
    private const string UnixScheme = "unix://";

    private readonly Address _ip;

    /// <summary>Null: none; empty: the IP address; otherwise the text.</summary>
    private readonly string? _text;

    private EndpointAddress(Address ip, string? text) => (_ip, _text) = (ip, text);

    public bool IsNone => _text is null;

    /// <summary>Null for the other cases.</summary>
    public Address? Ip => _text is { Length: 0 } ? _ip : null;

    /// <summary>Of its Unix socket: an absolute path, or <c>@NAME</c>; null for the other cases.</summary>
    public string? UnixPath => IsUnix ? _text![UnixScheme.Length..] : null;

    /// <summary>Null for the other cases.</summary>
    public string? HostName => _text is { Length: > 0 } && !IsUnix ? _text : null;

    private bool IsUnix => _text?.StartsWith(UnixScheme, StringComparison.Ordinal) == true;

    public static EndpointAddress Of(Address ip) => new(ip, "");

    public static EndpointAddress Of(IPAddress ip) => Of(Address.Of(ip));

    /// <summary>What is neither empty nor an IP address nor <c>unix://PATH</c> is a host name.</summary>
    public static EndpointAddress Parse(string text) =>
        text.Length == 0 ? default : Address.TryParse(text, out var ip) ? Of(ip) : new(default, text);

    /// <summary>IP addresses by number, so that .9 comes before .10; others after them by text.</summary>
    public int CompareTo(EndpointAddress other) => (Ip, other.Ip) switch
    {
        ({ } own, { } their) => own.CompareTo(their),
        ({ }, null) => -1,
        (null, { }) => 1,
        _ => string.CompareOrdinal(_text, other._text),
    };

    public override string ToString() => Ip is { } ip ? ip.ToString() : _text ?? "";
}

/// <summary>An address in JSON is its text.</summary>
public sealed class EndpointAddressJson : JsonConverter<EndpointAddress>
{
    public override EndpointAddress Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        EndpointAddress.Parse(reader.GetString() ?? throw new JsonException("an address is null"));

    public override void Write(Utf8JsonWriter writer, EndpointAddress value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());
}
