using System.CommandLine;
using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Lab.Network;
using Isthmus.Lab.Supervisor;

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

    internal static Command Build()
    {
        var command = new Command("up", "Start clusters, or those that are missing, and wait until they can be used.") { Clusters, Network, Flat, Region, Zone, NoWait, Yes };
        command.SetAction(async (line, stop) =>
        {
            var control = LabCommand.Control(line.GetValue(Yes));
            var requests = Requests(line, control.State);
            var settings = new LabUpSettings(requests, MustBeNew: false, !line.GetValue(NoWait), line.GetValue(GlobalOptions.Kubeconfig), MakeCurrent: true);
            await LabProgress.RunAsync(onStep => control.UpAsync(settings, onStep, stop));
            var extra = control.State.Clusters.Select(cluster => cluster.Name).Except(requests.Select(request => request.Name)).ToList();
            if (extra.Count > 0) Console.WriteLine($"Also running: {string.Join(", ", extra)}.");
            Console.WriteLine($"Contexts: {string.Join(", ", control.State.Clusters.Select(cluster => cluster.Context))}. Remove everything with: isthmus lab down");
            return 0;
        });
        return command;
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
