using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Patch;

/// <summary>The four kinds of patches by their media types.</summary>
internal static class ObjectPatch
{
    internal const string Json = "application/json-patch+json";
    internal const string Merge = "application/merge-patch+json";
    internal const string Strategic = "application/strategic-merge-patch+json";
    internal const string Apply = "application/apply-patch+yaml";

    internal static void CheckMediaType(string mediaType, KindDescriptor kind)
    {
        if (mediaType is Json or Merge or Apply || (mediaType == Strategic && !kind.IsCustom)) return;
        if (mediaType == Strategic)
            throw new ApiException(415, "UnsupportedMediaType",
                $"the body of the request was in an unknown format - accepted media types include: {Json}, {Merge}, {Apply}", withDetails: false);
        throw new ApiException(415, "UnsupportedMediaType", "415: Unsupported Media Type");
    }

    /// <exception cref="ApiException">The patch is malformed or does not apply to the object.</exception>
    internal static JsonObject Patch(string mediaType, byte[] patch, JsonObject current, KindDescriptor kind)
    {
        var parsed = Parse(patch);
        switch (mediaType)
        {
            case Json:
                if (parsed is not JsonArray operations)
                    throw ApiException.BadRequest("error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp");
                return Patched(operations, current) ?? throw Rejected();
            case Merge:
                return MergePatch.Apply(Object(parsed), current);
            default:
                return StrategicMergePatch.Apply(Object(parsed), current, kind.Schema);
        }
    }

    private static JsonObject? Patched(JsonArray operations, JsonObject current)
    {
        try
        {
            return JsonPatch.Apply(operations, current) as JsonObject;
        }
        catch (JsonPatchException)
        {
            // A real API server gives no more detail either.
            throw Rejected();
        }
    }

    private static ApiException Rejected() => new(422, "Invalid", "the server rejected our request due to an error in our request");

    private static JsonObject Object(JsonNode? patch) =>
        patch as JsonObject
            ?? throw ApiException.BadRequest("error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}");

    private static JsonNode? Parse(byte[] patch)
    {
        try
        {
            return JsonNode.Parse(patch, documentOptions: new() { MaxDepth = JsonText.MaxDepth });
        }
        catch (JsonException e)
        {
            // kubectl sends JSON; other clients send the same in YAML.
            return Yaml(patch)
                ?? throw ApiException.BadRequest(
                    $"error decoding patch: "
                        + (e.Message.Contains("end of data", StringComparison.Ordinal) || e.Message.Contains("Expected depth", StringComparison.Ordinal)
                            ? "unexpected end of JSON input" : e.Message));
        }
    }

    private static JsonNode? Yaml(byte[] patch)
    {
        try
        {
            var node = YamlText.Parse(System.Text.Encoding.UTF8.GetString(patch), "the patch");
            return node is JsonObject or JsonArray ? node : null;
        }
        catch (ProblemException)
        {
            return null;
        }
    }
}
