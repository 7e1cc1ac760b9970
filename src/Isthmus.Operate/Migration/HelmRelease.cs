using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Migration;

/// <summary>What Helm stores of a release: the values that the user gave, without those of the chart.</summary>
/// <param name="Name">As <c>namespace/name</c>.</param>
/// <param name="Chart">The name of the chart: <c>istiod</c>, <c>base</c>, <c>cni</c>, <c>ztunnel</c>, <c>gateway</c>.</param>
public sealed record HelmRelease(string Name, string Chart, string ChartVersion, int Number, bool IsDeployed, JsonObject Values)
{
    /// <summary>The label that Helm gives its Secrets.</summary>
    internal const string Selector = "owner=helm";

    /// <summary>The largest release that is read, in bytes: Helm's Secrets hold one MiB, packed.</summary>
    private const int MostBytes = 32 << 20;

    /// <summary>The release of a Secret of type <c>helm.sh/release.v1</c>; null for another Secret.</summary>
    /// <exception cref="ProblemException">It is not what Helm writes.</exception>
    public static HelmRelease? Read(JsonObject secret)
    {
        if (secret["type"]?.ToString() != "helm.sh/release.v1" || secret["data"]?["release"]?.ToString() is not { } data) return null;
        var place = $"Secret {secret["metadata"]?["namespace"]}/{secret["metadata"]?["name"]}";
        try
        {
            // Base64 of the Secret, and within it that of Helm.
            var packed = Convert.FromBase64String(System.Text.Encoding.ASCII.GetString(Convert.FromBase64String(data)));
            var release = StrictJson.Parse(Unpack(packed)) as JsonObject ?? [];
            var chart = release["chart"]?["metadata"];
            return new($"{release["namespace"]}/{release["name"]}", chart?["name"]?.ToString() ?? "", chart?["version"]?.ToString() ?? "",
                (int?)release["version"] ?? 0,
                release["info"]?["status"]?.ToString() == "deployed", release["config"] as JsonObject ?? []);
        }
        catch (Exception e) when (e is FormatException or InvalidDataException or JsonException or InvalidOperationException)
        {
            throw new ProblemException(place, $"is not a release of Helm: {e.Message}", "", e);
        }
    }

    private static byte[] Unpack(byte[] packed)
    {
        // Helm before 3 wrote plain JSON.
        if (packed is not [0x1f, 0x8b, ..]) return packed;
        using var stream = new GZipStream(new MemoryStream(packed), CompressionMode.Decompress);
        using var plain = new MemoryStream();
        var buffer = new byte[81920];
        for (int read; (read = stream.Read(buffer)) > 0; plain.Write(buffer, 0, read))
            if (plain.Length > MostBytes) throw new InvalidDataException($"it has more than {MostBytes >> 20} MiB");
        return plain.ToArray();
    }
}
