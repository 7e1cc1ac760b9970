using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Lab.Machine.Network;

namespace Isthmus.Lab.Supervisor;

/// <summary>Manages the lab's entries in the user's kubeconfig files as kind and kubectl do: under a lock file, with mode
/// 0600, replaced as a whole.</summary>
public sealed class UserKubeconfig(LabHome home, Func<string, string?> environment, TimeProvider time)
{
    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(5);

    /// <summary>The file for new entries: the given one, else the first existing file of <c>$KUBECONFIG</c>, else its last
    /// one, else <c>~/.kube/config</c>.</summary>
    public string Target(string? explicitFile)
    {
        var files = KubeConfig.Files(explicitFile, environment);
        return Path.GetFullPath(files.FirstOrDefault(File.Exists) ?? files[^1]);
    }

    /// <summary>Adds the clusters in this order. The one with the context <paramref name="current"/> becomes current; if no
    /// context is current, the first does.</summary>
    /// <exception cref="ProblemException">The file is malformed, locked or not writable, or has a cluster with that name
    /// that does not belong to the lab.</exception>
    public async Task AddAsync(string file, IReadOnlyList<KubeconfigEntry> entries, string? current, CancellationToken stop)
    {
        var additions = new List<JsonObject>();
        foreach (var entry in entries) additions.Add(await AdditionAsync(entry, stop));
        await EditAsync(file, config =>
        {
            foreach (var addition in additions) KubeconfigEntries.Add(config, addition, (string?)addition["current-context"] == current, IsLabs, file);
            return true;
        }, stop);
        Record(file);
    }

    /// <summary>One kubeconfig with these clusters, of which the first is current.</summary>
    public async Task<string> RenderAsync(IReadOnlyList<KubeconfigEntry> entries, CancellationToken stop)
    {
        var config = new JsonObject();
        foreach (var entry in entries) KubeconfigEntries.Add(config, await AdditionAsync(entry, stop), makeCurrent: false, _ => true, "");
        return YamlText.Print(config);
    }

    private async Task<JsonObject> AdditionAsync(KubeconfigEntry entry, CancellationToken stop)
    {
        var cluster = entry.Cluster;
        using var pki = await ClusterPki.EnsureAsync(home.Cluster(cluster.Name), cluster.Name, cluster.Address, time, stop);
        return (JsonObject)YamlText.Parse(await Kubeconfig.RenderAsync(pki, cluster.Context, entry.Server, entry.Proxy, stop), cluster.Name)!;
    }

    /// <summary>The CA certificates, which identify clusters of this lab in kubeconfigs. They are read before the files are
    /// deleted.</summary>
    public HashSet<string> Authorities(IEnumerable<string> clusterNames)
    {
        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach (var name in clusterNames)
        {
            var path = Path.Combine(home.Cluster(name), PkiNames.Directory, PkiNames.Ca + ".crt");
            if (File.Exists(path)) known.Add(Convert.ToBase64String(Encoding.ASCII.GetBytes(File.ReadAllText(path))));
        }
        return known;
    }

    /// <summary>Removes entries with one of these CA certificates from every file that ever got an entry, and from the
    /// files that apply now.</summary>
    public async Task RemoveAsync(HashSet<string> authorities, CancellationToken stop)
    {
        if (authorities.Count == 0) return;
        var recorded = File.Exists(home.KubeconfigList) ? await File.ReadAllLinesAsync(home.KubeconfigList, stop) : [];
        foreach (var file in recorded.Concat(KubeConfig.Files(null, environment).Select(Path.GetFullPath)).Distinct().Where(File.Exists))
        {
            await EditAsync(file,
                config => KubeconfigEntries.Remove(config, cluster => authorities.Contains((string?)cluster["certificate-authority-data"] ?? ""), IsLabs),
                stop);
        }
    }

    // Entries of an earlier lab have its addresses, but other keys.
    private bool IsLabs(JsonObject cluster) =>
        Uri.TryCreate((string?)cluster["server"], UriKind.Absolute, out var server)
        && System.Net.IPAddress.TryParse(server.Host, out var address)
        && (ClusterSettings.OuterRange.Contains(address) || (System.Net.IPAddress.IsLoopback(address) && IsOfThisLab(cluster)));

    private bool IsOfThisLab(JsonObject cluster) =>
        Authorities(LabState.Load(home).Clusters.Select(known => known.Name)).Contains((string?)cluster["certificate-authority-data"] ?? "");

    private void Record(string file)
    {
        var known = File.Exists(home.KubeconfigList) ? File.ReadAllLines(home.KubeconfigList) : [];
        if (!known.Contains(file)) File.AppendAllText(home.KubeconfigList, file + "\n");
    }

    private async Task EditAsync(string file, Func<JsonObject, bool> edit, CancellationToken stop)
    {
        var target = new FileInfo(file).LinkTarget is null ? file : File.ResolveLinkTarget(file, returnFinalTarget: true)!.FullName;
        var existed = File.Exists(target);
        try
        {
            home.CreateOutside(Path.GetDirectoryName(target)!);
            await using var guard = await LockAsync(target + ".lock", stop);
            var config = existed ? Read(target) : [];
            if (!edit(config)) return;
            // Delete a file that the lab created and that has no other entries.
            if (KubeconfigEntries.IsEmpty(config) && IsBare(config)) File.Delete(target);
            else await PrivateFile.WriteAsync(target, YamlText.Print(config), stop);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            throw new ProblemException($"kubeconfig {file}", $"cannot be changed: {e.Message}",
                "check its permissions, or use another file with --kubeconfig FILE", e);
        }
    }

    private static bool IsBare(JsonObject config) => config.All(entry =>
        entry.Key is "apiVersion" or "kind" or "clusters" or "contexts" or "users" or "current-context"
        || (entry.Key is "preferences" or "extensions" && entry.Value is null or JsonObject { Count: 0 }));

    private static JsonObject Read(string file)
    {
        var text = File.ReadAllText(file);
        if (text.AsSpan().Trim().IsEmpty) return [];
        return YamlText.Parse(text, file) as JsonObject
            ?? throw new ProblemException($"kubeconfig {file}", "is not a mapping of clusters, users and contexts",
                "repair it, or use another file with --kubeconfig FILE");
    }

    // The same lock as client-go's, so that kubectl and kind wait for the lab, and vice versa.
    private async Task<FileLock> LockAsync(string path, CancellationToken stop)
    {
        var begun = time.GetTimestamp();
        while (true)
        {
            try
            {
                new FileStream(path, FileMode.CreateNew, FileAccess.Write).Dispose();
                return new FileLock(path);
            }
            catch (IOException e) when (File.Exists(path))
            {
                if (time.GetElapsedTime(begun) > LockPatience)
                {
                    throw new ProblemException(path, "another program holds the lock", "if none is running, delete the file", e);
                }
                await Task.Delay(TimeSpan.FromMilliseconds(20), time, stop);
            }
        }
    }

    private sealed class FileLock(string path) : IAsyncDisposable
    {
        public ValueTask DisposeAsync()
        {
            File.Delete(path);
            return ValueTask.CompletedTask;
        }
    }
}
