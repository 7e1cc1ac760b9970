using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using Isthmus.Output;

namespace Isthmus.Options;

/// <summary>Examples at the end of a command's help.</summary>
internal sealed class HelpExamples(string text) : SynchronousCommandLineAction
{
    private readonly HelpAction _help = new();

    /// <summary>Who asks for help need not give what the command requires.</summary>
    public override bool ClearsParseErrors => true;

    /// <summary>For commands whose help explains more than <see cref="CommandExamples"/> has.</summary>
    internal static void AddTo(Command command, string text) => command.Options.Add(new HelpOption { Action = new HelpExamples(text) });

    /// <summary>Lets the help of all commands end with their examples.</summary>
    internal static void AddTo(RootCommand root) => root.Options.OfType<HelpOption>().First().Action = new OfTable();

    public override int Invoke(ParseResult parseResult)
    {
        // It would ask the console, which changes the mode of the terminal.
        _help.MaxWidth = Terminal.Width;
        var code = _help.Invoke(parseResult);
        parseResult.InvocationConfiguration.Output.WriteLine(text);
        return code;
    }

    private sealed class OfTable : SynchronousCommandLineAction
    {
        /// <summary>Commands that ask no cluster.</summary>
        private static readonly HashSet<string> Local = new(StringComparer.Ordinal) { "profile", "completion", "help" };

        private readonly HelpAction _help = new();

        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            var path = PathOf(parseResult.CommandResult).ToList();
            // Options for clusters mean nothing there.
            var isLocal = path.Count > 0 && Local.Contains(path[0]);
            foreach (var option in GlobalOptions.All) option.Hidden = isLocal;
            int code;
            try
            {
                _help.MaxWidth = Terminal.Width;
                code = _help.Invoke(parseResult);
            }
            finally
            {
                foreach (var option in GlobalOptions.All) option.Hidden = false;
            }
            var output = parseResult.InvocationConfiguration.Output;
            var examples = CommandExamples.Of(string.Join(' ', path is ["experimental", _, ..] ? path[1..] : path));
            if (examples.Count > 0) output.WriteLine("Examples:");
            foreach (var example in examples) output.WriteLine($"  isthmus {example}");
            if (examples.Count > 0) output.WriteLine();
            return code;
        }

        private static IEnumerable<string> PathOf(CommandResult? result)
        {
            List<string> names = [];
            for (; result is { Command: not RootCommand }; result = result.Parent as CommandResult) names.Insert(0, result.Command.Name);
            return names;
        }
    }
}
