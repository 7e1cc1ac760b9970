using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Samples.Http;

namespace Isthmus.Samples.HttpBin;

/// <summary>Describes a request in httpbin's JSON format: args, headers, origin, url and, with a body, data, files, form
/// and json.</summary>
internal static class Echo
{
    private static readonly JsonWriterOptions Pretty = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    internal static HttpReply Json(int status, JsonNode node) => new(status, Print(node, Pretty), "application/json");

    internal static byte[] Print(JsonNode node, JsonWriterOptions options = default)
    {
        using var memory = new MemoryStream();
        using (var writer = new Utf8JsonWriter(memory, options)) node.WriteTo(writer);
        memory.WriteByte((byte)'\n');
        return memory.ToArray();
    }

    internal static JsonObject Describe(HttpRequest request, bool withBody, bool withMethod = false)
    {
        var (form, files, data, json) = withBody ? Body(request) : default;
        var described = new JsonObject { ["args"] = Pairs(request.Query()) };
        if (withBody) described["data"] = data;
        if (withBody) described["files"] = files;
        if (withBody) described["form"] = form;
        described["headers"] = Headers(request);
        if (withBody) described["json"] = json;
        if (withMethod) described["method"] = request.Method;
        described["origin"] = Origin(request);
        described["url"] = Url(request);
        return described;
    }

    /// <summary>Headers in alphabetical order, spelt as Python's web servers spell them: <c>X-Forwarded-For</c>.</summary>
    internal static JsonObject Headers(HttpRequest request)
    {
        var sorted = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in request.Headers)
        {
            var title = Title(name);
            sorted[title] = sorted.TryGetValue(title, out var had) ? $"{had},{value}" : value;
        }
        var headers = new JsonObject();
        foreach (var (name, value) in sorted) headers[name] = value;
        return headers;
    }

    internal static string Origin(HttpRequest request) => request.Header("X-Forwarded-For") ?? request.Peer;

    internal static string Url(HttpRequest request) =>
        $"{request.Header("X-Forwarded-Proto") ?? "http"}://{request.Header("Host") ?? "localhost"}{request.Target}";

    internal static JsonObject Pairs(IEnumerable<KeyValuePair<string, string>> pairs)
    {
        var found = new JsonObject();
        foreach (var (name, value) in pairs)
        {
            switch (found[name])
            {
                case null: found[name] = value; break;
                case JsonArray several: several.Add((JsonNode)value); break;
                case var one: found[name] = new JsonArray(one.DeepClone(), value); break;
            }
        }
        return found;
    }

    private static string Title(string name)
    {
        var title = name.ToLowerInvariant().ToCharArray();
        for (var i = 0; i < title.Length; i++)
            if (i == 0 || title[i - 1] == '-') title[i] = char.ToUpperInvariant(title[i]);
        return new string(title);
    }

    private static (JsonObject Form, JsonObject Files, string Data, JsonNode? Json) Body(HttpRequest request)
    {
        var type = request.Header("Content-Type") ?? "";
        if (type.StartsWith("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase))
            return (Pairs(HttpRequest.FormPairs(Text(request.Body))), new(), "", null);
        if (type.StartsWith("multipart/form-data", StringComparison.OrdinalIgnoreCase)
            && MultipartForm.TryParse(type, request.Body, out var form, out var files))
            return (Pairs(form), Pairs(files), "", null);
        return (new(), new(), Text(request.Body), ParseJson(request.Body));
    }

    /// <summary>The bytes as text; a data URL if they are not UTF-8.</summary>
    internal static string Text(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes.Span);
        }
        catch (DecoderFallbackException)
        {
            return "data:application/octet-stream;base64," + Convert.ToBase64String(bytes.Span);
        }
    }

    private static JsonNode? ParseJson(ReadOnlyMemory<byte> body)
    {
        if (body.IsEmpty) return null;
        try
        {
            return JsonNode.Parse(body.Span);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
