using Isthmus.Core.Problems;
using Isthmus.Images.Description;
using Isthmus.Images.Oci;
using Isthmus.Images.Unpacking;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Nodes.Images;

/// <summary>Unpacks the images of an archive into the lab.</summary>
public sealed class ImageLoad(UnpackedImages images)
{
    /// <summary>How much an image may unpack to.</summary>
    internal UnpackLimits Limits { get; init; } = UnpackLimits.Default;

    /// <param name="file">An OCI layout in a tar, or what <c>docker save</c> writes.</param>
    /// <param name="name">The name for the only image in it; null for the names in the archive.</param>
    /// <exception cref="ProblemException">The archive has no image that can be loaded.</exception>
    public IReadOnlyList<UnpackedImage> Run(string file, string? name, CancellationToken stop)
    {
        using var archive = ImageArchive.Open(file);
        var unpacker = new ImageUnpacker(archive, file);
        var parts = archive.Images(ImagePlatform.Architecture);
        if (parts.Count == 0) throw WrongPlatform(file, string.Join(", ", archive.OtherPlatforms));
        if (name is not null && parts.Count > 1)
            throw new ProblemException(file, $"has {parts.Count} images, which cannot all be named '{name}'", "leave out --name");
        var verified = parts.Select(part => (Image: Checked(file, unpacker.Verify(part)), Names: NamesOf(file, part, name))).ToList();
        using var one = images.Lock(stop);
        images.Tidy();
        return [.. verified.Select(next => Load(unpacker, next.Image, next.Names, stop))];
    }

    private UnpackedImage Load(ImageUnpacker unpacker, VerifiedImage image, List<string> names, CancellationToken stop)
    {
        if (images.All.FirstOrDefault(other => other.Id == image.Id.ToString()) is { } known)
        {
            var named = known with { Names = [.. known.Names.Union(names)] };
            images.Add(named, null);
            return named;
        }
        if (images.All.FirstOrDefault(other => other.Files == image.Content.Hex) is { } same)
        {
            var loaded = Describe(image, names, same.Size);
            images.Add(loaded, null);
            return loaded;
        }
        var directory = images.NewDirectory();
        try
        {
            var loaded = Describe(image, names, unpacker.Unpack(image, directory, Limits, stop));
            images.Add(loaded, directory);
            return loaded;
        }
        finally
        {
            if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
        }
    }

    private static UnpackedImage Describe(VerifiedImage image, List<string> names, long size)
    {
        var start = image.Config.Start;
        return new(image.Id.ToString(), image.Content.Hex, image.Manifest?.ToString() ?? "", names, size, image.Config.Created)
        {
            Entrypoint = start.Entrypoint, Arguments = start.Arguments, Environment = start.Environment.ToDictionary(), User = start.User,
            WorkingDirectory = start.WorkingDirectory, StopSignal = SignalOf(image.Config) ?? Signals.Term,
        };
    }

    private static VerifiedImage Checked(string file, VerifiedImage image)
    {
        var config = image.Config;
        if (config.System is not (ImagePlatform.System or "") || (config.Architecture.Length > 0 && config.Architecture != ImagePlatform.Architecture))
            throw WrongPlatform(file, $"{config.System}/{config.Architecture}");
        if (config.StopSignal.Length > 0 && SignalOf(config) is null)
            throw new ProblemException(file, $"StopSignal: '{config.StopSignal}' is not a signal", "use a name such as SIGQUIT, or a number");
        if (!config.Start.WorkingDirectory.StartsWith('/'))
            throw new ProblemException(file, $"WorkingDir: '{config.Start.WorkingDirectory}' is not an absolute path",
                "build the image with an absolute working directory");
        return image;
    }

    private static int? SignalOf(ImageConfig config) => StopSignals.TryParse(config.StopSignal, out var signal) ? signal : null;

    private static List<string> NamesOf(string file, ArchiveImage image, string? name)
    {
        var names = name is null ? image.Names : [name];
        if (names.IsEmpty) throw new ProblemException(file, "has an image without a name", "name it: isthmus lab image load FILE --name NAME");
        return [.. names.Select(one => ImageName.TryParse(one, out var parsed) && parsed.Digest.Length == 0
            ? parsed.ToString()
            : throw new ProblemException(file, $"'{one}' is not the name of an image with a tag", "name it: isthmus lab image load FILE --name NAME"))
            .Distinct()];
    }

    private static ProblemException WrongPlatform(string file, string platforms) =>
        new(file,
            $"has no image for {ImagePlatform.System}/{ImagePlatform.Architecture}, the platform of this "
                + $"machine{(platforms.Length > 0 ? $", but for {platforms}" : "")}",
            $"save the image of this platform, for example with 'docker pull --platform {ImagePlatform.System}/{ImagePlatform.Architecture}' before 'docker "
                + $"save'");
}
