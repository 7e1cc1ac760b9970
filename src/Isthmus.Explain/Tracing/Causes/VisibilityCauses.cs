using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Pod = Isthmus.Kubernetes.Objects.Pod;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why a host that exists is not visible to the caller: exportTo, a Sidecar, or clusters that are joined only by
/// names.</summary>
internal sealed class VisibilityCauses(TraceFacts facts, CallerConfig config)
{
    /// <summary>Why a host is hidden from the caller on purpose.</summary>
    /// <param name="port">The port that is called.</param>
    public Problem? Hidden(MeshHost host, int port)
    {
        if (Undiscovered(host) is { } undiscovered) return undiscovered;
        // Either alone hides the host, so that one remedy of two would not help.
        return (Unexported(host), Unlisted(host, port)) switch
        {
            ({ } one, { } other) => one with
            {
                Message = $"{one.Message}; nor does {other.Object} list it ({other.Path})", Remedy = $"{one.Remedy}; and in {other.Object}: {other.Remedy}",
            },
            var (one, other) => one ?? other,
        };
    }

    /// <summary>What defines the host is not exported to the namespace of the caller; null when it is.</summary>
    private Problem? Unexported(MeshHost host)
    {
        var ns = facts.Client.Namespace;
        foreach (var service in host.Services)
        {
            var told = service.Service.Metadata.Annotations.GetValueOrDefault(Annotations.ExportTo);
            if (told is null && OfMesh(facts.Settings.Mesh.DefaultServiceExportTo, "Service", host.Namespace, service.Name,
                    $"kubectl --context={service.Cluster.Context} -n {host.Namespace} annotate service {host.Name} "
                        + $"{Annotations.ExportTo}='*'") is { } byDefault)
                return byDefault;
            if (told is null) continue;
            var to = told.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).ToValueList();
            if (Visibility.Allows(to, host.Namespace, ns)) continue;
            return Faults.Of("ISM2012", service.Name, $"metadata.annotations[{Annotations.ExportTo}]",
                $"is exported to {told} only, and the caller is in namespace {ns}", $"add {ns} to the annotation, or remove it");
        }
        foreach (var entry in host.Entries)
        {
            var name = $"ServiceEntry {entry.Namespace}/{entry.Name} in {config.At.Context}";
            if (entry.ExportTo.IsEmpty && OfMesh(facts.Settings.Mesh.DefaultServiceExportTo, "Service", entry.Namespace, name,
                    $"set exportTo: ['*'] in {name}") is { } byDefault)
                return byDefault;
            if (!Visibility.Allows(entry.ExportTo, entry.Namespace, ns))
                return Faults.Of("ISM2012", name, "spec.exportTo",
                    $"is exported to {string.Join(", ", entry.ExportTo)} only, and the caller is in namespace {ns}", $"add {ns} to it");
        }
        return null;
    }

    /// <summary>The Sidecar of the caller does not list the host, or not for the port; null when it does, or there is none.</summary>
    private Problem? Unlisted(MeshHost host, int port)
    {
        if (config.Sidecar() is not { Egress.IsEmpty: false } sidecar) return null;
        var ns = facts.Client.Namespace;
        var own = sidecar.Namespace == facts.RootNamespace ? ns : sidecar.Namespace;
        var listing = sidecar.Egress.Where(egress => egress.Hosts.Any(entry => Selects(entry, own, host))).ToList();
        if (listing.Exists(egress => egress.Port == 0 || egress.Port == port)) return null;
        if (listing is [var narrow, ..])
        {
            return Faults.Of("ISM2013", $"Sidecar {sidecar.Namespace}/{sidecar.Name} in {config.At.Context}",
                $"spec.egress[{sidecar.Egress.ToList().IndexOf(narrow)}].port",
                $"lists {host.Fqdn} for port {string.Join(", ", listing.Select(egress => egress.Port))} only, and the call is for port {port}",
                $"set its number to {port}, or list {host.Namespace}/{host.Fqdn} in the last listener, the one without a port");
        }
        return Faults.Of("ISM2013", $"Sidecar {sidecar.Namespace}/{sidecar.Name} in {config.At.Context}", "spec.egress[*].hosts",
            $"does not list {host.Fqdn}: its proxies see only {string.Join(", ", sidecar.Egress.SelectMany(egress => egress.Hosts))}",
            $"add {host.Namespace}/{host.Fqdn} to its hosts");
    }

    /// <summary>An object without exportTo that the caller does not get because of what MeshConfig says for all such; null when
    /// it does.</summary>
    /// <param name="allowed">What MeshConfig says.</param>
    /// <param name="kind">As the field of MeshConfig names it.</param>
    /// <param name="alone">What exports this object alone.</param>
    /// <param name="code">Whose absence is told.</param>
    public Problem? OfMesh(ValueList<string> allowed, string kind, string ns, string name, string alone, string code = "ISM2012") =>
        Visibility.Allows(allowed, ns, facts.Client.Namespace) ? null
        : Faults.Of(code, facts.MeshConfigOf(facts.Home), TraceFacts.MeshField($"default{kind}ExportTo"),
            $"is {string.Join(", ", allowed)}, so that {name} is not exported to namespace {facts.Client.Namespace}, in which the caller is",
            $"{alone}; or remove default{kind}ExportTo");

    /// <summary>The control plane of the caller leaves out the namespace of the host; null when it does not.</summary>
    private Problem? Undiscovered(MeshHost host)
    {
        var mesh = facts.Settings.Mesh;
        if (mesh.DiscoverySelectors.IsEmpty || host.Services.Count == 0 || host.Namespace == facts.RootNamespace
            || host.Services.Any(service => mesh.DiscoverySelectors.Any(selector => selector.Matches(service.Cluster.LabelsOf(host.Namespace).ToValueMap()))))
            return null;
        return Faults.Of("ISM2105", facts.MeshConfigOf(facts.Home), TraceFacts.MeshField("discoverySelectors"),
            $"selects no label of namespace {host.Namespace}, so the mesh does not know {host.Fqdn}",
            ToDiscover(mesh, host.Services[0].Cluster, host.Namespace));
    }

    /// <summary>How the control plane of the caller gets to know a namespace: by the labels of a selector, best of one that matches the namespace in another
    /// cluster.</summary>
    private string ToDiscover(MeshConfig mesh, ClusterObjects cluster, string ns) =>
        mesh.DiscoverySelectors.Where(selector => selector.Expressions.IsEmpty && selector.Labels.Count > 0)
            .OrderByDescending(selector => facts.Clusters.Any(other => selector.Matches(other.LabelsOf(ns).ToValueMap()))).FirstOrDefault() is { } plain
            ? $"kubectl --context={cluster.Context} label namespace {ns} "
                + $"{string.Join(' ', plain.Labels.Select(label => $"{label.Key}={label.Value}"))} --overwrite; or add a selector"
            : "label the namespace so that a selector matches it, or add a selector";

    /// <summary>How the caller's proxy gets to know a host outside: its Sidecar may list only some namespaces.</summary>
    public string ToDeclare(string host)
    {
        List<string> listed = config.Sidecar() is not { Egress.IsEmpty: false } sidecar ? ["*"]
            : [.. sidecar.Egress.SelectMany(egress => egress.Hosts)
                .Where(entry => Hosts.Covers(entry[(entry.IndexOf('/', StringComparison.Ordinal) + 1)..], host))
                .Select(entry => entry[..Math.Max(0, entry.IndexOf('/', StringComparison.Ordinal))]).Where(ns => ns != "~").Distinct()];
        return listed.Exists(ns => ns is "*" or "." or "" || ns == facts.Client.Namespace) ? $"add a ServiceEntry for {host}"
            : listed is [var first, ..] ? $"add a ServiceEntry for {host} in namespace {first}, which the Sidecar lists"
            : $"add a ServiceEntry for {host}, and its host to egress.hosts of the Sidecar";
    }

    /// <summary>The control plane of the caller leaves out the namespace in one of the host's clusters; null when it does not.</summary>
    public Problem? LeftOut(ServiceInCluster service) => LeftOut(service, facts.Settings.Mesh, config.At);

    /// <summary>The gateway of a cluster does not know a Service that it has: the control plane leaves out the namespace, or does not export the Service to
    /// that of the gateway. Null for others.</summary>
    /// <param name="gateway">A Pod of the gateway that other networks call.</param>
    public Problem? HiddenFrom(ClusterObjects cluster, Pod gateway, ServiceInCluster service)
    {
        if (!facts.KnowsSettingsOf(cluster)) return null;
        var (mesh, at, own) = (facts.SettingsOf(cluster).Mesh, facts.ConfigOf(cluster), gateway.Metadata.Namespace);
        if (LeftOut(service, mesh, at) is { } left) return left;
        var ns = service.Service.Metadata.Namespace;
        // The Service of the cluster that has the objects of the mesh decides.
        var decides = at.Service(ns, service.Service.Metadata.Name) is { } there ? new ServiceInCluster(at, there) : service;
        var told = decides.Service.Metadata.Annotations.GetValueOrDefault(Annotations.ExportTo);
        var to = told?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).ToValueList() ?? mesh.DefaultServiceExportTo;
        if (Visibility.Allows(to, ns, own)) return null;
        var hidden = $"and the gateway that other networks call, {PodRef.Of(cluster, gateway)}, is in namespace {own}: it passes no calls on to it";
        var export = $"kubectl --context={decides.Cluster.Context} -n {ns} annotate service {service.Service.Metadata.Name} {Annotations.ExportTo}=";
        return told is not null
            ? Faults.Of("ISM2012", decides.Name, $"metadata.annotations[{Annotations.ExportTo}]", $"is exported to {told} only, {hidden}",
                $"{export}{told},{own} --overwrite; or remove the annotation")
            : Faults.Of("ISM2012", facts.MeshConfigOf(cluster), TraceFacts.MeshField("defaultServiceExportTo"),
                $"is {string.Join(", ", to)}, so that {decides.Name} is exported to that only, {hidden}",
                $"{export}{ns},{own}; or remove defaultServiceExportTo");
    }

    private Problem? LeftOut(ServiceInCluster service, MeshConfig mesh, ClusterObjects at)
    {
        var ns = service.Service.Metadata.Namespace;
        bool IsSelected(ClusterObjects cluster) => mesh.DiscoverySelectors.Any(selector => selector.Matches(cluster.LabelsOf(ns).ToValueMap()));
        if (mesh.DiscoverySelectors.IsEmpty || ns == facts.RootNamespace || IsSelected(service.Cluster)) return null;
        var model = facts.Clusters.FirstOrDefault(IsSelected);
        return Faults.Of("ISM2105", $"Namespace {ns} in {service.Cluster.Context}", "metadata.labels",
            $"are matched by no entry of discoverySelectors in {facts.MeshConfigOf(at)}, so the mesh does not know its Services and Pods"
                + (model is null ? "" : $"; in {model.Context}, those of the namespace are"),
            ToDiscover(mesh, service.Cluster, ns));
    }

    private static bool Selects(string entry, string own, MeshHost host)
    {
        var slash = entry.IndexOf('/', StringComparison.Ordinal);
        var ns = entry[..Math.Max(0, slash)];
        if (ns == "~" || (ns is not ("*" or "") && (ns == "." ? own : ns) != host.Namespace)) return false;
        return Hosts.Covers(entry[(slash + 1)..], host.Fqdn);
    }

    /// <summary>The mesh keeps the host to each cluster, and only others have ready Pods of it.</summary>
    public Problem? ClusterLocal(MeshHost host, IReadOnlyList<ServiceInCluster> ready) =>
        !ServiceAgreement.IsClusterLocal(host.Fqdn, facts.Settings.Mesh) ? null
        : Faults.Of("ISM2100", facts.MeshConfigOf(facts.Home), TraceFacts.MeshField("serviceSettings[*].settings.clusterLocal"),
            $"keeps {host.Fqdn} local to each cluster, and its only ready Pods are in {string.Join(" and ", ready.Select(service => service.Cluster.Context))}",
            $"run the workload in {facts.Home.Context} as well, or take the host out of serviceSettings (for a system namespace, which is local by "
                + $"default: add clusterLocal: false for it)");

    /// <summary>Clusters that are joined by names call each other's services only by those names.</summary>
    public Problem? OnlyByName(MeshHost host, int port) =>
        config.At.IsJoinedByNames
            && host.Services.FirstOrDefault(service => service.Cluster != facts.Home && service.Cluster.IsJoinedByNames
                && ServicePods.Ready(service, port).Any()) is { } far
            && facts.Host($"{host.Name}.{host.Namespace}.global") is var entry
        ? Faults.Of("ISM2016", far.Name, "",
            $"has Pods in {far.Cluster.Context} only, and these clusters are joined by names: from {facts.Home.Context}, call it as "
                + $"{host.Name}.{host.Namespace}.global",
            entry is null
                ? $"isthmus global export {host.Namespace}/{host.Name} --context={far.Cluster.Context}; then call {host.Name}.{host.Namespace}.global"
                : $"call {host.Name}.{host.Namespace}.global")
        : null;

    /// <summary>A name in the zone <c>global</c> without a ServiceEntry in the caller's cluster, though a cluster has the
    /// Service.</summary>
    public Problem? NoGlobalEntry() =>
        facts.Target.Host.Split('.') is [var name, var ns, "global"] && facts.Host($"{name}.{ns}") is { Services: [.., var service] }
        ? Faults.Of("ISM2017", $"host {facts.Target.Host}", "",
            $"no ServiceEntry in {config.At.Context} has this name, so its proxies have no route to {service.Name}",
            $"isthmus global export {ns}/{name} --context={service.Cluster.Context}")
        : null;
}
