using Isthmus.Images.Unpacking;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Nodes.Root;

/// <summary>
/// Builds the root of one container from the machine's programs, on the calling thread, which must be in its own mount
/// namespace. The root is a skeleton on tmpfs with bind mounts of the machine's directories. A mount point can be created anywhere without changing the
/// machine: a directory that lacks one is replaced by a skeleton with the same entries.
/// </summary>
internal sealed class MachineRoot(RootSpec spec)
{
    private const string SmallTmpfs = "mode=0755,size=16m";
    private const string FreshTmpfs = "mode=1777";

    private static readonly string[] Fresh = ["/run", "/tmp", "/var"];

    private readonly string _root = spec.At;
    // Directories of the skeleton, as paths in the container: entries can be created here.
    private readonly HashSet<string> _ours = new(StringComparer.Ordinal) { "/" };

    /// <exception cref="IOException">The kernel rejected a mount, or a source does not exist.</exception>
    internal void Build()
    {
        Mounts.Tmpfs(_root, SmallTmpfs);
        ShowPrograms();
        ShowConfiguration();
        foreach (var name in RootView.Empty) MakeDirectory($"/{name}");
        foreach (var (path, target) in spec.Links) PlaceLink(path, target);
        foreach (var mount in spec.Mounts.Where(mount => !IsFresh(mount.Target))) EnsurePoint(mount.Target, mount.IsFile);
        Mounts.SetAttributes(_root, recursive: true, readOnly: true, noSuid: true, noDev: true);
        HideSecrets();
        MountFresh();
        foreach (var mount in spec.Mounts.OrderBy(mount => mount.Target.Length)) RootMounts.Add(_root, mount);
        if (!spec.Writable)
        {
            foreach (var path in Fresh) Mounts.SetAttributes(_root + path, recursive: false, readOnly: true);
        }
    }

    private void ShowPrograms()
    {
        foreach (var name in RootView.Programs)
        {
            var source = new DirectoryInfo($"/{name}");
            if (source.LinkTarget is { } target) File.CreateSymbolicLink($"{_root}/{name}", target);
            else if (source.Exists) BindDirectory(source.FullName, $"{_root}/{name}");
        }
    }

    private void ShowConfiguration()
    {
        MakeDirectory("/etc");
        foreach (var entry in new DirectoryInfo("/etc").EnumerateFileSystemInfos())
        {
            if (RootView.Secret.Contains(entry.Name) || !IsPublic(entry)) continue;
            BindEntry(entry, $"{_root}/etc/{entry.Name}");
        }
    }

    /// <summary>The container's own /var, without any data of the machine.</summary>
    private void ShowVariable()
    {
        foreach (var name in RootView.Variable)
        {
            Directory.CreateDirectory($"{_root}/var/{name}");
            if (!Directory.Exists($"/var/{name}")) continue;
            foreach (var entry in new DirectoryInfo($"/var/{name}").EnumerateDirectories().Where(entry => entry.LinkTarget is null))
                Directory.CreateDirectory($"{_root}/var/{name}/{entry.Name}");
        }
        Directory.CreateDirectory($"{_root}/var/tmp");
        File.SetUnixFileMode($"{_root}/var/tmp", (UnixFileMode)0b1_111_111_111);
        File.CreateSymbolicLink($"{_root}/var/run", "/run");
        File.CreateSymbolicLink($"{_root}/var/lock", "/run/lock");
    }

    private void HideSecrets()
    {
        var nested = RootView.Secret.Where(path => path.Contains('/', StringComparison.Ordinal)).Select(path => $"/etc/{path}");
        foreach (var path in nested.Concat(spec.Hidden))
        {
            var shown = _root + path;
            if (Directory.Exists(shown)) Mounts.Tmpfs(shown, "mode=0,size=4k");
            else if (File.Exists(shown)) Mounts.Bind("/dev/null", shown, recursive: false);
        }
    }

    private void MountFresh()
    {
        Mounts.Tmpfs($"{_root}/dev", SmallTmpfs);
        DeviceFiles.Build($"{_root}/dev", spec.TerminalGroup);
        RootMounts.TryAddSys($"{_root}/sys");
        foreach (var path in Fresh) Mounts.Tmpfs(_root + path, path switch { "/run" => "mode=0755,size=64m", "/var" => "mode=0755", _ => FreshTmpfs });
        Directory.CreateDirectory($"{_root}/run/lock");
        ShowVariable();
    }

    /// <summary>Ensures that the path can be a mount point, without changing the machine.</summary>
    private void EnsurePoint(string path, bool isFile)
    {
        var resolved = Resolve(path);
        var shown = _root + resolved;
        if (isFile ? File.Exists(shown) : Directory.Exists(shown)) return;
        EnsureOurs(Path.GetDirectoryName(resolved)!);
        if (isFile) File.Create(shown).Dispose();
        else MakeDirectory(resolved);
    }

    private void PlaceLink(string path, string target)
    {
        var resolved = Resolve(Path.GetDirectoryName(path)!);
        EnsureOurs(resolved);
        var shown = $"{_root}{resolved}/{Path.GetFileName(path)}";
        if (File.Exists(shown))
        {
            Mounts.TryUnmount(shown);
            File.Delete(shown);
        }
        File.CreateSymbolicLink(shown, target);
    }

    /// <summary>Turns a directory, and its parents, into parts of the skeleton.</summary>
    private void EnsureOurs(string directory)
    {
        if (_ours.Contains(directory)) return;
        EnsureOurs(Path.GetDirectoryName(directory)!);
        var shown = _root + directory;
        if (!Directory.Exists(shown))
        {
            MakeDirectory(directory);
            return;
        }
        Mounts.Tmpfs(shown, SmallTmpfs);
        foreach (var entry in new DirectoryInfo(directory).EnumerateFileSystemInfos()) BindEntry(entry, $"{shown}/{entry.Name}");
        _ours.Add(directory);
    }

    private void MakeDirectory(string path)
    {
        Directory.CreateDirectory(_root + path);
        _ours.Add(path);
    }

    private static void BindEntry(FileSystemInfo entry, string at)
    {
        if (entry.LinkTarget is { } link) File.CreateSymbolicLink(at, link);
        else if (entry is DirectoryInfo) BindDirectory(entry.FullName, at);
        else if ((entry.Attributes & FileAttributes.Device) == 0)
        {
            File.Create(at).Dispose();
            Mounts.Bind(entry.FullName, at, recursive: false);
        }
    }

    // Recursive: in a user namespace, the kernel rejects a bind that would uncover mounts below.
    private static void BindDirectory(string source, string at)
    {
        Directory.CreateDirectory(at);
        Mounts.Bind(source, at, recursive: true);
    }

    private static bool IsPublic(FileSystemInfo entry) =>
        entry.LinkTarget is not null
        || (entry.UnixFileMode & (entry is DirectoryInfo ? UnixFileMode.OtherRead | UnixFileMode.OtherExecute : UnixFileMode.OtherRead))
            == (entry is DirectoryInfo ? UnixFileMode.OtherRead | UnixFileMode.OtherExecute : UnixFileMode.OtherRead);

    private bool IsFresh(string target)
    {
        var resolved = Resolve(target);
        return Fresh.Append("/dev").Any(fresh => resolved.StartsWith(fresh + "/", StringComparison.Ordinal))
            || spec.Mounts.Any(other => other.Target != target && target.StartsWith(other.Target.TrimEnd('/') + "/", StringComparison.Ordinal));
    }

    /// <summary>The path with all symbolic links of the container's own view resolved.</summary>
    private string Resolve(string path) => ScopedPath.Resolve(_root, path) is { Length: > 0 } resolved ? resolved : "/";
}
