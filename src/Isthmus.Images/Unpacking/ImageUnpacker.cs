using System.Runtime.Versioning;
using System.Text;
using Isthmus.Core.Problems;
using Isthmus.Images.Oci;

namespace Isthmus.Images.Unpacking;

/// <summary>An image whose documents were read and verified.</summary>
/// <param name="Id">The digest of its configuration, which contains those of its layers.</param>
/// <param name="Manifest">The digest of its manifest; null in docker's format.</param>
public sealed record VerifiedImage(ArchiveImage Parts, Digest Id, Digest? Manifest, ImageConfig Config)
{
    /// <summary>The same for all images with the same layers.</summary>
    public Digest Content => Digest.Of(Encoding.ASCII.GetBytes(string.Join('\n', Config.Contents)));
}

/// <summary>Verifies images of an archive against their digests, and unpacks them.</summary>
/// <param name="name">How the archive is named in errors.</param>
[SupportedOSPlatform("linux")]
public sealed class ImageUnpacker(ImageArchive archive, string name)
{
    private const int NoSpace = 28, QuotaExceeded = 122;

    /// <exception cref="ProblemException">A document is malformed, or is not the one that its digest names.</exception>
    public VerifiedImage Verify(ArchiveImage image)
    {
        var config = archive.Read(image.Config);
        Digest? manifest = null;
        if (image.Manifest is { } blob)
        {
            manifest = Digest.Of(archive.Read(blob));
            if (ArchiveWriter.BlobPath(manifest.Value.Hex) != blob.Path) throw Damaged(blob.Path);
            if (ArchiveWriter.BlobPath(Digest.Of(config).Hex) != image.Config.Path) throw Damaged(image.Config.Path);
        }
        try
        {
            var read = ImageConfig.Read(archive.Parse(image.Config));
            if (read.Contents.Count != image.Layers.Count)
                throw archive.Malformed($"{image.Config.Path} describes {read.Contents.Count} layers, but there are {image.Layers.Count}");
            return new(image, Digest.Of(config), manifest, read);
        }
        catch (Exception e) when (e is FormatException or InvalidOperationException)
        {
            throw archive.Malformed($"{image.Config.Path}: {e.Message}");
        }
    }

    /// <summary>Unpacks the layers into a directory, which must be empty.</summary>
    /// <returns>How many bytes its files have.</returns>
    /// <exception cref="ProblemException">A layer is malformed, too large, or not the one that its digest names; or there is no space.</exception>
    public long Unpack(VerifiedImage image, string directory, UnpackLimits limits, CancellationToken stop)
    {
        var unpacker = new LayerUnpacker(directory, limits);
        for (var i = 0; i < image.Parts.Layers.Count; i++)
        {
            var layer = image.Parts.Layers[i];
            try
            {
                using var content = archive.Open(layer);
                if (unpacker.Add(content, stop) != image.Config.Contents[i]) throw Damaged(layer.Path);
            }
            catch (LayerException e)
            {
                throw new ProblemException(name, $"layer {layer.Path}{(layer.Type.Length > 0 ? $" ({layer.Type})" : "")} {e.Message}", e.Remedy, e);
            }
            catch (IOException e) when (e.HResult is NoSpace or QuotaExceeded)
            {
                throw new ProblemException(name, $"does not fit on the disk of {Path.GetDirectoryName(directory)}",
                    "remove files there, or images with 'isthmus lab image remove'", e);
            }
        }
        unpacker.Finish();
        return unpacker.Bytes;
    }

    private ProblemException Damaged(string path) => new(name, $"is damaged: {path} does not match its digest", "save the image again");
}
