using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Validation;

namespace Isthmus.Lab.ApiServer.Errors;

/// <summary>One entry of `status.details.causes`.</summary>
public sealed record StatusCause(string Reason, string Message, string Field = "");

/// <summary>`status.details`: the object that an error is about, and the causes.</summary>
/// <param name="Kind">Plural resource for 404, 409 and 403; Kind for 422.</param>
public sealed record StatusDetails(string Group = "", string Kind = "", string Name = "")
{
    public IReadOnlyList<StatusCause> Causes { get; init; } = [];

    public int RetryAfterSeconds { get; init; }
}

/// <summary>An error that the client gets as a meta/v1 Status. Shapes and texts follow a real API server's.</summary>
/// <param name="withDetails">`details` is part of the Status even when it is empty.</param>
public sealed class ApiException(int code, string reason, string message, StatusDetails? details = null, bool withDetails = true) : Exception(message)
{
    public int Code { get; } = code;

    /// <summary>Status reason such as NotFound; may be empty.</summary>
    public string Reason { get; } = reason;

    public StatusDetails Details { get; } = details ?? new();

    /// <summary>Set if a continue token expired: a token to continue with an inconsistent list.</summary>
    public string? Continue { get; init; }

    public JsonObject ToStatus()
    {
        var metadata = new JsonObject();
        if (Continue is not null) metadata["continue"] = Continue;
        var status = new JsonObject { ["kind"] = "Status", ["apiVersion"] = "v1", ["metadata"] = metadata, ["status"] = "Failure", ["message"] = Message };
        if (Reason.Length > 0) status["reason"] = Reason;
        if (DetailsJson() is { } shown) status["details"] = shown;
        status["code"] = Code;
        return status;
    }

    private JsonObject? DetailsJson()
    {
        var shown = new JsonObject();
        if (Details.Name.Length > 0) shown["name"] = Details.Name;
        if (Details.Group.Length > 0) shown["group"] = Details.Group;
        if (Details.Kind.Length > 0) shown["kind"] = Details.Kind;
        if (Details.Causes.Count > 0) shown["causes"] = new JsonArray([.. Details.Causes.Select(ToJson)]);
        if (Details.RetryAfterSeconds > 0) shown["retryAfterSeconds"] = Details.RetryAfterSeconds;
        return shown.Count > 0 || withDetails ? shown : null;
    }

    private static JsonNode ToJson(StatusCause cause)
    {
        var node = new JsonObject();
        if (cause.Reason.Length > 0) node["reason"] = cause.Reason;
        if (cause.Message.Length > 0) node["message"] = cause.Message;
        if (cause.Field.Length > 0) node["field"] = cause.Field;
        return node;
    }

    private static string Qualified(string kind, string group) => group.Length == 0 ? kind : $"{kind}.{group}";

    public static ApiException NotFound(GroupResource resource, string name) =>
        new(404, "NotFound", $"{resource} \"{name}\" not found", new(resource.Group, resource.Plural, name));

    public static ApiException AlreadyExists(GroupResource resource, string name) =>
        new(409, "AlreadyExists", $"{resource} \"{name}\" already exists", new(resource.Group, resource.Plural, name));

    public static ApiException Conflict(GroupResource resource, string name, string why) =>
        new(409, "Conflict", $"Operation cannot be fulfilled on {resource} \"{name}\": {why}", new(resource.Group, resource.Plural, name));

    public static ApiException Modified(GroupResource resource, string name) =>
        Conflict(resource, name, "the object has been modified; please apply your changes to the latest version and try again");

    /// <summary>403 of admission or authorization: `pods "x" is forbidden: why`.</summary>
    public static ApiException Forbidden(string group, string plural, string name, string why, IReadOnlyList<StatusCause>? causes = null) =>
        new(403, "Forbidden",
            name.Length == 0 ? $"{Qualified(plural, group)} is forbidden: {why}" : $"{Qualified(plural, group)} \"{name}\" is forbidden: {why}",
            new(group, plural, name) { Causes = causes ?? [] });

    public static ApiException BadRequest(string message) => new(400, "BadRequest", message, withDetails: false);

    public static ApiException Unauthorized() => new(401, "Unauthorized", "Unauthorized", withDetails: false);

    public static ApiException MethodNotAllowed(string message = "the server does not allow this method on the requested resource") =>
        new(405, "MethodNotAllowed", message);

    public static ApiException Internal(string message) =>
        new(500, "InternalError", $"Internal error occurred: {message}", new() { Causes = [new("", message)] });

    public static ApiException NoSuchResource() => new(404, "NotFound", "the server could not find the requested resource");

    /// <summary>422: `Service "x" is invalid: e` or `[e1, e2]`.</summary>
    public static ApiException Invalid(string group, string kind, string name, IReadOnlyList<FieldError> errors)
    {
        var texts = errors.Select(error => error.ToString()).Distinct().ToList();
        var text = texts.Count == 1 ? texts[0] : $"[{string.Join(", ", texts)}]";
        return new(422, "Invalid", $"{Qualified(kind, group)} \"{name}\" is invalid: {text}",
            new(group, kind, name) { Causes = [.. errors.Select(error => new StatusCause(error.Reason, error.Detail, error.Field))] });
    }
}
