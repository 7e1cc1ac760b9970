using System.CommandLine;
using System.Runtime.Versioning;

namespace Isthmus.Commands;

/// <summary><c>isthmus lab down</c>.</summary>
[SupportedOSPlatform("linux")]
internal static class LabDownCommand
{
    internal static Command Build()
    {
        var command = new Command("down", "Remove all clusters and everything that belongs to them.");
        command.SetAction(async (_, stop) =>
        {
            Console.WriteLine(await LabCommand.Control(yes: true).DownAsync(stop) ? "The lab is removed." : "There is no lab.");
            return 0;
        });
        return command;
    }
}
