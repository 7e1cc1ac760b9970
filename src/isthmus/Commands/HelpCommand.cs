using System.CommandLine;

namespace Isthmus.Commands;

/// <summary><c>isthmus help COMMAND</c>, another way to write <c>isthmus COMMAND --help</c>.</summary>
internal static class HelpCommand
{
    private const string Name = "help";

    /// <summary>Listed only: the line is written anew before it is read.</summary>
    internal static Command Build() => new(Name, "Explain a command.") { new Argument<string[]>("command") { Description = "Its words, for example: lab up" } };

    internal static string[] Rewrite(string[] args) => args is [Name, .. var command] ? [.. command.Where(word => word is not ("--help" or "-h")), "--help"] : args;
}
