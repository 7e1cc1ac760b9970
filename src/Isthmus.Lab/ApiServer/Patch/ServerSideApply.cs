using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Registry;

namespace Isthmus.Lab.ApiServer.Patch;

/// <summary>Server-side apply.</summary>
internal static class ServerSideApply
{
    internal static JsonObject Decode(byte[] body, KindDescriptor kind, string validation, List<string> warnings) =>
        throw new ApiException(415, "UnsupportedMediaType", "server-side apply is not supported by this server");

    internal static JsonObject Merge(JsonObject? current, JsonObject applied, KindDescriptor kind, WriteRequest request, bool force, DateTimeOffset now) => applied;
}
