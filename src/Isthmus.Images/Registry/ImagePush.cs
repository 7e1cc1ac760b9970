using Isthmus.Core.Problems;
using Isthmus.Images.Description;
using Isthmus.Images.Oci;

namespace Isthmus.Images.Registry;

/// <summary>What a push did.</summary>
public sealed record PushResult(Digest Digest, int Uploaded, int Present);

/// <summary>Uploads an image of an archive.</summary>
public static class ImagePush
{
    /// <param name="told">Called before each blob that may take long, with its name.</param>
    public static async Task<PushResult> RunAsync(ImageArchive archive, string architecture, RegistryClient registry, Action<string> told,
        CancellationToken stop)
    {
        var images = archive.Images(architecture);
        // Nodes may have another architecture than the machine that uploads.
        if (images.Count == 0 && archive.OtherPlatforms.ToList() is [var platform] && platform.StartsWith($"{ImagePlatform.System}/", StringComparison.Ordinal))
            images = archive.Images(architecture = platform[(ImagePlatform.System.Length + 1)..]);
        var image = images is [var only]
            ? only
            : throw new ProblemException("image archive", $"has {images.Count} images for linux/{architecture}, not one", "build one without --samples");
        if (image.Manifest is null)
            throw new ProblemException("image archive", "has no OCI layout, so its layers have no digests",
                "convert it with skopeo, or use a file of 'isthmus image build'");
        told("connect");
        await registry.ConnectAsync(stop);
        var (uploaded, present) = (0, 0);
        foreach (var blob in image.Layers.Append(image.Config))
        {
            told($"layer {uploaded + present + 1} of {image.Layers.Count + 1}");
            if (await registry.PutBlobAsync(DigestOf(blob), blob.Size, () => archive.Open(blob), stop)) uploaded++;
            else present++;
        }
        await registry.PutManifestAsync(archive.Read(image.Manifest), image.Manifest.Type, stop);
        return new(DigestOf(image.Manifest), uploaded, present);
    }

    private static Digest DigestOf(ArchiveBlob blob) =>
        Digest.TryParse($"sha256:{Path.GetFileName(blob.Path)}", out var digest)
            ? digest
            : throw new InvalidOperationException($"{blob.Path} is not named by its digest");
}
