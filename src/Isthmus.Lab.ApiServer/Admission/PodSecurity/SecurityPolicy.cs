using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Lab.ApiServer.Validation;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission.PodSecurity;

/// <summary>A level of the Pod Security Standards; each permits less than the one before.</summary>
internal enum SecurityLevel
{
    Privileged,
    Baseline,
    Restricted,
}

/// <summary>A level in the form of a version of Kubernetes.</summary>
/// <param name="Minor">That of version 1; null for the latest.</param>
internal readonly record struct SecurityPolicy(SecurityLevel Level, int? Minor)
{
    /// <summary>As labels and messages write it: <c>restricted:latest</c>.</summary>
    public override string ToString() => $"{SecurityLabels.NameOf(Level)}:{(Minor is { } minor ? $"v1.{minor}" : "latest")}";
}

/// <summary>What the labels of a namespace say about its Pods.</summary>
/// <param name="Enforce">What Pods must not violate.</param>
/// <param name="Warn">What clients are warned of.</param>
/// <param name="Errors">Labels that cannot be read. Those of <paramref name="Enforce"/> count as their strictest value.</param>
internal sealed partial record SecurityLabels(SecurityPolicy Enforce, SecurityPolicy Warn, IReadOnlyList<FieldError> Errors)
{
    private const string Prefix = "pod-security.kubernetes.io/";

    private static readonly string[] Names = ["privileged", "baseline", "restricted"];

    public static string NameOf(SecurityLevel level) => Names[(int)level];

    /// <param name="ns">The namespace.</param>
    public static SecurityLabels Of(JsonNode? ns)
    {
        var (labels, errors) = (Json.Map(ns.At("metadata", "labels")), new List<FieldError>());
        var (enforce, enforced) = (Level("enforce"), Version("enforce"));
        var (warn, warned) = (Level("warn"), Version("warn"));
        // There is no audit log, so these only have errors to report.
        Level("audit");
        Version("audit");
        var policy = new SecurityPolicy(enforce ?? (Has("enforce") ? SecurityLevel.Restricted : SecurityLevel.Privileged), enforced);
        var warning = new SecurityPolicy(warn ?? SecurityLevel.Privileged, warned);
        if (!Has("warn") && enforce > SecurityLevel.Privileged) warning = new(policy.Level, Has("warn-version") ? warned : enforced);
        return new(policy, warning, errors);

        bool Has(string mode) => labels.ContainsKey(Prefix + mode);

        SecurityLevel? Level(string mode)
        {
            if (!labels.TryGetValue(Prefix + mode, out var text)) return null;
            if (Array.IndexOf(Names, text) is var index and >= 0) return (SecurityLevel)index;
            Wrong(mode, text, $"must be one of {string.Join(", ", Names)}");
            return null;
        }

        int? Version(string mode)
        {
            if (!labels.TryGetValue($"{Prefix}{mode}-version", out var text) || text == "latest") return null;
            if (VersionText().Match(text) is { Success: true } match && int.TryParse(match.Groups[1].Value, NumberStyles.None, CultureInfo.InvariantCulture,
                out var minor)) return minor;
            Wrong($"{mode}-version", text, "must be \"latest\" or \"v1.x\"");
            return null;
        }

        void Wrong(string label, string text, string why) => errors.Add(FieldError.Invalid($"metadata.labels[{Prefix}{label}]", text, why));
    }

    [GeneratedRegex("^v1\\.(0|[1-9][0-9]*)$", RegexOptions.CultureInvariant)]
    private static partial Regex VersionText();
}
