using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Inventory;

namespace Isthmus.Tests.Operate.GlobalNames;

/// <summary>Two clusters in the state after the example of replicated control planes, and the objects that a test
/// adds.</summary>
internal static class ReplicatedClusters
{
    private const string Gateway = """
        apiVersion: v1
        kind: Service
        metadata: {name: entry, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          ports: [{name: tls, port: 15443, targetPort: 15443, nodePort: 30443}]
        status: {loadBalancer: {ingress: [{ip: $ADDRESS}]}}
        ---
        apiVersion: v1
        kind: Node
        metadata: {name: node}
        status: {addresses: [{type: InternalIP, address: $NODE}, {type: Hostname, address: node}]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: entry-0, namespace: istio-system, labels: {istio: ingressgateway}}
        spec: {containers: [{name: istio-proxy, image: proxy, env: [{name: ISTIO_META_ROUTER_MODE, value: sni-dnat}]}]}
        ---
        apiVersion: networking.istio.io/v1alpha3
        kind: Gateway
        metadata: {name: entry, namespace: istio-system}
        spec:
          selector: {istio: ingressgateway}
          servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.global']}]
        """;

    internal const string Rule = """
        apiVersion: networking.istio.io/v1alpha3
        kind: DestinationRule
        metadata: {name: entry, namespace: istio-system}
        spec: {host: '*.global', trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
        """;

    internal const string Rewrite = """
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        metadata: {name: entry, namespace: istio-system}
        spec:
          workloadSelector: {labels: {istio: ingressgateway}}
          configPatches:
          - applyTo: NETWORK_FILTER
            match: {context: GATEWAY, listener: {portNumber: 15443, filterChain: {filter: {name: envoy.filters.network.sni_cluster}}}}
            patch:
              operation: INSERT_AFTER
              value:
                name: envoy.filters.network.tcp_cluster_rewrite
                typed_config:
                  "@type": type.googleapis.com/istio.envoy.config.filter.network.tcp_cluster_rewrite.v2alpha1.TcpClusterRewrite
                  cluster_pattern: "\\.global$"
                  cluster_replacement: .svc.cluster.local
        """;

    internal const string Orders = """
        apiVersion: v1
        kind: Service
        metadata: {name: orders, namespace: shop}
        spec: {clusterIP: 10.96.0.7, selector: {app: orders}, ports: [{name: http, port: 8000, targetPort: 80}, {name: dns, port: 53, protocol: UDP}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: orders, namespace: shop}
        spec: {replicas: 1, template: {metadata: {labels: {app: orders}}, spec: {containers: [{name: app, image: app}]}}}
        """;

    internal static ClusterInventory One(params string[] more) => Cluster("one", "172.18.201.1", "172.18.0.2", more);

    internal static ClusterInventory Two(params string[] more) => Cluster("two", "172.18.202.1", "172.18.0.3", more);

    /// <summary>An entry through which callers reach orders of the other cluster.</summary>
    internal static string Entry(string endpoint = "{address: 172.18.202.1, ports: {http1: 15443}}", string host = "orders.shop.global", int port = 8000,
        string vip = "240.0.0.2", string name = "orders") =>
        $$"""
        apiVersion: networking.istio.io/v1alpha3
        kind: ServiceEntry
        metadata: {name: {{name}}, namespace: foo}
        spec:
          hosts: [{{host}}]
          location: MESH_INTERNAL
          ports: [{name: http1, number: {{port}}, protocol: http}]
          resolution: DNS
          addresses: [{{vip}}]
          endpoints: [{{endpoint}}]
        """;

    private static ClusterInventory Cluster(string context, string address, string node, string[] more) => ClusterInventory.From(context,
        ((string[])[Gateway.Replace("$ADDRESS", address, StringComparison.Ordinal).Replace("$NODE", node, StringComparison.Ordinal), .. more])
            .SelectMany(text => YamlText.ParseAll(text, "test")).Select(value => (JsonObject)value!.DeepClone()));
}
