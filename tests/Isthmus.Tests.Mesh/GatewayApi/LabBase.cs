using System.Text;
using System.Text.Json.Nodes;
using System.Security.Cryptography.X509Certificates;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Testing;

namespace Isthmus.Tests.Mesh.GatewayApi;

/// <summary>What all cases find in the clusters: the definitions of the API, namespaces, workloads that echo, certificates and three Gateways.</summary>
internal sealed class LabBase : IDisposable
{
    internal const string Chosen = "back";

    /// <summary>Names that servers of Gateways and backends have in their certificates.</summary>
    private static readonly string[] OfGateways = ["one.example", "two.example", "front.example", "*.wild.example", "four.wild.example"],
        OfBackends = ["backend.example", "spiffe://backend.example/web", "pass.example", "a.pass.example"];

    private static readonly string[] Namespaces = [ObjectName.Front, "back", "web", CallPlace.Mesh, "consumer"];

    private static readonly Workload[] Workloads =
    [
        new("front", "v1", Echo.Http, true), new("front", "v2", Echo.Http, true), new("front", "v3", Echo.Http, true),
        new("front", "secure", Echo.Https), new("front", "g1", Echo.Grpc), new("front", "g2", Echo.Grpc), new("front", "g3", Echo.Grpc),
        new("front", "t1", Echo.Tcp), new("front", "t2", Echo.Tcp), new("front", "u1", Echo.Udp), new("front", "u2", Echo.Udp),
        new("back", "v1", Echo.Http), new("back", "t1", Echo.Tcp), new("back", "u1", Echo.Udp), new("web", "v1", Echo.Http),
        new("mesh", "v1", Echo.Http, true), new("mesh", "v2", Echo.Http, true), new("mesh", "g1", Echo.Grpc), new("mesh", "g2", Echo.Grpc),
        new("mesh", "caller", Echo.Caller, true), new("consumer", "caller", Echo.Caller),
    ];

    private readonly TestCa _authority = new("cases"), _other = new("other");

    private enum Echo
    {
        Http,
        Https,
        Grpc,
        Tcp,
        Udp,

        /// <summary>Answers nobody: it stays where its Gateways are.</summary>
        Caller,
    }

    internal string AuthorityPem => _authority.Pem;

    internal X509Certificate2 Authority => X509CertificateLoader.LoadCertificate(Encoding.ASCII.GetBytes(_authority.Pem));

    /// <summary>What callers show: <c>client</c> is of the CA that ConfigMaps name <c>ca</c>, <c>stranger</c> of <c>other</c>.</summary>
    internal X509Certificate2 Client(string name) => (name == "client" ? _authority : _other).Server($"{name}.example");

    /// <summary>The standard channel, and the fields of the experimental one and of v1.7 that cases use.</summary>
    internal static IEnumerable<JsonObject> Definitions() => GatewayApiCrds.All.Select(definition =>
    {
        var annotations = definition["metadata"]!["annotations"]!;
        (annotations[GatewayApiCrds.VersionAnnotation], annotations[GatewayApiCrds.ChannelAnnotation]) = ("v1.7.0", "experimental");
        foreach (var version in definition["spec"]!["versions"]!.AsArray())
        {
            var fields = version!["schema"]!["openAPIV3Schema"]!["properties"]!;
            switch (definition["spec"]!["names"]!["kind"]!.ToString())
            {
                case "HTTPRoute":
                    Add(fields["spec"]!["properties"]!["rules"]!, "retry",
                        new JsonObject { ["type"] = "object", ["x-kubernetes-preserve-unknown-fields"] = true });
                    break;
                case "Gateway":
                    foreach (var part in (string[])["spec", "status"])
                        Add(fields[part]!["properties"]!["addresses"]!, "routability", new JsonObject { ["type"] = "string" });
                    break;
            }
        }
        return definition;
    });

    /// <param name="isQuick">Only what the cases of <c>./test</c> need.</param>
    internal IEnumerable<JsonObject> Before(bool isQuick, bool isElsewhere) =>
    [
        .. Namespaces.Select(name => Object($"Namespace {name}", new JsonObject { ["metadata"] = new JsonObject { ["labels"] = Labels(name, isElsewhere) } })),
        Pair("cert", ObjectName.Front, _authority.RsaServer(OfGateways)), Pair("cert", "back", _authority.RsaServer(OfGateways)),
        Pair("backend", ObjectName.Front, _authority.RsaServer(OfBackends)), Pair("client", ObjectName.Front, _authority.RsaServer("client.example")),
        Bundle("ca", _authority), Bundle("other", _other),
        .. Workloads.Where(workload => workload.IsQuick || !isQuick).Where(workload => !isElsewhere || workload.Kind != Echo.Caller)
            .SelectMany(workload => workload.Objects()),
        Service("mesh", "echo", "app: echo, serves: http", Echo.Http), Service("mesh", "calls", "app: echo, serves: grpc", Echo.Grpc),
        .. isElsewhere ? [] : isQuick ? Gateways().Take(2) : Gateways(),
    ];

    /// <summary>The Deployments whose Pods leave when all backends are elsewhere.</summary>
    internal static IEnumerable<ObjectName> Backends(bool isQuick) =>
        Workloads.Where(workload => workload.Kind != Echo.Caller && (workload.IsQuick || !isQuick))
            .Select(workload => ObjectName.Read($"Deployment {workload.Namespace}/{workload.Name}"));

    internal static IEnumerable<ObjectName> Everything() => Namespaces.Select(name => ObjectName.Read($"Namespace {name}"));

    public void Dispose()
    {
        _authority.Dispose();
        _other.Dispose();
    }

    /// <summary>Adds a field to the objects of a list.</summary>
    private static void Add(JsonNode list, string field, JsonObject schema) => list["items"]!["properties"]![field] = schema;

    private static JsonObject Labels(string name, bool isElsewhere)
    {
        var labels = new JsonObject { ["tier"] = name is "back" or "web" ? Chosen : name };
        // Gateways call backends as they are, but over networks only those with a sidecar.
        if (isElsewhere || name is CallPlace.Mesh or "consumer") labels["istio-injection"] = "enabled";
        return labels;
    }

    private static IEnumerable<JsonObject> Gateways() =>
        new[] { ("same", "from: Same"), ("all", "from: All"), ("chosen", $"from: Selector, selector: {{matchLabels: {{tier: {Chosen}}} }}") }
            .Select(one => Text($"Gateway {one.Item1}",
                $"{{gatewayClassName: istio, listeners: [{{name: http, port: 80, protocol: HTTP, allowedRoutes: {{namespaces: {{{one.Item2}}} }} }}]}}"));

    private static JsonObject Pair(string name, string ns, X509Certificate2 certificate)
    {
        using var key = certificate.GetRSAPrivateKey()!;
        return Object($"Secret {ns}/{name}", new JsonObject
        {
            ["type"] = "kubernetes.io/tls",
            ["stringData"] = new JsonObject { ["tls.crt"] = certificate.ExportCertificatePem(), ["tls.key"] = key.ExportPkcs8PrivateKeyPem() },
        });
    }

    private static JsonObject Bundle(string name, TestCa authority) =>
        Object($"ConfigMap {name}", new JsonObject { ["data"] = new JsonObject { ["ca.crt"] = authority.Pem } });

    private static JsonObject Service(string ns, string name, string selector, Echo kind) => Text($"Service {ns}/{name}",
        $"{{selector: {{{selector}}}, ports: [{kind switch
        {
            Echo.Http when ns == CallPlace.Mesh => "{name: http, port: 80, targetPort: 3000}, {name: http-second, port: 8080, targetPort: 3000}",
            Echo.Http => "{name: first, port: 80, targetPort: 3000}, {name: second, port: 81, targetPort: 3001, appProtocol: kubernetes.io/h2c}, "
                + "{name: third, port: 82, targetPort: 3000, appProtocol: kubernetes.io/ws}",
            Echo.Https => "{name: first, port: 443, targetPort: 8443}",
            Echo.Grpc => "{name: first, port: 80, targetPort: 3000, appProtocol: kubernetes.io/h2c}, {name: second, port: 443, targetPort: 8443}",
            Echo.Udp => "{name: first, port: 80, targetPort: 8080, protocol: UDP}",
            _ => "{name: first, port: 80, targetPort: 3000}, {name: second, port: 443, targetPort: 8443}",
        }}]}}");

    private static JsonObject Object(string name, JsonObject text) => ObjectName.Read(name).Build(text);

    private static JsonObject Text(string name, string text) =>
        ObjectName.Read(name).Build(Kubernetes.Yaml.YamlText.Parse(text, name));

    private sealed record Workload(string Namespace, string Name, Echo Kind, bool IsQuick = false)
    {
        private string Server => Kind switch
        {
            Echo.Grpc or Echo.Tcp => $"{{name: {Kind.ToString().ToUpperInvariant()}_ECHO_SERVER, value: '1'}}, "
                + "{name: TLS_SERVER_PRIV_KEY, value: /pair/tls.key}, {name: TLS_SERVER_CERT, value: /pair/tls.crt}",
            Echo.Udp => "{name: UDP_ECHO_SERVER, value: '1'}",
            Echo.Https => "{name: TLS_SERVER_PRIVKEY, value: /pair/tls.key}, {name: TLS_SERVER_CERT, value: /pair/tls.crt}, "
                + "{name: TLS_CLIENT_CACERTS, value: /ca/ca.crt}",
            _ => "",
        };

        internal IEnumerable<JsonObject> Objects()
        {
            var pair = Namespace == ObjectName.Front && Kind is Echo.Grpc or Echo.Tcp or Echo.Https;
            var env = Server.Split("}, ", StringSplitOptions.RemoveEmptyEntries).Where(one => pair || !one.Contains("TLS_", StringComparison.Ordinal))
                .Select(one => one.TrimEnd('}') + "}").Append("{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name} } }")
                .Append("{name: NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace} } }");
            yield return Text($"Deployment {Namespace}/{Name}", $$"""
                selector: {matchLabels: {name: {{Name}} } }
                template:
                  metadata:
                    labels: {name: {{Name}}, app: {{(Kind == Echo.Caller ? Name : "echo")}}, serves: {{Kind.ToString().ToLowerInvariant()}} }
                  spec:
                    terminationGracePeriodSeconds: 0
                    volumes: [{{(pair ? "{name: pair, secret: {secretName: backend} }, {name: ca, configMap: {name: ca} }" : "")}}]
                    containers:
                    - name: echo
                      image: registry.k8s.io/gateway-api/echo-basic:v1.5.1
                      env: [{{string.Join(", ", env)}}]
                      volumeMounts: [{{(pair ? "{name: pair, mountPath: /pair}, {name: ca, mountPath: /ca}" : "")}}]
                """);
            if (Kind != Echo.Caller) yield return Service(Namespace, Name, $"name: {Name}", Kind);
        }
    }
}
