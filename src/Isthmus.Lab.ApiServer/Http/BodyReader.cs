using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Protobuf;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Values;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Http;

/// <summary>Bodies of requests: size limit, media types, decoding as a kind.</summary>
internal static class BodyReader
{
    internal const int Limit = 3 * 1024 * 1024;

    internal static async Task<byte[]> ReadAsync(HttpRequest request, CancellationToken stop)
    {
        if (request.ContentLength > Limit) throw TooLarge();
        using var buffer = new MemoryStream(request.ContentLength is { } length ? (int)length : 1024);
        var chunk = new byte[16 * 1024];
        int read;
        while ((read = await request.Body.ReadAsync(chunk, stop)) > 0)
        {
            if (buffer.Length + read > Limit) throw TooLarge();
            buffer.Write(chunk, 0, read);
        }
        return buffer.ToArray();
    }

    internal static string MediaType(HttpRequest request)
    {
        var type = request.ContentType ?? "";
        var semicolon = type.IndexOf(';', StringComparison.Ordinal);
        return (semicolon < 0 ? type : type[..semicolon]).Trim().ToLowerInvariant();
    }

    /// <summary>
    /// Decodes a body as an object of this kind. Unknown fields are rejected, reported as warnings or ignored, as the request asks.
    /// </summary>
    internal static JsonObject Decode(byte[] body, string mediaType, KindDescriptor kind, string fieldValidation, List<string> warnings)
    {
        var problems = new List<string>();
        var json = ToJson(body, mediaType, kind);
        CheckKind(json, kind);
        var o = Typed(json, kind, problems);
        GroupVersion.Normalize(o);
        if (kind.IsCustom) kind.Strategy.Prune(o, problems);
        if (problems.Count > 0 && fieldValidation == "Strict")
            throw ApiException.BadRequest(
                $"{kind.Kind} in version \"{kind.Version}\" cannot be handled as a {kind.Kind}: strict decoding error: {string.Join(", ", problems)}");
        if (fieldValidation == "Warn") warnings.AddRange(problems);
        o["kind"] ??= kind.Kind;
        o["apiVersion"] ??= kind.ApiVersion;
        return o;
    }

    private static byte[] ToJson(byte[] body, string mediaType, KindDescriptor kind)
    {
        switch (mediaType)
        {
            case "" or "application/json" or "application/octet-stream":
                return body;
            case "application/yaml" or "application/x-yaml":
                try
                {
                    return YamlText.Parse(Encoding.UTF8.GetString(body), "the request") is { } node ? JsonText.ToBytes(node) : [];
                }
                catch (ProblemException e)
                {
                    throw Unrecognized(kind, $"yaml: {e.Message}", body);
                }
            case "application/vnd.kubernetes.protobuf" when kind.Schema is not null:
                return ProtobufBody.ToJson(body, kind);
            default:
                throw UnsupportedMedia(kind);
        }
    }

    internal static ApiException UnsupportedMedia(KindDescriptor? kind) => new(415, "UnsupportedMediaType",
        $"the body of the request was in an unknown format - accepted media types include: application/json, "
            + $"application/yaml{(kind is { IsCustom: true } ? "" : ", application/vnd.kubernetes.protobuf")}",
        withDetails: false);

    private static JsonObject Typed(byte[] json, KindDescriptor kind, List<string> problems)
    {
        try
        {
            return SchemaDecoder.Decode(json, kind.Schema, problems);
        }
        catch (DecodeException e)
        {
            throw ApiException.BadRequest($"{kind.Kind} in version \"{kind.Version}\" cannot be handled as a {kind.Kind}: {e.Message}");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw Unrecognized(kind, $"couldn't get version/kind; json parse error: {e.Message}", json);
        }
    }

    /// <summary>Reads only apiVersion and kind of a body.</summary>
    private static void CheckKind(byte[] json, KindDescriptor kind)
    {
        var (apiVersion, name) = TypeMeta(json, kind);
        if (name.Length == 0 && kind.IsCustom)
            throw Unrecognized(kind, $"Object 'Kind' is missing in '{Shorten(json, 200)}'", json);
        if (name.Length > 0 && name != kind.Kind && !kind.IsCustom)
            throw ApiException.BadRequest(
                $"{name} in version \"{GroupVersion.Parse(apiVersion).Version}\" cannot be handled as a {kind.Kind}: converting "
                    + $"({GroupVersion.Parse(apiVersion).Version}.{name}) to (core.{kind.Kind}): unknown conversion");
        if (apiVersion.Length > 0 && GroupVersion.Parse(apiVersion).ToString() != kind.ApiVersion && apiVersion != kind.OlderApiVersion)
            throw ApiException.BadRequest(kind.IsCustom
                ? $"the API version in the data ({apiVersion}) does not match the expected API version ({kind.ApiVersion})"
                : $"{name} in version \"{apiVersion}\" cannot be handled as a {kind.Kind}: no kind \"{name}\" is registered for version \"{apiVersion}\" in "
                    + $"scheme \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\"");
        if (kind.IsCustom && name != kind.Kind)
            throw ApiException.BadRequest(
                $"{name} in version \"{kind.Version}\" cannot be handled as a {kind.Kind}: the object provided is unrecognized (must be of type {kind.Kind})");
    }

    private static (string ApiVersion, string Kind) TypeMeta(byte[] json, KindDescriptor kind)
    {
        string apiVersion = "", name = "";
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = JsonText.MaxDepth });
            if (!reader.Read()) throw new JsonException("unexpected end of JSON input");
            if (reader.TokenType != JsonTokenType.StartObject)
                throw new JsonException(
                    $"json: cannot unmarshal {(reader.TokenType == JsonTokenType.StartArray ? "array" : "value")} into Go value of type struct {{ APIVersion "
                        + $"string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}");
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isKind = reader.ValueTextEquals("kind");
                var isVersion = reader.ValueTextEquals("apiVersion");
                reader.Read();
                if (isKind && reader.TokenType == JsonTokenType.String) name = reader.GetString()!;
                else if (isVersion && reader.TokenType == JsonTokenType.String) apiVersion = reader.GetString()!;
                else reader.Skip();
            }
            return (apiVersion, name);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            var why = json.Length == 0 || e.Message.Contains("end of data", StringComparison.Ordinal)
                || e.Message.Contains("input does not contain any JSON tokens", StringComparison.Ordinal)
                ? "unexpected end of JSON input" : e.Message;
            throw Unrecognized(kind, $"couldn't get version/kind; json parse error: {why}", json);
        }
    }

    private static ApiException Unrecognized(KindDescriptor kind, string why, byte[] body) =>
        ApiException.BadRequest(
            $"the object provided is unrecognized (must be of type {kind.Kind}): {why} ({(body.Length == 0 ? "<empty>" : Shorten(body, 30))})");

    private static string Shorten(byte[] body, int length) =>
        body.Length <= length ? Encoding.UTF8.GetString(body) : Encoding.UTF8.GetString(body, 0, length) + " ...";

    private static ApiException TooLarge() =>
        new(413, "RequestEntityTooLarge", $"Request entity too large: limit is {Limit}", withDetails: false);
}
