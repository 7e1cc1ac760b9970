using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Validation;

/// <summary>Checks that many kinds need, with the messages of a real API server.</summary>
internal static partial class Check
{
    public const string PortRange = "must be between 1 and 65535, inclusive";
    public const string NotNegative = "must be greater than or equal to 0";
    public const string Immutable = "field is immutable";

    private const string LabelValueText =
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
            + "(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

    private const string NamePartText =
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or "
            + "'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

    private const string ConfigKeyText =
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for "
            + "validation is '[-._a-zA-Z0-9]+')";

    private const string EnvNameText =
        "a valid environment variable name must consist only of printable ASCII characters other than '='";

    public static IEnumerable<FieldError> Name(string field, JsonNode? node, Func<string, string?> problemOf)
    {
        var name = Json.Text(node);
        if (name.Length == 0) yield return FieldError.Required(field);
        else if (problemOf(name) is { } problem) yield return FieldError.Invalid(field, name, problem);
    }

    public static IEnumerable<FieldError> Required(string field, JsonNode? node)
    {
        if (Json.Text(node).Length == 0) yield return FieldError.Required(field);
    }

    /// <summary>A port number; a missing one counts as 0.</summary>
    public static IEnumerable<FieldError> Port(string field, JsonNode? node)
    {
        var port = Json.Whole(node) ?? 0;
        if (port is < 1 or > 65535) yield return FieldError.Invalid(field, port, PortRange);
    }

    /// <summary>A port number or the name of one.</summary>
    public static IEnumerable<FieldError> PortOrName(string field, JsonNode? node)
    {
        if (Json.TextOrNull(node) is not { } name) return Port(field, node);
        return PortNameProblem(name) is { } problem ? [FieldError.Invalid(field, name, problem)] : [];
    }

    public static IEnumerable<FieldError> OneOf(string field, JsonNode? node, params string[] allowed)
    {
        var value = Json.Text(node);
        if (!allowed.Contains(value)) yield return FieldError.NotSupported(field, value, allowed);
    }

    public static IEnumerable<FieldError> NonNegative(string field, JsonNode? node)
    {
        if (Json.Whole(node) is < 0 and var value) yield return FieldError.Invalid(field, value, NotNegative);
    }

    public static IEnumerable<FieldError> Unchanged(string field, JsonNode? old, JsonNode? next, string detail = Immutable)
    {
        if (!JsonNode.DeepEquals(old, next)) yield return FieldError.Invalid(field, next?.DeepClone(), detail);
    }

    public static IEnumerable<FieldError> Ip(string field, JsonNode? node)
    {
        var text = Json.Text(node);
        if (SharedAddress.Parse(text) is null) yield return FieldError.Invalid(field, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    }

    /// <summary>An address to which nodes send traffic of others.</summary>
    /// <param name="loopback">Loopback addresses may pass.</param>
    public static IEnumerable<FieldError> SharedIp(string field, JsonNode? node, bool loopback = false)
    {
        var text = Json.Text(node);
        if (SharedAddress.Parse(text) is not { } address) return Ip(field, node);
        return SharedAddress.Problem(address, loopback) is { } problem ? [FieldError.Invalid(field, text, problem)] : [];
    }

    public static string? PortNameProblem(string name) =>
        name.Length > 15 ? "must be no more than 15 characters"
        : !PortNameCharacters().IsMatch(name) ? "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
        : !name.Any(char.IsAsciiLetter) ? "must contain at least one letter (a-z)"
        : name.Contains("--", StringComparison.Ordinal) ? "must not contain consecutive hyphens"
        : name[0] == '-' || name[^1] == '-' ? "must not begin or end with a hyphen"
        : null;

    public static string? EnvNameProblem(string name) =>
        name.All(c => c is >= ' ' and <= '~' and not '=') ? null : EnvNameText;

    public static string? ConfigKeyProblem(string key) =>
        key.Length > 253 ? "must be no more than 253 characters"
        : key is "." ? "must not be '.'"
        : key.StartsWith("..", StringComparison.Ordinal) ? "must not start with '..'"
        : ConfigKey().IsMatch(key) ? null : ConfigKeyText;

    /// <summary>A label selector as objects hold it.</summary>
    public static IEnumerable<FieldError> Selector(string field, JsonNode? node)
    {
        if (node is not JsonObject selector) yield break;
        foreach (var (key, value) in Json.Map(selector["matchLabels"]))
        {
            if (QualifiedNameProblem(key) is { } problem) yield return FieldError.Invalid($"{field}.matchLabels", key, problem);
            if (LabelValueProblem(value) is { } bad) yield return FieldError.Invalid($"{field}.matchLabels", value, bad);
        }
        var index = 0;
        foreach (var term in Json.Objects(selector["matchExpressions"]))
        {
            var at = $"{field}.matchExpressions[{index++}]";
            var count = Json.Texts(term["values"]).Count;
            switch (Json.Text(term["operator"]))
            {
                case "In" or "NotIn":
                    if (count == 0) yield return FieldError.Required($"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'");
                    break;
                case "Exists" or "DoesNotExist":
                    if (count > 0) yield return FieldError.Forbidden($"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
                    break;
                case var unknown:
                    yield return FieldError.Invalid($"{at}.operator", unknown, "not a valid selector operator");
                    break;
            }
            if (QualifiedNameProblem(Json.Text(term["key"])) is { } problem) yield return FieldError.Invalid($"{at}.key", Json.Text(term["key"]), problem);
        }
    }

    public static string? LabelValueProblem(string value) =>
        value.Length > 63 ? "must be no more than 63 characters" : value.Length == 0 || NamePart().IsMatch(value) ? null : LabelValueText;

    /// <summary>A label key: an optional DNS prefix and a name.</summary>
    public static string? QualifiedNameProblem(string key)
    {
        var slash = key.IndexOf('/', StringComparison.Ordinal);
        var name = slash < 0 ? key : key[(slash + 1)..];
        if (slash == 0) return "prefix part must be non-empty";
        if (slash > 0 && ObjectNames.SubdomainProblem(key[..slash]) is { } problem) return $"prefix part {problem}";
        return name.Length == 0 ? "name part must be non-empty"
            : name.Length > 63 ? "name part must be no more than 63 characters"
            : NamePart().IsMatch(name) ? null : NamePartText;
    }

    [GeneratedRegex("^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?\\z")]
    private static partial Regex NamePart();

    [GeneratedRegex("^[-._a-zA-Z0-9]+\\z")]
    private static partial Regex ConfigKey();

    [GeneratedRegex("^[-a-z0-9]+\\z")]
    private static partial Regex PortNameCharacters();
}
