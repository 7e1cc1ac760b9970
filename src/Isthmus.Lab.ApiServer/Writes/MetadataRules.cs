using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Validation;

namespace Isthmus.Lab.ApiServer.Writes;

/// <summary>The rules for the metadata of every kind.</summary>
internal static class MetadataRules
{
    private const int MaxAnnotations = 256 * 1024;
    private const string ValueText =
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
            + "(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    private const string NameText =
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or "
            + "'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

    internal static IEnumerable<FieldError> Validate(KindDescriptor kind, JsonObject o)
    {
        var metadata = Metadata.Of(o);
        var name = Metadata.Name(o);
        if (name.Length == 0) yield return FieldError.Required("metadata.name", "name or generateName is required");
        else if ((ObjectNames.PathSegmentProblem(name) ?? kind.Strategy.NameProblem(name)) is { } problem)
            yield return FieldError.Invalid("metadata.name", name, problem);
        foreach (var error in Labels(metadata["labels"] as JsonObject)) yield return error;
        foreach (var error in Annotations(metadata["annotations"] as JsonObject)) yield return error;
        foreach (var error in Finalizers(Metadata.Finalizers(o))) yield return error;
        foreach (var error in Owners(metadata["ownerReferences"] as JsonArray)) yield return error;
    }

    private static IEnumerable<FieldError> Labels(JsonObject? labels)
    {
        if (labels is null) yield break;
        foreach (var (key, value) in labels)
        {
            if (KeyProblem(key) is { } problem) yield return FieldError.Invalid("metadata.labels", key, problem);
            if (ValueProblem((string?)value ?? "") is { } wrong) yield return FieldError.Invalid("metadata.labels", (string?)value, wrong);
        }
    }

    private static IEnumerable<FieldError> Annotations(JsonObject? annotations)
    {
        if (annotations is null) yield break;
        long total = 0;
        foreach (var (key, value) in annotations)
        {
            if (KeyProblem(key.ToLowerInvariant()) is { } problem) yield return FieldError.Invalid("metadata.annotations", key, problem);
            total += key.Length + ((string?)value ?? "").Length;
        }
        if (total > MaxAnnotations) yield return FieldError.TooLong("metadata.annotations", MaxAnnotations);
    }

    private static IEnumerable<FieldError> Finalizers(List<string> finalizers) =>
        from finalizer in finalizers
        let problem = KeyProblem(finalizer)
        where problem is not null
        select FieldError.Invalid("metadata.finalizers", finalizer, problem);

    private static IEnumerable<FieldError> Owners(JsonArray? owners)
    {
        if (owners is null) yield break;
        var controllers = 0;
        for (var i = 0; i < owners.Count; i++)
        {
            var owner = owners[i] as JsonObject;
            foreach (var field in (string[])["apiVersion", "kind", "name", "uid"])
                if (((string?)owner?[field] ?? "").Length == 0)
                    yield return FieldError.Invalid($"metadata.ownerReferences[{i}].{field}", "",
                        $"{(field == "apiVersion" ? "version" : field)} must not be empty");
            if ((bool?)owner?["controller"] == true && ++controllers == 2)
                yield return FieldError.Invalid("metadata.ownerReferences", null, "Only one reference can have Controller set to true.");
        }
    }

    internal static string? KeyProblem(string key)
    {
        var slash = key.IndexOf('/', StringComparison.Ordinal);
        if (slash != key.LastIndexOf('/'))
            return "a qualified name " + NameText[5..] + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
        if (slash == 0) return "prefix part must be non-empty";
        if (slash > 0 && ObjectNames.SubdomainProblem(key[..slash]) is { } prefix) return "prefix part " + prefix;
        var name = key[(slash + 1)..];
        return name.Length == 0 ? "name part must be non-empty"
            : name.Length > 63 ? "name part must be no more than 63 characters"
            : IsWord(name) ? null : NameText;
    }

    internal static string? ValueProblem(string value) =>
        value.Length > 63 ? "must be no more than 63 characters" : value.Length == 0 || IsWord(value) ? null : ValueText;

    private static bool IsWord(string text)
    {
        if (!char.IsAsciiLetterOrDigit(text[0]) || !char.IsAsciiLetterOrDigit(text[^1])) return false;
        foreach (var c in text)
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.')) return false;
        return true;
    }
}
