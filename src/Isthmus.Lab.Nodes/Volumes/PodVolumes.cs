using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Api;
using Isthmus.Lab.Nodes.Env;
using Isthmus.Lab.Nodes.Root;

namespace Isthmus.Lab.Nodes.Volumes;

/// <summary>The volumes of one Pod: directories below its own, created before its containers start and kept up to date
/// while they run.</summary>
internal sealed class PodVolumes(string directory, string claims, INodeApi api, TimeProvider time)
{
    /// <summary>The only paths of the machine that a hostPath volume may show, always read-only.</summary>
    private static readonly string[] SharedPaths = ["/etc/localtime", "/etc/os-release", "/etc/ssl/certs", "/usr/share", "/lib/modules"];

    private readonly Dictionary<(string Volume, string Path), AccountToken> _tokens = [];

    /// <summary>The directories of claims.</summary>
    private readonly Dictionary<string, string> _claimed = new(StringComparer.Ordinal);

    /// <summary>Creates missing volumes and refreshes changed ones. Can be called repeatedly.</summary>
    /// <param name="group">The Pod's fsGroup where that group exists here.</param>
    /// <exception cref="VolumeException">A volume cannot be created.</exception>
    /// <returns>When to call again because a token is about to expire; null when none does.</returns>
    internal async Task<DateTimeOffset?> RefreshAsync(PodFacts facts, long? group, CancellationToken stop)
    {
        DateTimeOffset? next = null;
        var content = new VolumeContent(facts, api);
        foreach (var volume in facts.Pod.Spec.Volumes)
        {
            var renew = await ObtainTokensAsync(facts.Pod, volume, stop);
            if (renew is { } at && (next is null || at < next)) next = at;
            try
            {
                var path = PathOf(volume.Name);
                if (content.Files(volume, account => _tokens[(volume.Name, account.Path)].Text) is { } files)
                {
                    AtomicDirectory.Write(path, files, group);
                    NestedMounts.Make(path, NestedMounts.In(facts.Pod.Spec, volume.Name));
                }
                else if (volume.PersistentVolumeClaim?["claimName"]?.ToString() is { } claim)
                {
                    if (!_claimed.ContainsKey(volume.Name))
                        _claimed[volume.Name] = ClaimDirectories.Of(api.Claim(facts.Pod.Metadata.Namespace, claim), claim, claims,
                            at => { MakeEmpty(new(), at, group); return at; });
                }
                else MakeOther(volume, path, group);
            }
            catch (VolumeException e)
            {
                throw new VolumeException(e.Message) { Volume = volume.Name };
            }
        }
        return next;
    }

    /// <summary>The mounts of one container.</summary>
    /// <exception cref="VolumeException">A mount refers to a volume or path that does not exist.</exception>
    internal IEnumerable<RootMount> Mounts(PodSpec spec, Container container, IReadOnlyDictionary<string, string> environment)
    {
        foreach (var mount in container.VolumeMounts)
        {
            var volume = spec.Volumes.FirstOrDefault(one => one.Name == mount.Name)
                ?? throw new VolumeException($"container {container.Name}: volumeMounts: the Pod has no volume \"{mount.Name}\"");
            var isHost = volume.HostPath is not null;
            var source = isHost ? volume.HostPath!.Path : PathOf(volume.Name);
            var sub = mount.SubPathExpr.Length > 0 ? Expansion.Expand(mount.SubPathExpr, environment) : mount.SubPath;
            var isClaim = volume.PersistentVolumeClaim is not null;
            if (sub.Length > 0) source = SubPath(source, sub, create: volume.EmptyDir is not null || isClaim);
            var readOnly = mount.ReadOnly || isHost || (isClaim ? volume.PersistentVolumeClaim?["readOnly"]?.ToString() == "true" : volume.EmptyDir is null);
            yield return new(source, Path.GetFullPath("/" + mount.MountPath), readOnly, File.Exists(source));
        }
    }

    /// <summary>Unmounts and deletes everything.</summary>
    internal static void Delete(string directory)
    {
        if (!Directory.Exists(directory)) return;
        foreach (var path in Directory.EnumerateDirectories(directory)) Machine.Linux.Mounts.TryUnmount(path);
        Directory.Delete(directory, recursive: true);
    }

    private string PathOf(string volume) => _claimed.GetValueOrDefault(volume) ?? Path.Combine(directory, volume);

    private async Task<DateTimeOffset?> ObtainTokensAsync(Pod pod, Volume volume, CancellationToken stop)
    {
        DateTimeOffset? next = null;
        foreach (var account in volume.Projected?.Sources.Select(source => source.ServiceAccountToken).OfType<ServiceAccountTokenProjection>() ?? [])
        {
            var key = (volume.Name, account.Path);
            var lifetime = account.ExpirationSeconds ?? 3600;
            // Renewed when a fifth of its life is left, as Kubernetes does.
            if (!_tokens.TryGetValue(key, out var token) || token.Expires - time.GetUtcNow() < TimeSpan.FromSeconds(lifetime) / 5)
            {
                token = await api.RequestTokenAsync(pod, account.Audience, lifetime, stop);
                _tokens[key] = token;
            }
            var renew = token.Expires - TimeSpan.FromSeconds(lifetime) / 5;
            if (next is null || renew < next) next = renew;
        }
        return next;
    }

    private static void MakeOther(Volume volume, string path, long? group)
    {
        if (volume.EmptyDir is { } empty) MakeEmpty(empty, path, group);
        else if (volume.HostPath is { } host) CheckHostPath(volume.Name, host);
        else throw new VolumeException(
            $"volume {volume.Name}: unsupported volume type (the lab supports emptyDir, persistentVolumeClaim, configMap, secret, projected, downwardAPI and a "
                + $"few read-only hostPaths)");
    }

    private static void MakeEmpty(EmptyDirVolume empty, string path, long? group)
    {
        var isMemory = empty.Medium == "Memory";
        // After the lab was down, the directory exists but nothing is mounted on it.
        if (Directory.Exists(path) && (!isMemory || Machine.Linux.Mounts.IsMountPoint(path))) return;
        Directory.CreateDirectory(path);
        if (isMemory)
        {
            var size = Quantity.Read(empty.SizeLimit) is { } bytes ? $",size={bytes:0}" : "";
            Machine.Linux.Mounts.Tmpfs(path, $"mode=0777{size}");
        }
        var mode = (UnixFileMode)0b111_111_111;
        if (group is { } id)
        {
            LinuxException.Check(Libc.ChangeOwner(path, uint.MaxValue, (uint)id), $"chown {path}");
            mode |= UnixFileMode.SetGroup;
        }
        File.SetUnixFileMode(path, mode);
    }

    private static void CheckHostPath(string name, HostPathVolume host)
    {
        var path = Path.GetFullPath(host.Path);
        var shared = SharedPaths.Any(one => path == one || path.StartsWith(one + "/", StringComparison.Ordinal));
        if (!shared || path != host.Path.TrimEnd('/'))
            throw new VolumeException($"volume {name}: hostPath {host.Path} is not allowed: the lab mounts only {string.Join(", ", SharedPaths)}, read-only");
        if (!Path.Exists(path)) throw new VolumeException($"volume {name}: hostPath {path} does not exist on this machine");
    }

    // The container may have put links into its emptyDir. Their targets must be inside the volume.
    private static string SubPath(string volume, string sub, bool create)
    {
        if (!AtomicDirectory.IsSafe(sub.TrimEnd('/'))) throw new VolumeException($"subPath \"{sub}\" leaves the volume");
        var at = RealPath(volume);
        foreach (var part in sub.TrimEnd('/').Split('/'))
        {
            var next = Path.Combine(at, part);
            if (!Path.Exists(next))
            {
                if (!create) throw new VolumeException($"subPath \"{sub}\" does not exist in the volume");
                Directory.CreateDirectory(next);
                File.SetUnixFileMode(next, (UnixFileMode)0b111_111_111);
            }
            at = RealPath(next);
            if (!at.StartsWith(RealPath(volume) + "/", StringComparison.Ordinal)) throw new VolumeException($"subPath \"{sub}\" leads out of the volume");
        }
        return at;
    }

    private static string RealPath(string path)
    {
        var full = Path.GetFullPath(path);
        var resolved = "/";
        foreach (var part in full.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            var next = Path.Combine(resolved, part);
            resolved = new FileInfo(next).LinkTarget is { } link ? RealPath(Path.Combine(resolved, link)) : next;
        }
        return resolved;
    }
}
