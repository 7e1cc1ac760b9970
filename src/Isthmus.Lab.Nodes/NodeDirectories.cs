using Isthmus.Images.Description;
using Isthmus.Lab.Nodes.Pods;

namespace Isthmus.Lab.Nodes;

/// <summary>Creates the working directories of a node.</summary>
internal static class NodeDirectories
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    internal static void Prepare(NodeSettings settings)
    {
        Directory.CreateDirectory(settings.State, Private);
        foreach (var directory in new[]
        {
            settings.PodDirectories, settings.ClaimDirectories, settings.LogDirectories, settings.RootDirectory, settings.NamesDirectory
        })
            Directory.CreateDirectory(directory);
        foreach (var (name, words) in ProgramLayout.Names) WriteName(Path.Combine(settings.NamesDirectory, name), words);
    }

    private static void WriteName(string path, string words)
    {
        var draft = path + ".new";
        File.WriteAllText(draft, ProgramLayout.Script(words));
        File.SetUnixFileMode(draft, (UnixFileMode)0b111_101_101);
        File.Move(draft, path, overwrite: true);
    }
}
