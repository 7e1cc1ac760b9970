using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>Finds the object behind what goes wrong at a hop: from the proxies' configuration back to what people wrote.</summary>
internal sealed partial class Causes(TraceFacts facts)
{
    public const string NoSuchPort = "ISM2030";

    public HashSet<string> WantedNamespaces { get; } = new(StringComparer.Ordinal);

    public HashSet<string> WantedWatches { get; } = new(StringComparer.Ordinal);

    /// <summary>The cluster whose objects of Istio hold for the caller: its own, or its primary's.</summary>
    private ClusterObjects Config => facts.ConfigOf(facts.Home);

    /// <summary>An object of Istio, with the cluster that it is in.</summary>
    /// <param name="name">As <c>namespace/name</c>; when it is empty, what stands in for the object is named.</param>
    public string Named(string kind, string name, string otherwise) => name.Length > 0 ? $"{kind} {name} in {Config.Context}" : otherwise;

    public void NeedPods(string ns)
    {
        if (facts.Clusters.Any(cluster => cluster.Error.Length == 0 && !cluster.PodNamespaces.Contains(ns))) WantedNamespaces.Add(ns);
    }

    /// <summary>Why a name has no address.</summary>
    public Problem NoAddress(MeshHost? host, ProxyView? sidecar)
    {
        if (host is null) return NoGlobalEntry() ?? NoSuchHost($"host {facts.Target.Host}", "", facts.Target.Host, "no Service or ServiceEntry of these clusters has it, and the cluster's DNS does not know it");
        if (Hidden(host) is { } hidden) return hidden;
        if (host.In(facts.Home) is null && host.Services.Count > 0)
        {
            NeedPods(host.Namespace);
            if (OnlyByName(host, host.Services[0].Service.Spec.Ports.FirstOrDefault()?.Port ?? 0) is { } foreign) return foreign;
            if (Unwatched(host.Services) is { } unwatched) return unwatched;
            if (sidecar is null || sidecar.CapturesDns == false)
            {
                return Faults.Of("ISM2011", $"Service {host.Namespace}/{host.Name}", "", $"does not exist in {facts.Home.Context}, only in {Contexts(host)}, and the caller's names are answered by the cluster's DNS, which knows only its own",
                    sidecar is null ? $"create the Service in {facts.Home.Context}, too (without Pods)" : $"create the Service in {facts.Home.Context}, too (without Pods), or set ISTIO_META_DNS_CAPTURE: \"true\" in meshConfig.defaultConfig.proxyMetadata");
            }
        }
        if (host.In(facts.Home) is { Service.Spec.ClusterIP: "None" } headless) return NoEndpoints(host, headless.Service.Spec.Ports.FirstOrDefault()?.Port ?? 0, "", "");
        return NotTold(host);
    }

    /// <summary>Why the caller's proxy knows no service at an address; null when there is nothing wrong with that.</summary>
    public Problem? Unrouted(MeshHost? host, int port, IPEndPoint destination)
    {
        if (host is null) return NoGlobalEntry();
        if (host.Services.Count > 0 && host.Services.All(service => service.Port(port) is null))
        {
            var service = host.Services[0];
            return Faults.Of(NoSuchPort, service.Name, "spec.ports", $"has no port {port}: it has {Ports(service.Service)}", $"call one of its ports, or add port {port} to it");
        }
        if (host.Services.Count == 0 && host.Entries.All(entry => entry.Ports.All(candidate => candidate.Number != port)))
        {
            return Faults.Of(NoSuchPort, $"ServiceEntry {host.Entries[0].Namespace}/{host.Entries[0].Name}", "spec.ports", $"has no port {port}: it has {string.Join(", ", host.Entries.SelectMany(entry => entry.Ports).Select(candidate => candidate.Number).Distinct())}",
                $"call one of its ports, or add port {port} to it");
        }
        if (Hidden(host) is { } hidden) return hidden;
        // The proxy knows it, but not for what was said on the connection: then it passes as it is, as it should.
        if (facts.Proxies.GetValueOrDefault(facts.Client) is not { } view || view.Snapshot.Clusters.ContainsKey(ResourceNames.Outbound(port, "", host.Fqdn))) return null;
        return host.In(facts.Home) is null && Unwatched(host.Services) is { } unwatched ? unwatched : NotTold(host);
    }

    /// <summary>Why a route leads to a destination that the proxy does not have.</summary>
    /// <param name="rule">The VirtualService, as <c>namespace/name</c>; empty when none routes.</param>
    public Problem MissingCluster(string cluster, string rule)
    {
        var owner = Named("VirtualService", rule, facts.Client.ToString());
        if (!ResourceNames.TryParseOutbound(cluster, out var port, out var subset, out var fqdn, out _))
            return Faults.Of("ISM2031", owner, "", $"leads to {cluster}, which the proxy does not have", "isthmus proxy-config clusters shows those it has");
        if (facts.Host(fqdn) is not { } host) return NoSuchHost(owner, RouteField(rule, fqdn, "", "host"), fqdn, $"routes to {fqdn}, and no Service or ServiceEntry has that name");
        if (host.Services.Count > 0 && host.Services.All(service => service.Port(port) is null))
            return Faults.Of(NoSuchPort, owner, RouteField(rule, fqdn, subset, "port.number"), $"routes to port {port} of {host.Services[0].Name}, which has {Ports(host.Services[0].Service)}", "name one of its ports");
        if (subset.Length > 0)
        {
            var rules = RulesFor(host).ToList();
            var known = rules.SelectMany(candidate => candidate.Subsets).Select(candidate => candidate.Name).Distinct().ToList();
            if (!known.Contains(subset))
            {
                return Faults.Of("ISM2032", owner, RouteField(rule, fqdn, subset, "subset"), rules.Count == 0
                    ? $"routes to subset {subset} of {host.Fqdn}, and no DestinationRule defines subsets of it"
                    : $"routes to subset {subset} of {host.Fqdn}, which DestinationRule {rules[0].Namespace}/{rules[0].Name} does not define: it has {(known.Count == 0 ? "none" : string.Join(", ", known))}",
                    rules.Count == 0 ? $"add a DestinationRule for {host.Fqdn} with subset {subset}" : $"name one of these subsets, or define {subset} in DestinationRule {rules[0].Namespace}/{rules[0].Name}");
            }
        }
        return Hidden(host) ?? Unwatched(host.Services) ?? NotTold(host);
    }

    /// <summary>Where in a VirtualService a destination stands.</summary>
    private string RouteField(string rule, string fqdn, string subset, string field)
    {
        var routes = Config.Istio<VirtualService>().FirstOrDefault(candidate => $"{candidate.Namespace}/{candidate.Name}" == rule)?.Http ?? [];
        for (var i = 0; i < routes.Count; i++)
        {
            for (var j = 0; j < routes[i].Destinations.Count; j++)
            {
                var destination = routes[i].Destinations[j].Destination;
                if (destination.Subset == subset && (destination.Host == fqdn || fqdn.StartsWith($"{destination.Host}.", StringComparison.Ordinal))) return $"spec.http[{i}].route[{j}].destination.{field}";
            }
        }
        return $"spec.http[*].route[*].destination.{field}";
    }

    /// <summary>What keeps a host from the caller by intention.</summary>
    private Problem? Hidden(MeshHost host)
    {
        var ns = facts.Client.Namespace;
        foreach (var service in host.Services)
        {
            var told = service.Service.Metadata.Annotations.GetValueOrDefault(Annotations.ExportTo);
            if (told is null) continue;
            var to = told.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).ToValueList();
            if (Visibility.Allows(to, host.Namespace, ns)) continue;
            return Faults.Of("ISM2012", service.Name, $"metadata.annotations[{Annotations.ExportTo}]", $"is shown to {told} only, and the caller is in namespace {ns}", $"add {ns} to the annotation, or take it away");
        }
        foreach (var entry in host.Entries)
        {
            if (!Visibility.Allows(entry.ExportTo, entry.Namespace, ns))
                return Faults.Of("ISM2012", $"ServiceEntry {entry.Namespace}/{entry.Name} in {Config.Context}", "spec.exportTo", $"is shown to {string.Join(", ", entry.ExportTo)} only, and the caller is in namespace {ns}", $"add {ns} to it");
        }
        if (SidecarFor() is not { Egress.IsEmpty: false } sidecar) return null;
        if (sidecar.Egress.Any(egress => egress.Hosts.Any(entry => Selects(entry, sidecar.Namespace == facts.RootNamespace ? ns : sidecar.Namespace, host)))) return null;
        return Faults.Of("ISM2013", $"Sidecar {sidecar.Namespace}/{sidecar.Name} in {Config.Context}", "spec.egress[*].hosts",
            $"does not list {host.Fqdn}: it lets its proxies see {string.Join(", ", sidecar.Egress.SelectMany(egress => egress.Hosts))} only", $"add {host.Namespace}/{host.Fqdn} to its hosts");
    }

    /// <summary>The control plane's choice: one that selects the Pod, the namespace's, the root namespace's; the oldest of each.</summary>
    private Sidecar? SidecarFor()
    {
        var labels = facts.ClientPod.Metadata.Labels.ToValueMap();
        var local = Config.Istio<Sidecar>().Where(sidecar => sidecar.Namespace == facts.Client.Namespace).OrderBy(sidecar => sidecar.CreatedAt).ThenBy(sidecar => sidecar.Source).ToList();
        return local.FirstOrDefault(sidecar => sidecar.Selector.Count > 0 && Selectors.Matches(sidecar.Selector, labels)) ?? local.FirstOrDefault(sidecar => sidecar.Selector.Count == 0)
            ?? Config.Istio<Sidecar>().Where(sidecar => sidecar.Namespace == facts.RootNamespace && sidecar.Selector.Count == 0).OrderBy(sidecar => sidecar.CreatedAt).FirstOrDefault();
    }

    private static bool Selects(string entry, string own, MeshHost host)
    {
        var slash = entry.IndexOf('/', StringComparison.Ordinal);
        var ns = entry[..Math.Max(0, slash)];
        if (ns == "~" || (ns is not ("*" or "") && (ns == "." ? own : ns) != host.Namespace)) return false;
        return Hosts.Covers(entry[(slash + 1)..], host.Fqdn);
    }

    private Problem NoSuchHost(string @object, string path, string wanted, string message)
    {
        var near = Nearest(wanted).ToList();
        return Faults.Of("ISM2010", @object, path, message, near.Count > 0 ? $"did you mean {string.Join(" or ", near)}?" : "create the Service, or a ServiceEntry for a host outside");
    }

    /// <summary>Services whose names are like it: the same in another namespace first, then those with few letters changed.</summary>
    private IEnumerable<string> Nearest(string wanted)
    {
        var parts = wanted.Split('.');
        var (name, ns) = (parts[0], parts.Length > 1 ? parts[1] : facts.Client.Namespace);
        return facts.Clusters.SelectMany(cluster => cluster.Services).Select(service => (service.Metadata.Name, service.Metadata.Namespace)).Distinct()
            .Select(service => (service, Distance: service.Name == name ? 0.5 : Spelling.Distance(service.Name, name) + (service.Namespace == ns ? 0 : 1)))
            .Where(candidate => candidate.Distance <= Math.Max(1, Math.Min(3, name.Length / 3)))
            .OrderBy(candidate => candidate.Distance).ThenBy(candidate => candidate.service.Name, StringComparer.Ordinal).Take(2).Select(candidate => $"{candidate.service.Name}.{candidate.service.Namespace}");
    }

    private IEnumerable<DestinationRule> RulesFor(MeshHost host) => RulesOf(Config, host);

    private IEnumerable<DestinationRule> RulesOf(ClusterObjects cluster, MeshHost host) => cluster.Istio<DestinationRule>().Where(rule =>
        Visibility.Allows(rule.ExportTo, rule.Namespace, facts.Client.Namespace)
        && (Hosts.Covers(rule.Host, host.Fqdn) || (!rule.Host.Contains('.', StringComparison.Ordinal) && $"{rule.Host}.{rule.Namespace}.svc.{WellKnown.DefaultDomainSuffix}" == host.Fqdn)));

    private static string Contexts(MeshHost host) => string.Join(" and ", host.Services.Select(service => service.Cluster.Context));

    private static string Ports(Kubernetes.Objects.Service service) => service.Spec.Ports.Count == 0 ? "none"
        : string.Join(", ", service.Spec.Ports.Select(port => port.Name.Length > 0 ? $"{port.Port} ({port.Name})" : $"{port.Port}"));
}
