using System.CommandLine;
using System.Globalization;
using System.Runtime.Versioning;
using Isthmus.Core.Collections;
using Isthmus.Core.Flags;
using Isthmus.Lab.Machine.Network;
using Isthmus.Lab.Supervisor;
using Isthmus.Operate.MeshFile;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus lab up</c>.</summary>
[SupportedOSPlatform("linux")]
internal static class LabUpCommand
{
    private static readonly Option<int?> Clusters = new("--clusters")
    {
        Description = "Number of clusters, named cluster1, cluster2, …; by default, those of the existing lab, or 2"
    };
    private static readonly Option<string[]> Network = new("--network")
    {
        Description = "Network of each cluster, for example cluster1=A,cluster2=A; by default, each gets its own", AllowMultipleArgumentsPerToken = true
    };
    private static readonly Option<bool> Flat = new("--flat") { Description = "Put all clusters in one network" };
    private static readonly Option<string[]> Region = new("--region")
    {
        Description = "Region of each cluster's node, for example cluster1=eu,cluster2=us", AllowMultipleArgumentsPerToken = true
    };
    private static readonly Option<string[]> Zone = new("--zone")
    {
        Description = "Zone of each cluster's node, for example cluster1=eu-1", AllowMultipleArgumentsPerToken = true
    };
    private static readonly Option<bool> NoWait = new("--no-wait") { Description = "Return as soon as the API servers respond" };
    private static readonly Option<bool> Yes = ConfirmationOption.InstallMissing();

    private static readonly Option<string?> Topology = new("--topology")
    {
        HelpName = "topology", Description = $"Also join the clusters into a mesh: {string.Join(", ", Topologies.Names)}, or a mesh file",
        CompletionSources = { _ => Topologies.Names.Select(name => new System.CommandLine.Completions.CompletionItem(name)) }
    };
    private static readonly DurationOption Timeout = new("--timeout", "How long to wait for the mesh of the topology, for example 90s or 5m", "5m");
    private static readonly Option<bool> TakeOver = MeshCommand.TakeOver();

    internal static Command Build()
    {
        var command = new Command("up",
            "Start the clusters that are not running, and wait until they are ready.")
            {
                Clusters, Topology, Network, Flat, Region, Zone, NoWait, Timeout.Option, TakeOver, Yes
            };
        command.SetAction(async (line, stop) =>
        {
            var control = LabCommand.Control(line.GetValue(Yes));
            var mesh = Mesh(line, control.Client.Home);
            var requests = mesh is null ? Requests(line, control.State) : LabMesh.Requests(mesh);
            var settings = new LabUpSettings(requests, MustBeNew: false, mesh is null && !line.GetValue(NoWait), line.GetValue(GlobalOptions.Kubeconfig),
                MakeCurrent: true);
            await LabProgress.RunAsync(onStep => control.UpAsync(settings, onStep, stop));
            if (mesh is not null)
            {
                var limit = Timeout.Of(line);
                await Interruption.TellAsync(async () =>
                {
                    using var links = await MeshInput.OpenAsync(mesh, line.GetValue(GlobalOptions.Kubeconfig), stop);
                    return await MeshCommand.UpAsync(mesh, links, new(limit, TakesOver: line.GetValue(TakeOver)), _ => Task.FromResult(true), stop);
                },
                () =>
                    "The clusters keep running, with the mesh as far as it was set up. Run the command again to continue, or remove everything with 'isthmus "
                        + "lab down'.",
                Console.Error, stop);
                Console.WriteLine($"Mesh file: {mesh.Source}");
            }
            var extra = control.State.Clusters.Select(cluster => cluster.Name).Except(requests.Select(request => request.Name)).ToList();
            if (extra.Count > 0) Console.WriteLine($"Also running: {string.Join(", ", extra)}.");
            Console.WriteLine(
                $"Contexts: {string.Join(", ", control.State.Clusters.Select(cluster => cluster.Context))}. Remove everything with: isthmus lab down");
            return 0;
        });
        return command;
    }

    /// <summary>Null: bare clusters.</summary>
    private static MeshSpec? Mesh(ParseResult line, LabHome home)
    {
        if (line.GetValue(Topology) is not { Length: > 0 } topology)
        {
            foreach (var option in (Option[])[Timeout.Option, TakeOver])
            {
                if (line.GetResult(option) is { Implicit: false })
                    throw new WrongUseException(option.Name, "requires --topology", "add --topology, or omit this flag");
            }
            return null;
        }
        foreach (var option in (Option[])[Network, Flat, Region, Zone])
        {
            if (line.GetResult(option) is { Implicit: false })
                throw new WrongUseException(option.Name, "cannot be combined with --topology", "omit it, or use a mesh file that sets it");
        }
        if (!topology.Contains('/', StringComparison.Ordinal) && !topology.EndsWith(".yaml", StringComparison.Ordinal)
            && !topology.EndsWith(".yml", StringComparison.Ordinal))
            return LabMesh.Write(home, Topologies.Write(topology, line.GetValue(Clusters) ?? 2));
        return line.GetValue(Clusters) is null ? MeshInput.Read(topology)
            : throw new WrongUseException(Clusters.Name, $"cannot be combined with the mesh file {topology}, which lists its clusters", "omit it");
    }

    private static ValueList<ClusterRequest> Requests(ParseResult line, LabState earlier)
    {
        var count = line.GetValue(Clusters);
        if (count is < 1 or > ClusterSettings.MaxClusters)
        {
            throw new WrongUseException("--clusters", $"{count} is not between 1 and {ClusterSettings.MaxClusters}", "use a number in that range");
        }
        List<string> names = count is null && !earlier.Clusters.IsEmpty
            ? [.. earlier.Clusters.Select(cluster => cluster.Name)]
            : [.. Enumerable.Range(1, count ?? 2).Select(number => string.Create(CultureInfo.InvariantCulture, $"cluster{number}"))];
        if (line.GetValue(Flat) && line.GetValue(Network) is { Length: > 0 })
            throw new WrongUseException("--flat", "cannot be combined with --network", "use one of them");
        var networks = Pairs(Network);
        var regions = Pairs(Region);
        var zones = Pairs(Zone);
        return names.Select(name => new ClusterRequest(
            name, "", line.GetValue(Flat) ? "flat" : networks.GetValueOrDefault(name, ""), regions.GetValueOrDefault(name, ""),
            zones.GetValueOrDefault(name, "")))
            .ToValueList();

        Dictionary<string, string> Pairs(Option<string[]> option)
        {
            var pairs = LabCommand.Pairs(line.GetValue(option) ?? [], option.Name);
            if (pairs.Keys.Except(names).FirstOrDefault() is { } unknown)
            {
                throw new WrongUseException(option.Name, $"names '{unknown}', which is not one of {string.Join(", ", names)}",
                    "raise --clusters or correct the name");
            }
            return pairs;
        }
    }
}
