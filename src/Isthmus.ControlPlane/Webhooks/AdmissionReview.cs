using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Microsoft.AspNetCore.Http;

namespace Isthmus.ControlPlane.Webhooks;

/// <summary>A request of an API server (admission.k8s.io/v1).</summary>
public sealed record AdmissionQuestion(string Uid, string Namespace, string Operation, JsonObject? Object, JsonObject? OldObject)
{
    /// <summary>The name of the user who writes; empty when the API server does not say.</summary>
    public string User { get; init; } = "";

    /// <summary>Nothing will be written.</summary>
    public bool IsDryRun { get; init; }
}

/// <summary>The response: allowed or not, with a patch or a message.</summary>
public sealed record AdmissionAnswer(bool Allowed, JsonArray? Patch = null, string Message = "", IReadOnlyList<string>? Warnings = null);

/// <summary>Reads and writes AdmissionReviews. The bytes come from the network, so their size is limited.</summary>
public static class AdmissionReview
{
    /// <summary>The size limit in bytes. An object in etcd is at most 1.5 MiB, and a review contains it at most
    /// twice.</summary>
    private const int Longest = 8 << 20;

    public static async Task HandleAsync(HttpContext http, Func<AdmissionQuestion, AdmissionAnswer> answer)
    {
        if (http.Request.ContentLength is null or > Longest)
        {
            http.Response.StatusCode = StatusCodes.Status413PayloadTooLarge;
            return;
        }
        JsonNode? review;
        try { review = await JsonNode.ParseAsync(http.Request.Body, cancellationToken: http.RequestAborted); }
        catch (JsonException e)
        {
            await RefuseAsync(http, $"the body is not JSON: {e.Message}");
            return;
        }
        if ((review as JsonObject)?["request"] is not JsonObject request)
        {
            await RefuseAsync(http, "the body is not an AdmissionReview: request is missing");
            return;
        }
        // API servers always send one; 'istioctl kube-inject' does not.
        var uid = request["uid"]?.ToString() ?? "";
        var question = new AdmissionQuestion(uid, request["namespace"]?.ToString() ?? "", request["operation"]?.ToString() ?? "",
            request["object"] as JsonObject, request["oldObject"] as JsonObject)
        {
            User = request["userInfo"]?["username"]?.ToString() ?? "",
            IsDryRun = request["dryRun"] is JsonValue dry && dry.TryGetValue<bool>(out var isDry) && isDry,
        };
        AdmissionAnswer result;
        try { result = answer(question); }
        catch (ProblemException e) { result = new(false, Message: e.Message); }
        http.Response.ContentType = "application/json";
        await http.Response.WriteAsync(Write(uid, review["apiVersion"]?.ToString() ?? "admission.k8s.io/v1", result).ToJsonString(), http.RequestAborted);
    }

    private static JsonObject Write(string uid, string apiVersion, AdmissionAnswer answer)
    {
        var response = new JsonObject { ["uid"] = uid, ["allowed"] = answer.Allowed };
        if (answer.Patch is { Count: > 0 } patch)
        {
            response["patchType"] = "JSONPatch";
            response["patch"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(patch.ToJsonString()));
        }
        if (answer.Message.Length > 0) response["status"] = new JsonObject { ["message"] = answer.Message, ["code"] = 400, ["reason"] = "BadRequest" };
        if (answer.Warnings is { Count: > 0 } warnings) response["warnings"] = new JsonArray([.. warnings.Select(text => (JsonNode)JsonValue.Create(text)!)]);
        return new JsonObject { ["apiVersion"] = apiVersion, ["kind"] = "AdmissionReview", ["response"] = response };
    }

    private static Task RefuseAsync(HttpContext http, string why)
    {
        http.Response.StatusCode = StatusCodes.Status400BadRequest;
        return http.Response.WriteAsync(why + "\n", http.RequestAborted);
    }
}
