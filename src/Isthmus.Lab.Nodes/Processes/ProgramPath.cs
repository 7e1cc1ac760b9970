namespace Isthmus.Lab.Nodes.Processes;

/// <summary>Finds programs of the machine. It searches the usual directories first, because an ordinary user's PATH often
/// lacks sbin.</summary>
internal static class ProgramPath
{
    private static readonly string[] Directories = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"];

    /// <exception cref="FileNotFoundException">The program is not installed. The message names the package.</exception>
    internal static string Find(string program) =>
        Directories.Select(directory => Path.Combine(directory, program)).FirstOrDefault(File.Exists)
        ?? throw new FileNotFoundException($"{program} is needed and was not found in {string.Join(", ", Directories)}: install util-linux");
}
