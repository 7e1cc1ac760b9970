using System.IO.Compression;
using System.Security.Cryptography;
using System.Text.Json;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.LastKnown;

/// <summary>A snapshot in parts that each fit into a ConfigMap.</summary>
/// <param name="Generation">The beginning of the content's SHA-256: equal content has equal parts.</param>
public sealed record EncodedSnapshot(string Generation, IReadOnlyList<byte[]> Chunks)
{
    public long Size => Chunks.Sum(chunk => (long)chunk.Length);
}

/// <summary>
/// Snapshots to bytes and back: gzipped JSON, so that common tools can read it. What is read was in a ConfigMap that others can
/// write, so it is accepted only when all of it is valid.
/// </summary>
public static class SnapshotCodec
{
    /// <summary>The largest part: a ConfigMap may hold a mebibyte, and a request that writes one in base64 not much more.</summary>
    public const int ChunkSize = 512 << 10;

    /// <summary>Larger content is not a snapshot that this program wrote.</summary>
    public const int MostChunks = 64;

    private const int LargestText = 512 << 20;

    public static EncodedSnapshot Encode(ClusterSnapshot snapshot)
    {
        var text = JsonSerializer.SerializeToUtf8Bytes(snapshot, SnapshotJson.Default.ClusterSnapshot);
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true)) gzip.Write(text);
        return new(Generation(text), [.. packed.ToArray().Chunk(ChunkSize)]);
    }

    /// <exception cref="ProblemException">The text is not a complete snapshot of this cluster.</exception>
    public static ClusterSnapshot Decode(string cluster, EncodedSnapshot encoded)
    {
        if (encoded.Chunks.Count > MostChunks) throw new ProblemException("", $"has {encoded.Chunks.Count} parts (at most {MostChunks} are possible)");
        try
        {
            var text = Unpack(encoded.Chunks);
            if (Generation(text) != encoded.Generation)
                throw new ProblemException("", $"does not have the content that its generation {encoded.Generation} names");
            var snapshot = JsonSerializer.Deserialize(text, SnapshotJson.Default.ClusterSnapshot) ?? throw new ProblemException("", "holds null");
            Check(cluster, snapshot);
            return snapshot;
        }
        catch (InvalidDataException e)
        {
            throw new ProblemException("", $"cannot be unpacked: {e.Message}", "", e);
        }
        catch (JsonException e)
        {
            throw new ProblemException("", $"is of another version or damaged: {e.Message}", "", e);
        }
    }

    private static byte[] Unpack(IReadOnlyList<byte[]> chunks)
    {
        var packed = new MemoryStream();
        foreach (var chunk in chunks) packed.Write(chunk);
        packed.Position = 0;
        using var gzip = new GZipStream(packed, CompressionMode.Decompress);
        var text = new MemoryStream();
        var buffer = new byte[64 << 10];
        while (gzip.Read(buffer) is var read and > 0)
        {
            // A few bytes can decompress to any size.
            if (text.Length + read > LargestText) throw new InvalidDataException($"it decompresses to more than {LargestText} bytes");
            text.Write(buffer, 0, read);
        }
        return text.ToArray();
    }

    private static void Check(string cluster, ClusterSnapshot snapshot)
    {
        if (snapshot.Cluster != cluster) throw new ProblemException("", $"belongs to cluster '{snapshot.Cluster}'");
        foreach (var source in snapshot.Services.Select(item => item.Source)) Own(cluster, "Service", source);
        foreach (var source in snapshot.Slices.Select(item => item.Source)) Own(cluster, "EndpointSlice", source);
        foreach (var source in snapshot.Pods.Select(item => item.Source)) Own(cluster, "Pod", source);
        foreach (var source in snapshot.Nodes.Select(item => item.Source)) Own(cluster, "Node", source);
        foreach (var source in snapshot.Namespaces.Select(item => item.Source)) Own(cluster, "Namespace", source);
        foreach (var source in snapshot.Exports.Select(item => item.Source)) Own(cluster, "ServiceExport", source);
        foreach (var source in snapshot.Workloads.Select(item => item.Source)) Own(cluster, "WorkloadEntry", source);
        foreach (var service in snapshot.Services)
        {
            foreach (var port in service.Ports) Port(service.Source, port.Number);
            Port(service.Source, service.GatewayPort);
        }
        foreach (var workload in snapshot.Workloads)
        {
            foreach (var port in workload.Endpoint.Ports.Values) Port(workload.Source, port);
        }
        foreach (var slice in snapshot.Slices)
        {
            foreach (var port in slice.Ports.Values) Port(slice.Source, port);
            foreach (var address in slice.Addresses)
            {
                if (address.Pod is { } pod && pod.Cluster != cluster) throw new ProblemException("", $"{slice.Source} names a Pod of cluster '{pod.Cluster}'");
            }
        }
    }

    private static void Own(string cluster, string kind, ObjectRef source)
    {
        if (source.Cluster != cluster || source.Kind != kind || source.Name.Length == 0)
            throw new ProblemException("", $"{source} does not belong to the {kind}s of cluster '{cluster}'");
    }

    private static void Port(ObjectRef source, int port)
    {
        if (port is < 1 or > 65535) throw new ProblemException("", $"{source}: {port} is not a valid port");
    }

    private static string Generation(ReadOnlySpan<byte> text) => Convert.ToHexStringLower(SHA256.HashData(text))[..16];
}
