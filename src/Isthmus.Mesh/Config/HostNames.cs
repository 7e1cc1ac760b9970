using Isthmus.Core.Collections;
using Isthmus.Core.Net;

namespace Isthmus.Mesh.Config;

/// <summary>Rules for host names in Istio's resources.</summary>
internal static class HostNames
{
    private const int MaxName = 253;

    /// <summary>Why a name is not a valid domain name; null when it is. An asterisk may stand for all of it, or for its beginning: <c>*.a.example</c>,
    /// <c>*-a.example</c> and <c>*a.example</c>.</summary>
    public static string? WhyInvalid(string name, bool allowWildcard = true)
    {
        if (name.Length == 0) return "empty domain name not allowed";
        if (name.Length > MaxName) return $"domain name \"{name[..40]}…\" too long (max {MaxName})";
        if (name == "*" && allowWildcard) return null;
        var rest = allowWildcard && name[0] == '*' ? name[1..] : name;
        if (rest.Length > 1 && rest.Length < name.Length && rest[0] is '.' or '-') rest = rest[1..];
        if (rest.EndsWith('.')) rest = rest[..^1];
        var labels = rest.Split('.');
        for (var i = 0; i < labels.Length; i++)
        {
            if (!IsLabel(labels[i])) return $"domain name \"{string.Join('.', labels[i..])}\" invalid (label \"{labels[i]}\" invalid)";
        }
        return null;
    }

    /// <summary>Names of TLS handshakes are compared label by label, as in Envoy: an asterisk stands for whole labels.</summary>
    public static void CheckServerName(Field field, string name)
    {
        if (name is ['*', not '.', ..])
            field.Error($"\"{name}\" cannot be matched by the server name (SNI) of TLS handshakes: an asterisk stands for whole labels there",
                "write *.DOMAIN, or each name");
    }

    public static bool IsLabel(string label)
    {
        if (label.Length is 0 or > 63 || label[0] == '-' || label[^1] == '-') return false;
        foreach (var c in label)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c != '-') return false;
        }
        return true;
    }

    public static bool IsIp(string text) => Address.TryParse(text, out _);

    public static void Check(Field field, string name, bool allowWildcard = true, bool allowIp = false)
    {
        if (allowIp && IsIp(name)) return;
        if (WhyInvalid(name, allowWildcard) is { } why) field.Error(why, "host names are letters, digits and dashes, separated by dots");
    }

    /// <summary>Whether <paramref name="outer"/> covers every name that <paramref name="inner"/> covers.</summary>
    public static bool Covers(string outer, string inner)
    {
        if (outer == "*" || outer == inner) return true;
        if (!outer.StartsWith('*')) return false;
        return inner.EndsWith(outer[1..], StringComparison.Ordinal);
    }

    public static ValueList<string> ReadExportTo(Field exportTo)
    {
        var targets = exportTo.Texts;
        if (targets.Count > 1 && targets.Contains("*")) exportTo.Error("cannot have both public (*) and non-public exportTo values for a resource");
        foreach (var item in exportTo.Items)
        {
            if (item.Text is "*" or "." or "~") continue;
            if (!IsLabel(item.Text)) item.Error($"invalid namespace name \"{item.Text}\"", "use *, ., ~ or the name of a namespace");
        }
        return targets;
    }

    public static ValueMap<string> ReadLabels(Field labels)
    {
        foreach (var (key, value) in labels.Members)
        {
            var name = key[(key.LastIndexOf('/') + 1)..];
            if (!IsTag(name) || name.Length == 0) value.Error($"invalid tag key: \"{key}\"");
            if (!IsTag(value.Text)) value.Error($"invalid tag value: \"{value.Text}\"");
        }
        return labels.TextMap;
    }

    /// <summary>The labels that select workloads: an empty key or a wildcard selects none.</summary>
    public static ValueMap<string> ReadSelector(Field labels)
    {
        foreach (var (key, value) in labels.Members)
        {
            if (key.Length == 0) value.Error("key must not be empty", "write LABEL: VALUE");
            if (key.Contains('*', StringComparison.Ordinal) || value.Text.Contains('*', StringComparison.Ordinal))
                value.Error("wildcard is not supported in selector",
                    "write the whole label and value; without a selector, all workloads of the namespace are meant");
        }
        return labels.IsWrong ? labels.TextMap : ReadMatchedLabels(labels);
    }

    /// <summary>Labels that others must have: they are compared as they are, so a pattern finds nothing.</summary>
    public static ValueMap<string> ReadMatchedLabels(Field labels)
    {
        foreach (var (key, value) in labels.Members)
        {
            if (IsTag(key[(key.LastIndexOf('/') + 1)..]) && IsTag(value.Text)) continue;
            value.Warn($"no workload can have the label {key}={value.Text}, so this selects none", "write the label as workloads have it: it is no pattern");
        }
        return labels.TextMap;
    }

    private static bool IsTag(string text)
    {
        if (text.Length > 63) return false;
        foreach (var c in text)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.')) return false;
        }
        return text.Length == 0 || (char.IsAsciiLetterOrDigit(text[0]) && char.IsAsciiLetterOrDigit(text[^1]));
    }
}
