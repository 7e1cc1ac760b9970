namespace Isthmus.Kubernetes.Objects;

/// <summary>What a client must know about a kind to address it (Kubernetes API conventions, "Resources").</summary>
/// <param name="Group">The API group; empty for the core group.</param>
/// <param name="Version">For example <c>v1</c>.</param>
/// <param name="Kind">For example <c>Pod</c>.</param>
/// <param name="Plural">The resource in paths, for example <c>pods</c>.</param>
public sealed record ResourceKind(string Group, string Version, string Kind, string Plural, bool Namespaced)
{
    public string ApiVersion => Group.Length == 0 ? Version : $"{Group}/{Version}";

    /// <summary>The request path, for example <c>/apis/apps/v1/namespaces/foo/deployments/bar/status</c>.</summary>
    public string Path(string? ns, string? name = null, string? subresource = null)
    {
        var path = Group.Length == 0 ? $"/api/{Version}" : $"/apis/{Group}/{Version}";
        if (Namespaced && !string.IsNullOrEmpty(ns)) path += $"/namespaces/{Uri.EscapeDataString(ns)}";
        path += $"/{Plural}";
        if (!string.IsNullOrEmpty(name)) path += $"/{Uri.EscapeDataString(name)}";
        if (!string.IsNullOrEmpty(subresource)) path += $"/{subresource}";
        return path;
    }

    public override string ToString() => Group.Length == 0 ? Plural : $"{Plural}.{Group}";
}
