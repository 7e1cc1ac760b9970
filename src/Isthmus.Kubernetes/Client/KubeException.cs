using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;

namespace Isthmus.Kubernetes.Client;

/// <summary>A failure that an API server returned (meta/v1 Status).</summary>
public sealed class KubeException : Exception
{
    public KubeException(HttpStatusCode code, string reason, string message) : base(message) => (Code, Reason) = ((int)code, reason);

    public int Code { get; }

    /// <summary>For example <c>NotFound</c>, <c>AlreadyExists</c>, <c>Conflict</c>, <c>Forbidden</c>, <c>Invalid</c>,
    /// <c>Expired</c>.</summary>
    public string Reason { get; }

    public bool IsNotFound => Code == 404;

    public bool IsConflict => Code == 409 && Reason == "Conflict";

    /// <summary>Whether the server says the same again until something changes: the object, rights, or what is admitted.</summary>
    public bool IsRefusal => Code is >= 400 and < 500 and not (401 or 404) && !IsBusy && !IsConflict && !IsAlreadyExists;

    public bool IsAlreadyExists => Code == 409 && Reason == "AlreadyExists";

    /// <summary>The requested version is no longer available: list again.</summary>
    public bool IsExpired => Code == 410;

    /// <summary>The server is overloaded, or is starting or stopping: the same request may succeed later.</summary>
    public bool IsBusy => Code is 429 or 502 or 503;

    /// <summary>How long the server asks clients to wait before the next attempt: from its header <c>Retry-After</c>, or
    /// from the details of its Status.</summary>
    public TimeSpan? RetryAfter { get; private init; }

    internal static KubeException From(HttpStatusCode code, string body, string request, TimeSpan? retryAfter = null)
    {
        JsonObject? status = null;
        try { status = StrictJson.Parse(body) as JsonObject; }
        catch (System.Text.Json.JsonException) { /* not a Status: the text itself is the message */ }
        var message = (string?)status?["message"] ?? (body.Length is > 0 and < 500 ? body.Trim() : $"{(int)code} {code}");
        return new(code, (string?)status?["reason"] ?? "", status is null ? $"{request}: {message}" : message) { RetryAfter = retryAfter ?? Detail(status) };
    }

    private static TimeSpan? Detail(JsonObject? status) =>
        (status?["details"] as JsonObject)?["retryAfterSeconds"] is JsonValue value && value.TryGetValue<int>(out var seconds) && seconds >= 0
            ? TimeSpan.FromSeconds(seconds)
            : null;
}
