namespace Isthmus.Testing;

/// <summary>Programs that others wrote, which a machine may have or not.</summary>
internal static class ForeignProgram
{
    /// <summary>What the variable names, what <c>./test</c> has unpacked, or what is in the PATH; null: there is none.</summary>
    /// <param name="unpacked">Its place in the repository; empty: <c>./test</c> unpacks none.</param>
    internal static string? Find(string variable, string name, string unpacked = "") =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } named ? Path.GetFullPath(named)
        : unpacked.Length > 0 && File.Exists(Repository.At(unpacked)) ? Repository.At(unpacked)
        : (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Select(directory => Path.Combine(directory, name)).FirstOrDefault(File.Exists);
}
