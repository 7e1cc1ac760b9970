using Isthmus.Lab.Supervisor;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab;

/// <summary>The program that the tests start, and where the build put it.</summary>
internal static class BuiltProgram
{
    /// <summary>The native program that <c>ISTHMUS_TEST_PROGRAM</c> names; otherwise the library of the same build as the tests.</summary>
    internal static SelfCommand Command { get; } =
        Environment.GetEnvironmentVariable("ISTHMUS_TEST_PROGRAM") is { Length: > 0 } native ? new(Existing(native), []) : new("dotnet", [Library]);

    internal static bool IsNative => Command.Arguments.IsEmpty;

    /// <summary>The directory <c>artifacts</c>: the tests are in <c>bin/Isthmus.Tests.Mesh/CONFIGURATION</c> below it.</summary>
    internal static string Artifacts => Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../.."));

    /// <summary>The checkout.</summary>
    internal static string Sources => Path.GetDirectoryName(Artifacts)!;

    private static string Library => Existing(Path.Combine(Artifacts, "bin/isthmus", new DirectoryInfo(AppContext.BaseDirectory).Name, "isthmus.dll"));

    private static string Existing(string program)
    {
        Assert.True(File.Exists(program), $"the program is not built: {program} (run ./test, which builds it)");
        return program;
    }
}
