using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Isthmus.Options;

/// <summary>Examples at the end of a command's help.</summary>
internal sealed class HelpExamples(string text) : SynchronousCommandLineAction
{
    private readonly HelpAction _help = new();

    internal static void AddTo(Command command, string text) => command.Options.Add(new HelpOption { Action = new HelpExamples(text) });

    /// <summary>Leaves the global options out of the help of a command, and of its subcommands: they have no effect there.</summary>
    internal static void WithoutClusters(Command command) => command.Options.Add(new HelpOption { Action = new OwnOptions() });

    public override int Invoke(ParseResult parseResult)
    {
        var code = _help.Invoke(parseResult);
        parseResult.InvocationConfiguration.Output.WriteLine(text);
        return code;
    }

    private sealed class OwnOptions : SynchronousCommandLineAction
    {
        private readonly HelpAction _help = new();

        public override int Invoke(ParseResult parseResult)
        {
            foreach (var option in GlobalOptions.All) option.Hidden = true;
            try
            {
                return _help.Invoke(parseResult);
            }
            finally
            {
                foreach (var option in GlobalOptions.All) option.Hidden = false;
            }
        }
    }
}
