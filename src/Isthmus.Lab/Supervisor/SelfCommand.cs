using Isthmus.Core.Collections;

namespace Isthmus.Lab.Supervisor;

/// <summary>The command that starts this program again.</summary>
/// <param name="Program">An absolute path: the runtime's host, or the program itself when it is native.</param>
/// <param name="Arguments">The arguments before those of a command.</param>
public sealed record SelfCommand(string Program, ValueList<string> Arguments)
{
    public static SelfCommand Current()
    {
        var program = Environment.ProcessPath ?? throw new InvalidOperationException("the path of this program is unknown");
        var library = Path.Combine(AppContext.BaseDirectory, "isthmus.dll");
        return Path.GetFileName(program) == "dotnet" ? new(program, [library]) : new(program, []);
    }

    public string[] With(params string[] arguments) => [Program, .. Arguments, .. arguments];
}
