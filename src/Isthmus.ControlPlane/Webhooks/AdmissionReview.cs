using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Microsoft.AspNetCore.Http;

namespace Isthmus.ControlPlane.Webhooks;

/// <summary>A request of an API server (admission.k8s.io/v1).</summary>
public sealed record AdmissionQuestion(string Uid, string Namespace, string Operation, JsonObject? Object, JsonObject? OldObject)
{
    /// <summary>The group of what is written; empty for that of Kubernetes itself, or when the API server does not say.</summary>
    public string Group { get; init; } = "";

    /// <summary>The plural name of the kind; empty when the API server does not say.</summary>
    public string Resource { get; init; } = "";

    /// <summary>The name of the user who writes; empty when the API server does not say.</summary>
    public string User { get; init; } = "";

    /// <summary>Whether who asks has proven to be an API server: only then is the user who it says it is.</summary>
    public bool IsProven { get; init; }

    /// <summary>Nothing will be written.</summary>
    public bool IsDryRun { get; init; }
}

/// <summary>The response: allowed or not, with a patch or a message.</summary>
public sealed record AdmissionAnswer(bool Allowed, JsonArray? Patch = null, string Message = "", IReadOnlyList<string>? Warnings = null);

/// <summary>Reads and writes AdmissionReviews. The bytes come from the network, so they are limited and read strictly.</summary>
public static class AdmissionReview
{
    /// <summary>The size limit in bytes. An object in etcd is at most 1.5 MiB, and a review contains it at most
    /// twice.</summary>
    internal const int Longest = 8 << 20;

    /// <param name="refused">Receives the reason why a body is not a review.</param>
    public static async Task HandleAsync(HttpContext http, Func<AdmissionQuestion, AdmissionAnswer> answer, Action<string> refused)
    {
        if (http.Request.ContentLength is null or > Longest)
        {
            await RefuseAsync(http, StatusCodes.Status413PayloadTooLarge, $"the body must have a length of at most {Longest} bytes");
            return;
        }
        JsonObject written;
        try
        {
            var (question, apiVersion) = Read(await StrictJson.ReadAsync(http.Request.Body, Longest, http.RequestAborted));
            written = Write(question.Uid, apiVersion, Answer(question, answer));
        }
        catch (JsonException e)
        {
            refused(e.Message);
            await RefuseAsync(http, StatusCodes.Status400BadRequest, $"the body is not an AdmissionReview: {e.Message}");
            return;
        }
        http.Response.ContentType = "application/json";
        await http.Response.WriteAsync(written.ToJsonString(), http.RequestAborted);
    }

    private static AdmissionAnswer Answer(AdmissionQuestion question, Func<AdmissionQuestion, AdmissionAnswer> answer)
    {
        try
        {
            return answer(question);
        }
        catch (ProblemException e)
        {
            return new(false, Message: e.Message);
        }
        // API servers have read the object by its schema before they ask. This is how values of other types than its schema has show.
        catch (Exception e) when (e is InvalidOperationException or FormatException)
        {
            throw new JsonException($"request.object has a value of a wrong type: {Visible.Text(e.Message)}", e);
        }
    }

    /// <exception cref="JsonException">It is not a review.</exception>
    private static (AdmissionQuestion Question, string ApiVersion) Read(JsonNode? body)
    {
        var review = body as JsonObject ?? throw new JsonException("it is not a JSON object");
        var request = ObjectHead.Object(review, "request", "") ?? throw new JsonException("request is missing");
        var value = ObjectHead.Object(request, "object", "request.");
        var old = ObjectHead.Object(request, "oldObject", "request.");
        if (value is not null) ObjectHead.Check(value, "request.object.");
        if (old is not null) ObjectHead.Check(old, "request.oldObject.");
        var user = ObjectHead.Object(request, "userInfo", "request.");
        var resource = ObjectHead.Object(request, "resource", "request.");
        // API servers always send a uid; 'istioctl kube-inject' does not.
        var question = new AdmissionQuestion(ObjectHead.Text(request, "uid", "request."), ObjectHead.Text(request, "namespace", "request."),
            ObjectHead.Text(request, "operation", "request."), value, old)
        {
            Group = resource is null ? "" : ObjectHead.Text(resource, "group", "request.resource."),
            Resource = resource is null ? "" : ObjectHead.Text(resource, "resource", "request.resource."),
            User = user is null ? "" : ObjectHead.Text(user, "username", "request.userInfo."),
            IsDryRun = request["dryRun"] switch
            {
                null => false,
                JsonValue dry when dry.TryGetValue<bool>(out var isDry) => isDry,
                _ => throw new JsonException("request.dryRun is not true or false"),
            },
        };
        return (question, ObjectHead.Text(review, "apiVersion", "") is { Length: > 0 } version ? version : "admission.k8s.io/v1");
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

    internal static Task RefuseAsync(HttpContext http, int status, string why)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "text/plain; charset=utf-8";
        return http.Response.WriteAsync(why + "\n", http.RequestAborted);
    }
}
