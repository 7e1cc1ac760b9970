namespace Isthmus.Lab.ApiServer.Objects;

/// <summary>The rules for names (RFC 1123, RFC 1035), with the messages of a real API server.</summary>
public static class ObjectNames
{
    private const string SubdomainText =
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character "
            + "(e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    private const string LabelText =
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. "
            + "'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    private const string Label1035Text =
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric "
            + "character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    private const string Alphabet = "bcdfghjklmnpqrstvwxz2456789";

    public static string? SubdomainProblem(string name)
    {
        if (name.Length > 253) return "must be no more than 253 characters";
        foreach (var part in name.Split('.'))
            if (!IsLabel(part)) return SubdomainText;
        return null;
    }

    public static string? LabelProblem(string name) =>
        name.Length > 63 ? "must be no more than 63 characters" : IsLabel(name) ? null : LabelText;

    public static string? Label1035Problem(string name) =>
        name.Length > 63 ? "must be no more than 63 characters" : IsLabel(name) && name[0] is >= 'a' and <= 'z' ? null : Label1035Text;

    /// <summary>For RBAC names: anything that can be one segment of a path.</summary>
    public static string? PathSegmentProblem(string name) =>
        name is "." or ".." ? $"may not be '{name}'"
        : name.Contains('/', StringComparison.Ordinal) ? "may not contain '/'"
        : name.Contains('%', StringComparison.Ordinal) ? "may not contain '%'"
        : null;

    /// <summary>The prefix of generateName with five random characters; long prefixes are cut.</summary>
    public static string Generate(string prefix, Random random)
    {
        const int suffix = 5;
        if (prefix.Length > 63 - suffix) prefix = prefix[..(63 - suffix)];
        Span<char> tail = stackalloc char[suffix];
        lock (random) // guards the shared generator
        {
            foreach (ref var c in tail) c = Alphabet[random.Next(Alphabet.Length)];
        }
        return string.Concat(prefix, tail);
    }

    private static bool IsLabel(string part)
    {
        if (part.Length == 0 || part[0] == '-' || part[^1] == '-') return false;
        foreach (var c in part)
            if (c is not (>= 'a' and <= 'z' or >= '0' and <= '9' or '-')) return false;
        return true;
    }
}
