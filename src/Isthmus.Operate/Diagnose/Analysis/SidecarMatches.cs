using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Hosts that Sidecars let proxies see, and ports that they declare, that do not exist. Pure.</summary>
public static class SidecarMatches
{
    public static Analyzer Analyzer
    {
        get;
    } = new("sidecar.MatchAnalyzer", "Checks that the hosts and ports of Sidecars match something", [OwnCodes.SidecarMatchesNothing],
        ["Sidecar", "Service", "Pod", "VirtualService"], mesh =>
        from config in mesh.Clusters
        from sidecar in config.Cluster.Istio<Sidecar>()
        from finding in Egress(mesh, config, sidecar).Concat(Ingress(config, sidecar))
        select finding);

    private static IEnumerable<Finding> Egress(MeshSnapshot mesh, ConfigCluster config, Sidecar sidecar) =>
        from egress in sidecar.Egress.Index()
        from host in egress.Item.Hosts.Index()
        where !host.Item.StartsWith('~')
        let wanted = Wanted.Of(host.Item, sidecar, config)
        let found = wanted.Find(mesh)
        let path = $"spec.egress[{egress.Index}].hosts[{host.Index}]"
        let wrong = !found.Any() ? wanted.WhyNothing(mesh)
            : egress.Item.Port != 0 && !found.Any(known => known.Ports.Contains(egress.Item.Port))
            ? ($"no host that matches \"{host.Item}\" has port {egress.Item.Port}, so the listener has no hosts of it",
                $"correct spec.egress[{egress.Index}].port.number, or leave spec.egress[{egress.Index}].port out: then the hosts count at each of their ports")
            : ((string Message, string Remedy)?)null
        // Clusters that were not read may have them.
        where wrong is not null && mesh.ReadsAll
        select OwnCodes.SidecarMatchesNothing.At(config.Cluster, $"Sidecar {sidecar.Namespace}/{sidecar.Name}", path, wrong.Value.Message,
            wrong.Value.Remedy);

    private static IEnumerable<Finding> Ingress(ConfigCluster config, Sidecar sidecar) =>
        from ingress in sidecar.Ingress.Index()
        let mistaken = WorkloadPorts.MistakenFor(config, sidecar.Namespace, sidecar.Selector, ingress.Item.Port)
        where mistaken is not null
        select OwnCodes.SidecarMatchesNothing.At(config.Cluster, $"Sidecar {sidecar.Namespace}/{sidecar.Name}", $"spec.ingress[{ingress.Index}].port.number",
            $"port {ingress.Item.Port} is that of Service {mistaken.Value.Service}, which leads to port {mistaken.Value.To} of the workloads: nothing calls "
                + "the listener",
            $"write {mistaken.Value.To} instead of {ingress.Item.Port}");

    /// <summary>A host as an egress listener names it.</summary>
    /// <param name="Namespace">Empty: every one.</param>
    /// <param name="Viewer">Whose proxies see the host; null: those of all namespaces.</param>
    private sealed record Wanted(string Namespace, string Host, string? Viewer)
    {
        internal static Wanted Of(string text, Sidecar sidecar, ConfigCluster config)
        {
            var slash = text.IndexOf('/', StringComparison.Ordinal);
            var isForAll = sidecar.Namespace == config.Cluster.RootNamespace && sidecar.Selector.Count == 0;
            var ns = text[..Math.Max(0, slash)];
            return new(ns is "*" || (ns is "." && isForAll) ? "" : ns is "." ? sidecar.Namespace : ns, text[(slash + 1)..],
                isForAll ? null : sidecar.Namespace);
        }

        /// <summary>What it matches, looked up as far as it is asked for.</summary>
        internal IEnumerable<KnownHost> Find(MeshSnapshot mesh) =>
            mesh.Hosts.FindIn(Namespace, Host).Where(known => Viewer is null || known.IsVisibleTo(Viewer));

        /// <summary>Why it matches nothing, and what helps; null: that is by intent.</summary>
        internal (string Message, string Remedy)? WhyNothing(MeshSnapshot mesh)
        {
            if (Host == "*" && (Namespace.Length == 0 || Namespace == Viewer || mesh.Readable.Any(cluster => MeshSnapshot.IsSystem(cluster, Namespace))))
                return null;
            // Routes alone can make a host.
            if (mesh.Routed.Meet(Host)) return null;
            const string Nothing = "matches nothing, so proxies see no more by it";
            if (mesh.Hosts.FindIn(Namespace, Host).FirstOrDefault() is { } hidden)
                return ($"{Nothing}: {NameOf(hidden)} is not exported to namespace {Viewer}", $"export it to namespace {Viewer}, or remove the host");
            if (Host == "*")
                return ($"{Nothing}: namespace {Namespace} has no Services and no ServiceEntries", "correct the namespace, or remove the host");
            if (mesh.Hosts.FindIn("", Host).FirstOrDefault() is { } elsewhere)
                return ($"{Nothing}: {Host} is in namespace {elsewhere.Namespace}, not in {Namespace}", $"write {elsewhere.Namespace}/{Host}");
            return ($"{Nothing}: no cluster has {Host} as a Service or ServiceEntry",
                Meant(mesh) is { } meant ? $"write {meant}" : "correct the host, or remove it");
        }

        /// <summary>The host in full, where the first part of its name is that of a Service.</summary>
        private string? Meant(MeshSnapshot mesh)
        {
            var services = mesh.Readable.SelectMany(cluster => cluster.Services)
                .Where(service => Namespace.Length == 0 || service.Metadata.Namespace == Namespace).ToList();
            var first = Host.Split('.')[0];
            var name = services.Exists(service => service.Metadata.Name == first) ? first
                : Spelling.Nearest(first, services.Select(service => service.Metadata.Name));
            return services.Find(service => service.Metadata.Name == name) is { } meant ? $"{meant.Metadata.Namespace}/{HostTable.NameOf(meant)}" : null;
        }

        private static string NameOf(KnownHost known) => known.Service is { } service ? $"Service {service.Key}"
            : $"ServiceEntry {known.Entry!.Namespace}/{known.Entry.Name}";
    }
}
