using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Kinds;

/// <summary>MutatingWebhookConfigurations and ValidatingWebhookConfigurations.</summary>
internal sealed class WebhookConfigurationStrategy(bool mutating) : ObjectStrategy
{
    public override bool HasGeneration => true;

    public override void Default(JsonObject o)
    {
        foreach (var hook in Json.Objects(o["webhooks"]))
        {
            if (hook.At("clientConfig", "service") is JsonObject service) service.Default("port", 443);
            foreach (var rule in Json.Objects(hook["rules"])) rule.Default("scope", "*");
            hook.Default("failurePolicy", "Fail");
            hook.Default("matchPolicy", "Equivalent");
            hook.Default("namespaceSelector", new JsonObject());
            hook.Default("objectSelector", new JsonObject());
            hook.Default("timeoutSeconds", 10);
            if (mutating) hook.Default("reinvocationPolicy", "Never");
        }
    }

    public override IEnumerable<FieldError> Validate(JsonObject o, WriteContext context)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var i = 0;
        foreach (var hook in Json.Objects(o["webhooks"]))
        {
            var at = $"webhooks[{i++}]";
            foreach (var error in One(hook, at)) yield return error;
            var name = Json.Text(hook["name"]);
            if (name.Length > 0 && !names.Add(name)) yield return FieldError.Duplicate($"{at}.name", name);
        }
    }

    private static IEnumerable<FieldError> One(JsonObject hook, string at)
    {
        IEnumerable<FieldError>[] checks =
        [
            Name(hook, at),
            Rules(hook, at),
            Check.OneOf($"{at}.failurePolicy", hook["failurePolicy"], "Fail", "Ignore"),
            Check.OneOf($"{at}.matchPolicy", hook["matchPolicy"], "Equivalent", "Exact"),
            SideEffects(hook, at),
            Timeout(hook, at),
            Check.Selector($"{at}.namespaceSelector", hook["namespaceSelector"]),
            Check.Selector($"{at}.objectSelector", hook["objectSelector"]),
            Client(hook, at),
            Versions(hook, at),
        ];
        return checks.SelectMany(errors => errors);
    }

    private static IEnumerable<FieldError> Name(JsonObject hook, string at)
    {
        var name = Json.Text(hook["name"]);
        if (name.Length == 0) yield return FieldError.Required($"{at}.name");
        else if (ObjectNames.SubdomainProblem(name) is { } problem) yield return FieldError.Invalid($"{at}.name", name, problem);
        else if (name.Split('.').Length < 3)
            yield return FieldError.Invalid($"{at}.name", name, "should be a domain with at least three segments separated by dots");
    }

    private static IEnumerable<FieldError> Rules(JsonObject hook, string at)
    {
        var i = 0;
        foreach (var rule in Json.Objects(hook["rules"]))
        {
            var field = $"{at}.rules[{i++}]";
            var operations = Json.Texts(rule["operations"]);
            if (operations.IsEmpty) yield return FieldError.Required($"{field}.operations");
            if (operations.Count > 1 && operations.Contains("*"))
                yield return FieldError.Invalid($"{field}.operations", Json.Array(operations), "if '*' is present, must not specify other operations");
            for (var n = 0; n < operations.Count; n++)
                foreach (var error in Check.OneOf($"{field}.operations[{n}]", operations[n], "*", "CONNECT", "CREATE", "DELETE", "UPDATE")) yield return error;
            foreach (var list in (string[])["apiGroups", "apiVersions", "resources"])
                if (Json.Texts(rule[list]).IsEmpty) yield return FieldError.Required($"{field}.{list}");
            foreach (var error in Check.OneOf($"{field}.scope", rule["scope"], "*", "Cluster", "Namespaced")) yield return error;
        }
    }

    private static IEnumerable<FieldError> SideEffects(JsonObject hook, string at)
    {
        if (hook["sideEffects"] is null) yield return FieldError.Required($"{at}.sideEffects", "must specify one of None, NoneOnDryRun");
        else foreach (var error in Check.OneOf($"{at}.sideEffects", hook["sideEffects"], "None", "NoneOnDryRun")) yield return error;
    }

    private static IEnumerable<FieldError> Timeout(JsonObject hook, string at)
    {
        if (Json.Whole(hook["timeoutSeconds"]) is (< 1 or > 30) and var seconds)
            yield return FieldError.Invalid($"{at}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds");
    }

    private static IEnumerable<FieldError> Client(JsonObject hook, string at)
    {
        var (url, service) = (Json.Text(hook.At("clientConfig", "url")), hook.At("clientConfig", "service") as JsonObject);
        if ((url.Length > 0) == (service is not null))
        {
            yield return FieldError.Required($"{at}.clientConfig", "exactly one of url or service is required");
            yield break;
        }
        if (service is null)
        {
            if (!Uri.TryCreate(url, UriKind.Absolute, out var parsed) || parsed.Scheme != "https")
                yield return FieldError.Invalid($"{at}.clientConfig.url", url, "'https' is the only allowed URL scheme; desired format: https://host[/path]");
            yield break;
        }
        if (Json.Text(service["name"]).Length == 0) yield return FieldError.Required($"{at}.clientConfig.service.name", "service name is required");
        if (Json.Text(service["namespace"]).Length == 0)
            yield return FieldError.Required($"{at}.clientConfig.service.namespace", "service namespace is required");
        if (Json.Text(service["path"]) is { Length: > 0 } path && path[0] != '/')
            yield return FieldError.Invalid($"{at}.clientConfig.service.path", path, "must start with a '/'");
        foreach (var error in Check.Port($"{at}.clientConfig.service.port", service["port"])) yield return error;
    }

    private static IEnumerable<FieldError> Versions(JsonObject hook, string at)
    {
        var versions = Json.Texts(hook["admissionReviewVersions"]);
        if (versions.IsEmpty) yield return FieldError.Required($"{at}.admissionReviewVersions", "must specify one of v1, v1beta1");
        else if (!versions.Contains("v1") && !versions.Contains("v1beta1"))
            yield return FieldError.Invalid($"{at}.admissionReviewVersions", Json.Array(versions), "must include at least one of v1, v1beta1");
    }
}
