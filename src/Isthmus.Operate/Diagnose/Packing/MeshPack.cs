using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;

namespace Isthmus.Operate.Diagnose.Packing;

/// <summary>What <c>isthmus bug-report</c> packed, from which commands answer as from the clusters themselves.</summary>
public sealed class MeshPack
{
    private const long Longest = 4L << 30;
    private readonly Dictionary<string, byte[]> _files;

    private MeshPack(PackManifest manifest, Dictionary<string, byte[]> files)
    {
        (Manifest, _files) = (manifest, files);
        Time = new Then(manifest.TakenAt);
    }

    public PackManifest Manifest { get; }

    /// <summary>The clock at the time of the pack: what has expired since had not then.</summary>
    public TimeProvider Time { get; }

    /// <summary>The contexts of the clusters in it.</summary>
    public IReadOnlyList<string> Contexts => [.. Manifest.Clusters.Select(cluster => cluster.Context)];

    /// <exception cref="ProblemException">The file does not exist, or is not a pack.</exception>
    public static MeshPack Open(string file)
    {
        var files = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        try
        {
            using var raw = File.OpenRead(file);
            using var gzip = new GZipStream(raw, CompressionMode.Decompress);
            using var tar = new TarReader(gzip);
            var size = 0L;
            while (tar.GetNextEntry() is { } entry)
            {
                if (entry.DataStream is null) continue;
                size += entry.Length;
                if (size > Longest)
                    throw new ProblemException($"--snapshot {file}", $"holds more than {Longest >> 30} GiB",
                        "pack fewer proxies, with --include and --exclude");
                using var copy = new MemoryStream(); // The length is what the file claims.
                entry.DataStream.CopyTo(copy);
                var name = entry.Name.StartsWith($"{PackLayout.Root}/", StringComparison.Ordinal) ? entry.Name[(PackLayout.Root.Length + 1)..] : entry.Name;
                files[name] = copy.ToArray();
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException or FormatException)
        {
            throw new ProblemException($"--snapshot {file}", e is FileNotFoundException or DirectoryNotFoundException ? "does not exist"
                : Directory.Exists(file) ? "is a directory" : $"cannot be read: {e.Message}", "give the file that 'isthmus bug-report' wrote", e);
        }
        if (!files.TryGetValue(PackLayout.Manifest, out var manifest))
            throw new ProblemException($"--snapshot {file}", $"has no {PackLayout.Manifest}, so it is not a complete pack",
                "give the file that 'isthmus bug-report' wrote");
        return new(PackManifest.Read(Encoding.UTF8.GetString(manifest), file), files);
    }

    /// <summary>Reads a cluster as it was.</summary>
    /// <param name="context">Null for the one that was current.</param>
    /// <exception cref="ProblemException">It is not in the pack.</exception>
    public ClusterAccess Access(string? context)
    {
        var wanted = context ?? (Contexts.Contains(Manifest.Context) || Contexts.Count == 0 ? Manifest.Context : Contexts[0]);
        var cluster = Manifest.Clusters.FirstOrDefault(cluster => cluster.Context == wanted)
            ?? throw new ProblemException($"context \"{wanted}\"", "is not in the snapshot", $"it has {string.Join(", ", Contexts)}");
        var server = new Uri(cluster.Server);
        return new()
        {
            Name = cluster.Context, Server = server, Namespace = cluster.Namespace, StandIn = new PackedCluster(this, cluster, server.AbsolutePath.TrimEnd('/'))
        };
    }

    /// <summary>All that is in it.</summary>
    internal string AllText() => string.Join('\n', _files.Values.Select(Encoding.UTF8.GetString));

    internal byte[]? Find(string path) => _files.GetValueOrDefault(path);

    internal string? FindText(string path) => Find(path) is { } bytes ? Encoding.UTF8.GetString(bytes) : null;

    private sealed class Then(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
