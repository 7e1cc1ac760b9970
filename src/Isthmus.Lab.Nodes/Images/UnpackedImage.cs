using System.Text.Json.Serialization;

namespace Isthmus.Lab.Nodes.Images;

/// <summary>An image that was loaded into the lab.</summary>
/// <param name="Id">The digest of its configuration.</param>
/// <param name="Files">The name of the directory with its files, which images with the same layers share.</param>
/// <param name="Digest">The digest of its manifest; empty when its archive had none.</param>
/// <param name="Names">Complete names with a tag. Empty when another image has taken them.</param>
/// <param name="Size">The bytes of its files.</param>
public sealed record UnpackedImage(string Id, string Files, string Digest, IReadOnlyList<string> Names, long Size, DateTimeOffset Created)
{
    private const string Algorithm = "sha256:";

    public IReadOnlyList<string> Entrypoint { get; init; } = [];

    public IReadOnlyList<string> Arguments { get; init; } = [];

    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    public string User { get; init; } = "";

    public string WorkingDirectory { get; init; } = "/";

    public int StopSignal { get; init; }

    /// <summary>The ID without its algorithm.</summary>
    [JsonIgnore]
    public string Hex => Id[Algorithm.Length..];

    /// <summary>Whether a container with this <c>imageID</c> runs it.</summary>
    internal bool IsReferredToBy(string imageId) => imageId == Id || (Digest.Length > 0 && imageId.EndsWith("@" + Digest, StringComparison.Ordinal));
}

[JsonSourceGenerationOptions(WriteIndented = true)]
[JsonSerializable(typeof(List<UnpackedImage>))]
internal sealed partial class ImageJson : JsonSerializerContext;
