using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Images.Description;

namespace Isthmus.Lab.Nodes.Images;

/// <summary>All images of a lab. The lab never pulls an image; it looks the name up here.</summary>
/// <param name="images">Programs that come with us.</param>
/// <param name="unpacked">Images that were loaded.</param>
public sealed class ImageCatalogue(ValueList<Image> images, UnpackedImages unpacked)
{
    /// <summary>Our own programs and the samples that come with us.</summary>
    public static ImageCatalogue Standard(UnpackedImages unpacked) => new([.. OwnImages.All.Items, .. SampleImages.All.Select(OfSample)], unpacked);

    public ValueList<Image> Images => images;

    /// <summary>Changes when images are loaded or removed.</summary>
    public object Version => unpacked.All;

    /// <summary>The image of that name; null when there is none. A loaded image needs the exact tag or digest, and takes
    /// precedence. For our own programs, tag and digest do not matter, and an exact name takes precedence over a
    /// pattern.</summary>
    public Image? Find(ImageName name)
    {
        if (unpacked.Find(name) is { } loaded) return OfUnpacked(loaded, name.Repository);
        Image? byPattern = null;
        foreach (var image in images)
        {
            if (image.Pattern == name.Repository) return image;
            if (byPattern is null && Matches(image.Pattern, name.Repository)) byPattern = image;
        }
        return byPattern;
    }

    /// <summary>The loaded image that a container with this <c>imageID</c> runs, whatever its names are now.</summary>
    internal Image? FindRunning(string imageId) =>
        unpacked.All.FirstOrDefault(image => image.IsReferredToBy(imageId)) is { } loaded ? OfUnpacked(loaded, "") with { Reference = imageId } : null;

    /// <summary>The images as a Node's status lists them.</summary>
    public JsonArray Describe() => new(
    [
        .. unpacked.All.Select(image => ToJson(NamesOf(image), image.Size)),
        .. images.Select(image => ToJson([image.Pattern], 0)),
    ]);

    /// <summary>The error for an image that is not in the catalogue. The remedy comes before the list, because Events are
    /// cut after 1,024 characters.</summary>
    public string Missing(string asked) =>
        $"image \"{asked}\" is not in the lab, and the lab does not pull images. Load it with 'isthmus lab image load FILE.tar' ('docker save' writes such a "
            + $"file). "
        + $"To run a program of this machine, use image {OwnImages.MachineRoot} with a command. Built in: "
        + $"{string.Join(", ", images.Select(image => image.Pattern))}";

    /// <summary>An ID in the form of a repository digest. All tags of an image are the same program.</summary>
    public static string IdOf(Image image)
    {
        if (image.Reference is { } reference) return reference;
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes(image.Pattern));
        return $"{image.Pattern.Replace("*/", "isthmus.internal/", StringComparison.Ordinal)}@sha256:{Convert.ToHexStringLower(hash)}";
    }

    private Image OfUnpacked(UnpackedImage image, string repository) =>
        new(repository, RootKind.Loaded, [.. image.Entrypoint], [.. image.Arguments])
        {
            Environment = image.Environment.ToValueMap(), Files = unpacked.FilesOf(image), UserName = image.User, WorkingDirectory = image.WorkingDirectory,
            StopSignal = image.StopSignal, Reference = image.Digest.Length > 0 ? $"{repository}@{image.Digest}" : image.Id,
        };

    private static IEnumerable<string> NamesOf(UnpackedImage image) =>
        image.Names.Concat(image.Digest.Length == 0
            ? []
            : image.Names.Select(name => ImageName.TryParse(name, out var parsed) ? $"{parsed.Repository}@{image.Digest}" : name).Distinct());

    private static JsonObject ToJson(IEnumerable<string> names, long size) =>
        new() { ["names"] = new JsonArray([.. names.Select(name => (JsonNode)name)]), ["sizeBytes"] = size };

    private static Image OfSample(SampleImage sample) =>
        new(sample.Pattern, RootKind.Runtime, sample.Entrypoint, sample.Arguments) { Environment = sample.Environment, User = sample.User.Id };

    private static bool Matches(string pattern, string repository) =>
        pattern.StartsWith("*/", StringComparison.Ordinal) && repository.EndsWith(pattern[1..], StringComparison.Ordinal);
}
