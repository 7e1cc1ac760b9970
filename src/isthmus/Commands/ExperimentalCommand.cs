using System.CommandLine;

namespace Isthmus.Commands;

/// <summary><c>isthmus x COMMAND</c>: where older guides find commands that are at the top level today.</summary>
internal static class ExperimentalCommand
{
    internal static Command Build()
    {
        var command = new Command("experimental", "Commands under the names used by older guides.")
        {
            CreateRemoteSecretCommand.Build(), RemoteClustersCommand.Build(), ProxyStatusCommand.Build(), VersionCommand.Build(), DescribeCommand.Build(),
            AuthzCommand.Build(), PrecheckCommand.Build(), DistributionCommand.Build(), InjectorCommand.Build(), InternalDebugCommand.Build(),
            EnvoyStatsCommand.Build(),
            UninstallCommand.Build(),
        };
        foreach (var instead in InsteadCommands.OfExperimental) command.Subcommands.Add(instead);
        command.Aliases.Add("x");
        command.Aliases.Add("exp");
        return command;
    }
}
