using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Remote;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.ControlPlane.Clusters;

/// <summary>
/// A mounted folder with the kubeconfigs of remote clusters (Istio: PILOT_MULTICLUSTER_KUBECONFIG_PATH): each file <c>*.yaml</c> or <c>*.yml</c> is
/// one cluster. It is read again and again, because mounts change by links that notifications of the file system do not follow.
/// </summary>
/// <param name="path">The folder.</param>
/// <param name="ownCluster">A control plane already knows its own cluster.</param>
internal sealed class KubeconfigFolder(string path, string ownCluster)
{
    /// <summary>A kubeconfig of one cluster has a few KB.</summary>
    private const int LongestFile = 1024 * 1024;

    private IReadOnlyDictionary<string, Content> _contents = new Dictionary<string, Content>();
    private readonly Dictionary<string, string> _names = new(StringComparer.Ordinal);

    /// <summary>The files that changed since the last call, by path; null if the file is gone.</summary>
    /// <exception cref="IOException">The folder cannot be read.</exception>
    internal IReadOnlyList<(string Path, RemoteFile? File)> Changes()
    {
        var now = Contents();
        var changes = new List<(string, RemoteFile?)>();
        foreach (var (file, content) in now.Where(file => _contents.GetValueOrDefault(file.Key) != file.Value)) changes.Add((file, Read(file, content)));
        foreach (var gone in _contents.Keys.Where(file => !now.ContainsKey(file)))
        {
            _names.Remove(gone);
            changes.Add((gone, null));
        }
        _contents = now;
        return changes;
    }

    private SortedDictionary<string, Content> Contents()
    {
        try
        {
            var contents = new SortedDictionary<string, Content>(StringComparer.Ordinal);
            foreach (var file in Directory.EnumerateFiles(path).Where(file => Path.GetExtension(file) is ".yaml" or ".yml"))
                if (ContentOf(file) is { } content) contents[file] = content;
            return contents;
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    private static Content? ContentOf(string file)
    {
        try
        {
            using var stream = File.OpenRead(file);
            var bytes = new byte[LongestFile + 1];
            var read = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            return read > LongestFile ? new("", true) : new(Encoding.UTF8.GetString(bytes, 0, read), false);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    private RemoteFile Read(string file, Content content)
    {
        try
        {
            if (content.IsTooLong) throw new ProblemException("", $"has more than {LongestFile} bytes");
            var id = ClusterIn(content.Text, file);
            _names[file] = id;
            return new(id == ownCluster ? null : new(id, file, RemoteSecretReader.Access(content.Text, id, file)), id, null);
        }
        catch (ProblemException e)
        {
            return new(null, _names.GetValueOrDefault(file, Path.GetFileNameWithoutExtension(file)),
                new Problem("ISM0301", $"file {file}", "", RemoteSecretReader.Detail(e.Problem),
                "mount a kubeconfig with the certificates and the token in it, for example the one in the Secret that 'isthmus create-remote-secret' prints"));
        }
    }

    /// <summary>As Istio chooses: the cluster of the current context, else of the first context with one, else the first cluster.</summary>
    private static string ClusterIn(string text, string source)
    {
        var config = YamlText.Parse(text, source) as JsonObject
            ?? throw new ProblemException("", "is not a kubeconfig (expected a YAML mapping with clusters, users and contexts)");
        var contexts = Named(config["contexts"])
            .Select(entry => (Name: entry["name"]!.ToString(), Cluster: (entry["context"] as JsonObject)?["cluster"]?.ToString() ?? ""))
            .Where(context => context.Cluster.Length > 0).OrderBy(context => context.Name, StringComparer.Ordinal).ToList();
        var current = config["current-context"]?.ToString();
        var chosen = contexts.Where(context => context.Name == current).Concat(contexts).Select(context => context.Cluster);
        return chosen.Concat(Named(config["clusters"]).Select(entry => entry["name"]!.ToString()).Order(StringComparer.Ordinal)).FirstOrDefault()
            ?? throw new ProblemException("", "names no cluster");
    }

    private static IEnumerable<JsonObject> Named(JsonNode? list) =>
        (list as JsonArray ?? []).OfType<JsonObject>().Where(entry => entry["name"]?.ToString().Length > 0);

    private sealed record Content(string Text, bool IsTooLong);
}

/// <summary>What a file of a <see cref="KubeconfigFolder"/> says.</summary>
/// <param name="Cluster">Null: the file cannot be used, or is about the own cluster.</param>
/// <param name="Id">The name of the cluster; of a file that cannot be used, the last one that it had.</param>
internal sealed record RemoteFile(MeshCluster? Cluster, string Id, Problem? Problem);
