using System.Buffers;

namespace Isthmus.Mesh.Config;

/// <summary>Templates of paths in AuthorizationPolicies: <c>{*}</c> is one segment, <c>{**}</c> any number of them.</summary>
internal static class PathTemplates
{
    private const string One = "{*}", Any = "{**}";

    private static readonly SearchValues<char> Literal = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()+,;:@=");

    /// <summary>Whether a path is one that Envoy and Istio accept: each operator is a whole segment, {**} is the last of them, and a template
    /// has nothing else but what segments of paths may have.</summary>
    public static bool IsValid(string path)
    {
        var isTemplate = path.Contains(One, StringComparison.Ordinal) || path.Contains(Any, StringComparison.Ordinal);
        var hasAny = false;
        foreach (var segment in path.Trim('/').Split('/'))
        {
            if (segment is One or Any)
            {
                if (hasAny) return false;
                hasAny = segment == Any;
            }
            else if (segment.AsSpan().ContainsAny('{', '}') || (isTemplate && (segment.Length == 0 || segment.AsSpan().ContainsAnyExcept(Literal))))
                return false;
        }
        return true;
    }
}
