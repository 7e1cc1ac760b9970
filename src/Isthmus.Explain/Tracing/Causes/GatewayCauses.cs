using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.GlobalNames;
using Isthmus.Operate.Inventory;

namespace Isthmus.Explain.Tracing.Causes;

/// <summary>What is wrong with the gateway of a network.</summary>
internal sealed class GatewayCauses(TraceFacts facts, TraceNeeds needs, AvailabilityCauses availability, SubsetCauses subsets, VisibilityCauses visibility)
{
    private readonly ApiGatewayCauses _api = new(facts);

    /// <summary>Why no gateway of a network can be used; null when nothing is wrong with it.</summary>
    public Problem? GatewayOf(string network, ClusterObjects behind)
    {
        var all = facts.Clusters.SelectMany(cluster => cluster.Services.Where(service => service.Metadata.Labels.ContainsKey(Labels.Network))
            .Select(service => new ServiceInCluster(cluster, service)))
            .ToList();
        var own = all.Where(gateway => gateway.Service.Metadata.Labels[Labels.Network] == network).ToList();
        if (own.Count == 0)
        {
            if (PodOfNoNetwork(network, behind) is { } pod) return pod;
            if (facts.Settings.Networks.Networks.GetValueOrDefault(network) is { Gateways.IsEmpty: false }) return null;
            if (_api.WithoutService(network, behind) is { } unserved) return unserved;
            if (all.FirstOrDefault(gateway => gateway.Cluster == behind) is { } other) return OtherNetwork(other, behind, network);
            return Faults.Of("ISM1014", $"cluster {behind.Context}", "",
                $"network {network} has no east-west gateway: no Service has the label {Labels.Network}={network}",
                $"samples/multicluster/gen-eastwest-gateway.sh --network {network} | isthmus install -y -f - --context={behind.Context}; "
                + "or, with the Gateway API, create a Gateway of class istio-east-west with this label (docs/guides/gateway-api-multi-network.md)");
        }
        Problem? last = null;
        foreach (var gateway in own)
        {
            needs.NeedPods(gateway.Service.Metadata.Namespace);
            if (!gateway.Pods.Any(pod => pod.Status.IsReady)) last = availability.GatewayWithoutPods(gateway);
            else if (gateway.Service.Metadata.Annotations.ContainsKey(Annotations.NodeSelector)) return null;
            else if (gateway.Service.Status.LoadBalancer.Ingress.Count + gateway.Service.Spec.ExternalIPs.Count == 0)
                last = WithoutAddress(gateway, network);
            else if (WithoutPort(gateway, GatewayPlace.PortOf(gateway.Service)) is { } closed) last = closed;
            else if (GatewayWeights.IsZero(gateway.Service)) last = WithoutWeight(gateway, network);
            else return null;
        }
        return last;
    }

    /// <summary>The proxy of a gateway does not ask for endpoints of its own network, which are what callers of other networks come for; null: it does, or
    /// there are none that it could have.</summary>
    /// <param name="host">The host that is called; null when it is not known.</param>
    public Problem? Unseeing(ClusterObjects cluster, Pod pod, MeshHost? host, int port)
    {
        var own = cluster.NetworkOf(pod);
        if (own.Length == 0 || NetworkView.Of(pod.Spec, pod.Metadata.Annotations) is not { } view || view.Networks.Contains(own)) return null;
        if (host?.Services.Any(service => ServicePods.Ready(service, port).Any(one => service.Cluster.NetworkOf(one) == own)) != true) return null;
        var (kind, name) = ServicePods.OwnerOf(pod);
        var isSet = kind == "Deployment" && view.Path.StartsWith("spec.", StringComparison.Ordinal);
        return Faults.Of("ISM2167", $"{kind} {pod.Metadata.Namespace}/{name} in {cluster.Context}", kind == "Pod" ? view.Path : $"spec.template.{view.Path}",
            $"is {string.Join(", ", view.Networks)}, and the gateway is in {own}: its proxy asks for no endpoints in {own}, so that it has none for "
                + $"{host.Fqdn}, whose Pods are there",
            isSet ? $"kubectl --context={cluster.Context} -n {pod.Metadata.Namespace} set env deployment/{name} {NetworkGatewayReader.NetworkView}={own}"
                : $"write {own} there");
    }

    private static Problem WithoutWeight(ServiceInCluster gateway, string network) => Faults.Of("ISM2141", gateway.Name,
        $"metadata.annotations[{Annotations.GatewayWeight}]", $"is 0, which takes the gateway out, and {network} has no other one that works",
        GatewayWeights.Remove(gateway.Cluster.Context, gateway.Service));

    private static Problem WithoutAddress(ServiceInCluster gateway, string network) => gateway.Service.Spec.Type == "LoadBalancer"
        ? Faults.Of("ISM1005", gateway.Name, "status.loadBalancer", $"has no external address, so other networks cannot reach {network}",
            "give the cluster a load balancer, or set spec.externalIPs")
        : Faults.Of("ISM1005", gateway.Name, "spec.type",
            $"is {gateway.Service.Spec.Type}, so the Service has no external address, and other networks cannot reach {network}",
            $"kubectl --context={gateway.Cluster.Context} -n {gateway.Service.Metadata.Namespace} patch service {gateway.Service.Metadata.Name} "
                + "-p '{\"spec\":{\"type\":\"LoadBalancer\"}}', or set spec.externalIPs");

    /// <summary>The Service in front of a gateway lacks the port to which callers of other networks come; null when it has it.</summary>
    /// <param name="port">Its own, or that of its nodes.</param>
    public static Problem? WithoutPort(ServiceInCluster gateway, int port)
    {
        if (gateway.Service.Spec.Ports.Exists(one => one.Port == port || one.NodePort == port)) return null;
        var name = gateway.Service.Spec.Ports.Exists(one => one.Name == "tls") ? $"tls-{port}" : "tls";
        return gateway.Service.Metadata.Labels.ContainsKey(Labels.GatewayPort)
            ? Faults.Of("ISM1007", gateway.Name, $"metadata.labels[{Labels.GatewayPort}]",
                $"is {port}, and the Service has no such port: it has {ServicePods.Ports(gateway.Service)}",
                "correct the label, or remove it (port 15443 counts then)")
            : Faults.Of("ISM1007", gateway.Name, "spec.ports",
                $"has no port {port}, to which callers of other networks come: it has {ServicePods.Ports(gateway.Service)}",
                $"kubectl --context={gateway.Cluster.Context} -n {gateway.Service.Metadata.Namespace} patch service {gateway.Service.Metadata.Name} "
                    + $"--type=json -p '[{{\"op\":\"add\",\"path\":\"/spec/ports/-\",\"value\":{{\"name\":\"{name}\",\"port\":{port}}}}}]', or name another "
                    + $"port with the label {Labels.GatewayPort}");
    }

    /// <summary>Only Pods' own labels name the network: no cluster is in it, and no gateway leads to it.</summary>
    private Problem? PodOfNoNetwork(string network, ClusterObjects cluster)
    {
        if (cluster.Network.Length == 0 || facts.Clusters.Any(other => other.Network == network)) return null;
        if (cluster.Pods.FirstOrDefault(pod => pod.Metadata.Labels.GetValueOrDefault(Labels.Network) == network) is not { } wrong) return null;
        return Faults.Of("ISM1016", PodRef.Of(cluster, wrong).ToString(), $"metadata.labels[{Labels.Network}]",
            $"is {network}, but no cluster and no gateway is in that network: its cluster is in {cluster.Network}",
            $"remove the label from the Pod's template (the cluster's network then applies), or correct it; if {network} does exist, install a gateway for it");
    }

    /// <summary>The gateway and the Pods of one cluster name different networks: the network that most of them name counts
    /// as right.</summary>
    private static Problem OtherNetwork(ServiceInCluster gateway, ClusterObjects cluster, string network)
    {
        var said = gateway.Service.Metadata.Labels[Labels.Network];
        var proxies = cluster.Pods.Select(pod => ClusterObjects.Sidecar(pod)?.Env.FirstOrDefault(env => env.Name == "ISTIO_META_NETWORK")?.Value)
            .Where(value => !string.IsNullOrEmpty(value)).ToList();
        if (proxies.Count > 0 && proxies.Count(value => value == said) > proxies.Count / 2 && cluster.Network != said)
        {
            return Faults.Of("ISM1016", $"Namespace {cluster.SystemNamespace} in {cluster.Context}", $"metadata.labels[{Labels.Network}]",
                $"is {cluster.Network}, but the gateway and the proxies of the cluster use {said}, so no gateway is found for {network}",
                $"kubectl --context={cluster.Context} label namespace {cluster.SystemNamespace} {Labels.Network}={said} --overwrite");
        }
        return Faults.Of("ISM1016", gateway.Name, $"metadata.labels[{Labels.Network}]",
            $"is {said}, but the Pods of the cluster are in {network}, so no gateway is found for {network}",
            $"kubectl --context={cluster.Context} -n {gateway.Service.Metadata.Namespace} label service {gateway.Service.Metadata.Name} "
                + $"{Labels.Network}={network} --overwrite");
    }

    /// <summary>Why the gateway's proxy does not open the port.</summary>
    public Problem GatewayWithoutListener(ClusterObjects cluster, Pod pod, int port)
    {
        var passing = PassingGateways(cluster).ToList();
        if (OfWorkload(cluster, pod) is { } mislabelled) return mislabelled;
        if (Astray(cluster, pod, passing) is { } astray) return astray;
        if (!passing.Exists(found => Selects(found.Gateway, pod)) && _api.WithoutListener(cluster, pod, port) is { } problem) return problem;
        if (passing.Count == 0)
        {
            var near = Near(cluster, pod, port);
            var closed = $"so {PodRef.Of(cluster, pod)} opens no port {port}";
            var expose = $"kubectl --context={cluster.Context} apply -n {cluster.SystemNamespace} -f samples/multicluster/expose-services.yaml";
            if (near is null)
                return Faults.Of("ISM1015", $"cluster {cluster.Context}", "Gateway",
                    $"no Gateway with tls.mode AUTO_PASSTHROUGH exposes its services, {closed}", expose);
            var remedy = $"set {near.Value.Field} of {near.Value.Gateway} to AUTO_PASSTHROUGH, if it is meant for that; or: {expose}";
            return near.Value.IsOfPort
                ? Faults.Of("ISM1015", near.Value.Gateway, near.Value.Field,
                    $"is {near.Value.Mode}, and no Gateway with tls.mode AUTO_PASSTHROUGH exposes services of {cluster.Context}, {closed}", remedy)
                : Faults.Of("ISM1015", $"cluster {cluster.Context}", "Gateway", $"no Gateway with tls.mode AUTO_PASSTHROUGH exposes its services, {closed}; "
                    + $"the nearest is {near.Value.Gateway}, whose {near.Value.Field} is {near.Value.Mode}", remedy);
        }
        var (gateway, at) = passing[0];
        var name = $"Gateway {gateway.FullName} in {at.Context}";
        if (!Selects(gateway, pod))
            return Faults.Of("ISM2052", name, "spec.selector",
                $"{gateway.Selector} does not select {PodRef.Of(cluster, pod)}, which has "
                    + $"{ServicePods.Text(pod.Metadata.Labels.Where(pair => gateway.Selector.ContainsKey(pair.Key)).ToDictionary())}",
                "fix the selector, or the labels of the gateway");
        if (gateway.Servers.All(server => server.Port != port))
            return Faults.Of("ISM2053", name, "spec.servers[*].port.number",
                $"opens {string.Join(", ", gateway.Servers.Select(server => server.Port))}, but calls arrive at {port}",
                $"add a server for port {port} with protocol TLS and tls.mode AUTO_PASSTHROUGH, or set targetPort of the gateway's Service to "
                    + string.Join(" or ", gateway.Servers.Where(server => server.Tls?.Mode == ServerTlsMode.AutoPassthrough).Select(server => server.Port)));
        var hosts = passing.Where(found => Selects(found.Gateway, pod)).SelectMany(found => found.Gateway.Servers)
            .Where(server => server.Port == port && server.Tls is { Mode: ServerTlsMode.AutoPassthrough }).SelectMany(server => server.Hosts).ToList();
        // Names of other kinds are those of ServiceEntries.
        if (hosts.Count > 0 && hosts.TrueForAll(host => host.EndsWith($".svc.{WellKnown.DefaultDomainSuffix}", StringComparison.Ordinal))
            && !hosts.Exists(host => cluster.Services.Any(service => Covers(host, service))))
            return Faults.Of("ISM2055", name, "spec.servers[*].hosts",
                $"allows {string.Join(", ", hosts)}, and no Service of {cluster.Context} has such a host, so that no port is opened for it",
                "add *.local to them, or the hosts that other networks call");
        return Faults.Of("ISM2054", PodRef.Of(cluster, pod).ToString(), "", $"its proxy has not received {name}",
            $"isthmus proxy-status --context={cluster.Context}");
    }

    private static bool Covers(string host, Service service) => Hosts.Covers(host[(host.IndexOf('/', StringComparison.Ordinal) + 1)..],
        $"{service.Metadata.Name}.{service.Metadata.Namespace}.svc.{WellKnown.DefaultDomainSuffix}");

    /// <summary>The label of a network on a Service whose Pods are workloads: callers elsewhere take them for gateways; null for others.</summary>
    private static Problem? OfWorkload(ClusterObjects cluster, Pod pod)
    {
        if (ClusterObjects.Sidecar(pod)?.Args.Contains("sidecar") != true
            || cluster.Services.FirstOrDefault(one => one.Metadata.Labels.ContainsKey(Labels.Network) && cluster.Behind(one).Contains(pod)) is not { } service)
            return null;
        return Faults.Of("ISM1041", $"Service {service.Key} in {cluster.Context}", $"metadata.labels[{Labels.Network}]",
            $"makes it an entry point of {service.Metadata.Labels[Labels.Network]}, and its Pods are workloads, not gateways: calls of other networks that "
                + "it gets fail",
            $"kubectl --context={cluster.Context} -n {service.Metadata.Namespace} label service {service.Metadata.Name} {Labels.Network}-");
    }

    /// <summary>The Service leads to Pods that pass nothing on, while others of its namespace do; null for others.</summary>
    private static Problem? Astray(ClusterObjects cluster, Pod pod, List<(Gateway Gateway, ClusterObjects At)> passing)
    {
        if (passing.Exists(found => Selects(found.Gateway, pod))
            || cluster.Services.FirstOrDefault(one => one.Metadata.Labels.ContainsKey(Labels.Network) && cluster.Behind(one).Contains(pod)) is not { } service)
            return null;
        foreach (var (gateway, at) in passing.Where(found => found.Gateway.Selector.Count > 0))
        {
            var serving = cluster.Pods.Where(one => one.Metadata.Namespace == pod.Metadata.Namespace && one.Status.IsReady && Selects(gateway, one)).ToList();
            if (serving.Count == 0) continue;
            return Faults.Of("ISM2052", $"Service {service.Key} in {cluster.Context}", "spec.selector",
                $"{ServicePods.Text(service.Spec.Selector)} selects {PodRef.Of(cluster, pod)}, which no Gateway with tls.mode AUTO_PASSTHROUGH selects; "
                    + $"Gateway {gateway.FullName} in {at.Context} is served by {string.Join(", ", serving.Take(3).Select(one => $"Pod {one.Key}"))}",
                Operate.Diagnose.PassingGateways.Select(cluster.Context, service.Key, gateway.Selector));
        }
        return null;
    }

    /// <summary>Why the gateway has no route for a server name.</summary>
    /// <param name="rule">The DestinationRule by which the caller's proxy begins TLS, as <c>namespace/name</c>; empty when none says how.</param>
    public Problem GatewayWithoutChain(ClusterObjects cluster, Pod pod, string sni, string rule = "")
    {
        if (!ResourceNames.TryParseOutbound(sni, out var port, out var subset, out var fqdn, out _))
        {
            var owner = rule.Length > 0 ? $"DestinationRule {rule} in {facts.ConfigOf(facts.Home).Context}" : facts.Client.ToString();
            if (facts.ConfigOf(facts.Home).Istio<DestinationRule>().FirstOrDefault(one => $"{one.Namespace}/{one.Name}" == rule)
                    ?.Policy.Tls is { Mode: ClientTlsMode.IstioMutual })
                return Faults.Of("ISM2089", owner, "spec.trafficPolicy.tls.sni",
                    $"is {sni}, and the gateway of {cluster.Context} chooses by the server names that the mesh gives to its own TLS: it has no route for "
                        + "this one",
                    "remove sni: with mode ISTIO_MUTUAL, proxies know the name");
            return Faults.Of("ISM2089", owner, "spec.trafficPolicy.tls",
                $"makes the caller's proxy begin TLS of its own{(sni.Length > 0 ? $", for {sni}" : ", without a server name")}: the gateway of "
                    + $"{cluster.Context} chooses by the server names of the mesh's mutual TLS, and has no route for it",
                TlsCauses.AgainBy(facts));
        }
        var passing = PassingGateways(cluster).Where(found => Selects(found.Gateway, pod)).ToList();
        if (passing.Count == 0 && !_api.Passes(cluster, pod)) return GatewayWithoutListener(cluster, pod, Core.Names.Ports.EastWest);
        if (passing.Count == 0 && fqdn is not null && _api.WithoutHost(cluster, pod, fqdn) is { } hidden) return hidden;
        var hosts = passing.SelectMany(found => found.Gateway.Servers).Where(server => server.Tls?.Mode == ServerTlsMode.AutoPassthrough)
            .SelectMany(server => server.Hosts).ToList();
        if (passing.Count > 0 && fqdn is not null && !hosts.Any(host => Hosts.Covers(host[(host.IndexOf('/', StringComparison.Ordinal) + 1)..], fqdn)))
        {
            return Faults.Of("ISM2055", $"Gateway {passing[0].Gateway.FullName} in {passing[0].At.Context}", "spec.servers[*].hosts",
                $"allows {string.Join(", ", hosts)}, but not {fqdn}",
                $"add {fqdn} to them{(fqdn.EndsWith(".local", StringComparison.Ordinal) ? ", or *.local" : "")}"
                    + (EntryLacking(cluster, fqdn) is not { } too ? ""
                        : $", and apply {too} in {facts.ConfigOf(cluster).Context} as well: its gateway needs both"));
        }
        if (fqdn is not null && EntryLacking(cluster, fqdn) is { } entry)
            return Faults.Of("ISM2043", entry, "",
                $"is not in {facts.ConfigOf(cluster).Context}, whose gateway has only the hosts of its own control plane, so it has no route for {sni}",
                $"apply it in {facts.ConfigOf(cluster).Context} as well");
        if (facts.Host(fqdn ?? "") is { Services.Count: 0, Entries.Count: > 0 })
            return Faults.Of("ISM2054", PodRef.Of(cluster, pod).ToString(), "", $"its proxy has no filter chain for {sni}",
                $"isthmus proxy-status --context={cluster.Context}");
        if (facts.Host(fqdn ?? "")?.In(cluster) is not { } service)
            return Faults.Of("ISM2043", $"Service of {fqdn}", "", $"does not exist in {cluster.Context}, so its gateway has no route for {sni}",
                $"create it in {cluster.Context} as well");
        if (service.Port(port) is null)
            return ServicePods.WithoutPort(service, port, "give the Service the same ports in all clusters");
        if (subset is { Length: > 0 } and not "_" && subsets.Missing(cluster, service, fqdn!, subset, pod.Metadata.Namespace) is { } lacking) return lacking;
        if (visibility.HiddenFrom(cluster, pod, service) is { } unseen) return unseen;
        return Faults.Of("ISM2054", PodRef.Of(cluster, pod).ToString(), "", $"its proxy has no filter chain for {sni}",
            $"isthmus proxy-status --context={cluster.Context}");
    }

    /// <summary>The ServiceEntry of a host of the caller's cluster, which that of a gateway does not have; null when it has one, or the host is that of a
    /// Service.</summary>
    private string? EntryLacking(ClusterObjects cluster, string fqdn) => facts.Host(fqdn) is { Services.Count: 0, Entries: [var entry, ..] }
        && !facts.ConfigOf(cluster).Istio<ServiceEntry>().Any(one => one.Hosts.Any(host => Hosts.Covers(host, fqdn)))
        ? $"ServiceEntry {entry.Namespace}/{entry.Name} of {facts.ConfigOf(facts.Home).Context}" : null;

    /// <summary>Why an SNI, after the gateway rewrote it, names no cluster at a gateway that routes by name; with the
    /// object that would create that cluster.</summary>
    public Problem NameWithoutCluster(ServiceInCluster gateway, Pod pod, string sni, string cluster)
    {
        var owner = gateway.Cluster;
        if (!ResourceNames.TryParseOutbound(sni, out var port, out _, out var host, out _)
            || !ResourceNames.TryParseOutbound(cluster, out _, out _, out var target, out _))
            return GatewayWithoutChain(owner, pod, sni);
        var all = facts.Clusters.Select(candidate => ClusterInventory.Of(candidate.Context, candidate.Services, candidate.Istio<object>())).ToList();
        var found = GlobalHosts.Arrival(all.First(candidate => candidate.Context == owner.Context), gateway.Service.Key, true, host, target, port, all);
        if (found is null) return GatewayWithoutChain(owner, pod, sni);
        var apply = found.Missing is { } missing ? $": kubectl --context={missing.Cluster} apply -f - <<< '{missing.Object.ToJsonString()}'" : "";
        return found.Problem with { Object = $"{found.Problem.Object} in {owner.Context}", Remedy = found.Problem.Remedy + apply };
    }

    private static bool Selects(Gateway gateway, Pod pod) => Selectors.Matches(gateway.Selector, pod.Metadata.Labels.ToValueMap());

    /// <summary>The server that is nearest to one that passes connections on at a port: of the same port, or of the same Pod.</summary>
    private (string Gateway, string Field, string Mode, bool IsOfPort)? Near(ClusterObjects cluster, Pod pod, int port) =>
        (from at in facts.ControlPlanesOf(cluster).Select(plane => plane.Config).Distinct()
         from gateway in at.Istio<Gateway>()
         from server in gateway.Servers.Index()
         let isPort = server.Item.Port == port
         where isPort || (Selects(gateway, pod) && server.Item.Tls is { Mode: ServerTlsMode.Passthrough })
         orderby isPort && Selects(gateway, pod) descending, isPort descending
         let mode = server.Item.Tls is { } tls ? tls.ModeText : "not set"
         select ((string, string, string, bool)?)($"Gateway {gateway.FullName} in {at.Context}", $"spec.servers[{server.Index}].tls.mode", mode,
             isPort && Selects(gateway, pod))).FirstOrDefault();

    /// <summary>Gateways of Istio that pass mesh traffic through, of the cluster itself or of its primaries.</summary>
    private IEnumerable<(Gateway Gateway, ClusterObjects At)> PassingGateways(ClusterObjects cluster) =>
        facts.ControlPlanesOf(cluster).Select(plane => plane.Config).Distinct().SelectMany(at => at.Istio<Gateway>()
            .Where(gateway => gateway.PassesBySni).Select(gateway => (gateway, at)));
}
