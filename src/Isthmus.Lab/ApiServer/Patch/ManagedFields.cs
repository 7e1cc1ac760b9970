using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Registry;

namespace Isthmus.Lab.ApiServer.Patch;

/// <summary>Who set which field.</summary>
internal static class ManagedFields
{
    /// <param name="sent">managedFields as the client sent them: `[{}]` clears.</param>
    internal static void Update(JsonObject? old, JsonObject next, WriteRequest request, DateTimeOffset now, JsonNode? sent = null)
    {
        if (old is not null && Metadata.Of(old)["managedFields"] is { } kept) Metadata.Of(next)["managedFields"] = kept.DeepClone();
    }

    internal static bool SameOwners(JsonArray? old, JsonArray? next) => JsonNode.DeepEquals(old, next);
}
