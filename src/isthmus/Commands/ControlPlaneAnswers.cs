using System.CommandLine;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;

namespace Isthmus.Commands;

/// <summary>Asks the control planes of the cluster at hand; where none runs, finds out which cluster should be asked in its place.</summary>
internal static class ControlPlaneAnswers
{
    /// <summary>Stands for what a control plane cannot tell.</summary>
    internal const string Unknown = "unknown";

    /// <summary>Why a control plane does not tell what a page says.</summary>
    internal static string Lacks(PlaneAnswer silent, string page) =>
        silent.IsForeign ? $"{silent.Why}, and does not answer {page} on port {Ports.DiscoveryHttp}" : silent.Why;

    /// <summary>How long each control plane may take to answer.</summary>
    internal static DurationOption Timeout() => new("--timeout", "How long each control plane may take to answer", "10s");

    /// <summary>The exit status: failure if no control plane answers, and one of them should.</summary>
    internal static int CodeOf(IReadOnlyList<PlaneAnswer> answers) =>
        answers.All(answer => answer.Answer is null) && answers.Any(answer => !answer.IsForeign) ? ExitCode.Failure : ExitCode.Success;

    /// <summary>What each control plane answers, or why it does not.</summary>
    /// <param name="patience">How long each may take.</param>
    /// <exception cref="ProblemException">No control plane is ready here.</exception>
    internal static async Task<IReadOnlyList<PlaneAnswer>> AskAsync(ParseResult line, string path, TimeSpan patience, CancellationToken stop)
    {
        var ns = line.GetValue(GlobalOptions.IstioNamespace)!;
        using var client = GlobalOptions.Client(line);
        var query = new MeshQuery(client, ns) { Patience = patience };
        if (await query.HasControlPlaneAsync(stop)) return await query.AskEachControlPlaneAsync(path, stop);
        var reader = new MeshFactsReader(ns);
        var others = MeshContexts.All(line).Where(context => context != client.Access.Name)
            .Select(context => reader.ReadAsync(context, MeshContexts.Load(line, context), stop));
        var facts = await Task.WhenAll(others.Prepend(reader.ReadAsync(client.Access.Name, client.Access, stop)));
        throw new ProblemException(NoControlPlane.Of(facts[0], ns, facts[1..], line.CommandResult.Command.Name));
    }
}
