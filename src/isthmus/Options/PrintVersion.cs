using System.CommandLine;
using System.CommandLine.Invocation;
using Isthmus.Operate.Install.Operator;

namespace Isthmus.Options;

/// <summary><c>--version</c>.</summary>
internal sealed class PrintVersion : SynchronousCommandLineAction
{
    internal static void AddTo(RootCommand root) => root.Options.OfType<VersionOption>().Single().Action = new PrintVersion();

    public override int Invoke(ParseResult parseResult)
    {
        parseResult.InvocationConfiguration.Output.WriteLine(BuildVersion.Current);
        return 0;
    }
}
