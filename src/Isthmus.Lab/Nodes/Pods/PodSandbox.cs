using System.Net;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Linux;
using Isthmus.Lab.Network;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Processes;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>No more addresses, or the kernel refused a namespace or link: event FailedCreatePodSandBox, tried again.</summary>
internal sealed class SandboxException(string message, Exception? cause = null) : Exception(message, cause);

/// <summary>The network namespace and address of one Pod.</summary>
internal sealed class PodSandbox : IDisposable
{
    private readonly string _path;

    private PodSandbox(PodRecord record, NamespaceHandle? network, string path)
    {
        Record = record;
        Network = network;
        _path = path;
    }

    internal PodRecord Record { get; private set; }

    /// <summary>Null for a Pod on the host's network.</summary>
    internal NamespaceHandle? Network { get; }

    /// <summary>Finds the one that an earlier node left, or makes one.</summary>
    internal static async Task<PodSandbox> EnsureAsync(Pod pod, NodeSettings settings, AddressPool pool, PodNetwork network, TimeProvider time, CancellationToken stop)
    {
        var directory = settings.PodDirectory(pod.Metadata.Uid);
        Directory.CreateDirectory(directory);
        var path = NamespacePaths.Pod(settings.Cluster, pod.Metadata.Uid);
        if (StateFile.Read(RecordFile(directory), NodeJson.Default.PodRecord) is { } record && TryReopen(record, path) is { } found) return found;
        return await CreateAsync(pod, settings, pool, network, directory, path, time, stop);
    }

    internal static string RecordFile(string directory) => Path.Combine(directory, "pod.json");

    internal void MarkInitialized(string directory)
    {
        if (Record.Initialized) return;
        Record = Record with { Initialized = true };
        StateFile.Write(RecordFile(directory), Record, NodeJson.Default.PodRecord);
    }

    /// <summary>Takes the link and the namespace away and gives the address back.</summary>
    internal static async Task RemoveAsync(PodRecord record, NodeSettings settings, AddressPool pool, PodNetwork network, CancellationToken stop)
    {
        if (record.HostNetwork) return;
        var address = IPAddress.Parse(record.Address);
        await network.DetachAsync(address, stop);
        NamespaceHandle.Unbind(NamespacePaths.Pod(settings.Cluster, record.Uid));
        pool.Release(address);
    }

    public void Dispose() => Network?.Dispose();

    /// <summary>What was done in it still holds: neither the lab nor the cluster's power was off since.</summary>
    internal static bool Lives(PodRecord record, string path) =>
        // A plain file of that name is what an ended lab left: the namespace itself is gone.
        record.Boot == Boot() && (record.HostNetwork || IsMountPoint(path));

    private static PodSandbox? TryReopen(PodRecord record, string path)
    {
        if (!Lives(record, path)) return null;
        return record.HostNetwork ? new(record, null, path) : new(record, NamespaceHandle.Open(path, NamespaceKinds.Network), path);
    }

    private static async Task<PodSandbox> CreateAsync(
        Pod pod, NodeSettings settings, AddressPool pool, PodNetwork network, string directory, string path, TimeProvider time, CancellationToken stop)
    {
        var isHost = pod.Spec.HostNetwork;
        var address = isHost ? settings.Address : pool.Take() ?? throw new SandboxException($"no address is left in {settings.PodRange}");
        NamespaceHandle? handle = null;
        try
        {
            if (!isHost)
            {
                Directory.CreateDirectory(NamespacePaths.Directory);
                NamespaceHandle.Unbind(path);
                handle = NamespaceHandle.CreateNetwork(path);
                await network.AttachAsync(handle, address, stop);
                ApplySysctls(handle, pod.Spec.SecurityContext?.Sysctls ?? []);
            }
            var record = new PodRecord(
                pod.Metadata.Uid, pod.Metadata.Namespace, pod.Metadata.Name, address.ToString(), isHost, Boot(), time.GetUtcNow(), Initialized: false);
            StateFile.Write(RecordFile(directory), record, NodeJson.Default.PodRecord);
            return new(record, handle, path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            handle?.Dispose();
            if (!isHost) pool.Release(address);
            throw new SandboxException(e.Message, e);
        }
    }

    // Only those of the Pod's own network namespace: as root the others would change the machine.
    private static void ApplySysctls(NamespaceHandle network, List<Sysctl> sysctls)
    {
        foreach (var sysctl in sysctls)
        {
            var key = sysctl.Name.Replace('.', '/');
            if (!key.StartsWith("net/ipv4/", StringComparison.Ordinal) && !key.StartsWith("net/ipv6/", StringComparison.Ordinal))
                throw new SandboxException($"sysctl {sysctl.Name} is refused: only net.ipv4 and net.ipv6 belong to a Pod");
            if (key.Split('/').Contains("..")) throw new SandboxException($"sysctl {sysctl.Name} is no name");
            NamespaceThread.Run(network, () => File.WriteAllText($"/proc/sys/{key}", sysctl.Value));
        }
    }

    private static bool IsMountPoint(string path) =>
        File.Exists(path) && File.ReadLines("/proc/self/mountinfo").Any(line => line.Split(' ', 6)[4] == path);

    private static string Boot()
    {
        // The lab's namespaces end with it: its first process is part of the time in which a record holds.
        var first = ProcessIdentity.Of(1);
        return $"{first.Boot}/{first.StartTicks}";
    }
}
