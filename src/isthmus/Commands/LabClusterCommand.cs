using System.CommandLine;
using System.Runtime.Versioning;
using Isthmus.Lab.Supervisor;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus lab create cluster</c> and <c>isthmus lab delete cluster</c>.</summary>
[SupportedOSPlatform("linux")]
internal static class LabClusterCommand
{
    internal static Command BuildCreate()
    {
        var name = new ClusterName("--name", "Name of the cluster and of its context");
        var network = new Option<string>("--network") { Description = "Network to join; by default, the cluster gets its own", DefaultValueFactory = _ => "" };
        var region = new Option<string>("--region") { Description = "Region of the node", DefaultValueFactory = _ => "" };
        var zone = new Option<string>("--zone") { Description = "Zone of the node", DefaultValueFactory = _ => "" };
        var noNode = new Option<bool>("--no-node") { Description = "Start only the API server and the controllers, for a kubelet that you run" };
        var noWait = new Option<bool>("--no-wait") { Description = "Return as soon as the API server responds" };
        var yes = ConfirmationOption.InstallMissing();
        var cluster = new Command("cluster", "Create a cluster.") { network, region, zone, noNode, noWait, yes };
        name.AddTo(cluster);
        cluster.SetAction(async (line, stop) =>
        {
            var request = new ClusterRequest(name.Of(line), "", line.GetValue(network)!, line.GetValue(region)!, line.GetValue(zone)!, line.GetValue(noNode));
            var settings = new LabUpSettings([request], MustBeNew: true, !line.GetValue(noWait), line.GetValue(GlobalOptions.Kubeconfig), MakeCurrent: true);
            var control = LabCommand.Control(line.GetValue(yes));
            await LabProgress.RunAsync(onStep => control.UpAsync(settings, onStep, stop));
            Console.WriteLine($"Context: {request.Name}");
            if (request.NoNode)
                Console.WriteLine(
                    $"Start a kubelet in the node's network with: isthmus lab shell --cluster {request.Name} -- kubelet "
                        + $"--kubeconfig={control.NodeKubeconfig(request.Name)} …");
            return 0;
        });
        return new Command("create", "Create a cluster.") { cluster };
    }

    internal static Command BuildDelete()
    {
        var name = new ClusterName("--name", "Name of the cluster");
        var cluster = new Command("cluster", "Delete a cluster. Deleting the last one removes the lab.");
        name.AddTo(cluster);
        cluster.SetAction(async (line, stop) =>
        {
            await LabCommand.Control(yes: true).DeleteClusterAsync(name.Of(line), stop);
            Console.WriteLine($"Cluster {name.Of(line)} is deleted.");
            return 0;
        });
        return new Command("delete", "Delete a cluster.") { cluster };
    }
}
