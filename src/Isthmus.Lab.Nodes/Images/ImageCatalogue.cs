using System.Security.Cryptography;
using System.Text;
using Isthmus.Core.Collections;
using Isthmus.Images.Description;

namespace Isthmus.Lab.Nodes.Images;

/// <summary>All images of a lab. The lab never pulls an image; it looks the name up here.</summary>
public sealed class ImageCatalogue(ValueList<Image> images)
{
    /// <summary>Our own programs and the samples that come with us.</summary>
    public static ImageCatalogue Standard { get; } = new([.. OwnImages.All.Items, .. SampleImages.All.Select(OfSample)]);

    public ValueList<Image> Images => images;

    /// <summary>The image of that name, whatever its tag or digest; null when there is none. An exact name takes precedence
    /// over a pattern.</summary>
    public Image? Find(ImageName name)
    {
        Image? byPattern = null;
        foreach (var image in images)
        {
            if (image.Pattern == name.Repository) return image;
            if (byPattern is null && Matches(image.Pattern, name.Repository)) byPattern = image;
        }
        return byPattern;
    }

    /// <summary>The error for an image that is not in the catalogue. The remedy comes before the list, because Events are
    /// cut after 1,024 characters.</summary>
    public string Missing(string asked) =>
        $"image \"{asked}\" is not in the lab's catalogue, and the lab does not pull images. To run a program of this machine, use image {OwnImages.MachineRoot} "
        + $"with a command. The catalogue has: {string.Join(", ", images.Select(image => image.Pattern))}";

    /// <summary>An ID in the form of a repository digest. All tags of an image are the same program.</summary>
    public static string IdOf(Image image)
    {
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes(image.Pattern));
        return $"{image.Pattern.Replace("*/", "isthmus.internal/", StringComparison.Ordinal)}@sha256:{Convert.ToHexStringLower(hash)}";
    }

    private static Image OfSample(SampleImage sample) =>
        new(sample.Pattern, RootKind.Runtime, sample.Entrypoint, sample.Arguments) { Environment = sample.Environment, User = sample.User.Id };

    private static bool Matches(string pattern, string repository) =>
        pattern.StartsWith("*/", StringComparison.Ordinal) && repository.EndsWith(pattern[1..], StringComparison.Ordinal);
}
