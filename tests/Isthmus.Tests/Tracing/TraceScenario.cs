using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Explain.Tracing.Facts;
using Isthmus.Explain.Tracing.Reading;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;
using Isthmus.Reports;
using Isthmus.Testing;
using Isthmus.Wire.Tls;

namespace Isthmus.Tests.Tracing;

/// <summary>
/// Two clusters on two networks. <c>buyer</c> in c1 calls <c>orders.shop</c>, which has a Pod in each cluster. Tests change
/// objects and dumps as text before they walk.
/// </summary>
internal sealed class TraceScenario
{
    internal const string Fqdn = "orders.shop.svc.cluster.local", Sni = "outbound_.80_._." + Fqdn;

    internal static readonly DateTimeOffset Now = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly Issuer Root = NewRoot("mesh"), OtherRoot = NewRoot("other");

    internal string One { get; set; } = Common("n1") + LongLines.Joined("""
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: buyer, namespace: shop, labels: {app: buyer}}, \
        spec: {containers: [{name: web}, {name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: c1}]}], \
        initContainers: [{name: istio-init, args: [istio-iptables, -p, "15001", -i, "*", -x, "", -b, "*", -d, "15090"]}]}, \
        status: {phase: Running, podIP: 10.1.0.2}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: orders-a, namespace: shop, labels: {app: orders, version: v1}}, \
        spec: {containers: [{name: web, ports: [{containerPort: 8080}]}, {name: istio-proxy}]}, \
        status: {phase: Running, podIP: 10.1.0.5, conditions: [{type: Ready, status: "True"}]}}
        """);

    internal string Two { get; set; } = Common("n2") + LongLines.Joined("""
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: orders-b, namespace: shop, labels: {app: orders, version: v1}}, \
        spec: {containers: [{name: web, ports: [{containerPort: 8080}]}, {name: istio-proxy, env: [{name: ISTIO_META_CLUSTER_ID, value: c2}]}]}, \
        status: {phase: Running, podIP: 10.1.0.5, conditions: [{type: Ready, status: "True"}]}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: gw, namespace: istio-system, labels: {istio: eastwest}}, \
        spec: {containers: [{name: istio-proxy, env: [{name: ISTIO_META_NETWORK, value: n2}]}]}, \
        status: {phase: Running, podIP: 10.1.0.9, conditions: [{type: Ready, status: "True"}]}}
        ---
        {apiVersion: v1, kind: Service, metadata: {name: east, namespace: istio-system, labels: {topology.istio.io/network: n2}}, \
        spec: {selector: {istio: eastwest}, ports: [{name: tls, port: 15443, targetPort: 15443}]}, status: {loadBalancer: {ingress: [{ip: 172.18.2.1}]}}}
        ---
        {apiVersion: networking.istio.io/v1beta1, kind: Gateway, metadata: {name: cross, namespace: istio-system}, \
        spec: {selector: {istio: eastwest}, servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ["*.local"]}]}}
        """);

    internal string Client { get; set; } = Fill("""
        {"config_dump": {"configs": [
          {"@type": "x.ClustersConfigDump", "dynamic_active_clusters": [
            {"cluster": {"name": "PassthroughCluster", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED"}},
            {"cluster": {"name": "outbound|80||<fqdn>", "type": "EDS", "eds_cluster_config": {"service_name": "outbound|80||<fqdn>"}, "transport_socket_matches": [
              {"name": "tls", "match": {"tlsMode": "istio"}, "transport_socket": <tls>},
              {"name": "plain", "match": {}, "transport_socket": {"name": "envoy.transport_sockets.raw_buffer"}}]}}]},
          {"@type": "x.EndpointsConfigDump", "dynamic_endpoint_configs": [{"endpoint_config": {"cluster_name": "outbound|80||<fqdn>", "endpoints": [{"locality": {}, "lb_endpoints": [
            <endpoint>, <endpoint2>]}]}}]},
          {"@type": "x.ListenersConfigDump", "dynamic_listeners": [
            {"active_state": {"listener": {"name": "virtualOutbound", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 15001}}, \
        "use_original_dst": true, "traffic_direction": "OUTBOUND", "filter_chains": [<tcp>]}}},
            {"active_state": {"listener": {"name": "0.0.0.0_80", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 80}}, \
        "bind_to_port": false, "traffic_direction": "OUTBOUND", "filter_chains": [<http>]}}}]},
          {"@type": "x.RoutesConfigDump", "dynamic_route_configs": [{"route_config": {"name": "80", "virtual_hosts": [
            {"name": "<fqdn>:80", "domains": ["orders", "orders.shop", "<fqdn>"], \
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "outbound|80||<fqdn>"}, "name": "default", \
        "metadata": {"filter_metadata": {"istio": {"config": "/apis/networking.istio.io/v1alpha3/namespaces/shop/virtual-service/orders"}}}}]},
            {"name": "allow_any", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "PassthroughCluster"}}]}]}}]},
          <secrets>]},
         "clusters": {"cluster_statuses": []},
         "pod": {"listening": [], "dns_capture": true, "name": {"host": "orders", "name": "<fqdn>", "addresses": ["10.96.0.5"], "by": "sidecar"}}}
        """,
        ("<fqdn>", Fqdn),
        ("<tls>", Tls("UpstreamTlsContext", ", \"sni\": \"" + Sni + "\"", "istio", "{\"exact\": \"spiffe://cluster.local/ns/shop/sa/orders\"}")),
        ("<endpoint>", Endpoint("10.1.0.5", 8080, "orders;shop;orders;v1;c1")),
        ("<endpoint2>", Endpoint("172.18.2.1", 15443, ";;;;c1")),
        ("<tcp>", Tcp("PassthroughCluster", "")),
        ("<http>", Http("\"rds\": {\"route_config_name\": \"80\"}", "")),
        ("<secrets>", Secrets(Root, "buyer")));

    /// <summary>The caller's proxy with no endpoint in c2.</summary>
    internal string ClientOfOne => Client.Replace(", " + Endpoint("172.18.2.1", 15443, ";;;;c1"), "", StringComparison.Ordinal);

    internal string Gateway { get; set; } = Fill("""
        {"config_dump": {"configs": [
          {"@type": "x.ClustersConfigDump", "dynamic_active_clusters": [{"cluster": {"name": "<sni>", "type": "EDS", "eds_cluster_config": {"service_name": "<sni>"}}}]},
          {"@type": "x.EndpointsConfigDump", "dynamic_endpoint_configs": [{"endpoint_config": {"cluster_name": "<sni>", "endpoints": [{"locality": {}, "lb_endpoints": [<endpoint>]}]}}]},
          {"@type": "x.ListenersConfigDump", "dynamic_listeners": [{"active_state": {"listener": {"name": "0.0.0.0_15443", \
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 15443}}, "listener_filters": [{"name": "envoy.filters.listener.tls_inspector"}],
            "filter_chains": [<tcp>]}}}]}]},
         "clusters": {}, "pod": {"listening": ["0.0.0.0:15443"]}}
        """, ("<sni>", Sni), ("<endpoint>", Endpoint("10.1.0.5", 8080, "orders;shop;orders;v1;c2")), ("<tcp>", Tcp(Sni, "\"filter_chain_match\": {\"server_names\": [\"" + Sni + "\"]}, ")));

    internal string Callee { get; set; } = CalleeDump(Root, "orders");

    internal string CalleeThere { get; set; } = CalleeDump(Root, "orders");

    /// <summary>Of another Pod in c2; null: as the first there.</summary>
    internal string? Third { get; set; }

    internal IReadOnlyList<WatchedCluster>? Watched { get; set; }

    /// <summary>Remote secrets without their label.</summary>
    internal IReadOnlyList<Isthmus.Operate.Inventory.UnlabelledSecret> Unlabelled { get; set; } = [];

    /// <summary>Remote secrets where no control plane looks.</summary>
    internal IReadOnlyList<MisplacedSecret> Misplaced { get; set; } = [];

    /// <summary>What control planes say: whether proxies have all that is meant for them; null: they do not tell.</summary>
    internal bool? Follows { get; set; } = false;

    /// <summary>What the caller's cluster says of addresses that nothing in its objects has.</summary>
    internal AddressPlace Place { get; set; } = AddressPlace.Unknown;

    internal MadeCall? Call { get; set; }

    /// <summary>The Secrets that can be looked at; others do not exist.</summary>
    internal Dictionary<string, Isthmus.Kubernetes.Objects.Secret> Held { get; } = [];

    /// <summary>A CA of the mesh's root that ends at a time.</summary>
    internal static string EndingCa(DateTimeOffset end) => Root.IssueIntermediate(new("mesh", "Intermediate CA"), ECDsa.Create(ECCurve.NamedCurves.nistP256),
        SubjectNames.None, Now.AddHours(-3), end).Certificate.ExportCertificatePem();

    /// <summary>The ConfigMaps that can be looked at; others do not exist.</summary>
    internal Dictionary<string, Isthmus.Kubernetes.Objects.ConfigMap> Maps { get; } = [];

    /// <summary>What kubelets say of readiness probes that fail.</summary>
    internal string Checked { get; set; } = "";

    internal SentRequest Sent { get; set; } = SentRequest.Plain;

    /// <summary>Where the caller is; null when that is not known.</summary>
    internal Isthmus.Mesh.Model.Locality? Locality { get; init; }

    /// <summary>What came of all calls, where several were made.</summary>
    internal IReadOnlyList<CallOutcome> Outcomes { get; set; } = [];

    /// <summary>What proxies saw of the call.</summary>
    internal IReadOnlyList<Sighting> Sighted { get; set; } = [];

    /// <summary>The callee in c1 with a certificate that was not renewed.</summary>
    internal string ExpiredCallee => CalleeDump(Root, "orders", Now.AddHours(-1));

    /// <summary>The callee in c1 with a certificate that ended with the CA that had signed it.</summary>
    internal string CalleeOfEndedCa => CalleeDump(Root, "orders", Now.AddHours(-1), below: Root.IssueIntermediate(new("mesh", "Intermediate CA"),
        ECDsa.Create(ECCurve.NamedCurves.nistP256), SubjectNames.None, Now.AddHours(-3), Now.AddHours(-1)));

    /// <summary>The callee in c1 with an identity of another trust domain.</summary>
    internal string ForeignCallee => CalleeDump(Root, "orders", domain: "other.example");

    /// <summary>The callee in c2 with a certificate of another CA.</summary>
    internal static string Stranger => CalleeDump(OtherRoot, "orders");

    /// <summary>Why c2 cannot be queried; empty when it can.</summary>
    internal string TwoIsSilent { get; set; } = "";

    /// <summary>The kinds of c2 that nobody may read.</summary>
    internal IReadOnlyList<string> UnreadThere { get; set; } = [];

    internal CallTrace Walk(string target = "orders", string client = "buyer")
    {
        var walk = new AddressWalk(Facts(target, client), new Random(1));
        Complete(walk.Again());
        return walk.Trace;
    }

    internal TraceFacts Facts(string target = "orders", string client = "buyer") =>
        new([Objects("c1", One), TwoIsSilent.Length > 0 ? ClusterObjects.Unreadable("c2", TwoIsSilent) : Objects("c2", Two, UnreadThere)],
            new("c1", "shop", client),
            TraceTarget.Parse(target), Now) { Call = Call, Sightings = new(Sighted), Sent = Sent, Locality = Locality, Outcomes = Outcomes };

    /// <summary>Walks until nothing is missing.</summary>
    internal void Complete(AddressWalk of)
    {
        var facts = of.Facts;
        for (var round = 0; round < 8; round++)
        {
            var walk = of.Again().Walk;
            if (walk.IsComplete) return;
            foreach (var pod in walk.WantedProxies)
                facts.Proxies[pod] = View(pod.Name switch
                {
                    "buyer" => Client, "gw" => Gateway, "east-1" => new TraceScenario().Gateway, "orders-a" => Callee, "orders-c" => Third ?? CalleeThere, _ => CalleeThere,
                });
            foreach (var ns in walk.WantedNamespaces)
                foreach (var cluster in facts.Clusters) cluster.AddPods(ns, []);
            foreach (var key in walk.WantedHolders)
                facts.Holders[key] = key.Kind == "Secret" ? TracedHolder.Of(Held.GetValueOrDefault($"{key.Namespace}/{key.Name}"))
                    : TracedHolder.Of(Maps.GetValueOrDefault($"{key.Namespace}/{key.Name}"));
            foreach (var pod in walk.WantedChecks)
                facts.Clusters.First(cluster => cluster.Context == pod.Context).AddCheck($"{pod.Namespace}/{pod.Name}", Checked);
            foreach (var pod in walk.WantedSyncs) facts.Following[pod] = Follows;
            foreach (var address in walk.WantedPlaces) facts.Places[address] = Place;
            foreach (var context in walk.WantedWatches)
                (facts.Watched[context], facts.Unlabelled[context], facts.Misplaced[context]) =
                    (Watched ?? [new(context == "c1" ? "c2" : "c1", "istio-system/remote", "synced", "")], Unlabelled, Misplaced);
        }
        throw new InvalidOperationException("the walk asks for ever more");
    }

    internal static ProxyView View(string inspection) =>
        ProxyView.Read(StrictJson.Parse(inspection, ProxyReports.Default.InspectReport), TimeProvider.System, new Random(1));

    internal static CallReport Report(string json) => StrictJson.Parse(json, ProxyReports.Default.CallReport);

    /// <summary>What a Pod tells whose proxy is an Envoy of Istio's.</summary>
    internal static string Envoy(string inspection)
    {
        const string bootstrap =
            """{"@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump", "bootstrap": """
                + """{"node": {"user_agent_name": "envoy", "user_agent_build_version": {"version": {"major_number": 1, "minor_number": 28, "patch": 3}}}}}, """;
        var page = JsonNode.Parse(inspection.Replace("\"configs\": [", $"\"configs\": [{bootstrap}", StringComparison.Ordinal))!.AsObject();
        page.Remove("pod");
        return page.ToJsonString();
    }

    private static ClusterObjects Objects(string context, string yaml, params IEnumerable<string> unread) =>
        ClusterObjects.Of(
            ClusterInventory.From(context, YamlText.ParseAll(yaml, context).OfType<JsonObject>(), unread: unread.ToHashSet(StringComparer.Ordinal)),
            "istio-system", ("shop", []), ("istio-system", []));

    private static string Common(string network) => Fill("""
        {apiVersion: v1, kind: Namespace, metadata: {name: istio-system, labels: {topology.istio.io/network: <network>}}}
        ---
        {apiVersion: apps/v1, kind: Deployment, metadata: {name: istiod, namespace: istio-system, labels: {app: istiod}}, \
        spec: {replicas: 1, selector: {matchLabels: {app: istiod}}, \
        template: {spec: {containers: [{name: discovery, env: [{name: CLUSTER_ID, value: <network2>}]}]}}}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: istiod-x, namespace: istio-system, labels: {app: istiod}}, spec: {containers: [{name: discovery}]}, \
        status: {phase: Running, podIP: 10.1.0.7, conditions: [{type: Ready, status: "True"}]}}
        ---
        {apiVersion: apps/v1, kind: Deployment, metadata: {name: orders, namespace: shop}, spec: {replicas: 1, template: {metadata: {labels: {app: orders, version: v1}}}}}
        ---
        {apiVersion: v1, kind: Service, metadata: {name: orders, namespace: shop}, spec: {clusterIP: 10.96.0.5, selector: {app: orders}, ports: [{name: http, port: 80, targetPort: 8080}]}}

        """, ("<network>", network), ("<network2>", network.Replace('n', 'c')));

    private static string CalleeDump(Issuer issuer, string account, DateTimeOffset? until = null, string domain = "cluster.local", Issuer? below = null) =>
        Fill("""
        {"config_dump": {"configs": [
          {"@type": "x.ClustersConfigDump", "dynamic_active_clusters": [{"cluster": {"name": "inbound|8080||", "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED"}}]},
          {"@type": "x.ListenersConfigDump", "dynamic_listeners": [{"active_state": {"listener": {"name": "virtualInbound", \
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 15006}}, "traffic_direction": "INBOUND",
            "listener_filters": [{"name": "envoy.filters.listener.tls_inspector"}, {"name": "envoy.filters.listener.http_inspector"}],
            "filter_chains": [<http>]}}}]},
          <secrets>]},
         "clusters": {}, "pod": {"listening": ["0.0.0.0:8080", "0.0.0.0:15006"]}}
        """, ("<http>", Http("\"route_config\": {\"name\": \"inbound|8080||\", \"virtual_hosts\": [{\"name\": \"any\", \"domains\": [\"*\"], "
                    + "\"routes\": [{\"match\": {\"prefix\": \"/\"}, \"route\": {\"cluster\": \"inbound|8080||\"}}]}]}",
                "\"name\": \"0.0.0.0_8080\", \"filter_chain_match\": {\"destination_port\": 8080, \"transport_protocol\": \"tls\", \"application_protocols\": "
                    + "[\"istio\"]}, \"transport_socket\": "
                    + Tls("DownstreamTlsContext", ", \"require_client_certificate\": true", "h2", "{\"prefix\": \"spiffe://cluster.local/\"}") + ", ")),
                ("<secrets>", Secrets(issuer, account, until, domain, below)));

    private static string Tls(string type, string more, string alpn, string peer) => Fill("""
        {"name": "envoy.transport_sockets.tls", \
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.<type>", \
        "common_tls_context": {"alpn_protocols": ["<alpn>"], "tls_certificate_sds_secret_configs": [{"name": "default"}],
         "combined_validation_context": {"default_validation_context": {"match_subject_alt_names": [<peer>]}, "validation_context_sds_secret_config": {"name": "ROOTCA"}}}<more>}}
        """, ("<type>", type), ("<alpn>", alpn), ("<peer>", peer), ("<more>", more));

    private static string Tcp(string cluster, string more) => Fill("""
        {<more>"filters": [{"name": "tcp", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "x", "cluster": "<cluster>"}}]}
        """, ("<more>", more), ("<cluster>", cluster));

    private static string Http(string routes, string more) => Fill("""
        {<more>"filters": [{"name": "http", \
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", \
        "stat_prefix": "x", <routes>,
         "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}
        """, ("<more>", more), ("<routes>", routes));

    private static string Endpoint(string address, int port, string workload) => Fill("""
        {"endpoint": {"address": {"socket_address": {"address": "<address>", "port_value": <port>}}}, \
        "metadata": {"filter_metadata": {"istio": {"workload": "<workload>"}, "envoy.transport_socket_match": {"tlsMode": "istio"}}}}
        """, ("<address>", address), ("<port>", port.ToString(CultureInfo.InvariantCulture)), ("<workload>", workload));

    /// <param name="below">The CA between the root and the leaf; null: there is none.</param>
    private static string Secrets(Issuer issuer, string account, DateTimeOffset? until = null, string domain = "cluster.local", Issuer? below = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var leaf = (below ?? issuer).IssueLeaf(new(new PublicKey(key), new([$"spiffe://{domain}/ns/shop/sa/{account}"], [], []), Now.AddHours(-2),
            until ?? Now.AddHours(23)));
        X509Certificate2[] chain = below is null ? [leaf] : [leaf, below.Certificate];
        static string Base64(params X509Certificate2[] certificates) =>
            Convert.ToBase64String(Encoding.UTF8.GetBytes(string.Join('\n', certificates.Select(certificate => certificate.ExportCertificatePem()))));
        return Fill("""
            {"@type": "x.SecretsConfigDump", "dynamic_active_secrets": [
              {"secret": {"name": "default", "tls_certificate": {"certificate_chain": {"inline_bytes": "<base64>"}}}}, \
            {"secret": {"name": "ROOTCA", "validation_context": {"trusted_ca": {"inline_bytes": "<base642>"}}}}]}
            """, ("<base64>", Base64(chain)), ("<base642>", Base64(issuer.Certificate)));
    }

    private static Issuer NewRoot(string name) => Issuer.SelfSigned(new(name), ECDsa.Create(ECCurve.NamedCurves.nistP256), Now.AddDays(-1), Now.AddDays(100));

    private static string Fill(string template, params ReadOnlySpan<(string Token, string Value)> values)
    {
        template = LongLines.Joined(template);
        foreach (var (token, value) in values) template = template.Replace(token, value, StringComparison.Ordinal);
        return template;
    }
}
