namespace Isthmus.Images.Description;

/// <summary>The parts of an image name: <c>registry/path:tag@digest</c>, with Docker's short forms expanded.</summary>
/// <param name="Repository">For example <c>docker.io/library/nginx</c>.</param>
/// <param name="Tag"><c>latest</c> if there is neither a tag nor a digest.</param>
public sealed record ImageName(string Repository, string Tag, string Digest)
{
    private const int LongestName = 255;

    /// <summary>False when the text is not a valid image name; the reason of the container is then InvalidImageName.</summary>
    public static bool TryParse(string text, out ImageName name)
    {
        name = new("", "", "");
        if (text.Length is 0 or > LongestName || text.Any(letter => letter <= ' ' || letter > '~')) return false;
        var at = text.IndexOf('@', StringComparison.Ordinal);
        var digest = at < 0 ? "" : text[(at + 1)..];
        var rest = at < 0 ? text : text[..at];
        var colon = rest.LastIndexOf(':');
        var tagged = colon > rest.LastIndexOf('/');
        var repository = tagged ? rest[..colon] : rest;
        var tag = tagged ? rest[(colon + 1)..] : digest.Length > 0 ? "" : "latest";
        if (repository.Length == 0 || (tagged && tag.Length == 0) || repository.Split('/').Any(part => part.Length == 0)) return false;
        if (repository.Any(letter => !char.IsAsciiLetterOrDigit(letter) && !"._-/:".Contains(letter, StringComparison.Ordinal))) return false;
        name = new(Qualify(repository), tag, digest);
        return true;
    }

    public override string ToString() => $"{Repository}{(Tag.Length > 0 ? ":" + Tag : "")}{(Digest.Length > 0 ? "@" + Digest : "")}";

    private static string Qualify(string repository)
    {
        var slash = repository.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0) return $"docker.io/library/{repository}";
        var host = repository[..slash];
        return host.Contains('.', StringComparison.Ordinal) || host.Contains(':', StringComparison.Ordinal) || host == "localhost"
            ? repository
            : $"docker.io/{repository}";
    }
}
