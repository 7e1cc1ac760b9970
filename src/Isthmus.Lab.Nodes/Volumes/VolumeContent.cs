using System.Text;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Nodes.Api;
using Isthmus.Lab.Nodes.Env;

namespace Isthmus.Lab.Nodes.Volumes;

/// <summary>A volume cannot be created yet: the Pod waits, with a FailedMount Event.</summary>
internal sealed class VolumeException(string message) : Exception(message)
{
    /// <summary>The name of the volume; empty where it is not about one.</summary>
    internal string Volume { get; init; } = "";
}

/// <summary>The files of volumes that are made from objects.</summary>
internal sealed class VolumeContent(PodFacts facts, IClusterView cluster)
{
    private const int DefaultMode = 0b110_100_100;

    private string Namespace => facts.Pod.Metadata.Namespace;

    /// <summary>Null when the volume is not made from objects.</summary>
    /// <param name="token">The token for a projection, already obtained.</param>
    internal Dictionary<string, ProjectedFile>? Files(Volume volume, Func<ServiceAccountTokenProjection, string> token)
    {
        var files = new Dictionary<string, ProjectedFile>(StringComparer.Ordinal);
        if (volume.ConfigMap is { } map) AddMap(files, map, map.DefaultMode ?? DefaultMode);
        else if (volume.Secret is { } secret) AddSecret(files, secret.SecretName, secret, secret.DefaultMode ?? DefaultMode);
        else if (volume.DownwardAPI is { } downward) AddDownward(files, downward, downward.DefaultMode ?? DefaultMode);
        else if (volume.Projected is { } projected) AddProjected(files, projected, token);
        else return null;
        return files;
    }

    private void AddProjected(Dictionary<string, ProjectedFile> files, ProjectedVolume projected, Func<ServiceAccountTokenProjection, string> token)
    {
        var mode = projected.DefaultMode ?? DefaultMode;
        foreach (var source in projected.Sources)
        {
            if (source.ConfigMap is { } map) AddMap(files, map, mode);
            if (source.Secret is { } secret) AddSecret(files, secret.Name, secret, mode);
            if (source.DownwardAPI is { } downward) AddDownward(files, downward, mode);
            if (source.ServiceAccountToken is { } account) Add(files, account.Path, Encoding.UTF8.GetBytes(token(account)), mode);
        }
    }

    private void AddMap(Dictionary<string, ProjectedFile> files, ConfigMapVolume volume, int mode)
    {
        var found = cluster.ConfigMap(Namespace, volume.Name);
        if (found is null)
        {
            if (volume.Optional == true) return;
            throw new VolumeException($"configmap \"{volume.Name}\" not found");
        }
        var bytes = found.Data.ToDictionary(pair => pair.Key, pair => Encoding.UTF8.GetBytes(pair.Value), StringComparer.Ordinal);
        foreach (var (key, text) in found.BinaryData) bytes[key] = Convert.FromBase64String(text);
        AddKeys(files, bytes, volume.Items, mode, volume.Optional == true, $"configmap \"{volume.Name}\"");
    }

    private void AddSecret(Dictionary<string, ProjectedFile> files, string name, SecretVolume volume, int mode)
    {
        var found = cluster.Secret(Namespace, name);
        if (found is null)
        {
            if (volume.Optional == true) return;
            throw new VolumeException($"secret \"{name}\" not found");
        }
        var bytes = found.Data.Keys.ToDictionary(key => key, key => found.Bytes(key) ?? [], StringComparer.Ordinal);
        AddKeys(files, bytes, volume.Items, mode, volume.Optional == true, $"secret \"{name}\"");
    }

    private static void AddKeys(
        Dictionary<string, ProjectedFile> files, Dictionary<string, byte[]> bytes, List<KeyToPath> items, int mode, bool optional, string what)
    {
        if (items.Count == 0)
        {
            foreach (var (key, value) in bytes) Add(files, key, value, mode);
            return;
        }
        foreach (var item in items)
        {
            if (bytes.TryGetValue(item.Key, out var value)) Add(files, item.Path, value, item.Mode ?? mode);
            else if (!optional) throw new VolumeException($"{what} references non-existent key: {item.Key}");
        }
    }

    private void AddDownward(Dictionary<string, ProjectedFile> files, DownwardApiVolume volume, int mode)
    {
        foreach (var item in volume.Items)
        {
            var text = item.FieldRef is { } field ? DownwardApi.Field(facts, field.FieldPath)
                : item.ResourceFieldRef is { } resource ? DownwardApi.Resource(facts, resource, null)
                : "";
            Add(files, item.Path, Encoding.UTF8.GetBytes(text), item.Mode ?? mode);
        }
    }

    private static void Add(Dictionary<string, ProjectedFile> files, string path, byte[] content, int mode)
    {
        if (!AtomicDirectory.IsSafe(path)) throw new VolumeException($"path \"{path}\" is outside the volume");
        files[path] = new(content, mode);
    }
}
