using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;

namespace Isthmus.Lab.ApiServer.Writes;

/// <summary>Which part of an object each path may write.</summary>
internal static class Subresources
{
    internal static JsonObject Restrict(WriteRequest request, JsonObject old, JsonObject next) => request.Attributes.Subresource switch
    {
        "" => Main(request.Kind, old, next),
        "status" => Status(request.Kind, old, next),
        "finalize" => Part(old, next, "spec", "finalizers"),
        "ephemeralcontainers" => Part(old, next, "spec", "ephemeralContainers"),
        "approval" => Part(old, next, "status", "conditions"),
        _ => next,
    };

    private static JsonObject Main(KindDescriptor kind, JsonObject old, JsonObject next)
    {
        if (kind.Subresource("status") is not null) Metadata.Keep(old, next, "status");
        if (kind is { Group: "", Plural: "pods" } && next["spec"] is JsonObject spec && old["spec"] is JsonObject oldSpec)
            Metadata.Keep(oldSpec, spec, "ephemeralContainers");
        if (kind is { Group: "", Plural: "namespaces" })
        {
            if (next["spec"] is not JsonObject) next["spec"] = new JsonObject();
            Metadata.Keep((JsonObject?)old["spec"] ?? [], (JsonObject)next["spec"]!, "finalizers");
        }
        return next;
    }

    private static JsonObject Status(KindDescriptor kind, JsonObject old, JsonObject next)
    {
        var result = (JsonObject)old.DeepClone();
        Metadata.Keep(next, result, "status");
        // The node's agent keeps labels and annotations through the status path; for other kinds only finalizers pass.
        if (kind is { Group: "", Plural: "pods" or "nodes" })
        {
            result["metadata"] = Metadata.Of(next).DeepClone();
            Metadata.Keep(Metadata.Of(old), Metadata.Of(result), "ownerReferences");
        }
        return result;
    }

    private static JsonObject Part(JsonObject old, JsonObject next, string parent, string field)
    {
        var result = (JsonObject)old.DeepClone();
        if (result[parent] is not JsonObject target) result[parent] = target = [];
        Metadata.Keep(next[parent] as JsonObject ?? [], target, field);
        return result;
    }
}
