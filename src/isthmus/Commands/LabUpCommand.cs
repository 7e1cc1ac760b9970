using System.CommandLine;
using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Lab.Network;
using Isthmus.Lab.Supervisor;
using Isthmus.Operate.MeshFile;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus lab up</c>.</summary>
internal static class LabUpCommand
{
    private static readonly Option<int?> Clusters = new("--clusters") { Description = "How many clusters: cluster1, cluster2, … Without: those of an earlier lab, or 2" };
    private static readonly Option<string[]> Network = new("--network") { Description = "Which clusters share a network: cluster1=A,cluster2=A", AllowMultipleArgumentsPerToken = true };
    private static readonly Option<bool> Flat = new("--flat") { Description = "All clusters share one network" };
    private static readonly Option<string[]> Region = new("--region") { Description = "Regions of the nodes: cluster1=eu,cluster2=us", AllowMultipleArgumentsPerToken = true };
    private static readonly Option<string[]> Zone = new("--zone") { Description = "Zones of the nodes: cluster1=eu-1", AllowMultipleArgumentsPerToken = true };
    private static readonly Option<bool> NoWait = new("--no-wait") { Description = "Return when the API servers answer" };
    private static readonly Option<bool> Yes = new("--yes", "-y") { Description = "Install what is missing without asking" };

    private static readonly Option<string?> Topology = new("--topology") { Description = $"Make them one mesh, too: {string.Join(", ", Topologies.Names)}, or a mesh file" };
    private static readonly Option<string> Timeout = new("--timeout") { Description = "How long the mesh of a topology may take, for example 90s or 5m", DefaultValueFactory = _ => "5m" };
    private static readonly Option<bool> TakeOver = MeshCommand.TakeOver();

    internal static Command Build()
    {
        var command = new Command("up", "Start clusters, or those that are missing, and wait until they can be used.") { Clusters, Topology, Network, Flat, Region, Zone, NoWait, Timeout, TakeOver, Yes };
        command.SetAction(async (line, stop) =>
        {
            var control = LabCommand.Control(line.GetValue(Yes));
            var mesh = Mesh(line, control.Client.Home);
            var requests = mesh is null ? Requests(line, control.State) : LabMesh.Requests(mesh);
            var settings = new LabUpSettings(requests, MustBeNew: false, mesh is null && !line.GetValue(NoWait), line.GetValue(GlobalOptions.Kubeconfig), MakeCurrent: true);
            await LabProgress.RunAsync(onStep => control.UpAsync(settings, onStep, stop));
            if (mesh is not null)
            {
                var limit = Duration.Parse(line.GetValue(Timeout)!, Timeout.Name);
                await Interruption.TellAsync(async () =>
                {
                    using var links = await MeshInput.OpenAsync(mesh, line.GetValue(GlobalOptions.Kubeconfig), stop);
                    return await MeshCommand.UpAsync(mesh, links, new(limit, TakesOver: line.GetValue(TakeOver)), _ => Task.FromResult(true), stop);
                }, () => "The clusters stay up, with what was made of the mesh. Run the command again to go on, or remove everything with 'isthmus lab down'.", Console.Error, stop);
                Console.WriteLine($"Its file: {mesh.Source}");
            }
            var extra = control.State.Clusters.Select(cluster => cluster.Name).Except(requests.Select(request => request.Name)).ToList();
            if (extra.Count > 0) Console.WriteLine($"Also running: {string.Join(", ", extra)}.");
            Console.WriteLine($"Contexts: {string.Join(", ", control.State.Clusters.Select(cluster => cluster.Context))}. Remove everything with: isthmus lab down");
            return 0;
        });
        return command;
    }

    /// <summary>Null: bare clusters.</summary>
    private static MeshSpec? Mesh(ParseResult line, LabHome home)
    {
        if (line.GetValue(Topology) is not { Length: > 0 } topology)
        {
            foreach (var option in (Option[])[Timeout, TakeOver])
            {
                if (line.GetResult(option) is { Implicit: false }) throw new ProblemException(option.Name, "is about the mesh of a topology, and none is given", "give --topology too, or leave it out");
            }
            return null;
        }
        foreach (var option in (Option[])[Network, Flat, Region, Zone])
        {
            if (line.GetResult(option) is { Implicit: false }) throw new ProblemException(option.Name, "contradicts --topology, which says it", "leave it out, or write a mesh file that says so");
        }
        if (!topology.Contains('/', StringComparison.Ordinal) && !topology.EndsWith(".yaml", StringComparison.Ordinal) && !topology.EndsWith(".yml", StringComparison.Ordinal))
            return LabMesh.Write(home, Topologies.Write(topology, line.GetValue(Clusters) ?? 2));
        return line.GetValue(Clusters) is null ? MeshInput.Read(topology)
            : throw new ProblemException(Clusters.Name, $"contradicts the file {topology}, which names its clusters", "leave it out");
    }

    private static ValueList<ClusterRequest> Requests(ParseResult line, LabState earlier)
    {
        var count = line.GetValue(Clusters);
        if (count is < 1 or > ClusterSettings.MaxClusters)
        {
            throw new ProblemException("--clusters", $"{count} is not between 1 and {ClusterSettings.MaxClusters}", "give a number in that range");
        }
        List<string> names = count is null && !earlier.Clusters.IsEmpty
            ? [.. earlier.Clusters.Select(cluster => cluster.Name)]
            : [.. Enumerable.Range(1, count ?? 2).Select(number => string.Create(CultureInfo.InvariantCulture, $"cluster{number}"))];
        if (line.GetValue(Flat) && line.GetValue(Network) is { Length: > 0 }) throw new ProblemException("--flat", "contradicts --network", "give one of them");
        var networks = Pairs(Network);
        var regions = Pairs(Region);
        var zones = Pairs(Zone);
        return names.Select(name => new ClusterRequest(
            name, "", line.GetValue(Flat) ? "flat" : networks.GetValueOrDefault(name, ""), regions.GetValueOrDefault(name, ""), zones.GetValueOrDefault(name, ""))).ToValueList();

        Dictionary<string, string> Pairs(Option<string[]> option)
        {
            var pairs = LabCommand.Pairs(line.GetValue(option) ?? [], option.Name);
            if (pairs.Keys.Except(names).FirstOrDefault() is { } unknown)
            {
                throw new ProblemException(option.Name, $"names '{unknown}', which is none of {string.Join(", ", names)}", "raise --clusters or correct the name");
            }
            return pairs;
        }
    }
}
