using System.CommandLine;
using System.CommandLine.Parsing;
using Isthmus.Options;

namespace Isthmus;

/// <summary>The error of a command line in one line, with a pointer to the help; the whole help text would push it off the screen.</summary>
internal static class WrongUseText
{
    /// <param name="program">The name by which it was called.</param>
    internal static string Of(ParseResult line, string program)
    {
        var path = PathOf(line.CommandResult);
        return $"Error: {Mistake(line, path)}\nRun '{string.Join(' ', path.Prepend(program))} --help' for usage.";
    }

    /// <summary>What the library ignores: unknown words next to <c>--help</c>, and an unknown flag in place of a name.</summary>
    internal static bool HasUnknownWord(ParseResult line) => FlagAsName(line) is not null
        || line.UnmatchedTokens.Any(token => token.StartsWith('-') || line.CommandResult.Command is RootCommand or { Subcommands.Count: > 0 });

    /// <summary>What follows <c>--</c> is taken literally, and so is what follows a name (the arguments of a program in <c>lab shell</c>).</summary>
    private static string? FlagAsName(ParseResult line)
    {
        var given = line.Tokens.TakeWhile(token => token.Type != TokenType.DoubleDash).ToHashSet(ReferenceEqualityComparer.Instance);
        return line.CommandResult.Children.OfType<ArgumentResult>().Where(argument => !argument.Argument.Hidden)
            .Select(argument => argument.Tokens.FirstOrDefault())
            .FirstOrDefault(token => token is { Value: ['-', _, ..] } && given.Contains(token))?.Value;
    }

    private static string Mistake(ParseResult line, List<string> path)
    {
        if (FlagAsName(line) is { } notName) return UnknownFlag(line, notName);
        var command = line.CommandResult.Command;
        // A group takes nothing but a command: without this, an unknown command would be reported as a missing one.
        if ((command.Subcommands.Count > 0 || command is RootCommand) && line.UnmatchedTokens.FirstOrDefault(token => !token.StartsWith('-')) is { } unknown)
        {
            var meant = Core.Problems.Spelling.Nearest(unknown, command.Subcommands.Where(sub => !sub.Hidden).Select(sub => sub.Name));
            return $"unknown command \"{string.Join(' ', [.. path, unknown])}\"{(meant is null ? "" : $" (did you mean {meant}?)")}";
        }
        if (line.UnmatchedTokens.FirstOrDefault(token => token.StartsWith('-')) is { } flag) return UnknownFlag(line, flag);
        if (line.UnmatchedTokens.FirstOrDefault() is { } word)
            return $"unexpected argument "
                + $"'{word}'{(command.Options.Any(option => option.Aliases.Contains("-f")) ? $" (give files with -f, as in -f {word})" : "")}";
        return WrongValue(line.Errors[0]) ?? Plain(line.Errors[0].Message.TrimEnd('.'));
    }

    private static string UnknownFlag(ParseResult line, string given)
    {
        if (InsteadFlags.Remedy(PathOf(line.CommandResult), given) is { } remedy) return $"{given.Split('=')[0]}: is not supported ({remedy})";
        List<string> known = [];
        for (var result = line.CommandResult; result is not null; result = result.Parent as CommandResult)
            known.AddRange(result.Command.Options.Where(option => !option.Hidden).SelectMany(option => option.Aliases.Prepend(option.Name)));
        // Single letters are all near to each other.
        var meant = Core.Problems.Spelling.Nearest(given.Split('=')[0], known.Where(name => name.StartsWith("--", StringComparison.Ordinal)));
        return $"unknown flag {given}{(meant is null ? "" : $" (did you mean {meant}?)")}";
    }

    /// <summary>The library's messages in the words of the help.</summary>
    private static string Plain(string message)
    {
        if (message.Split('\'') is not [var before, var name, ..]) return message;
        return (before, message) switch
        {
            ("Required argument ", _) => $"argument <{name}> is required",
            ("Required argument missing for option: ", _) => $"flag {name} needs a value",
            ("Option ", _) when message.EndsWith("is required", StringComparison.Ordinal) => $"flag {name} is required",
            ("Option ", _) when message.Contains("expects a single argument", StringComparison.Ordinal) => $"flag {name} is given more than once",
            _ => message,
        };
    }

    /// <summary>The library names a type of .NET instead.</summary>
    private static string? WrongValue(ParseError error)
    {
        if (error.SymbolResult is not OptionResult { Option: var option, Tokens: [.., var given] }) return null;
        var type = Nullable.GetUnderlyingType(option.ValueType) ?? option.ValueType;
        return type == typeof(int) && !int.TryParse(given.Value, System.Globalization.CultureInfo.InvariantCulture, out _)
            ? $"{option.Name}: '{given.Value}' is not a whole number"
            : type == typeof(bool) && !bool.TryParse(given.Value, out _) ? $"{option.Name}: '{given.Value}' is not true or false" : null;
    }

    private static List<string> PathOf(CommandResult? result)
    {
        List<string> names = [];
        for (; result is { Command: not RootCommand }; result = result.Parent as CommandResult) names.Insert(0, result.Command.Name);
        return names;
    }
}
