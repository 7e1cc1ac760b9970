using System.CommandLine;
using System.Runtime.Versioning;
using Isthmus.Core.Flags;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Lab.Supervisor;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus lab</c>: clusters on this machine.</summary>
[SupportedOSPlatform("linux")]
internal static class LabCommand
{
    internal static Command Build() => new("lab", "Run Kubernetes clusters on this machine, without Docker: Pods are processes in namespaces.")
    {
        LabUpCommand.Build(),
        LabDownCommand.Build(),
        LabStatusCommand.Build(),
        LabKubeconfigCommand.Build(),
        LabShellCommand.Build(),
        LabImageCommand.Build(),
        LabClusterCommand.BuildCreate(),
        LabClusterCommand.BuildDelete(),
        LabFaultCommand.BuildStop(),
        LabFaultCommand.BuildStart(),
    };

    /// <param name="yes">Questions are not asked.</param>
    internal static LabControl Control(bool yes)
    {
        // Without a terminal no answer is possible: go ahead.
        Func<string, CancellationToken, Task<bool>>? ask = yes || Console.IsInputRedirected ? null : Question.AskAsync;
        return new(LabHome.Locate(Environment.GetEnvironmentVariable), Environment.GetEnvironmentVariable, ask,
            text => Terminal.PaintedError.WriteLine(
                $"{(Terminal.CanErase && !Console.IsErrorRedirected ? Terminal.EraseLine : "")}isthmus lab: {Visible.Lines(text)}"),
            TimeProvider.System);
    }

    /// <summary>Reads <c>cluster1=A,cluster2=B</c>.</summary>
    /// <exception cref="WrongUseException">A pair is malformed or names a cluster twice.</exception>
    internal static Dictionary<string, string> Pairs(string[] values, string option)
    {
        var pairs = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var text in values.SelectMany(value => value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)))
        {
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals < 1 || equals == text.Length - 1)
                throw new WrongUseException(option, $"'{text}' is not CLUSTER=VALUE", $"for example {option} cluster1=A,cluster2=A");
            if (!pairs.TryAdd(text[..equals], text[(equals + 1)..]))
                throw new WrongUseException(option, $"names '{text[..equals]}' twice", "name each cluster once");
        }
        return pairs;
    }
}
