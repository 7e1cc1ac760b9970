using System.Text.Json.Nodes;

namespace Isthmus.Kubernetes.Objects;

/// <summary>What an API server is asked about the rights of an account (SubjectAccessReview).</summary>
public static class AccessReview
{
    /// <summary>Whether a ServiceAccount may list the objects of a kind.</summary>
    /// <param name="ns">The account's namespace.</param>
    /// <param name="account">Its name.</param>
    /// <param name="group">The group of the kind.</param>
    /// <param name="plural">The plural of the kind.</param>
    /// <param name="within">The namespace of the objects; null: all.</param>
    public static JsonObject OfList(string ns, string account, string group, string plural, string? within)
    {
        var attributes = new JsonObject { ["verb"] = "list", ["group"] = group, ["resource"] = plural };
        if (within is not null) attributes["namespace"] = within;
        return new()
        {
            ["apiVersion"] = Kinds.SubjectAccessReview.ApiVersion, ["kind"] = Kinds.SubjectAccessReview.Kind,
            ["spec"] = new JsonObject
            {
                ["user"] = $"system:serviceaccount:{ns}:{account}",
                ["groups"] = new JsonArray("system:serviceaccounts", $"system:serviceaccounts:{ns}", "system:authenticated"),
                ["resourceAttributes"] = attributes,
            },
        };
    }

    /// <summary>Whether the answer allows it.</summary>
    public static bool Allows(JsonObject answer) =>
        answer["status"]?["allowed"] is JsonValue value && value.TryGetValue<bool>(out var isAllowed) && isAllowed;
}
