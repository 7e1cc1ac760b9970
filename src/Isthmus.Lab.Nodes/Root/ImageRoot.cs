using System.Globalization;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Processes;

namespace Isthmus.Lab.Nodes.Root;

/// <summary>
/// Builds the root of one container from the files of an image, which all containers of the image share. What a container
/// writes is in memory, and gone with it. The image is not trusted: links in it are never followed out of the root.
/// </summary>
internal sealed class ImageRoot(RootSpec spec, string image)
{
    private const string Lower = "lower", Upper = "upper", Work = "work";
    private const string DirectoryMode = "mode=0755";
    private static readonly TimeSpan CopyPatience = TimeSpan.FromMinutes(5);

    private readonly string _root = spec.At;

    internal void Build()
    {
        if (!TryOverlay()) Copy();
        foreach (var name in (string[])["proc", "sys", "dev"]) MakePoint($"{_root}/{name}");
        Mounts.Tmpfs($"{_root}/dev", $"{DirectoryMode},size=16m");
        DeviceFiles.Build($"{_root}/dev", spec.TerminalGroup);
        RootMounts.TryAddSys($"{_root}/sys");
        foreach (var mount in spec.Mounts.OrderBy(mount => mount.Target.Length)) RootMounts.Add(_root, mount);
        if (!spec.Writable) Mounts.SetAttributes(_root, recursive: false, readOnly: true);
    }

    /// <summary>Puts a layer to write to over the image. False where the kernel does not allow it: before Linux 5.11 in a user
    /// namespace, or if the image's files are on too many such layers already.</summary>
    private bool TryOverlay()
    {
        Mounts.Tmpfs(_root, DirectoryMode);
        // Relative names: commas and colons would have a meaning in the options.
        LinuxException.Check(Libc.ChangeDirectory(_root), $"chdir {_root}");
        try
        {
            foreach (var name in (string[])[Lower, Upper, Work]) Directory.CreateDirectory($"{_root}/{name}");
            File.SetUnixFileMode($"{_root}/{Upper}", File.GetUnixFileMode(image));
            Mounts.Bind(image, $"{_root}/{Lower}", recursive: false);
            const string layers = $"lowerdir={Lower},upperdir={Upper},workdir={Work}";
            // Older kernels do not know the second form, and in a user namespace newer ones need it.
            if (TryMount($"{layers},userxattr") || TryMount(layers)) return true;
        }
        finally
        {
            LinuxException.Check(Libc.ChangeDirectory("/"), "chdir /");
        }
        Mounts.Unmount(_root);
        return false;
    }

    private bool TryMount(string options) => Libc.Mount("overlay", _root, "overlay", Libc.MsNoSuid | Libc.MsNoDev, options) == 0;

    private void Copy()
    {
        Mounts.Tmpfs(_root, DirectoryMode);
        using var nothing = Descriptors.Open("/dev/null", Libc.ORdWr);
        string[] words = ["cp", "--archive", "--no-target-directory", "--", image, _root];
        var copy = Spawn.Start(new(ProgramPath.Find(words[0]), words, [], [(nothing.Number(), 0), (nothing.Number(), 1), (nothing.Number(), 2)]));
        using var process = PidHandle.TryOpen(copy) ?? throw new IOException("cp vanished");
        var ended = process.WaitForExit(CopyPatience);
        if (!ended)
        {
            process.Signal(Signals.Kill);
            process.WaitForExit(Timeout.InfiniteTimeSpan);
        }
        var code = Spawn.Reap(copy);
        if (code != 0)
            throw new IOException(string.Create(CultureInfo.InvariantCulture, $"the files of the image could not be copied to memory: cp ended with {code}"));
    }

    /// <summary>A link or a file at the path is replaced, in this container only.</summary>
    private static void MakePoint(string path)
    {
        var there = new FileInfo(path);
        if (there.LinkTarget is not null || there.Exists) there.Delete();
        Directory.CreateDirectory(path);
    }
}
