using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Cel;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission;

/// <summary>The answer of a webhook.</summary>
/// <param name="Patch">A JSON patch; null for none.</param>
/// <param name="Status">The Status of a refusal; null for none.</param>
internal sealed record WebhookAnswer(bool Allowed, byte[]? Patch, JsonObject? Status, IReadOnlyList<string> Warnings);

/// <summary>The answer is malformed: another uid, no response, an unknown patch type.</summary>
internal sealed class WebhookAnswerException(string message) : Exception(message);

/// <summary>Writes AdmissionReview requests and reads the responses (admission.k8s.io/v1 and v1beta1).</summary>
internal static class AdmissionReviewForm
{
    public static JsonObject Request(AdmissionRequest request, KindDescriptor kind, string reviewVersion, string uid)
    {
        var body = new JsonObject { ["uid"] = uid, ["kind"] = KindOf(Shown(request, kind)), ["resource"] = ResourceOf(kind) };
        if (request.Subresource.Length > 0) body["subResource"] = request.Subresource;
        body["requestKind"] = KindOf(Shown(request, request.Kind));
        body["requestResource"] = ResourceOf(request.Kind);
        if (request.Subresource.Length > 0) body["requestSubResource"] = request.Subresource;
        if (request.Name.Length > 0) body["name"] = request.Name;
        var ns = request.Kind is { Group: "", Plural: "namespaces" } ? request.Name : request.Namespace;
        if (ns.Length > 0) body["namespace"] = ns;
        body["operation"] = request.Operation;
        body["userInfo"] = request.User.ToJson();
        body["object"] = Shown(request, kind, request.Object);
        body["oldObject"] = Shown(request, kind, request.OldObject);
        body["dryRun"] = request.DryRun;
        body["options"] = request.Options.DeepClone();
        return new() { ["kind"] = "AdmissionReview", ["apiVersion"] = $"admission.k8s.io/{reviewVersion}", ["request"] = body };
    }

    /// <summary>The request without the objects, which have names of their own in expressions.</summary>
    public static JsonObject WithoutObjects(AdmissionRequest request, KindDescriptor kind)
    {
        var asked = (JsonObject)Request(request, kind, "v1", "")["request"]!;
        foreach (var field in (string[])["uid", "object", "oldObject"]) asked.Remove(field);
        return asked;
    }

    /// <summary>What the conditions of webhooks know of a request.</summary>
    public static CelScope Scope(AdmissionRequest request, KindDescriptor kind) => CelScope.Of(
        ("object", Shown(request, kind, request.Object)), ("oldObject", Shown(request, kind, request.OldObject)),
        ("request", WithoutObjects(request, kind)));

    /// <summary>The object as a webhook or policy sees it: what is scaled is a Scale.</summary>
    public static JsonObject? Shown(AdmissionRequest request, KindDescriptor kind, JsonObject? o) =>
        request.Subresource == "scale" && o is not null ? Scales.Of(kind, o) : As(kind, o);

    /// <summary>The object under the name that a kind has for it: all versions of a custom resource have one form.</summary>
    public static JsonObject? As(KindDescriptor kind, JsonObject? o)
    {
        if (o is null) return null;
        var copy = new JsonObject { ["kind"] = kind.Kind, ["apiVersion"] = kind.ApiVersion };
        foreach (var (key, value) in o)
            if (key is not ("kind" or "apiVersion")) copy[key] = value?.DeepClone();
        return copy;
    }

    /// <exception cref="WebhookAnswerException">The response does not belong to this request.</exception>
    public static WebhookAnswer Read(JsonObject review, string uid)
    {
        if (review["response"] is not JsonObject response) throw new WebhookAnswerException("webhook response was absent");
        var echoed = Json.Text(response["uid"]);
        if (echoed != uid) throw new WebhookAnswerException($"expected response.uid=\"{uid}\", got \"{echoed}\"");
        return new(Json.Truth(response["allowed"]) == true, ReadPatch(response), response["status"] as JsonObject, [.. Json.Texts(response["warnings"])]);
    }

    private static byte[]? ReadPatch(JsonObject response)
    {
        var (patch, type) = (Json.Text(response["patch"]), Json.Text(response["patchType"]));
        if (patch.Length == 0) return null;
        if (type != "JSONPatch") throw new WebhookAnswerException($"webhook returned response.patch but not response.patchType=JSONPatch: \"{type}\"");
        try
        {
            return Convert.FromBase64String(patch);
        }
        catch (FormatException)
        {
            throw new WebhookAnswerException("response.patch is not base64");
        }
    }

    private static KindDescriptor Shown(AdmissionRequest request, KindDescriptor kind) => request.Subresource == "scale" ? Scales.KindOf(kind) : kind;

    private static JsonObject KindOf(KindDescriptor kind) =>
        new() { ["group"] = kind.Group, ["version"] = kind.Version, ["kind"] = kind.Kind };

    private static JsonObject ResourceOf(KindDescriptor kind) =>
        new() { ["group"] = kind.Group, ["version"] = kind.Version, ["resource"] = kind.Plural };
}
