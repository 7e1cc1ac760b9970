using System.CommandLine;
using Isthmus.Lab.Supervisor;

namespace Isthmus.Commands;

/// <summary><c>isthmus lab create cluster</c> and <c>isthmus lab delete cluster</c>.</summary>
internal static class LabClusterCommand
{
    internal static Command BuildCreate()
    {
        var name = new Option<string>("--name") { Description = "Name of the cluster and of its context", Required = true };
        var network = new Option<string>("--network") { Description = "Share the network of this name; without: a network of its own", DefaultValueFactory = _ => "" };
        var region = new Option<string>("--region") { Description = "Region of the node", DefaultValueFactory = _ => "" };
        var zone = new Option<string>("--zone") { Description = "Zone of the node", DefaultValueFactory = _ => "" };
        var noWait = new Option<bool>("--no-wait") { Description = "Return when the API server answers" };
        var yes = new Option<bool>("--yes", "-y") { Description = "Install what is missing without asking" };
        var cluster = new Command("cluster", "Create one more cluster.") { name, network, region, zone, noWait, yes };
        cluster.SetAction(async (line, stop) =>
        {
            var request = new ClusterRequest(line.GetValue(name)!, "", line.GetValue(network)!, line.GetValue(region)!, line.GetValue(zone)!);
            var settings = new LabUpSettings([request], MustBeNew: true, !line.GetValue(noWait), line.GetValue(GlobalOptions.Kubeconfig), MakeCurrent: true);
            await LabProgress.RunAsync(onStep => LabCommand.Control(line.GetValue(yes)).UpAsync(settings, onStep, stop));
            Console.WriteLine($"Context: {request.Name}");
            return 0;
        });
        return new Command("create", "Create one more cluster.") { cluster };
    }

    internal static Command BuildDelete()
    {
        var name = new Option<string>("--name") { Description = "Name of the cluster", Required = true };
        var cluster = new Command("cluster", "Delete a cluster, and the lab with the last one.") { name };
        cluster.SetAction(async (line, stop) =>
        {
            await LabCommand.Control(yes: true).DeleteClusterAsync(line.GetValue(name)!, stop);
            Console.WriteLine($"Cluster {line.GetValue(name)} is deleted.");
            return 0;
        });
        return new Command("delete", "Delete a cluster.") { cluster };
    }
}
