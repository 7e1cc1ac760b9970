using Isthmus.Core.Flags;
using Isthmus.Images.Description;

namespace Isthmus.Images.Registry;

/// <summary>Where an image is in a registry.</summary>
public sealed record RegistryName(string Host, string Repository, string Tag)
{
    internal const string DockerHost = "registry-1.docker.io";

    /// <exception cref="WrongUseException">The text does not name an image and its tag.</exception>
    public static RegistryName Parse(string text)
    {
        if (!ImageName.TryParse(text, out var name) || name.Digest.Length > 0)
            throw new WrongUseException("image", $"'{text}' is not the name of an image with a tag", "for example registry.example.com/isthmus:1.0");
        var slash = name.Repository.IndexOf('/', StringComparison.Ordinal);
        var host = name.Repository[..slash];
        var repository = name.Repository[(slash + 1)..];
        if (repository != repository.ToLowerInvariant())
            throw new WrongUseException("image", $"'{text}' has upper-case letters", "registries accept only lower-case repositories");
        return new(host == "docker.io" ? DockerHost : host, repository, name.Tag);
    }
}
