using System.Text;

namespace Isthmus.Cni.Chain;

/// <summary>
/// The directory from which a container runtime reads the chain of network plug-ins: it uses the first file by name. Others, such as the
/// installer of the network, write the same file at any time, so our entry is put back whenever it is missing.
/// </summary>
/// <param name="fileName">The file to change; empty for the one that runtimes use.</param>
internal sealed class ChainDirectory(string directory, string fileName)
{
    /// <summary>Runtimes do not read files with this extension. It has the configuration of one plug-in, before it became a list.</summary>
    private const string Original = ".before-istio-cni";

    private const long Largest = 1 << 20;

    private static readonly string[] Extensions = [".conf", ".conflist", ".json"];

    /// <summary>Puts our entry into the chain.</summary>
    /// <returns>The file that has the entry, and whether it was changed; null if there is no chain yet.</returns>
    /// <exception cref="IOException">The directory cannot be read or written.</exception>
    internal (string File, bool Changed)? Install(string entry)
    {
        foreach (var file in Candidates())
        {
            if (Read(file) is not { } text) continue;
            if (ChainText.With(text, entry) is { } list)
            {
                if (list == text) return (file, false);
                Write(file, list, file);
                return (file, true);
            }
            if (ChainText.Wrap(text) is { } wrapped && ChainText.With(wrapped, entry) is { } made)
            {
                var listed = Path.ChangeExtension(file, ".conflist");
                // Until the original is renamed, runtimes use it: its name comes first.
                Write(listed, made, file);
                File.Move(file, file + Original, overwrite: true);
                return (listed, true);
            }
        }
        return null;
    }

    /// <summary>Removes our entry from every file. One that was a list only for the entry becomes what it was.</summary>
    /// <returns>The files that were changed.</returns>
    internal IReadOnlyList<string> Remove()
    {
        var changed = new List<string>();
        foreach (var file in Files())
        {
            if (Read(file) is not { } text || ChainText.Without(text) is not { } clean || clean == text) continue;
            if (OriginalOf(file) is { } original)
            {
                if (Read(original) is { } before && ChainText.Wrap(before) == clean)
                {
                    File.Move(original, original[..^Original.Length], overwrite: true);
                    File.Delete(file);
                    changed.Add(original[..^Original.Length]);
                    continue;
                }
                // Somebody has changed the list since.
                File.Delete(original);
            }
            Write(file, clean, file);
            changed.Add(file);
        }
        return changed;
    }

    /// <summary>As runtimes choose: by name, of these extensions.</summary>
    private IEnumerable<string> Candidates()
    {
        if (fileName.Length == 0) return Files();
        var file = Path.Combine(directory, fileName);
        return File.Exists(file) ? [file] : File.Exists(Path.ChangeExtension(file, ".conflist")) ? [Path.ChangeExtension(file, ".conflist")] : [];
    }

    private IEnumerable<string> Files() =>
        Directory.Exists(directory)
            ? Directory.EnumerateFiles(directory).Where(file => Extensions.Contains(Path.GetExtension(file))).Order(StringComparer.Ordinal)
            : [];

    private static string? OriginalOf(string file)
    {
        foreach (var extension in Extensions)
        {
            if (Path.ChangeExtension(file, extension) + Original is var original && File.Exists(original)) return original;
        }
        return null;
    }

    private static string? Read(string file)
    {
        try
        {
            return new FileInfo(file).Length > Largest ? null : new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(File.ReadAllBytes(file));
        }
        catch (Exception e) when (e is FileNotFoundException or DecoderFallbackException)
        {
            return null;
        }
    }

    /// <summary>As a whole or not at all, and with the mode of the file that it replaces.</summary>
    private static void Write(string file, string text, string like)
    {
        var draft = $"{file}.istio-cni-new";
        File.WriteAllBytes(draft, Encoding.UTF8.GetBytes(text));
        File.SetUnixFileMode(draft, File.GetUnixFileMode(like));
        File.Move(draft, file, overwrite: true);
    }
}
