using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Objects;

/// <summary>Group and version, as in `apiVersion`.</summary>
public readonly record struct GroupVersion(string Group, string Version)
{
    public override string ToString() => Group.Length == 0 ? Version : $"{Group}/{Version}";

    /// <summary>Writes an object's <c>apiVersion</c> in its usual form: <c>/v1</c> is core <c>v1</c> for Kubernetes.</summary>
    public static void Normalize(JsonObject o)
    {
        if (Json.Text(o["apiVersion"]) is { Length: > 0 } given && given[0] == '/') o["apiVersion"] = Parse(given).ToString();
    }

    public static GroupVersion Parse(string apiVersion)
    {
        var slash = apiVersion.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? new("", apiVersion) : new(apiVersion[..slash], apiVersion[(slash + 1)..]);
    }
}

/// <summary>Where objects are kept: all versions of a resource share one.</summary>
public readonly record struct GroupResource(string Group, string Plural)
{
    public override string ToString() => Group.Length == 0 ? Plural : $"{Plural}.{Group}";
}
