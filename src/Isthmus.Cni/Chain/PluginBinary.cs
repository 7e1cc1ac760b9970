namespace Isthmus.Cni.Chain;

/// <summary>The executable of the plug-in in the directory from which the runtime starts plug-ins.</summary>
internal sealed class PluginBinary(string source, string directory)
{
    private const UnixFileMode Runnable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead
        | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private readonly string _target = Path.Combine(directory, ChainText.PluginType);

    internal bool IsInImage => File.Exists(source);

    internal string Source => source;

    /// <summary>A running plug-in keeps the file that it was started from.</summary>
    internal void Install()
    {
        if (File.Exists(_target) && File.ReadAllBytes(_target).AsSpan().SequenceEqual(File.ReadAllBytes(source))) return;
        Directory.CreateDirectory(directory);
        var draft = $"{_target}.new";
        File.Copy(source, draft, overwrite: true);
        File.SetUnixFileMode(draft, Runnable);
        File.Move(draft, _target, overwrite: true);
    }

    internal void Remove() => File.Delete(_target);
}
