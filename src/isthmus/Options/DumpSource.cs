using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Flags;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose;
using Isthmus.Output;

namespace Isthmus.Options;

/// <summary>Where a command of <c>proxy-config</c> reads: a running proxy, or a file that holds what its admin port answered.</summary>
internal sealed class DumpSource
{
    private readonly string _path;

    /// <param name="path">What is asked of a proxy, for example <c>config_dump</c>.</param>
    internal DumpSource(string path)
    {
        _path = path;
        File = new("--file",
            "-f") { Description = $"Read this file instead of asking a proxy: the answer to http://localhost:15000/{path}; '-' reads standard input" };
    }

    internal Argument<string?> Pod
    {
        get;
    } = new Argument<string?>("pod")
    {
        Description = "POD[.NAMESPACE], deployment/NAME[.NAMESPACE] or service/NAME[.NAMESPACE]", Arity = ArgumentArity.ZeroOrOne
    }.WithPods();

    internal Option<string?> File { get; }

    internal void AddTo(Command command)
    {
        command.Arguments.Add(Pod);
        command.Options.Add(File);
    }

    internal async Task<JsonNode> ReadAsync(ParseResult line, CancellationToken stop)
    {
        if (FromFile(line) is { } read) return read;
        using var client = GlobalOptions.Client(line);
        var query = new MeshQuery(client, line.GetValue(GlobalOptions.IstioNamespace)!);
        var (ns, pod) = await query.ResolvePodAsync(line.GetValue(Pod)!, line.GetValue(GlobalOptions.Namespace), stop);
        return await query.AskProxyAsync(ns, pod, _path, stop);
    }

    /// <summary>What the file holds; null when a Pod is named.</summary>
    /// <exception cref="WrongUseException">Neither is given, or both.</exception>
    internal JsonNode? FromFile(ParseResult line)
    {
        var (pod, file) = (line.GetValue(Pod), line.GetValue(File));
        if (pod is null == file is null)
            throw new WrongUseException(pod is null ? "pod" : "--file", pod is null ? "is missing" : "cannot be combined with a Pod",
                "name a Pod, or give a file with --file");
        if (file is null) return null;
        var text = file == "-" ? Terminal.Input.ReadToEnd() : InputFile.Read($"--file {file}", file);
        try
        {
            return StrictJson.Parse(text) ?? new JsonObject();
        }
        catch (JsonException e)
        {
            throw new ProblemException($"--file {file}", $"is not JSON: {e.Message}", $"give the answer of a proxy to http://localhost:15000/{_path}", e);
        }
    }
}
