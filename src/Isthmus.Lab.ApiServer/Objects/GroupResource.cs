namespace Isthmus.Lab.ApiServer.Objects;

/// <summary>Group and version, as in `apiVersion`.</summary>
public readonly record struct GroupVersion(string Group, string Version)
{
    public override string ToString() => Group.Length == 0 ? Version : $"{Group}/{Version}";

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
