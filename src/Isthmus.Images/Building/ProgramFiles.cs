using Isthmus.Core.Problems;
using Isthmus.Images.Description;
using Isthmus.Images.Oci;

namespace Isthmus.Images.Building;

/// <summary>The layers of the .NET runtime and of the program.</summary>
internal static class ProgramFiles
{
    // For debuggers and tracers, which the image turns off; some need libraries that it does not have.
    private static readonly HashSet<string> Debugging = new(StringComparer.Ordinal)
    {
        "createdump", "libmscordaccore.so", "libmscordbi.so", "libcoreclrtraceptprovider.so"
    };

    internal static LayerTree Runtime(ProgramSource program)
    {
        var tree = new LayerTree();
        // FRAMEWORK is ROOT/shared/NAME/VERSION.
        var root = Path.GetFullPath(Path.Combine(program.Frameworks[0], "../../.."));
        tree.AddFile(Place("dotnet"), Existing(Path.Combine(root, "dotnet")), runnable: true);
        foreach (var notice in new[] { "LICENSE.txt", "ThirdPartyNotices.txt" })
        {
            if (File.Exists(Path.Combine(root, notice))) tree.AddFile(Place(notice), Path.Combine(root, notice));
        }
        var version = Path.GetFileName(program.Frameworks[0]);
        tree.AddFile(Place($"host/fxr/{version}/libhostfxr.so"), Existing(Path.Combine(root, "host/fxr", version, "libhostfxr.so")));
        foreach (var framework in program.Frameworks)
        {
            foreach (var file in Directory.EnumerateFiles(framework).Where(file => !Debugging.Contains(Path.GetFileName(file))))
                tree.AddFile(Place(Path.GetRelativePath(root, file)), file);
        }
        return tree;
    }

    /// <exception cref="ProblemException">The CNI plug-in has not been built.</exception>
    internal static void RequirePlugin(ProgramSource program)
    {
        if (!File.Exists(Path.Combine(program.Directory, ProgramLayout.CniPlugin)))
            throw new ProblemException(Path.Combine(program.Directory, ProgramLayout.CniPlugin), "the CNI plug-in has not been built",
                $"run 'tools/cni-plugin {program.Directory}', which needs gcc and libc6-dev, or add --without-cni if no cluster uses the component cni");
    }

    internal static LayerTree Envoy(string file)
    {
        var tree = new LayerTree();
        tree.AddFile(ProgramLayout.Envoy, file, runnable: true);
        return tree;
    }

    internal static LayerTree Program(ProgramSource program, string bill, bool withPlugin)
    {
        var tree = new LayerTree();
        foreach (var (path, file) in FilesOf(program))
        {
            if (withPlugin || Path.GetFileName(file) != ProgramLayout.CniPlugin) tree.AddFile(path, file, runnable: Path.GetExtension(path).Length == 0);
        }
        foreach (var (name, words) in ProgramLayout.Names)
        {
            tree.AddText($"{ProgramLayout.NamesDirectory}/{name}", ProgramLayout.Script(words), runnable: true);
            tree.AddLink($"{ProgramLayout.SearchedDirectory}/{name}", $"{ProgramLayout.NamesDirectory}/{name}");
        }
        tree.AddText(BillPath, bill);
        return tree;
    }

    /// <summary>A native program is one file, of any name, in a directory that may hold everything that its user ever downloaded.</summary>
    private static IEnumerable<(string Path, string File)> FilesOf(ProgramSource program)
    {
        if (program.Executable.Length == 0)
        {
            return Directory.EnumerateFiles(program.Directory).Where(file => Path.GetExtension(file) is not ".pdb" and not ".xml")
                .Select(file => ($"{ProgramLayout.BuildDirectory}/{Path.GetFileName(file)}", file));
        }
        var plugin = Path.Combine(program.Directory, ProgramLayout.CniPlugin);
        return ((string, string)[])[(ProgramLayout.NativeProgram, program.Executable),
            .. File.Exists(plugin) ? [($"{ProgramLayout.BuildDirectory}/{ProgramLayout.CniPlugin}", plugin)] : (IEnumerable<(string, string)>)[]];
    }

    internal const string BillPath = "usr/share/sbom/isthmus.spdx.json";

    private static string Place(string path) => $"{ProgramLayout.RuntimeDirectory}/{path}";

    private static string Existing(string path) =>
        File.Exists(path)
            ? path
            : throw new ProblemException(path, "the .NET runtime that runs this program is incomplete", "install the .NET SDK or runtime as a whole");
}
