using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.Inventory;
using Isthmus.Operate.Migration;
using Xunit;

namespace Isthmus.Tests.Operate.Migration;

/// <summary>Of each kind of object one that works as with Istio, and one of which something is lost.</summary>
public sealed class MigrationCheckTests : IDisposable
{
    private const string Pod = "containers: [{name: app, image: app}]";

    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-migration-").FullName;

    public static TheoryData<string, string, string, string> Lost => new()
    {
        {
            "Gateway", "networking.istio.io/v1", "{selector: {istio: x}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}",
            "{selector: {istio: x}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.example], tls: {mode: SIMPLE, credentialName: c, "
                + "caCrl: /crl}}]}"
        },
        {
            "VirtualService", "networking.istio.io/v1", "{hosts: [a], http: [{route: [{destination: {host: a}}]}]}",
            "{hosts: [a], http: [{fault: {delay: {exponentialDelay: 1s}}, route: [{destination: {host: a}}]}]}"
        },
        { "DestinationRule", "networking.istio.io/v1", "{host: a}", "{host: a, trafficPolicy: {tls: {mode: SIMPLE, caCrl: /crl}}}" },
        {
            "Sidecar", "networking.istio.io/v1", "{egress: [{hosts: ['./*']}]}",
            "{egress: [{captureMode: NONE, hosts: ['./*'], port: {number: 80, protocol: HTTP, name: http}}]}"
        },
        { "WasmPlugin", "extensions.istio.io/v1alpha1", "{url: oci://x}", "{url: oci://x, targetRefs: [{kind: Service, group: '', name: g}]}" },
        { "TrafficExtension", "extensions.istio.io/v1alpha1", "", "{wasm: {url: oci://x}}" },
        { "WorkloadGroup", "networking.istio.io/v1", "", "{template: {serviceAccount: x}}" },
        { "AuthorizationPolicy", "security.istio.io/v1", "{rules: [{to: [{operation: {paths: [/a]}}]}]}",
            "{targetRefs: [{kind: Service, group: '', name: g}], rules: [{}]}" },
        { "PeerAuthentication", "security.istio.io/v1", "{mtls: {mode: STRICT}}", "{unknown: 1}" },
        { "EnvoyFilter", "networking.istio.io/v1alpha3",
            "{configPatches: [{applyTo: CLUSTER, match: {context: SIDECAR_OUTBOUND}, patch: {operation: MERGE, value: {connect_timeout: 1s}}}]}",
            "{configPatches: [{applyTo: HTTP_FILTER, match: {context: SIDECAR_INBOUND}, patch: {operation: INSERT_BEFORE, value: {name: lua, typed_config: "
                + "{'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}}}}]}" },
    };

    /// <summary>What makes an object invalid often says itself what is right.</summary>
    [Theory]
    [InlineData("PeerAuthentication", "security.istio.io/v1", "{selector: {matchLabels: {a: b}}, portLevelMtls: {0: {mode: STRICT}}}", "spec.portLevelMtls")]
    [InlineData("RequestAuthentication", "security.istio.io/v1", "{jwtRules: [{issuer: a, fromCookies: ['']}]}", "spec.jwtRules[0].fromCookies[0]")]
    [InlineData("VirtualService", "networking.istio.io/v1",
        "{hosts: [a], http: [{fault: {delay: {exponentialDelay: 1s}}, route: [{destination: {host: a}}]}]}",
        "spec.http[0].fault.delay.exponentialDelay")]
    public void What_is_lost_has_an_object_a_field_and_a_remedy(string kind, string version, string spec, string field)
    {
        var report = Check($"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x, namespace: shop}}\nspec: {spec}\n");
        var found = report.Findings.First(finding => finding.Level == MigrationLevel.Lost && finding.Field == field);
        Assert.Equal($"{kind} shop/x", found.Object);
        Assert.NotEmpty(found.What);
        Assert.NotEmpty(found.Remedy);
    }

    [Theory]
    [MemberData(nameof(Lost))]
    public void An_object_is_lost_if_admission_refuses_it_or_it_has_no_effect(string kind, string version, string works, string lost)
    {
        foreach (var (spec, isLost) in ((string, bool)[])[(works, false), (lost, true)])
        {
            if (spec.Length == 0) continue;
            var text = $"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x, namespace: shop}}\nspec: {spec}\n";
            var report = Check(text);
            Assert.Equal((kind, isLost), (kind, report.LosesSomething));
            var refused = Validation.Check((JsonObject)Kubernetes.Yaml.YamlText.Parse(text, "x")!).Where(problem => problem.Severity == Severity.Error)
                .ToList();
            Assert.All(refused,
                problem => Assert.Contains(report.Findings,
                    finding => finding.Level == MigrationLevel.Lost && finding.Field == problem.Path && finding.What == problem.Message
                        && finding.Object == $"{kind} shop/x"));
        }
    }

    /// <summary>What Istio ignores as well is not lost.</summary>
    [Theory]
    [InlineData("DestinationRule", "networking.istio.io/v1", "{host: a, trafficPolicy: {loadBalancer: {simple: RANDOM, warmup: {duration: 10s}}}}",
        "spec.trafficPolicy.loadBalancer.warmup", MigrationLevel.Note)]
    [InlineData("Gateway", "networking.istio.io/v1",
        "{selector: {istio: x}, servers: [{port: {number: 443, name: tls, protocol: TLS}, hosts: [a.example], tls: "
        + "{mode: PASSTHROUGH, minProtocolVersion: TLSV1_2}}]}", "spec.servers[0].tls.minProtocolVersion", MigrationLevel.Note)]
    [InlineData("Gateway", "networking.istio.io/v1",
        "{selector: {istio: x}, servers: [{port: {number: 443, name: tls, protocol: HTTPS}, hosts: [a.example], tls: "
        + "{mode: SIMPLE, credentialName: c, minProtocolVersion: TLSV1_3, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]}}]}",
        "spec.servers[0].tls.cipherSuites", MigrationLevel.Note)]
    [InlineData("EnvoyFilter", "networking.istio.io/v1alpha3", "{configPatches: [{applyTo: HTTP_FILTER, match: {context: SIDECAR_INBOUND}, patch: {operation: "
        + "INSERT_BEFORE, value: {name: a, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz, "
        + "transport_api_version: V3}}}}]}", "spec.configPatches[0].patch.value.typed_config.transport_api_version", MigrationLevel.Note)]
    [InlineData("Telemetry", "telemetry.istio.io/v1", "{metrics: [{overrides: [{match: {customMetric: own}, disabled: true}]}]}",
        "spec.metrics[0].overrides[0].match.customMetric", MigrationLevel.Differs)]
    public void A_field_without_effect_is_lost_only_if_Istio_gives_it_one(string kind, string version, string spec, string field, MigrationLevel level)
    {
        var report = Check($"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x, namespace: shop}}\nspec: {spec}\n");
        Assert.Equal(level, Assert.Single(report.Findings, finding => finding.Field == field).Level);
    }

    [Fact]
    public void Settings_and_installation_are_read_as_the_installer_reads_them()
    {
        var report = Check("""
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: istio, namespace: istio-system}
            data:
              mesh: |
                accessLogFile: /dev/stdout
                verifyCertificateAtClient: false
                outboundTrafficPolicy: {mode: REGISTRY_ONLY, tls: {x: y}}
            ---
            apiVersion: install.istio.io/v1alpha1
            kind: IstioOperator
            metadata: {name: installed, namespace: istio-system}
            spec:
              values: {pilot: {env: {PILOT_ENABLE_STATUS: "true"}}, ztunnel: {image: x}}
            ---
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: istio-sidecar-injector, namespace: istio-system}
            data:
              config: "templates: {sidecar: '', house: ''}"
              values: "{}"
            """);
        Assert.Contains(report.Findings,
            finding => finding is { Level: MigrationLevel.Lost, Object: "ConfigMap istio-system/istio", Field: "data[mesh].outboundTrafficPolicy.tls" });
        Assert.Contains(report.Findings,
            finding => finding is { Level: MigrationLevel.Lost, Object: "IstioOperator istio-system/installed", Field: "values.ztunnel" });
        Assert.Contains(report.Findings, finding => finding is { Level: MigrationLevel.Differs, Field: "values.pilot.env.PILOT_ENABLE_STATUS", Value: "true" });
        Assert.Contains(report.Findings, finding => finding is { Level: MigrationLevel.Differs, Field: "data[config].templates[house]" });
        Assert.DoesNotContain(report.Findings,
            finding => finding.Field.Contains("accessLogFile", StringComparison.Ordinal) || finding.Field.Contains("sidecar]", StringComparison.Ordinal));
    }

    /// <summary>It joins the mesh, and is not part of what moves.</summary>
    [Fact]
    public void An_installation_of_Isthmus_loses_nothing()
    {
        var objects = Manifests.Render(OperatorSpec.Build([], [], null)).SelectMany(component => component.Objects).ToList();
        Assert.Contains(objects, value => value["kind"]!.ToString() == "Deployment" && value["metadata"]!["name"]!.ToString() == WellKnown.Istiod);
        Assert.Empty(MigrationCheck.Of([new(ClusterInventory.From("isthmus", objects), [], [], [], [])]).Findings);
    }

    [Fact]
    public void Values_of_Helm_releases_are_those_of_an_installation()
    {
        var istiod = Release("istiod", "istiod", 1, """{"env": {"PILOT_OLD": "1"}}""")
            + Release("istiod", "istiod", 2, """{"env": {"PILOT_NEW": "1"}, "global": {"hub": "x"}, "meshConfig": {"trustDomain": "td"}}""", "deployed");
        var report = Check(istiod + Release("ztunnel", "ztunnel", 1, "{}", "deployed") + Release("other", "redis", 1, """{"env": {}}""", "deployed"));
        Assert.Equal(["Helm release istio-system/istiod values.pilot.env.PILOT_NEW", "Helm release istio-system/ztunnel "],
            report.Findings.Select(finding => $"{finding.Object} {finding.Field}").Order(StringComparer.Ordinal));
        Assert.Empty(report.Unknown);
        Assert.True(report.LosesSomething);
    }

    [Fact]
    public void Values_of_Istios_gateway_chart_are_compared_with_those_of_ours()
    {
        var report = Check(Release("front", "gateway", 1, """
            {"name": "front", "kind": "DaemonSet", "service": {"type": "NodePort", "clusterIP": "", "ipFamilyPolicy": "PreferDualStack"},
             "autoscaling": {"enabled": false}, "labels": {"istio.io/dataplane-mode": "none"},
             "additionalContainers": [], "initContainers": [{"name": "wait"}], "dnsConfig": {}, "minReadySeconds": 5, "global": {"networkPolicy": {"enabled": true}}}
            """, "deployed"));
        Assert.Equal(["initContainers ", "kind DaemonSet", "minReadySeconds 5", "service.ipFamilyPolicy PreferDualStack"],
            report.Findings.Select(finding => $"{finding.Field} {finding.Value}").Order(StringComparer.Ordinal));
        Assert.All(report.Findings, finding => Assert.Equal((MigrationLevel.Differs, "Helm release istio-system/front"), (finding.Level, finding.Object)));
    }

    [Fact]
    public void What_a_workload_changes_of_its_proxy_is_compared()
    {
        static string Of(string name, string container, string list = "containers") => $$$"""
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: {{{name}}}, namespace: shop}
            spec:
              selector: {matchLabels: {app: web} }
              template:
                metadata: {labels: {app: web} }
                spec:
                  containers: [{name: web, image: web, command: [a]}{{{(list == "containers" ? $", {{name: istio-proxy, {container}}}" : "")}}}]
                  initContainers: [{{{(list == "initContainers" ? $"{{name: istio-proxy, {container}}}" : "")}}}]
            """;
        var report = Check(string.Join("\n---\n",
            Of("fits",
                "image: auto, resources: {limits: {cpu: 1}}, env: [{name: A, value: b}], lifecycle: {preStop: {httpGet: {port: 15020, path: /quitquitquit}}}"),
            Of("image", "image: 'registry.example.com/proxyv2:1.31.0'"),
            Of("args", "image: auto, args: [proxy, sidecar, --concurrency, '2']"),
            Of("hook",
                "image: auto, lifecycle: {postStart: {exec: {command: [pilot-agent, wait]}}}, readinessProbe: {exec: {command: [curl, localhost:15021]}}"),
            Of("user", "image: auto, securityContext: {runAsUser: 1000}"),
            Of("native", "image: auto, command: [sh]", "initContainers")));
        Assert.Equal(
        [
            "Differs Deployment shop/hook spec.template.spec.containers[istio-proxy].lifecycle.postStart.exec pilot-agent wait",
            "Differs Deployment shop/hook spec.template.spec.containers[istio-proxy].readinessProbe.exec curl localhost:15021",
            "Differs Deployment shop/image spec.template.spec.containers[istio-proxy].image registry.example.com/proxyv2:1.31.0",
            "Lost Deployment shop/args spec.template.spec.containers[istio-proxy].args proxy sidecar --concurrency 2",
            "Lost Deployment shop/native spec.template.spec.initContainers[istio-proxy].command sh",
            "Lost Deployment shop/user spec.template.spec.containers[istio-proxy].securityContext.runAsUser 1000",
        ], report.Findings.Select(finding => $"{finding.Level} {finding.Object} {finding.Field} {finding.Value}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_Secret_that_is_no_release_is_named()
    {
        var report = Check(
            "apiVersion: v1\nkind: Secret\ntype: helm.sh/release.v1\nmetadata: {name: broken, namespace: a, labels: {owner: helm}}\ndata: {release: "
                + "bm9uZQ==}\n");
        Assert.Contains("Secret a/broken", Assert.Single(report.Unknown).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Ambient_mode_and_waypoints_are_lost_with_their_routes()
    {
        var report = Check("""
            apiVersion: v1
            kind: Namespace
            metadata: {name: amb, labels: {istio.io/dataplane-mode: ambient, istio.io/use-waypoint: wp}}
            ---
            apiVersion: v1
            kind: Namespace
            metadata: {name: side, labels: {istio-injection: enabled, istio.io/use-waypoint: none}}
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop}
            spec: {gatewayClassName: istio-waypoint, listeners: []}
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: Gateway
            metadata: {name: served, namespace: shop}
            spec: {gatewayClassName: istio, listeners: []}
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: HTTPRoute
            metadata: {name: served, namespace: shop}
            spec: {parentRefs: [{name: served}, {kind: Service, group: "", name: web}]}
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: Gateway
            metadata: {name: foreign, namespace: shop}
            spec: {gatewayClassName: nginx, listeners: []}
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: HTTPRoute
            metadata: {name: shop, namespace: shop}
            spec: {parentRefs: [{name: foreign}, {name: front}]}
            ---
            apiVersion: gateway.networking.k8s.io/v1
            kind: HTTPRoute
            metadata: {name: other, namespace: shop}
            spec: {parentRefs: [{name: foreign}]}
            """);
        Assert.Equal(["Gateway.gateway.networking.k8s.io shop/front spec.gatewayClassName", "HTTPRoute shop/shop spec.parentRefs[1]",
            "Namespace amb metadata.labels[istio.io/dataplane-mode]", "Namespace amb metadata.labels[istio.io/use-waypoint]"],
            report.Findings.Select(finding => $"{finding.Object} {finding.Field}"));
        Assert.All(report.Findings, finding => Assert.Equal(MigrationLevel.Lost, finding.Level));
    }

    [Fact]
    public void Workloads_are_checked_once_and_Pods_without_one_by_themselves()
    {
        var report = Check($$$"""
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: web, namespace: shop}
            spec: {selector: {matchLabels: {app: web}},
              template: {metadata: {labels: {app: web},
                annotations: {sidecar.istio.io/bootstrapOverride: b, proxy.istio.io/config: "{concurrency: 2, statNameLength: 100, runtimeValues: {a: b}}" } },
               spec: { {{{Pod}}} } } }
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: web-1, namespace: shop, annotations: {sidecar.istio.io/bootstrapOverride: b},
              ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: u}]}
            spec: { {{{Pod}}} }
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: job-1, namespace: shop, annotations: {inject.istio.io/templates: grpc-agent},
              ownerReferences: [{apiVersion: batch/v1, kind: Job, name: job, uid: u}]}
            spec: {containers: [{name: istio-proxy, image: "docker.io/istio/proxyv2:1.20.3"}]}
            ---
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: istiod, namespace: istio-system}
            spec: {selector: {matchLabels: {app: istiod}},
              template: {metadata: {labels: {app: istiod}},
               spec: {containers: [{name: discovery, image: "docker.io/istio/pilot:1.31.0",
                  env: [{name: REVISION, value: x}, {name: PILOT_SEND_UNHEALTHY_ENDPOINTS, value: "true"}, {name: COMPLIANCE_POLICY, value: fips-140-2}]}]} } }
            """);
        Assert.Equal(
        [
            "Lost Deployment istio-system/istiod env[COMPLIANCE_POLICY]", "Lost Deployment shop/web metadata.annotations[proxy.istio.io/config].runtimeValues",
            "Lost Deployment shop/web metadata.annotations[sidecar.istio.io/bootstrapOverride]",
            "Lost Pod shop/job-1 metadata.annotations[inject.istio.io/templates]",
            "Differs Deployment istio-system/istiod env[PILOT_SEND_UNHEALTHY_ENDPOINTS]",
            "Note Deployment shop/web metadata.annotations[proxy.istio.io/config].statNameLength", "Note Pod shop/job-1 image",
        ], report.Findings.Select(finding => $"{finding.Level} {finding.Object} {finding.Field}"));
    }

    /// <summary>Who may write Secrets decides what is in a release. It must not end the check of the others, nor fill the memory: a few bytes unpack to
    /// any size.</summary>
    [Fact]
    public void A_release_that_cannot_be_read_is_told_and_hides_no_other()
    {
        var report = Check(Release("twice", "istiod", 1, """{"env": {}, "env": {}}""", "deployed")
            + Release("bomb", "istiod", 1, $$"""{"a": "{{new string('a', 40 << 20)}}"}""", "deployed")
            + Release("istiod", "istiod", 1, """{"env": {"PILOT_OLD": "1"}}""", "deployed"));
        Assert.Contains(report.Findings, finding => finding.Field.Contains("PILOT_OLD", StringComparison.Ordinal));
        Assert.Equal(2, report.Unknown.Count);
        Assert.StartsWith("Secret istio-system/sh.helm.release.v1.twice.v1: is not a release of Helm: ", report.Unknown[0].ToString(),
            StringComparison.Ordinal);
        Assert.StartsWith("Secret istio-system/sh.helm.release.v1.bomb.v1: is not a release of Helm: it has more than 32 MiB", report.Unknown[1].ToString(),
            StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private MigrationReport Check(string text)
    {
        File.WriteAllText(Path.Combine(_folder, "mesh.yaml"), text);
        return MigrationCheck.Of([MigrationReader.Read(ManifestFiles.Read([_folder], recursive: false, "default", TextReader.Null),
            WellKnown.SystemNamespace)]);
    }

    /// <summary>A release as Helm stores it.</summary>
    private static string Release(string name, string chart, int number, string values, string status = "superseded")
    {
        var release =
            $$$"""
            {"name": "{{{name}}}", "namespace": "istio-system", "version": {{{number}}}, "info": {"status": "{{{status}}}"},
             "chart": {"metadata": {"name": "{{{chart}}}", "version": "1.31.0"}}, "config": {{{values}}}}
            """;
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionMode.Compress)) gzip.Write(Encoding.UTF8.GetBytes(release));
        var data = Convert.ToBase64String(Encoding.ASCII.GetBytes(Convert.ToBase64String(packed.ToArray())));
        return $"apiVersion: v1\nkind: Secret\ntype: helm.sh/release.v1\nmetadata: {{name: sh.helm.release.v1.{name}.v{number}, namespace: istio-system, "
            + $"labels: {{owner: helm}}}}\ndata: {{release: {data}}}\n---\n";
    }
}
