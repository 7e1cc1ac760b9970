using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Isthmus.Options;

/// <summary>Examples at the end of a command's help.</summary>
internal sealed class HelpExamples(string text) : SynchronousCommandLineAction
{
    private readonly HelpAction _help = new();

    internal static void AddTo(Command command, string text) => command.Options.Add(new HelpOption { Action = new HelpExamples(text) });

    public override int Invoke(ParseResult parseResult)
    {
        var code = _help.Invoke(parseResult);
        parseResult.InvocationConfiguration.Output.WriteLine(text);
        return code;
    }
}
