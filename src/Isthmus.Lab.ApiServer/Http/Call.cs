using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;
using Microsoft.AspNetCore.Http;

namespace Isthmus.Lab.ApiServer.Http;

/// <summary>One authorized request for a stored kind.</summary>
internal sealed class Call(HttpContext http, RequestTarget target, RequestAttributes attributes, KindDescriptor kind)
{
    internal HttpContext Http => http;

    internal RequestTarget Target => target;

    internal RequestAttributes Attributes => attributes;

    internal KindDescriptor Kind => kind;

    internal List<string> Warnings { get; } = kind.DeprecationWarning.Length > 0 ? [kind.DeprecationWarning] : [];

    internal CancellationToken Stop => http.RequestAborted;

    internal string Query(string name) => http.Request.Query.First(name);

    internal bool Flag(string name) => http.Request.Query.IsOn(name);

    internal long? Number(string name)
    {
        var text = Query(name);
        if (text.Length == 0) return null;
        return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw ApiException.BadRequest($"strconv.ParseInt: parsing \"{text}\": invalid syntax");
    }

    /// <summary>Null when absent.</summary>
    internal long? ResourceVersion()
    {
        var text = Query("resourceVersion");
        if (text.Length == 0) return null;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw new ApiException(500, "", $"resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax",
                withDetails: false);
    }

    /// <param name="optionsKind">The kind of the options, such as CreateOptions. Errors name it, and admission sees it.</param>
    internal WriteRequest Write(string optionsKind, bool isApply = false)
    {
        var dryRun = http.Request.Query["dryRun"];
        foreach (var value in dryRun)
        {
            if (value is "All" or "" or null) continue;
            throw ApiException.Invalid("meta.k8s.io", optionsKind, "",
                [new("FieldValueNotSupported", "dryRun", $"Unsupported value: []string{{\"{value}\"}}: supported values: \"All\"")]);
        }
        var manager = Query("fieldManager");
        if (manager.Length > 128) throw ApiException.Invalid("meta.k8s.io", optionsKind, "", [FieldError.TooLong("fieldManager", 128)]);
        var options = new JsonObject { ["kind"] = optionsKind, ["apiVersion"] = "meta.k8s.io/v1" };
        if (dryRun.Contains("All")) options["dryRun"] = new JsonArray("All");
        if (manager.Length > 0) options["fieldManager"] = manager;
        if (Query("fieldValidation") is { Length: > 0 } validation) options["fieldValidation"] = validation;
        if (isApply && Flag("force")) options["force"] = true;
        return new()
        {
            Attributes = attributes,
            Kind = kind,
            DryRun = dryRun.Contains("All"),
            Manager = manager.Length > 0 ? manager : DefaultManager(),
            Warnings = Warnings,
            Options = options,
            IsApply = isApply,
        };
    }

    /// <summary>Strict, Warn or Ignore.</summary>
    internal string FieldValidation(string optionsKind) => Query("fieldValidation") switch
    {
        "" or "Warn" => "Warn",
        "Strict" => "Strict",
        "Ignore" => "Ignore",
        var other => throw ApiException.Invalid("meta.k8s.io", optionsKind, "",
            [FieldError.NotSupported("fieldValidation", other, ["", "Ignore", "Strict", "Warn"])]),
    };

    private string DefaultManager()
    {
        var agent = http.Request.Headers.UserAgent.ToString();
        var slash = agent.IndexOf('/', StringComparison.Ordinal);
        var name = slash < 0 ? agent : agent[..slash];
        return name.Length == 0 ? "unknown" : name.Length > 128 ? name[..128] : name;
    }
}
