using System.CommandLine;

namespace Isthmus.Commands;

/// <summary><c>isthmus help COMMAND</c>, another way to write <c>isthmus COMMAND --help</c>.</summary>
internal static class HelpCommand
{
    private const string Name = "help";

    /// <summary>Only listed here: the line is rewritten before it is parsed.</summary>
    internal static Command Build() =>
        new(Name, "Show help for a command.") { new Argument<string[]>("command") { Description = "The command, for example: lab up" } };

    internal static string[] Rewrite(string[] args) =>
        args is [Name, .. var command] ? [.. command.Where(word => word is not ("--help" or "-h")), "--help"] : args;
}
