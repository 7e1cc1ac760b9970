using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace Isthmus.Samples.Echo;

/// <summary>Requests as programs in Go see them.</summary>
internal static class EchoHeaders
{
    /// <summary>All but the host, sorted by name.</summary>
    public static IEnumerable<(string Name, string Value)> Of(HttpRequest request) =>
        from field in request.Headers
        where !field.Key.StartsWith(':') && !field.Key.Equals(HeaderNames.Host, StringComparison.OrdinalIgnoreCase)
        let name = Canonical(field.Key)
        orderby name
        from value in field.Value
        select (name, value ?? "");

    public static JsonObject ToJson(HttpRequest request)
    {
        var json = new JsonObject();
        foreach (var (name, value) in Of(request))
        {
            if (json[name] is not JsonArray values) json[name] = values = [];
            values.Add((JsonNode)value);
        }
        return json;
    }

    /// <summary>The target of the request as the client wrote it.</summary>
    public static string Target(HttpContext http) => http.Features.Get<IHttpRequestFeature>()?.RawTarget is { Length: > 0 } raw ? raw : http.Request.Path;

    public static string Protocol(HttpRequest request) => request.Protocol switch { "HTTP/2" => "HTTP/2.0", "HTTP/3" => "HTTP/3.0", var other => other };

    /// <summary>Each part of a name begins with a capital letter: <c>X-Request-Id</c>.</summary>
    public static string Canonical(string name) => string.Create(name.Length, name, (span, text) =>
    {
        for (var i = 0; i < span.Length; i++) span[i] = i == 0 || text[i - 1] == '-' ? char.ToUpperInvariant(text[i]) : char.ToLowerInvariant(text[i]);
    });
}
