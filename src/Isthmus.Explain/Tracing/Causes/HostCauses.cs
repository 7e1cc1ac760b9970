using System.Net;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose.Analysis;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>Why a name has no address, or a route has no destination.</summary>
internal sealed class HostCauses(TraceFacts facts, TraceNeeds needs, CallerConfig config, VisibilityCauses visibility, AvailabilityCauses availability,
    EndpointCauses endpoints, SubsetCauses subsets)
{
    private const string DnsNamespace = "kube-system";

    private readonly CallerCauses _callers = new(facts, config);

    /// <summary>The end of the names that the MCS API gives to Services.</summary>
    public const string SetZone = ".svc.clusterset.local";

    /// <summary>Why a name has no address.</summary>
    /// <param name="port">The port that is called.</param>
    public Problem NoAddress(MeshHost? host, int port, ProxyView? sidecar)
    {
        if (host?.In(facts.Home) is not { Service.Spec.ClusterIP: "None" } && DnsDown() is { } dns) return dns;
        if (PodNames.Of(facts, needs, host) is { } pod) return pod;
        if (host is null)
            return visibility.NoGlobalEntry() ?? Unexported() ?? _callers.EntryElsewhere(facts.Target.Host)
                ?? NoSuchHost($"host {facts.Target.Host}", "", facts.Target.Host,
                    "no Service or ServiceEntry in these clusters has this name, and neither does the cluster's DNS");
        if (visibility.Hidden(host, port) is { } hidden) return hidden;
        if (host.In(facts.Home) is { Service.Spec.ExternalName: { Length: > 0 } external } alias)
        {
            return Faults.Of("ISM2098", alias.Name, "spec.externalName",
                $"is {external}, which has no address: neither the mesh nor the DNS of {facts.Home.Context} knows it{Besides(host)}",
                facts.Host(external, host.Namespace) is { Services.Count: > 0 } meant
                    ? $"write the full name, which DNS does not complete here: {meant.Fqdn}"
                    : RealRemedy(host) + "correct externalName, or add a ServiceEntry with an address for it");
        }
        if (NamelessEntry(host, sidecar) is { } nameless) return nameless;
        if (host.In(facts.Home) is null && host.Services.Count > 0)
        {
            needs.NeedPods(host.Namespace);
            if (visibility.OnlyByName(host, host.Services[0].Service.Spec.Ports.FirstOrDefault()?.Port ?? 0) is { } foreign) return foreign;
            if (availability.Unwatched(host.Services) is { } unwatched) return unwatched;
            if (facts.UnreadableMap is { } unreadable) return unreadable;
            if (sidecar is null || sidecar.CapturesDns == false)
            {
                if (sidecar is not null && Uncaptured.Of(facts) is { } uncaptured)
                    return Faults.Of("ISM2011", uncaptured.Object, uncaptured.Field,
                        $"{uncaptured.Because}. So the caller's names are resolved by the cluster's DNS, which has only its own Services, and Service "
                            + $"{host.Namespace}/{host.Name} does not exist in {facts.Home.Context}, only in {Contexts(host)}",
                        $"{uncaptured.Remedy}; or create the Service in {facts.Home.Context} as well (without Pods)");
                return Faults.Of("ISM2011", $"Service {host.Namespace}/{host.Name}", "",
                    $"does not exist in {facts.Home.Context}{(facts.Home.LacksNamespace(host.Namespace) ? $", which has no namespace {host.Namespace}" : "")}, "
                        + $"only in {Contexts(host)}, and the caller's names are resolved by the cluster's DNS, which has only its own Services",
                    sidecar is null
                        // Without a proxy, nothing leads from the Service's address to Pods elsewhere.
                        ? $"give the caller a sidecar ({Sidecarless.Of(facts.Home, facts.ClientPod).Remedy}) and create the Service in "
                            + $"{facts.Home.Context} as well; or create it there with Pods of its own"
                        : $"create {(facts.Home.LacksNamespace(host.Namespace) ? $"namespace {host.Namespace} and " : "")}the Service in {facts.Home.Context} "
                            + $"as well (without Pods), or {Uncaptured.InMesh}");
            }
            if (visibility.ClusterLocal(host, host.Services) is { } local) return local;
        }
        if (host.In(facts.Home) is { Service.Spec.ClusterIP: "None" } headless)
            return endpoints.NoEndpoints(host, headless.Service.Spec.Ports.FirstOrDefault()?.Port ?? 0, "", "");
        return availability.NotTold(host);
    }

    /// <summary>The Service of another cluster with Pods, where that of the caller's cluster is an alias; null where there is none.</summary>
    private ServiceInCluster? Real(MeshHost host)
    {
        needs.NeedPods(host.Namespace);
        return host.In(facts.Home) is not { Service.Spec.ExternalName.Length: > 0 } ? null : host.Services.FirstOrDefault(service =>
            service.Cluster != facts.Home && service.Service.Spec.ExternalName.Length == 0 && service.Pods.Count > 0);
    }

    private string Besides(MeshHost host) => Real(host) is { } real
        ? $"; {real.Cluster.Context} has the Service with Pods, such as {real.Pods[0].Key}, and callers in {facts.Home.Context} follow that of their own "
            + "cluster"
        : "";

    private string RealRemedy(MeshHost host) => Real(host) is { } real
        ? $"{AliasedServices.Replace(facts.Home.Context, real.Service.Key, real.Cluster.Context, real.Service)}; or " : "";

    /// <summary>A name of the MCS API for a Service that no cluster exports; null for other names, and where no cluster has the Service.</summary>
    private Problem? Unexported()
    {
        if (!facts.Target.Host.EndsWith(SetZone, StringComparison.Ordinal)
            || facts.Host(facts.Target.Host[..^SetZone.Length]) is not { Services: [var service, ..] } host)
            return null;
        // Whether it is exported or not.
        if (ClusterObjects.Sidecar(facts.ClientPod) is null && Sidecarless.Of(facts.Home, facts.ClientPod) is var without)
        {
            return Faults.Of("ISM2108", without.Object, without.Field,
                $"{without.Because}has no sidecar, and the mesh leads only callers with one to names in clusterset.local",
                $"{without.Remedy}; or call {host.Name}.{host.Namespace}");
        }
        return MistypedExports.Of(facts, host, facts.Target.Host) ?? Faults.Of("ISM2108", $"host {facts.Target.Host}", "",
            $"no cluster exports {service.Name}, and only a ServiceExport gives a Service a name in clusterset.local",
            $"call {host.Name}.{host.Namespace}; or create a ServiceExport {host.Namespace}/{host.Name} in each cluster whose Pods are meant "
                + $"(multicluster.x-k8s.io; see samples/multicluster/mcs-crds.yaml)");
    }

    /// <summary>A ServiceEntry by which no name has an address: the DNS that the caller asks must know the name; null for others.</summary>
    private Problem? NamelessEntry(MeshHost host, ProxyView? sidecar)
    {
        if (host.Services.Count > 0 || host.Entries is not [var first, ..]) return null;
        // A wildcard may cover the name as well.
        var entry = host.Entries.FirstOrDefault(one => one.Hosts.Contains(facts.Target.Host)) ?? first;
        var isWildcard = entry.Hosts.All(name => name != facts.Target.Host);
        // The mesh gives addresses to full names, if the proxy answers for them.
        if (!isWildcard && entry is { Resolution: EntryResolution.None, Addresses.IsEmpty: true })
            return Faults.Of("ISM2098", $"ServiceEntry {entry.Namespace}/{entry.Name} in {config.At.Context}", "spec.resolution",
                $"is NONE, so that the mesh gives {facts.Target.Host} no address, and the DNS of {facts.Home.Context} does not know the name",
                "set it to DNS or STATIC, with an endpoint; or make the name known to that DNS");
        if (!isWildcard && sidecar is not (null or { CapturesDns: false })) return null;
        if (!isWildcard && sidecar is not null && Uncaptured.Of(facts) is { } uncaptured)
            return Faults.Of("ISM2098", uncaptured.Object, uncaptured.Field,
                $"{uncaptured.Because}. So the caller does not learn the address that the mesh has for {facts.Target.Host} (ServiceEntry "
                    + $"{entry.Namespace}/{entry.Name}), and the DNS of {facts.Home.Context} does not know the name",
                $"{uncaptured.Remedy}; or make the name known to that DNS");
        var pattern = isWildcard ? entry.Hosts.First(name => Hosts.Covers(name, facts.Target.Host)) : facts.Target.Host;
        return Faults.Of("ISM2098", $"ServiceEntry {entry.Namespace}/{entry.Name} in {config.At.Context}", "spec.hosts",
            isWildcard
                ? $"has {pattern}: names that a wildcard covers get no address from the mesh, and the DNS of {facts.Home.Context} does not know "
                    + facts.Target.Host
                : $"has {pattern}, which the DNS of {facts.Home.Context} does not know, and the caller has no DNS capture to learn an address of the mesh",
            isWildcard ? $"make {facts.Target.Host} known to the DNS of {facts.Home.Context}, or name it in a ServiceEntry of its own, with endpoints"
                : $"make the name known to that DNS, or {Uncaptured.InMesh}");
    }

    /// <summary>A ServiceEntry for the host of a Service of its namespace: its endpoints count as the Service's.</summary>
    public Problem? Shadowed(MeshHost host) => host.Services.Count == 0 ? null
        : facts.EntriesFor(host.Fqdn)
            .FirstOrDefault(entry => entry.Namespace == host.Services[0].Service.Metadata.Namespace && entry.Hosts.Contains(host.Fqdn)
                && Visibility.Allows(entry.ExportTo, entry.Namespace, facts.Client.Namespace)) is { } entry
            ? Faults.Of("ISM2018", $"ServiceEntry {entry.Namespace}/{entry.Name} in {config.At.Context}", "spec.hosts",
                $"declares {host.Fqdn}, the host of {host.Services[0].Name}: "
                    + (entry.Endpoints.IsEmpty ? "its settings" : $"its endpoints {string.Join(", ", entry.Endpoints.Select(endpoint => endpoint.Address))}")
                    + " are endpoints of the Service, too",
                "give the ServiceEntry a host of its own, or delete it") : null;

    /// <summary>Why the cluster's DNS answers nothing at all; null when it runs, or is not known.</summary>
    private Problem? DnsDown()
    {
        if (facts.Home.Services.FirstOrDefault(service => service.Metadata.Namespace == DnsNamespace
            && service.Metadata.Labels.GetValueOrDefault("k8s-app") == "kube-dns") is not { Spec.Selector.Count: > 0 } dns)
            return null;
        needs.NeedPods(DnsNamespace);
        var service = new ServiceInCluster(facts.Home, dns);
        if (!facts.Home.PodNamespaces.Contains(DnsNamespace) || service.Pods.Any(pod => pod.Status.IsReady)) return null;
        var empty = availability.Empty(service, 53);
        return empty with { Message = $"{empty.Message}, and it is the DNS of {facts.Home.Context}: no name outside the mesh is resolved" };
    }

    /// <summary>Why the caller's proxy knows no service at an address; null when that is correct.</summary>
    public Problem? Unrouted(MeshHost? host, int port, IPEndPoint destination)
    {
        if (host is null) return visibility.NoGlobalEntry();
        if (host.Services.Count > 0 && host.Services.All(service => service.Port(port) is null))
        {
            return ServicePods.WithoutPort(host.Services[0], port, $"call one of its ports, or add port {port} to it");
        }
        if (host.Services.Count == 0 && host.Entries.All(entry => entry.Ports.All(candidate => candidate.Number != port)))
        {
            return Faults.Of(Faults.NoSuchPort, $"ServiceEntry {host.Entries[0].Namespace}/{host.Entries[0].Name}", "spec.ports",
                $"has no port {port}: it has "
                    + $"{string.Join(", ", host.Entries.SelectMany(entry => entry.Ports).Select(candidate => candidate.Number).Distinct())}",
                $"call one of its ports, or add port {port} to it");
        }
        if (AliasWithoutPort(host, port) is { } lacking) return lacking;
        if (visibility.Hidden(host, port) is { } hidden) return hidden;
        // An alias of a host outside has no configuration of its own.
        if (Alias(host) is not null) return null;
        // The proxy knows the host, but not for the protocol on this connection, so it passes the connection through
        // unchanged. That is correct.
        if (facts.Proxies.GetValueOrDefault(facts.Client) is not { } view || view.Decisions.Cluster(ResourceNames.Outbound(port, "", host.Fqdn)) is not null)
            return null;
        return host.In(facts.Home) is null && availability.Unwatched(host.Services) is { } unwatched ? unwatched : availability.NotTold(host);
    }

    /// <summary>Why a proxy lets nothing out to the host of a request, or to an address: it only knows what the mesh has.</summary>
    public Problem Blocked(TracedCall call)
    {
        var named = call.Authority.LastIndexOf(':') is > 0 and var colon ? call.Authority[..colon] : call.Authority;
        var owner = config.Sidecar() is { OutboundTrafficPolicy: not null } own ? $"Sidecar {own.Namespace}/{own.Name} in {config.At.Context}"
            : $"{facts.MeshConfigOf(facts.Home)}, {TraceFacts.MeshField("outboundTrafficPolicy.mode")}";
        var mode = $"outboundTrafficPolicy is REGISTRY_ONLY ({owner})";
        if (named != facts.Target.Host && call.IsPlainHttp && facts.Host(named) is null)
            return Faults.Of("ISM2027", $"host {named}", "", $"is what the request names in its header Host, and it is not a service in the mesh; {mode}",
                $"send the host that is called, {facts.Target.Host}, or {visibility.ToDeclare(named)}");
        if (Unrouted(call.Host, call.Port, call.Destination) is { } unrouted) return unrouted;
        if (call.Host is not null && Alias(call.Host) is { } alias)
            return Faults.Of("ISM2027", alias.Name, "spec.externalName",
                $"is an alias of {alias.Service.Spec.ExternalName}, which is not a service in the mesh; {mode}{Besides(call.Host)}",
                $"{RealRemedy(call.Host)}{visibility.ToDeclare(alias.Service.Spec.ExternalName)}, or correct externalName");
        if (call.Host is null && _callers.EntryElsewhere(facts.Target.Host) is { } elsewhere) return elsewhere;
        return Faults.Of("ISM2027", $"host {facts.Target.Host}", "", $"is not a service in the mesh, and {mode}",
            $"{visibility.ToDeclare(facts.Target.Host)}, or allow other destinations (mode: ALLOW_ANY)");
    }

    /// <summary>An alias has no ports of its own: the Service that it leads to must have the one that is called; null where it has.</summary>
    private Problem? AliasWithoutPort(MeshHost host, int port)
    {
        if (host.In(facts.Home) is not { Service.Spec.ExternalName: { Length: > 0 } name } alias || facts.Host(name) is not { Services: [var target, ..] }
            || target.Port(port) is not null) return null;
        return Faults.Of(Faults.NoSuchPort, alias.Name, "spec.externalName",
            $"is an alias of {target.Name}, which has no port {port}: it has {ServicePods.Ports(target.Service)}, and the ports of an alias lead nowhere",
            $"call one of the ports of {target.Name}, or give that Service port {port}");
    }

    /// <summary>The Service by which a host is an alias of one that the mesh does not know; null when it is not one.</summary>
    private ServiceInCluster? Alias(MeshHost host) =>
        host.Services.FirstOrDefault(service => service.Service.Spec.ExternalName.Length > 0 && facts.Host(service.Service.Spec.ExternalName) is null);

    /// <summary>Why a route leads to a destination that the proxy does not have.</summary>
    /// <param name="rule">The VirtualService, as <c>namespace/name</c>; empty when no VirtualService routes.</param>
    /// <param name="routes">What it does with requests.</param>
    public Problem MissingCluster(string cluster, string rule, string routes = "routes to")
    {
        var owner = config.Named("VirtualService", rule, facts.Client.ToString());
        if (!ResourceNames.TryParseOutbound(cluster, out var port, out var subset, out var fqdn, out _))
            return Faults.Of("ISM2031", owner, "", $"{routes} {cluster}, which the proxy does not have",
                facts.Client.Show("clusters"));
        if (facts.Host(fqdn) is not { } host)
            return NoSuchHost(owner, config.RouteField(rule, fqdn, "", "host"), fqdn, $"{routes} {fqdn}, and no Service or ServiceEntry has that name", true);
        // Only callers may leave out the end of a name.
        if (fqdn != host.Fqdn && host.Services.Count > 0)
            return Faults.Of("ISM2010", owner, config.RouteField(rule, fqdn, "", "host"),
                $"{routes} {fqdn}, which is not a host of the mesh: a name with a dot is taken as it is written, and the host is {host.Fqdn}",
                $"write {host.Fqdn}");
        if (host.Services.Count > 0 && host.Services.All(service => service.Port(port) is null))
            return Faults.Of(Faults.NoSuchPort, owner, config.RouteField(rule, fqdn, subset, "port.number"),
                $"{routes} port {port} of {host.Services[0].Name}, which has {ServicePods.Ports(host.Services[0].Service)}", "use one of its ports");
        if (subset.Length > 0)
        {
            var rules = config.RulesFor(host);
            var known = rules.SelectMany(candidate => candidate.Subsets).Select(candidate => candidate.Name).Distinct().ToList();
            if (!known.Contains(subset))
            {
                return Elsewhere(host, subset, owner, rules) ?? OfNoHost(host, subset, owner) ?? OfOtherCluster(host, subset, owner)
                    ?? Faults.Of("ISM2032", owner, config.RouteField(rule, fqdn, subset, "subset"), rules.Count == 0
                    ? $"{routes} subset {subset} of {host.Fqdn}, and no DestinationRule defines subsets of it"
                    : $"{routes} subset {subset} of {host.Fqdn}, which DestinationRule {rules[0].Namespace}/{rules[0].Name} does not define: it has "
                        + $"{(known.Count == 0 ? "none" : string.Join(", ", known))}",
                    rules.Count == 0
                        ? $"add a DestinationRule for {host.Fqdn} with subset {subset}"
                        : $"use one of these subsets, or define {subset} in DestinationRule {rules[0].Namespace}/{rules[0].Name}");
            }
        }
        return visibility.Hidden(host, port) ?? availability.Unwatched(host.Services) ?? availability.NotTold(host);
    }

    /// <summary>Only a cluster whose objects do not apply here defines the subset; null when none does.</summary>
    private Problem? OfOtherCluster(MeshHost host, string subset, string owner)
    {
        var found = facts.Clusters.Where(cluster => cluster != config.At && cluster.Error.Length == 0)
            .SelectMany(cluster => CallerConfig.RulesOf(cluster, host).Select(rule => (Cluster: cluster, Rule: rule)))
            .FirstOrDefault(one => one.Rule.Subsets.Any(candidate => candidate.Name == subset));
        if (found.Rule is not { } rule) return null;
        var (name, here) = ($"DestinationRule {rule.Namespace}/{rule.Name}", config.At.Context);
        return Faults.Of("ISM2032", $"{name} in {found.Cluster.Context}", "spec.subsets",
            $"defines subset {subset} of {host.Fqdn}, to which {owner} routes, and applies to callers of {found.Cluster.Context} only: {here} has "
                + (CallerConfig.RulesOf(config.At, host).Any() ? "another one, without it" : "no DestinationRule of the host"),
            $"apply it in {here} as well");
    }

    /// <summary>A DestinationRule defines the subset, and the caller's proxy does not follow it; null when none does.</summary>
    private Problem? Elsewhere(MeshHost host, string subset, string owner, IReadOnlyList<DestinationRule> followed)
    {
        var defining = CallerConfig.RulesOf(config.At, host).Where(rule => rule.Subsets.Any(candidate => candidate.Name == subset)).ToList();
        if (defining.Count == 0) return null;
        var (own, at) = (facts.Client.Namespace, config.At.Context);
        if (defining.Find(config.Sees) is not { } seen)
        {
            var name = $"DestinationRule {defining[0].Namespace}/{defining[0].Name} in {at}";
            if (defining[0].ExportTo.IsEmpty && visibility.OfMesh(facts.Settings.Mesh.DefaultDestinationRuleExportTo, "DestinationRule", defining[0].Namespace,
                    $"{name}, which defines subset {subset} of {host.Fqdn}, to which {owner} routes,",
                    $"set exportTo: ['*'] in {name}", "ISM2032") is { } hidden)
                return hidden;
            return Faults.Of("ISM2032", name, "spec.exportTo",
                $"defines subset {subset} of {host.Fqdn}, to which {owner} routes, and is exported to {string.Join(", ", defining[0].ExportTo)} only: "
                    + $"proxies of namespace {own} do not get it",
                $"add {own} to its exportTo, or remove exportTo{subsets.NeededBeyond(host, subset)}");
        }
        if (defining.FindAll(config.Sees) is var exported && !exported.Exists(config.Selects))
            return OfOtherWorkloads(exported[0], $"subset {subset} of {host.Fqdn}, to which {owner} routes");
        return followed is not [var first, ..] ? null
            : Faults.Of("ISM2032", $"DestinationRule {first.Namespace}/{first.Name} in {at}", "spec.subsets",
                $"takes the place of DestinationRule {seen.Namespace}/{seen.Name} for callers in namespace {own}, and does not define subset {subset}, to "
                    + $"which {owner} routes",
                $"define {subset} in it as well, or delete it and write what it sets into {seen.Namespace}/{seen.Name}");
    }

    /// <summary>A rule that leaves the caller out, because it is for some Pods of its namespace.</summary>
    private Problem OfOtherWorkloads(DestinationRule rule, string defined)
    {
        var wanted = rule.WorkloadSelector.ToDictionary(StringComparer.Ordinal);
        var own = facts.ClientPod.Metadata.Labels.Where(label => wanted.ContainsKey(label.Key)).ToDictionary(StringComparer.Ordinal);
        var why = rule.Namespace != facts.Client.Namespace ? $"of namespace {rule.Namespace}, and the caller is in {facts.Client.Namespace}"
            : $"with {ServicePods.Text(wanted)}, and {facts.Client} has {(own.Count > 0 ? ServicePods.Text(own) : "none of these labels")}";
        return Faults.Of("ISM2032", $"DestinationRule {rule.Namespace}/{rule.Name} in {config.At.Context}", "spec.workloadSelector.matchLabels",
            $"defines {defined}, for callers {why}: the caller's proxy does not get it",
            "remove workloadSelector, or define the subset in another DestinationRule for the other callers as well");
    }

    /// <summary>A DestinationRule that defines the subset for a name like the host's which no host has, such as a short name in another namespace; null when
    /// there is none.</summary>
    private Problem? OfNoHost(MeshHost host, string subset, string owner)
    {
        var name = host.Fqdn.Split('.')[0];
        foreach (var rule in config.At.Istio<DestinationRule>().Where(rule => rule.Subsets.Any(one => one.Name == subset) && rule.Host.Split('.')[0] == name))
        {
            var said = rule.Host.Contains('.', StringComparison.Ordinal) ? rule.Host : $"{rule.Host}.{rule.Namespace}.svc.{WellKnown.DefaultDomainSuffix}";
            if (said == host.Fqdn || facts.Host(said)?.Fqdn == said) continue;
            return Faults.Of("ISM2032", $"DestinationRule {rule.Namespace}/{rule.Name} in {config.At.Context}", "spec.host",
                $"is {said}, which no host has, so that it does not define subset {subset} of {host.Fqdn}, to which {owner} routes",
                $"write {host.Fqdn} there");
        }
        return null;
    }

    /// <param name="isRoute">Whether a route names the host, which must have a full name there.</param>
    private Problem NoSuchHost(string @object, string path, string wanted, string message, bool isRoute = false) =>
        new UnknownNames(facts, config).Of(@object, path, wanted, message, isRoute);

    private static string Contexts(MeshHost host) => string.Join(" and ", host.Services.Select(service => service.Cluster.Context));
}
