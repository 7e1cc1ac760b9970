namespace Isthmus.Lab.ApiServer.Http;

/// <summary>The target of a path: a resource, or a non-resource path such as /version.</summary>
/// <param name="Rest">What follows the subresource in the path of a proxy.</param>
/// <param name="IsWatchPath">The old form /api/v1/watch/….</param>
internal sealed record RequestTarget(
    bool IsResource, string Group, string Version, string Namespace, string Resource, string Name, string Subresource, string Rest, bool IsWatchPath)
{
    private static readonly RequestTarget NotAResource = new(false, "", "", "", "", "", "", "", false);

    internal static RequestTarget Parse(string path)
    {
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var start = parts is ["api", _, _, ..] ? 2 : parts is ["apis", _, _, _, ..] ? 3 : 0;
        if (start == 0) return NotAResource;
        var (group, version) = start == 2 ? ("", parts[1]) : (parts[1], parts[2]);
        var rest = parts.AsSpan(start);
        var isWatch = rest is ["watch", _, ..];
        if (isWatch) rest = rest[1..];
        var ns = "";
        if (rest is ["namespaces", _, ..])
        {
            ns = rest[1];
            if (rest.Length > 2 && rest[2] is not ("status" or "finalize")) rest = rest[2..];
        }
        return new(true, group, version, ns, rest[0],
            rest.Length > 1 ? rest[1] : "", rest.Length > 2 ? rest[2] : "",
            rest.Length > 3 ? string.Join('/', rest[3..].ToArray()) : "", isWatch);
    }
}
