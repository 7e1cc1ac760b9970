using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Images.Description;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Machine.Network;
using Isthmus.Lab.Nodes.Images;
using Isthmus.Lab.Nodes.Processes;
using Microsoft.Extensions.Logging;

namespace Isthmus.Lab.Nodes.Api;

/// <summary>Registers the Node and renews its Lease and its conditions.</summary>
internal sealed partial class NodeObject(KubeClient client, ClusterSettings cluster, NodeCapacity capacity, ImageCatalogue images, TimeProvider time,
    ILogger log)
{
    private const string LeaseNamespace = "kube-node-lease";
    private const int LeaseSeconds = 40, MostPods = 110;
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan StatusEvery = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(200);

    private DateTimeOffset _statusAt;
    private object? _images;

    internal async Task RunAsync(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                var wait = Heartbeat;
                try
                {
                    if (time.GetUtcNow() - _statusAt >= StatusEvery || _images != images.Version) await WriteNodeAsync(stop);
                    await RenewLeaseAsync(stop);
                }
                catch (Exception e) when (e is KubeException or HttpRequestException or IOException or ProblemException)
                {
                    HeartbeatFailed(e.Message);
                    wait = _statusAt == default ? Retry : TimeSpan.FromSeconds(1);
                }
                await Task.Delay(wait, time, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
    }

    private async Task WriteNodeAsync(CancellationToken stop)
    {
        var now = time.GetUtcNow();
        var version = images.Version;
        await client.ApplyAsync(Kinds.Node, Describe(), stop);
        await client.PatchAsync(Kinds.Node, null, cluster.NodeName, new JsonObject { ["status"] = Status(now) }, PatchType.Merge, stop, "status");
        if (_statusAt == default) Registered(cluster.NodeName);
        (_statusAt, _images) = (now, version);
    }

    private JsonObject Describe()
    {
        var labels = new JsonObject
        {
            ["kubernetes.io/hostname"] = cluster.NodeName,
            ["kubernetes.io/os"] = "linux",
            ["kubernetes.io/arch"] = ImagePlatform.Architecture,
            ["node-role.kubernetes.io/control-plane"] = "",
        };
        if (cluster.Region.Length > 0) labels["topology.kubernetes.io/region"] = cluster.Region;
        if (cluster.Zone.Length > 0) labels["topology.kubernetes.io/zone"] = cluster.Zone;
        return new()
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Node",
            ["metadata"] = new JsonObject
            {
                ["name"] = cluster.NodeName,
                ["labels"] = labels,
                ["annotations"] = new JsonObject
                {
                    ["lab.isthmus.internal/limits"] =
                        "cpu and memory limits are not enforced by cgroups; containers of our own images get them as limits of the .NET runtime",
                },
            },
            ["spec"] = new JsonObject { ["podCIDR"] = cluster.NodePodRange.ToString(), ["podCIDRs"] = new JsonArray(cluster.NodePodRange.ToString()) },
        };
    }

    private JsonObject Status(DateTimeOffset now)
    {
        var amounts = new JsonObject
        {
            ["cpu"] = capacity.Cpus.ToString(CultureInfo.InvariantCulture),
            ["memory"] = $"{capacity.MemoryBytes / 1024}Ki",
            ["pods"] = MostPods.ToString(CultureInfo.InvariantCulture),
        };
        return new()
        {
            ["addresses"] = new JsonArray(
                new JsonObject { ["type"] = "InternalIP", ["address"] = cluster.Address.ToString() },
                new JsonObject { ["type"] = "Hostname", ["address"] = cluster.NodeName }),
            ["capacity"] = amounts,
            ["allocatable"] = amounts.DeepClone(),
            ["conditions"] = new JsonArray(
                Condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available", now),
                Condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure", now),
                Condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available", now),
                Condition("Ready", "True", "KubeletReady", "kubelet is posting ready status", now)),
            ["nodeInfo"] = NodeInfo(),
            ["images"] = images.Describe(),
        };
    }

    private static JsonObject Condition(string type, string status, string reason, string message, DateTimeOffset now)
    {
        var text = ApiTime.Seconds(now);
        return new()
        {
            ["type"] = type,
            ["status"] = status,
            ["reason"] = reason,
            ["message"] = message,
            ["lastHeartbeatTime"] = text,
            ["lastTransitionTime"] = text,
        };
    }

    private static JsonObject NodeInfo() => new()
    {
        ["machineID"] = Read("/etc/machine-id"),
        ["systemUUID"] = Read("/etc/machine-id"),
        ["bootID"] = Read("/proc/sys/kernel/random/boot_id"),
        ["kernelVersion"] = Read("/proc/sys/kernel/osrelease"),
        ["osImage"] = OsImage(),
        ["containerRuntimeVersion"] = $"{WellKnown.OwnRuntime}{typeof(NodeObject).Assembly.GetName().Version!.ToString(3)}",
        ["kubeletVersion"] = KubernetesVersion.Tagged,
        ["kubeProxyVersion"] = KubernetesVersion.Tagged,
        ["operatingSystem"] = "linux",
        ["architecture"] = ImagePlatform.Architecture,
    };

    private static string OsImage() =>
        (File.Exists("/etc/os-release") ? File.ReadLines("/etc/os-release") : [])
            .FirstOrDefault(line => line.StartsWith("PRETTY_NAME=", StringComparison.Ordinal))?["PRETTY_NAME=".Length..].Trim('"') ?? "Linux";

    private static string Read(string path) => File.Exists(path) ? File.ReadAllText(path).Trim() : "";

    private async Task RenewLeaseAsync(CancellationToken stop)
    {
        var now = ApiTime.Micros(time.GetUtcNow());
        await client.ApplyAsync(Kinds.Lease, new JsonObject
        {
            ["apiVersion"] = "coordination.k8s.io/v1",
            ["kind"] = "Lease",
            ["metadata"] = new JsonObject { ["name"] = cluster.NodeName, ["namespace"] = LeaseNamespace },
            ["spec"] = new JsonObject { ["holderIdentity"] = cluster.NodeName, ["leaseDurationSeconds"] = LeaseSeconds, ["renewTime"] = now },
        }, stop);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "registered node {Node}")]
    private partial void Registered(string node);

    [LoggerMessage(Level = LogLevel.Warning, Message = "heartbeat failed: {Error}")]
    private partial void HeartbeatFailed(string error);
}
