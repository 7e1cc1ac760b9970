using System.Net;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Machine.Network;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Processes;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>No address is left, or the kernel rejected a namespace or link. It causes the Event FailedCreatePodSandBox and
/// a retry.</summary>
internal sealed class SandboxException(string message, Exception? cause = null) : Exception(message, cause);

/// <summary>The sandboxes of one node: creates them, finds those that an earlier node left, and removes them.</summary>
internal sealed class Sandboxes(NodeSettings settings, PodAddresses addresses, PodNetwork network, TimeProvider time)
{
    /// <summary>Reserves the addresses of Pods that an earlier node left. Call it before the first Pod.</summary>
    internal void KeepAddresses()
    {
        foreach (var record in Left()) addresses.Keep(IPAddress.Parse(record.Address));
    }

    /// <summary>The sandboxes on this node that still exist.</summary>
    internal IEnumerable<PodRecord> Left() =>
        from directory in Directory.Exists(settings.PodDirectories) ? Directory.GetDirectories(settings.PodDirectories) : []
        let record = StateFile.Read(RecordFile(directory), NodeJson.Default.PodRecord)
        where record is not null && Lives(record)
        select record;

    /// <summary>The sandbox that an earlier node left of this Pod; null when there is none, or when it did not
    /// survive.</summary>
    internal PodSandbox? TryReopen(string uid)
    {
        var file = RecordFile(settings.PodDirectory(uid));
        if (StateFile.Read(file, NodeJson.Default.PodRecord) is not { } record || !Lives(record)) return null;
        return new(record, record.HostNetwork ? null : NamespaceHandle.Open(NetworkPath(uid), NamespaceKinds.Network), file);
    }

    /// <exception cref="SandboxException">It cannot be created now.</exception>
    internal async Task<PodSandbox> CreateAsync(Pod pod, CancellationToken stop)
    {
        var uid = pod.Metadata.Uid;
        var isHost = pod.Spec.HostNetwork;
        var address = isHost ? settings.Address : addresses.Take() ?? throw new SandboxException($"no address is left in {settings.PodRange}");
        NamespaceHandle? handle = null;
        try
        {
            Directory.CreateDirectory(settings.PodDirectory(uid));
            if (!isHost)
            {
                Directory.CreateDirectory(NamespacePaths.Directory);
                NamespaceHandle.Unbind(NetworkPath(uid));
                handle = NamespaceHandle.CreateNetwork(NetworkPath(uid));
                await network.AttachAsync(handle, address, stop);
                ApplySysctls(handle, pod.Spec.SecurityContext?.Sysctls ?? []);
            }
            var record = new PodRecord(
                uid, pod.Metadata.Namespace, pod.Metadata.Name, address.ToString(), isHost, Boot(), time.GetUtcNow(), Initialized: false);
            var file = RecordFile(settings.PodDirectory(uid));
            StateFile.Write(file, record, NodeJson.Default.PodRecord);
            return new(record, handle, file);
        }
        catch (Exception e)
        {
            handle?.Dispose();
            if (!isHost) addresses.Release(address);
            if (e is IOException or UnauthorizedAccessException) throw new SandboxException(e.Message, e);
            throw;
        }
    }

    /// <summary>Removes the link, the namespace and the record, and releases the address.</summary>
    internal async Task RemoveAsync(PodRecord record, CancellationToken stop)
    {
        var address = IPAddress.Parse(record.Address);
        if (!record.HostNetwork)
        {
            await network.DetachAsync(address, stop);
            NamespaceHandle.Unbind(NetworkPath(record.Uid));
        }
        File.Delete(RecordFile(settings.PodDirectory(record.Uid)));
        // This is last: a repeated removal must not release an address that another Pod has taken meanwhile.
        if (!record.HostNetwork) addresses.Release(address);
    }

    private static string RecordFile(string directory) => Path.Combine(directory, "pod.json");

    private string NetworkPath(string uid) => NamespacePaths.Pod(settings.Cluster, uid);

    /// <summary>Whether its content is still valid: neither the lab nor the machine has stopped since.</summary>
    private bool Lives(PodRecord record) =>
        // A plain file of that name is a leftover of an ended lab: the namespace itself is gone.
        record.Boot == Boot() && (record.HostNetwork || Mounts.IsMountPoint(NetworkPath(record.Uid)));

    // Only those of the Pod's own network namespace: as root, the others would change the machine.
    private static void ApplySysctls(NamespaceHandle network, List<Sysctl> sysctls)
    {
        foreach (var sysctl in sysctls)
        {
            var key = sysctl.Name.Replace('.', '/');
            if (!key.StartsWith("net/ipv4/", StringComparison.Ordinal) && !key.StartsWith("net/ipv6/", StringComparison.Ordinal))
                throw new SandboxException($"sysctl {sysctl.Name} is not allowed: a Pod may set only net.ipv4 and net.ipv6");
            if (key.Split('/').Contains("..")) throw new SandboxException($"invalid sysctl name {sysctl.Name}");
            NamespaceThread.Run(network, () => File.WriteAllText($"/proc/sys/{key}", sysctl.Value));
        }
    }

    private static string Boot()
    {
        // The lab's namespaces end with the lab, so its first process is part of the period in which a record is valid.
        var first = ProcessIdentity.Of(1);
        return $"{first.Boot}/{first.StartTicks}";
    }
}
