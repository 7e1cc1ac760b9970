using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.ApiServer.VirtualResources;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>The common part of all reviews: a created object that is answered with a status and stored nowhere.</summary>
internal static class Review
{
    public static VirtualResourceDescriptor Descriptor(string group, string plural, string kind, bool namespaced = false) =>
        new(group, "v1", plural, plural[..^1], kind, "", namespaced, ["create"]);

    public static VirtualResponse Answer(VirtualResourceDescriptor kind, JsonObject? spec, JsonObject status, string ns = "")
    {
        var metadata = new JsonObject();
        if (ns.Length > 0) metadata["namespace"] = ns;
        metadata["creationTimestamp"] = null;
        var review = new JsonObject { ["kind"] = kind.Kind, ["apiVersion"] = $"{kind.Group}/{kind.Version}", ["metadata"] = metadata };
        if (spec is not null) review["spec"] = spec.DeepClone();
        review["status"] = status;
        return new(201, review);
    }

    /// <summary>The user that a SubjectAccessReview names.</summary>
    public static UserIdentity Subject(JsonObject spec) => new(
        Json.Text(spec["user"]), Json.Text(spec["uid"]), Json.Texts(spec["groups"]),
        spec["extra"] is JsonObject extra
            ? extra.Select(pair => KeyValuePair.Create(pair.Key.ToLowerInvariant(), Json.Texts(pair.Value))).ToValueMap()
            : default);
}
