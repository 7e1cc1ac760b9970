using System.Text.RegularExpressions;
using Isthmus.Tests.Mesh.Faults;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>The faults of docs/faults.md that apply to a topology, and what callers notice meanwhile.</summary>
internal sealed class TopologyFaults(Topology topology, TopologyMesh mesh, LabRig lab, Random random)
{
    private const string System = "istio-system";
    private const string Gateway = "istio-eastwestgateway";

    private readonly FaultRig _rig = new(mesh, lab);

    internal IEnumerable<TopologyFault> All() =>
        [.. topology.Clusters.SelectMany(Cluster), .. topology.ControlPlanes.SelectMany(ControlPlane), .. topology.Gateways.SelectMany(GatewayOf),
            .. Partition(), .. Credentials(), .. MountedCredentials(), Restarts()];

    internal TopologyFault ControlPlaneKilled(ControlPlanePlace place) =>
        new($"control plane of {place} killed", _ => _rig.KillAsync(place.Cluster, place.Namespace, "istiod"));

    internal TopologyFault GatewayDrained(string cluster) => new($"gateway of {cluster} drained", _ => _rig.RestartAsync(cluster, System, Gateway));

    /// <summary>Waits until every caller with an API server gets answers from exactly these versions.</summary>
    internal async Task HeardAsync(SteadyLoad load, IEnumerable<string> callers, params string[] versions)
    {
        var since = load.Now;
        foreach (var cluster in callers) await load.UntilHeardAsync(cluster, since, versions);
    }

    private IEnumerable<TopologyFault> Cluster(string cluster)
    {
        var others = topology.Callers.Except([cluster]).ToList();
        yield return new($"API server of {cluster} away and back", async load =>
        {
            await _rig.LabAsync("stop", "apiserver", "--cluster", cluster);
            foreach (var place in topology.Watching(cluster)) await _rig.ServedFromAsync(place, cluster, "memory");
            // Clusters served from there need its control plane and not its API server, even for new Pods.
            foreach (var remote in topology.Primaries.Keys.Where(remote => remote != cluster
                && topology.Serving(remote).Any(place => place.Cluster == cluster)))
                await _rig.RestartAsync(remote, mesh.Calls.Namespace, topology.Answering.First(item => item.Cluster == remote).Version);
            await HeardAsync(load, others, topology.Versions);
            await _rig.LabAsync("start", "apiserver", "--cluster", cluster);
        })
        { WithoutApiServer = cluster };
        foreach (var place in topology.Watching(cluster))
        {
            yield return new($"API server of {cluster} away, control plane of {place} killed meanwhile", async load =>
            {
                await _rig.LabAsync("stop", "apiserver", "--cluster", cluster);
                await _rig.KillAsync(place.Cluster, place.Namespace, "istiod");
                await _rig.ServedFromAsync(place, cluster, "snapshot");
                await HeardAsync(load, others, topology.Versions);
                await _rig.LabAsync("start", "apiserver", "--cluster", cluster);
            })
            { WithoutApiServer = cluster };
        }
        yield return new($"{cluster} without power", async load =>
        {
            await _rig.LabAsync("stop", "cluster", "--cluster", cluster);
            if (others.Count > 0) await HeardAsync(load, others, topology.VersionsOutside(cluster));
            await _rig.LabAsync("start", "cluster", "--cluster", cluster);
        })
        { WithoutPower = cluster, Lost = 1 };
    }

    private IEnumerable<TopologyFault> ControlPlane(ControlPlanePlace place)
    {
        yield return ControlPlaneKilled(place);
        yield return new($"no control plane in {place} for a while", async load =>
        {
            await mesh.KubectlAsync(place.Cluster, $"-n {place.Namespace} scale deployment/istiod --replicas=0");
            await mesh.KubectlAsync(place.Cluster, $"-n {place.Namespace} wait --for=delete pod -l app=istiod --timeout=90s");
            foreach (var item in topology.Answering.Where(item => topology.Serving(item.Cluster).Contains(place)))
            {
                await mesh.KubectlAsync(item.Cluster, $"-n {mesh.Calls.Namespace} rollout restart deployment/{item.Version}");
                if (topology.Serving(item.Cluster).Length == 1) await RefusedAsync(item);
                else await RolledOutAsync(item);
            }
            await HeardAsync(load, topology.Callers, topology.Versions);
            await mesh.KubectlAsync(place.Cluster, $"-n {place.Namespace} scale deployment/istiod --replicas=1");
            foreach (var item in topology.Answering) await RolledOutAsync(item);
        });
    }

    private IEnumerable<TopologyFault> GatewayOf(string cluster)
    {
        yield return new($"gateway of {cluster} killed", _ => _rig.KillAsync(cluster, System, Gateway)) { Lost = topology.OneNetwork ? 0 : 1 };
        yield return GatewayDrained(cluster);
        yield return new($"gateway of {cluster} moved to another address", async load =>
        {
            var pool = (await lab.StatusAsync())["clusters"]!.AsArray().Single(item => item!["name"]!.ToString() == cluster)!["loadBalancerPool"]!.ToString();
            foreach (var address in (string[])[pool[..(pool.LastIndexOf('.') + 1)] + "77", ""])
            {
                await mesh.KubectlAsync(cluster, $"-n {System} patch service {Gateway} --type=merge -p {{\"spec\":{{\"loadBalancerIP\":\"{address}\"}}}}");
                // A remote got this address when it joined, and gets the next one in the same way.
                if (topology.Primaries.Values.Any(primaries => primaries.Any(place => place.Cluster == cluster))) await mesh.UpAgainAsync();
                await HeardAsync(load, topology.Callers, topology.Versions);
                if (address.Length > 0 && topology.CallersElsewhere(cluster).FirstOrDefault() is { } elsewhere) await _rig.KnownFromAsync(elsewhere, address);
            }
        })
        { Lost = topology.OneNetwork ? 0 : 1 };
    }

    /// <summary>One cluster is cut off from all others.</summary>
    private IEnumerable<TopologyFault> Partition()
    {
        var alone = topology.Clusters[random.Next(topology.Clusters.Length)];
        var rest = topology.Clusters.Except([alone]).ToArray();
        yield return new($"{alone} cut off from the others and joined again", async load =>
        {
            await _rig.CutAsync(alone, rest);
            foreach (var (side, others) in ((string[], string[])[])[([alone], rest), (rest, [alone])])
                await HeardAsync(load, topology.Callers.Intersect(side), topology.VersionsOutside(others));
            foreach (var cluster in rest)
                foreach (var place in topology.Watching(alone)) await _rig.ServedFromAsync(place, alone, "memory");
            await _rig.HealAsync(alone);
        })
        { Lost = 1 };
    }

    private IEnumerable<TopologyFault> Credentials()
    {
        foreach (var cluster in topology.Clusters)
        {
            foreach (var place in topology.Watching(cluster))
            {
                yield return new($"remote secret of {cluster} in {place} rotated", async load =>
                {
                    var before = await TokensAsync(cluster, System);
                    var yaml = (await lab.IsthmusAsync("create-remote-secret", $"--context={cluster}", $"--name={cluster}", "--rotate")).Expect(0);
                    await mesh.WithFileAsync(yaml, path => mesh.KubectlAsync(place.Cluster, $"apply -f {path}"));
                    await MeshRig.UntilAsync(() => mesh.KubectlAsync(place.Cluster, $"-n {place.Namespace} logs deploy/istiod --since=60s"),
                        text => Regex.IsMatch(text, $"Watching cluster {cluster} with the changed credentials"), "the control plane uses the new credentials");
                    // Other control planes may still use the earlier ones.
                    if (topology.Watching(cluster).Length == 1) foreach (var token in before) await mesh.KubectlAsync(cluster, $"-n {System} delete {token}");
                    await HeardAsync(load, topology.Callers, topology.Versions);
                });
            }
        }
    }

    /// <summary>A control plane that serves another cluster has a kubeconfig of that cluster, mounted from a
    /// Secret.</summary>
    private IEnumerable<TopologyFault> MountedCredentials() =>
        topology.Primaries.SelectMany(entry => entry.Value, (entry, place) => (Cluster: entry.Key, Place: place)).Where(pair => pair.Place.Namespace != System)
        .Select(pair => new TopologyFault($"kubeconfig of {pair.Cluster} in {pair.Place} rotated", async _ =>
        {
            var (cluster, place) = pair;
            var before = await TokensAsync(cluster, place.Namespace);
            var yaml = (await lab.IsthmusAsync("create-remote-secret", $"--context={cluster}", "--type=config", $"--namespace={place.Namespace}",
                "--service-account=istiod", "--create-service-account=false", "--rotate"))
                .Expect(0);
            await mesh.WithFileAsync(yaml, path => mesh.KubectlAsync(place.Cluster, $"apply -f {path}"));
            var token = Regex.Match(yaml, "token: (\\S+)").Groups[1].Value;
            await MeshRig.UntilAsync(() => mesh.KubectlAsync(place.Cluster, $"-n {place.Namespace} exec deploy/istiod -- cat /var/run/secrets/remote/config"),
                text => text.Contains(token, StringComparison.Ordinal), "the Pod has the new kubeconfig");
            foreach (var old in before) await mesh.KubectlAsync(cluster, $"-n {place.Namespace} delete {old}");
            // A new Pod needs a token review there.
            await _rig.RestartAsync(cluster, mesh.Calls.Namespace, topology.Answering.First(item => item.Cluster == cluster).Version);
        }));

    private TopologyFault Restarts() => new("everything restarted", async _ =>
    {
        (string Cluster, string Namespace, string Name)[] parts =
        [
            .. topology.ControlPlanes.Select(place => (place.Cluster, place.Namespace, "istiod")),
            .. topology.Gateways.Select(cluster => (cluster, System, Gateway)),
            .. topology.Answering.Select(item => (item.Cluster, mesh.Calls.Namespace, item.Version)),
        ];
        random.Shuffle(parts);
        foreach (var (cluster, ns, name) in parts) await _rig.RestartAsync(cluster, ns, name);
    });

    /// <summary>The new Pod cannot be created yet, and the cluster reports why.</summary>
    private Task RefusedAsync(Answering item) =>
        MeshRig.UntilAsync(() => mesh.KubectlAsync(item.Cluster, $"-n {mesh.Calls.Namespace} get events -o jsonpath={{.items[*].message}}"),
        text => text.Contains("failed calling webhook", StringComparison.Ordinal), $"an event in {item.Cluster} says that no injector answers");

    private Task RolledOutAsync(Answering item) =>
        mesh.KubectlAsync(item.Cluster, $"-n {mesh.Calls.Namespace} rollout status deployment/{item.Version} --timeout=120s");

    private async Task<string[]> TokensAsync(string cluster, string ns) =>
        (await mesh.KubectlAsync(cluster, $"-n {ns} get secrets --field-selector type=kubernetes.io/service-account-token -o name"))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
