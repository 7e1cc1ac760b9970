using System.CommandLine;
using Isthmus.Core.Problems;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Output;

namespace Isthmus.Options;

/// <summary>The options that say what to install, shared by install, manifest and uninstall.</summary>
internal sealed class InstallOptions
{
    internal Option<string[]> Files { get; } = new("--filename", "-f")
    {
        Description = "Path to an IstioOperator file; may be repeated, later files override earlier ones; '-' reads standard input",
    };

    internal Option<string[]> Sets { get; } = new("--set", "-s")
    {
        Description = "Override a value, for example --set values.global.network=network1 or --set profile=demo",
    };

    internal Option<string?> Revision { get; } = new("--revision", "-r") { Description = "Revision of the control plane" };

    internal void AddTo(Command command)
    {
        command.Options.Add(Files);
        command.Options.Add(Sets);
        command.Options.Add(Revision);
    }

    internal bool ReadsStandardInput(ParseResult line) => (line.GetValue(Files) ?? []).Contains("-");

    internal OperatorSpec Read(ParseResult line)
    {
        var files = (line.GetValue(Files) ?? []).SelectMany(list => list.Split(',')).Select(file => (file, ReadFile(file))).ToList();
        var spec = OperatorSpec.Build(files, line.GetValue(Sets) ?? [], line.GetValue(Revision));
        foreach (var warning in spec.Warnings) Console.Error.WriteLine($"Warning: {warning}");
        return spec;
    }

    private static string ReadFile(string file) => file == "-" ? Terminal.Input.ReadToEnd() : InputFile.Read($"-f {file}", file);
}
