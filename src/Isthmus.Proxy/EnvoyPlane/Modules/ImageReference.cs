using System.Text.RegularExpressions;

namespace Isthmus.Proxy.EnvoyPlane.Modules;

/// <summary>An image in a registry.</summary>
/// <param name="Digest"><c>sha256:…</c>; empty: the tag says which image it is.</param>
internal sealed partial record ImageReference(string Registry, string Repository, string Tag, string Digest)
{
    private const string DockerHub = "index.docker.io";

    /// <summary>What a manifest is asked for by.</summary>
    public string Name => Digest.Length > 0 ? Digest : Tag;

    /// <exception cref="ModuleException">It is not one.</exception>
    public static ImageReference Parse(string url)
    {
        if (Shape().Match(url[(url.IndexOf("://", StringComparison.Ordinal) + 3)..]) is not { Success: true } match)
            throw new ModuleException($"{url} is not the address of an image");
        var (host, repository) = (match.Groups["host"].Value, match.Groups["repository"].Value);
        // As Docker reads names: the first part is a registry if it looks like a host.
        if (host.Length > 0 && !host.Contains('.', StringComparison.Ordinal) && !host.Contains(':', StringComparison.Ordinal) && host != "localhost")
            (host, repository) = ("", $"{host}/{repository}");
        if (host is "docker.io") host = "";
        if (host.Length == 0 && !repository.Contains('/', StringComparison.Ordinal)) repository = $"library/{repository}";
        var tag = match.Groups["tag"].Value;
        return new(host.Length > 0 ? host : DockerHub, repository, tag.Length > 0 ? tag : "latest", match.Groups["digest"].Value);
    }

    [GeneratedRegex(
        @"^(?:(?<host>[A-Za-z0-9.\-]+(?::\d+)?|\[[0-9a-fA-F:]+\](?::\d+)?)/)?"
            + @"(?<repository>[a-z0-9]+(?:[._/\-]+[a-z0-9]+)*)(?::(?<tag>[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$",
        RegexOptions.NonBacktracking)]
    private static partial Regex Shape();
}
