using Isthmus.Testing;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

internal static class WorkloadCases
{
    private const string Crashing = "containerStatuses: [{name: app, state: {waiting: {reason: CrashLoopBackOff} } }]";

    private const string ByDefault =
        """{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-sidecar-injector, namespace: istio-system}, data: {values: '{"sidecarInjectorWebhook": {"enableNamespacesByDefault": true} }'} }""";

    private static string Injector(string client) =>
        LongLines.Joined($$"""
            {apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: istio-sidecar-injector}, \
            webhooks: [{name: rev.namespace.sidecar-injector.istio.io, clientConfig: {{client}} }] }
            """);

    /// <summary>An injector that wants another label of namespaces, beside that of injection.</summary>
    private const string Demanding = "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: demanding}, "
        + "webhooks: [{name: namespace.sidecar-injector.istio.io, clientConfig: {url: 'https://istiod.example/inject'}, "
        + "namespaceSelector: {matchLabels: {istio-injection: enabled, env: prod} } }]}";

    internal static AnalyzerCase[] All { get; } =
    [
        new("ISM1555", "c1 Pod shop/web-1 metadata.annotations[sidecar.istio.io/proxyMemoryLimit]", Join(Root, Namespace("shop"), Starved("8Mi", "OOMKilled", "8Mi")),
            Join(Root, Namespace("shop"), Starved("8Mi", "Completed", "8Mi")),
            "is 8Mi, and container istio-proxy needed more, so that it was killed (OOMKilled, exit code 137; 4 restarts): the Pod is not ready",
            "raise sidecar.istio.io/proxyMemoryLimit in the annotations of the Pod's template"),
        new("ISM1555", "c1 Pod shop/web-1 spec.containers[istio-proxy].resources.limits.memory",
            Join(Root, Namespace("shop"), Starved("", "OOMKilled", "16Mi")), Join(Root, Namespace("shop"), Starved("", "Error", "16Mi")),
            "is 16Mi, and container istio-proxy needed more", "raise values.global.proxy.resources.limits.memory of the control plane"),
        new("ISM1530", "c1 Deployment shop/api spec.template.spec.hostAliases[0]", Join(Web, Aliases("10.9.9.9", "web.shop.svc.cluster.local")),
            Join(Web, Aliases("10.0.0.1", "web.shop.svc.cluster.local")),
            "gives web.shop.svc.cluster.local the address 10.9.9.9, and Service shop/web has 10.0.0.1"),
        new("ISM1530", "c1 Deployment shop/api spec.template.spec.hostAliases[0]", Join(Web, Aliases("10.9.9.9", "web")),
            Join(Web, Aliases("10.9.9.9", "web.example.com")), "gives web the address", Remedy: "remove web from hostAliases, or write 10.0.0.1 there"),
        new("IST0102", "c1 Namespace shop metadata.labels", Join(Root, Namespace("shop", ""), Bare("shop", "web-1", "app: web")),
            Join(Root, Namespace("shop", "istio-injection: disabled"), Bare("shop", "web-1", "app: web"))),
        new("IST0102", "c1 Namespace empty metadata.labels", Join(Root, Namespace("empty", "")),
            Join(Root, Namespace("empty", "istio-injection: disabled"), Namespace("default", ""), Namespace("metallb-system", ""),
                Namespace("other", "istio.io/dataplane-mode: ambient")),
            "Pods that are created in it"),
        new("ISM1509", "c1 Namespace shop metadata.labels[istio-injection]", Join(Root, Namespace("shop", "istio-injection: 'true'"),
            Bare("shop", "web-1", "app: web")), Join(Root, Namespace("shop", "istio-injection: disabled"), Bare("shop", "web-1", "app: web")),
            "is \"true\", which has the effect of disabled"),
        new("IST0148", "c1 Namespace shop metadata.labels", Join(Root, Namespace("shop", ""), ByDefault),
            Join(Root, Namespace("shop", "istio-injection: disabled"), Namespace("local-path-storage", ""), ByDefault), "enableNamespacesByDefault"),
        new("IST0148", "c1 Namespace shop metadata.labels", Join(Root, Namespace("shop", ""),
            Injector("{url: 'https://istiod.example/inject'}").Replace("rev.namespace", "auto", StringComparison.Ordinal)),
            Join(Root, Namespace("shop"), Injector("{url: 'https://istiod.example/inject'}").Replace("rev.namespace", "auto", StringComparison.Ordinal)),
                "its Pods get sidecars"),
        new("IST0103", "c1 Pod shop/web-2", Join(Root, Namespace("shop", ""), ByDefault, Bare("shop", "web-2", "app: web")),
            Join(Root, Namespace("shop", "istio-injection: disabled"), ByDefault, Bare("shop", "web-2", "app: web"))),
        new("IST0103", "c1 Pod shop/web-1", Join(Root, Namespace("shop"), Bare("shop", "web-1", "app: web")),
            Join(Root, Namespace("shop"), Bare("shop", "web-1", "app: web, sidecar.istio.io/inject: 'false'"),
                Bare("shop", "job-1", "a: b").Replace("phase: Running", "phase: Succeeded", StringComparison.Ordinal))),
        new("IST0103", "c1 Pod shop/web-1", Join(Root, Namespace("shop"), InjectorMap("", "new"), Bare("shop", "web-1", "app: web")),
            Join(Root, Namespace("shop"), InjectorMap("", "new"), Injecting("canary"), Proxied("web-1", "hub.example/isthmus:new")),
            "no MutatingWebhookConfiguration of c1 injects Pods", Remedy: "isthmus install -y --context=c1 -f FILE"),
        new("IST0103", "c1 Pod shop/web-1", Join(Root, Namespace("shop"), Webhook("one", "enabled", "istiod"), StoppedIstiod(0), Bare("shop", "web-1", "app: web")),
            Join(Root, Namespace("shop"), Webhook("one", "enabled", "istiod"), StoppedIstiod(1), Proxied("web-1", "hub.example/isthmus:new")),
            "nothing answers the webhook that injects Pods, because spec.replicas of Deployment istio-system/istiod is 0",
            Remedy: "start the control plane first: kubectl --context=c1 -n istio-system scale deployment istiod --replicas=1; then restart the workload"),
        new("IST0103", "c1 Pod shop/web-1 metadata.annotations[sidecar.istio.io/inject]", Join(Root, Namespace("shop", ""), Annotate("'true'")),
            Join(Root, Namespace("shop", "istio-injection: disabled"), Annotate("'true'")), "only the label of this name asks for one",
            Remedy: "label namespace shop istio-injection=enabled"),
        new("ISM1521", "c1 cluster c1", Join(Root, Namespace("shop"), InjectorMap("", "new")),
            Join(Root, Namespace("shop"), InjectorMap("", "new"), Injecting("canary")),
            "namespaces ask for them: shop", Remedy: "isthmus install -y --context=c1 -f FILE"),
        new("IST0103", "c1 Pod shop/web-3", Join(Root, Namespace("shop"), Demanding, Bare("shop", "web-3", "app: web")),
            Join(Root, Namespace("shop"), Demanding, Pod("shop", "web-3", "app: web")), "webhooks[0].namespaceSelector demands env in (prod)"),
        new("IST0123", "c1 Namespace shop metadata.labels", Join(Root, Namespace("shop", "istio-injection: enabled, istio.io/rev: canary")),
            Join(Root, Namespace("shop", "istio.io/rev: canary"))),
        new("ISM1409", "c1 Namespace shop metadata.labels[pod-security.kubernetes.io/enforce]",
            Join(Root, Namespace("shop", "istio-injection: enabled, pod-security.kubernetes.io/enforce: baseline")),
            Join(Root, Namespace("shop", "istio-injection: enabled, pod-security.kubernetes.io/enforce: privileged"),
                Namespace("metallb-system", "pod-security.kubernetes.io/enforce: baseline"), Injecting("canary"), ByDefault)),
        Annotated("IST0107", "c1 Deployment shop/web metadata.annotations[sidecar.istio.io/inject]", "sidecar.istio.io/inject: 'true'", "", "it is for Pods"),
        new("IST0107", "c1 Gateway.gateway.networking.k8s.io shop/web metadata.annotations[inject.istio.io/templates]",
            Join(Root, Templated("inject.istio.io/templates: 'gateway,own'")), Join(Root, Templated("inject.istio.io/templates: gateway")),
            "always injected as gateways"),
        Annotated("IST0107", "c1 Deployment shop/web metadata.annotations[networking.istio.io/exportTo]", "networking.istio.io/exportTo: '.'", "", "Service"),
        Annotated("IST0108", "c1 Deployment shop/web spec.template.metadata.annotations[sidecar.istio.io/proxyCPUs]", "", "sidecar.istio.io/proxyCPUs: 1", ""),
        Annotated("IST0108", "c1 Deployment shop/web metadata.annotations[networking.istio.io/gatewayPort]", "networking.istio.io/gatewayPort: '15444'", "",
            "is a label of the mesh"),
        Annotated("IST0125", "c1 Deployment shop/web spec.template.metadata.annotations[traffic.sidecar.istio.io/excludeOutboundPorts]", "",
            "traffic.sidecar.istio.io/excludeOutboundPorts: '80,x'", "list of ports"),
        Annotated("IST0135", "c1 Deployment shop/web spec.template.metadata.annotations[sidecar.istio.io/proxyImageType]", "",
            "sidecar.istio.io/proxyImageType: debug", "no effect"),
        Annotated("IST0107", "c1 Deployment shop/web spec.template.metadata.annotations[kubernetes.io/ingress.class]", "", "kubernetes.io/ingress.class: istio",
            "of kind Ingress"),
        Annotated("IST0125", "c1 Deployment shop/web spec.template.metadata.annotations[readiness.status.sidecar.istio.io/periodSeconds]", "",
            "readiness.status.sidecar.istio.io/periodSeconds: soon", "is not a number"),
        Annotated("IST0125", "c1 Deployment shop/web spec.template.metadata.annotations[status.sidecar.istio.io/port]", "", "status.sidecar.istio.io/port: '0'",
            "is not a port"),
        Annotated("IST0125", "c1 Deployment shop/web spec.template.metadata.annotations[sidecar.istio.io/proxyCPU]", "", "sidecar.istio.io/proxyCPU: lots",
            "\"lots\" is not an amount of cpu, such as 100m: the injector refuses the Pod"),
        Annotated("IST0125", "c1 Deployment shop/web spec.template.metadata.annotations[sidecar.istio.io/proxyMemoryLimit]", "",
            "sidecar.istio.io/proxyMemory: 256Mi, sidecar.istio.io/proxyMemoryLimit: 128Mi", "is below the request, sidecar.istio.io/proxyMemory: 256Mi"),
        Annotated("IST0125", "c1 Deployment shop/web spec.template.metadata.annotations[sidecar.istio.io/proxyMemory]", "",
            "sidecar.istio.io/proxyMemory: 128m", "m is a thousandth, so write 128Mi"),
        Annotated("IST0125", "c1 Deployment shop/web spec.template.metadata.annotations[sidecar.istio.io/logLevel]", "", "sidecar.istio.io/logLevel: verbose",
            "is not one of trace, debug"),
        Annotated("IST0125", "c1 Deployment shop/web spec.template.metadata.annotations[sidecar.istio.io/rewriteAppHTTPProbers]", "",
            "sidecar.istio.io/rewriteAppHTTPProbers: 'no'", "the injector refuses the Pod"),
        new("IST0103", "c1 Pod shop/web-1", Join(Root, Injecting("canary"), Namespace("shop", "istio.io/rev: old"), Bare("shop", "web-1", "app: web")),
            Join(Root, Injecting("canary"), Namespace("shop", "istio.io/rev: canary"), Pod("shop", "web-1", "app: web")),
            "it asks for revision old, which does not exist in c1"),
        new("ISM1494", "c1 Deployment shop/web status.conditions", Join(Web, Refused("True")), Join(Web, Refused("False")),
            "its Pods are refused: admission webhook denied the request"),
        new("ISM1494", "c1 Deployment shop/web status.conditions", Join(Web, Refused("True", "pods is forbidden: no PriorityClass with name high was found")),
            Join(Web, Refused("False")), "no PriorityClass", Remedy: "create PriorityClass high in this cluster"),
        new("ISM1494", "c1 Deployment shop/web status.conditions",
            Join(Web, Refused("True", "error looking up service account: serviceaccount \"web\" not found")), Join(Web, Refused("False")), "error looking up",
            Remedy: "create the ServiceAccount, with the rights that it had (what an installation made, the installation makes again): "
                + "kubectl --context=c1 -n shop create serviceaccount web"),
        new("IST0125", "c1 Namespace shop metadata.annotations[networking.istio.io/traffic-distribution]", Join(Root, Spread("Nearby")),
            Join(Root, Spread("PreferSameZone")), "is not PreferClose"),
        Annotated("IST0135", "c1 Deployment shop/web spec.template.metadata.annotations[sidecar.istio.io/statsInclusionPrefixes]", "",
            "sidecar.istio.io/statsInclusionPrefixes: cluster", "Istio has replaced it"),
        new("IST0158", "c1 Namespace shop", Join(Root, Namespace("shop"), InjectorMap("", "new"), Proxied("web-1", "hub.example/isthmus:old")),
            Join(Root, Injecting("canary"), Namespace("shop"), InjectorMap("", "new"), Proxied("web-1", "hub.example/isthmus:new"),
                Bare("shop", "web-2", "sidecar.istio.io/inject: 'false'")),
            "hub.example/isthmus:new, and these have another one: web-1"),
        new("IST0158", "c1 Namespace shop",
            Join(Root, Namespace("shop", "istio.io/rev: canary"), InjectorMap("", "old"), InjectorMap("-canary", "new"),
                Proxied("web-1", "hub.example/isthmus:old")),
            Join(Root, Injecting("canary"), Namespace("shop", "istio.io/rev: canary"), InjectorMap("", "old"), InjectorMap("-canary", "new"),
                Proxied("web-1", "hub.example/isthmus:new"), Proxied("web-2", "other.example/proxy:1", "sidecar.istio.io/proxyImage: 'other.example/proxy:1'")),
            "hub.example/isthmus:new"),
        new("IST0144", "c1 Deployment shop/job spec.template.spec.containers[0].securityContext.runAsUser",
            Join(Root, Namespace("shop"), Deployment("shop", "job", "app: job", "securityContext: {runAsUser: 1337}, containers: [{name: app, image: app}]")),
            Join(Root, Namespace("shop"),
                Deployment("shop", "job", "app: job", "securityContext: {runAsUser: 1337}, containers: [{name: app, image: app}]",
                    "sidecar.istio.io/inject: 'false'")),
            "bypasses the proxy"),
        new("IST0163", "c1 MutatingWebhookConfiguration istio-sidecar-injector webhooks[0].clientConfig.url", Join(Web, Injector("{url: ''}")),
            Join(Web, Injector("{url: 'https://istiod.example/inject'}")), "is empty"),
        new("IST0164", "c1 MutatingWebhookConfiguration istio-sidecar-injector webhooks[0].clientConfig.url",
            Join(Web, Injector("{url: 'https://192.0.2.7:15017/inject'}")), Join(Web, Injector("{url: 'https://istiod.example:15017/inject'}")), "192.0.2.7"),
        new("IST0123", "c1 Namespace shop metadata.labels", Join(Root, Namespace("shop", "istio.io/rev: canary, istio.io/dataplane-mode: ambient")),
            Join(Root, Namespace("shop", "istio-injection: disabled, istio.io/rev: canary")), "istio.io/rev=canary and istio.io/dataplane-mode=ambient"),
        new("IST0144", "c1 Pod shop/web-1 spec.containers[0].securityContext.runAsUser",
            Join(Root, Namespace("shop"), Pod("shop", "web-1", "app: web", "securityContext: {runAsUser: 1337}")),
            Join(Root, Namespace("shop"), Pod("shop", "web-1", "app: web", "securityContext: {runAsUser: 1000}"))),
        new("IST0146", "c1 Deployment shop/gw spec.template.spec.containers",
            Join(Root, Namespace("shop", "istio-injection: disabled"),
                Deployment("shop", "gw", "istio: gw, sidecar.istio.io/inject: 'true'", "containers: [{name: istio-proxy, image: auto}]")),
            Join(Root, Namespace("shop", ""),
                Deployment("shop", "gw", "istio: gw, sidecar.istio.io/inject: 'true'", "containers: [{name: istio-proxy, image: auto}]"))),
        new("IST0147", "c1 Pod shop/gw spec.containers",
            Join(Root, Namespace("shop", ""), Workload("shop", "gw", "istio: gw", "containers: [{name: istio-proxy, image: auto}]")),
            Join(Root, Namespace("shop", ""), Workload("shop", "gw", "istio: gw", "containers: [{name: istio-proxy, image: proxy}]"))),
        new("IST0118", "c1 Service shop/web spec.ports[0].name", Ports("{port: 8080}"),
            Ports("{name: grpc-web-1, port: 8080}, {name: dns, port: 53, protocol: UDP}, {name: x, port: 81, appProtocol: http}"), "has no name"),
        new("IST0116", "c1 Deployment shop/web spec.template", Two("{name: http, port: 80}", "{name: tcp, port: 80}"),
            Two("{name: http, port: 80}", "{name: http-more, port: 80}"), "web:80 (Http), more:80 (Tcp)"),
        new("IST0137", "c1 Deployment shop/web spec.template", Two("{name: http, port: 80, targetPort: 8080}", "{name: tcp, port: 8080}"),
            Two("{name: http, port: 80, targetPort: 8080}", "{name: http, port: 8080}"), "8080"),
        new("ISM1417", "c1 Service shop/wev spec.selector", Join(Web, Service("shop", "wev", "app: wev")), Join(Web, Service("shop", "soon", "app: not-yet")),
            "app=wev"),
        new("ISM1547", "c1 Service shop/soon spec.selector", Join(Web, Service("shop", "soon", "app: not-yet")),
            Join(Web, Service("shop", "soon", "app: not-yet"), Next, Root, Namespace("shop"), Service("shop", "soon", "app: not-yet"),
                Pod("shop", "soon-1", "app: not-yet")), "app=not-yet", Remedy: "delete the Service"),
        new("ISM1417", "c1 Service shop/stray spec.selector", Join(Web, Namespace("shops"), Pod("shops", "stray-1", "app: stray"),
                Service("shop", "stray", "app: stray")),
            Join(Web, Namespace("shops"), Pod("shops", "stray-1", "app: stray"), Service("shops", "stray", "app: stray"),
                Service("shop", "stray", "app: stray")),
            "has these labels, in another namespace"),
        // The namespace has another name in the other cluster.
        new("ISM1417", "c1 Service shop/cart spec.selector",
            Join(Web, Service("shop", "cart", "app: cart"), Next, Root, Namespace("shop-prod"), Service("shop-prod", "cart", "app: cart"),
                Pod("shop-prod", "cart-1", "app: cart")),
            Join(Web, Service("shop", "cart", "app: cart"), Next, Root, Namespace("shop"), Service("shop", "cart", "app: cart"),
                Pod("shop", "cart-1", "app: cart")),
            "Pod shop-prod/cart-1 in c2 has these labels, in another namespace", Remedy: "namespace shop"),
        new("ISM1420", "c1 Service shop/named spec.ports[0].targetPort",
            Join(Web, Service("shop", "named", "app: web").Replace("port: 80", "port: 80, targetPort: pages", StringComparison.Ordinal)),
            Join(Web, Service("shop", "named", "app: web").Replace("port: 80", "port: 80, targetPort: 8080", StringComparison.Ordinal)),
            "pages is the name of no port"),
        new("ISM1418", "c1 Pod shop/web-2 status.containerStatuses", Join(Web, Pod("shop", "web-2", "app: web", status: Crashing)),
            Join(Web, Pod("shop", "web-2", "app: web", status: "containerStatuses: [{name: app, state: {waiting: {reason: ContainerCreating} } }]")),
            "1 other Pod answers"),
        new("ISM1425", "c1 NetworkPolicy shop/closed spec", Join(Web, Node("isthmus://0.1.0"), Closed), Join(Web, Node("containerd://2.0.1"), Closed),
            "drops nothing"),
        new("ISM1426", "c1 NetworkPolicy shop/out spec.egress",
            Join(Web, Istiod, Policy("shop", "out", "podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {} }] }]")),
            Join(Web, Istiod,
                Policy("shop", "out",
                    "podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {} }] }, {to: [{namespaceSelector: {matchLabels: "
                        + "{topology.istio.io/network: network1} } }], ports: [{port: 15012}] }]")),
            "no certificates: Pod shop/web-1"),
        new("ISM1426", "c1 NetworkPolicy istio-system/in spec.ingress",
            Join(Web, Istiod, Policy("istio-system", "in", "podSelector: {matchLabels: {app: istiod} }")),
            Join(Web, Istiod, Policy("istio-system", "in", "podSelector: {matchLabels: {app: istiod} }, ingress: [{ports: [{port: 15012}, {port: 15017}] }]")),
            "Pod shop/web-1"),
        new("ISM1426", "c1 NetworkPolicy istio-system/in spec.ingress",
            Join(Web, Gateway, Policy("istio-system", "in", "podSelector: {}, ingress: [{from: [{namespaceSelector: {} }] }]")),
            Join(Web, Gateway, Policy("istio-system", "in", "podSelector: {}, ingress: [{from: [{namespaceSelector: {} }] }, {ports: [{port: 15443}] }]")),
            "port 15443 of the gateway: Pod istio-system/east-1"),
        // The administrator's rules count in the order of priorities, and before those of NetworkPolicies.
        new("ISM1426", "c1 AdminNetworkPolicy fence spec.egress[1]",
            Join(Web, Istiod, Admin("fence", 5, "egress: [{action: Pass, to: [{namespaces: {} }], ports: [{portNumber: {protocol: TCP, port: 80} }] }, "
                + "{action: Deny, to: [{namespaces: {} }]}]")),
            Join(Web, Istiod, Admin("fence", 5, "egress: [{action: Deny, to: [{namespaces: {} }]}]"), Admin("first", 4,
                "egress: [{action: Allow, to: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: istiod} } } }], "
                    + "ports: [{portRange: {protocol: TCP, start: 15010, end: 15012} }]}]"),
                Policy("shop", "closed", "podSelector: {}, policyTypes: [Egress]")),
            "no certificates: Pod shop/web-1"),
        new("ISM1426", "c1 AdminNetworkPolicy fence spec.ingress[0]",
            Join(Web, Istiod, Admin("fence", 5, "ingress: [{action: Deny, from: [{namespaces: {matchLabels: {istio-injection: enabled} } }]}]")),
            Join(Web, Istiod, Admin("fence", 5, "ingress: [{action: Deny, from: [{namespaces: {matchLabels: {istio-injection: disabled} } }]}]")),
            "Pod shop/web-1"),
        new("ISM1411", "c1 Service shop/web spec.sessionAffinity",
            Join(Root, Namespace("shop"), Service("shop", "web", "app: web", more: ", sessionAffinity: ClientIP"), Pod("shop", "web-1", "app: web")), Web),
        new("ISM1412", "c1 Ingress shop/front spec.ingressClassName",
            Join(Web, "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: front, namespace: shop}, spec: {ingressClassName: istio} }"),
            Join(Web, "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: front, namespace: shop}, spec: {ingressClassName: nginx} }"),
            Remedy: "create IngressClass istio with spec.controller: istio.io/ingress-controller"),
        new("ISM1540", "c1 Ingress shop/front spec.ingressClassName",
            Join(Web, "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: front, namespace: shop}, spec: {ingressClassName: nginx} }"),
            Join(Web, "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: front, namespace: shop}, spec: {ingressClassName: nginx} }",
                "{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: nginx}, spec: {controller: example.com/nginx} }"),
            "there is no IngressClass \"nginx\""),
        new("ISM1526", "c1 Deployment shop/api spec.paused", Join(Web, Paused("true", 0)), Join(Web, Paused("true", 1), Paused("false", 0)),
            "is true, and 1 of its 1 Pods are of an older template", Remedy: "kubectl --context=c1 -n shop rollout resume deployment api"),
        new("ISM1554", "c1 StatefulSet shop/db spec.updateStrategy.type", Join(Web, Kept("StatefulSet", "OnDelete", "db-1")),
            Join(Web, Kept("StatefulSet", "OnDelete", "db-2"), Kept("StatefulSet", "RollingUpdate", "db-1")),
            "is OnDelete, so that Pod db-0 of an older template stays, although it is not ready", Remedy: "kubectl --context=c1 -n shop delete pod db-0"),
        new("ISM1554", "c1 DaemonSet shop/db spec.updateStrategy.type", Join(Web, Kept("DaemonSet", "OnDelete", "1")),
            Join(Web, Kept("DaemonSet", "OnDelete", "2"))),
        new("ISM1524", "c1 ValidatingWebhookConfiguration old webhooks[0].clientConfig.service", Join(Web, Validator("Fail", "networking.istio.io")),
            Join(Web, Validator("Ignore", "networking.istio.io")), "Service istio-system/istiod-old does not exist",
            Remedy: "kubectl --context=c1 delete validatingwebhookconfiguration old"),
        new("ISM1524", "c1 ValidatingWebhookConfiguration old webhooks[0].clientConfig.service", Join(Web, Validator("", "*")),
            Join(Web, Validator("Fail", "apps")), "refuses every change of an object of Istio"),
        new("ISM1524", "c1 ValidatingWebhookConfiguration old webhooks[0].clientConfig.service", Join(Web, Validator("", "*", "pods")),
            Join(Web, Validator("Fail", "*", "secrets")), "refuses new Pods", Remedy: "install what serves the webhook again"),
        new("IST0139", "c1 MutatingWebhookConfiguration one webhooks[0].clientConfig.service", Join(Web, Webhook("one", "enabled", "istiod")),
            Join(Web, Webhook("one", "enabled", "istiod"), Service("istio-system", "istiod", "app: istiod", "{name: https, port: 443}")),
            "istio-system/istiod"),
        new("IST0139", "c1 MutatingWebhookConfiguration two webhooks[0]",
            Join(Web, Webhook("one", "enabled", "istiod"), Webhook("two", "enabled", "istiod"),
                Service("istio-system", "istiod", "app: istiod", "{name: https, port: 443}")),
            Join(Web, Webhook("one", "enabled", "istiod"), Webhook("two", "canary", "istiod"),
                Service("istio-system", "istiod", "app: istiod", "{name: https, port: 443}")),
            "the selectors of one"),
    ];

    private static string InjectorMap(string suffix, string tag) =>
        LongLines.Joined($$$"""
            {apiVersion: v1, kind: ConfigMap, metadata: {name: istio-sidecar-injector{{{suffix}}}, namespace: istio-system}, \
            data: {values: '{"global": {"hub": "hub.example", "tag": "{{{tag}}}"} }'} }
            """);

    private static string Proxied(string name, string image, string annotations = "") =>
        Workload("shop", name, "app: web", $"containers: [{{name: app, image: app}}, {{name: istio-proxy, image: '{image}'}}]")
        .Replace("namespace: shop,", $"namespace: shop, annotations: {{ {annotations} }},", StringComparison.Ordinal);

    private static string Closed => Policy("shop", "closed", "podSelector: {}");

    private static string Istiod => Workload("istio-system", "istiod-1", "app: istiod", "containers: [{name: discovery}]");

    private static string Gateway => Join(Workload("istio-system", "east-1", "istio: east", "containers: [{name: istio-proxy}]"),
        Service("istio-system", "east", "istio: east", "{name: tls, port: 15443, targetPort: 15443}")
            .Replace("namespace: istio-system }", "namespace: istio-system, labels: {topology.istio.io/network: network1} }", StringComparison.Ordinal));

    private static string Policy(string ns, string name, string spec) =>
        $$"""{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: {{name}}, namespace: {{ns}} }, spec: { {{spec}} } }""";

    private static string Admin(string name, int priority, string rules) =>
        "{apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicy, "
            + $$"""metadata: {name: {{name}} }, spec: {priority: {{priority}}, subject: {namespaces: {} }, {{rules}} } }""";

    private static string Node(string runtime) =>
        $$"""{apiVersion: v1, kind: Node, metadata: {name: node}, status: {nodeInfo: {containerRuntimeVersion: '{{runtime}}'} } }""";

    private static string Templated(string annotation) =>
        "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: web, namespace: shop, annotations: {"
            + annotation + "}}, spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}}";

    private static string Annotate(string inject) => Bare("shop", "web-1", "app: web")
        .Replace("namespace: shop,", $"namespace: shop, annotations: {{ sidecar.istio.io/inject: {inject} }},", StringComparison.Ordinal);

    private static string Spread(string value) =>
        $$"""{apiVersion: v1, kind: Namespace, metadata: {name: shop, annotations: {networking.istio.io/traffic-distribution: {{value}} } } }""";

    private static string Injecting(string revision) =>
        "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: injector}, webhooks: [{name: "
            + "rev.namespace.sidecar-injector.istio.io, clientConfig: {url: 'https://10.0.0.9/inject'}, namespaceSelector: {matchExpressions: [{key: "
            + $"istio.io/rev, operator: In, values: [{revision}] }}] }} }}] }}";

    private static string Refused(string status, string message = "admission webhook denied the request") => Deployment("shop", "web", "app: web")[..^2]
        + $", status: {{conditions: [{{type: ReplicaFailure, status: '{status}', reason: FailedCreate, message: '{message}'}}] }} }}";

    private static AnalyzerCase Annotated(string code, string where, string own, string template, string says)
    {
        var bad = Deployment("shop", "web", "app: web", annotations: template)
            .Replace("namespace: shop }", $"namespace: shop, annotations: {{ {own} }} }}", StringComparison.Ordinal);
        return new(code, where, Join(Web, bad),
            Join(Web,
                Deployment("shop", "web", "app: web",
                    annotations: "sidecar.istio.io/proxyCPU: 100m, traffic.sidecar.istio.io/excludeOutboundPorts: '80,81', "
                        + "traffic.sidecar.istio.io/includeOutboundIPRanges: '*'")),
            says);
    }

    private static string Ports(string ports) => Join(Root, Namespace("shop"), Service("shop", "web", "app: web", ports), Pod("shop", "web-1", "app: web"));

    private static string Two(string one, string two) =>
        Join(Root, Namespace("shop"), Deployment("shop", "web", "app: web"), Service("shop", "web", "app: web", one), Service("shop", "more", "app: web", two));

    private static string Webhook(string name, string label, string service) =>
        LongLines.Joined($$"""
            {apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: {{name}} }, \
            webhooks: [{name: namespace.sidecar-injector.istio.io, clientConfig: {service: {namespace: istio-system, name: {{service}} } }, \
            namespaceSelector: {matchLabels: {istio-injection: {{label}} } } }] }
            """);

    private static string Paused(string paused, int updated) =>
        $"{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: api{(paused == "true" ? "" : "-2")}, namespace: shop}}, spec: {{replicas: 1, paused: {paused}, "
            + $"template: {{metadata: {{labels: {{app: web}}}}, spec: {{containers: [{{name: app, image: app}}]}}}}}}, "
            + $"status: {{replicas: 1, updatedReplicas: {updated}}}}}";

    /// <summary>The newest template of both kinds is the second one.</summary>
    private static string Kept(string kind, string strategy, string revision) =>
        $"{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: db, namespace: shop, annotations: {{deprecated.daemonset.template.generation: '2'}}}}, spec: "
            + $"{{updateStrategy: {{type: {strategy}}}, template: {{metadata: {{labels: {{app: db}}}}, spec: {{containers: [{{name: app, image: app}}]}}}}}}, "
            + "status: {updateRevision: db-2}}\n{apiVersion: v1, kind: Pod, metadata: {name: db-0, namespace: shop, labels: {app: db, "
            + $"controller-revision-hash: '{revision}', pod-template-generation: '{revision}'}}, ownerReferences: [{{apiVersion: apps/v1, kind: {kind}, "
            + "name: db, controller: true}]}, spec: {containers: [{name: app, image: app}, {name: istio-proxy}]}, status: {phase: Running}}";

    private static string Validator(string policy, string group, string resource = "*") =>
        "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: old}, webhooks: [{name: validation.istio.io, "
            + $"{(policy.Length > 0 ? $"failurePolicy: {policy}, " : "")}rules: [{{apiGroups: ['{group}'], resources: ['{resource}'], operations: [CREATE]}}], "
            + "clientConfig: {service: {namespace: istio-system, name: istiod-old}}}]}";

    private static string StoppedIstiod(int replicas) => Service("istio-system", "istiod", "app: istiod", "{name: https, port: 443}") + "\n"
        + Deployment("istio-system", "istiod", "app: istiod", replicas: replicas).Replace("namespace: istio-system }",
            "namespace: istio-system, labels: {app: istiod} }", StringComparison.Ordinal);

    private static string Aliases(string address, string name) => Deployment("shop", "api", "app: api",
        $"hostAliases: [{{ip: {address}, hostnames: [{name}]}}], containers: [{{name: app, image: app}}]");

    private static string Starved(string annotation, string reason, string limit) => "{apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, "
        + $"labels: {{app: web}}, annotations: {{{(annotation.Length > 0 ? $"sidecar.istio.io/proxyMemoryLimit: {annotation}" : "")}}} }}, spec: {{containers: "
        + $"[{{name: app, image: app}}, {{name: istio-proxy, image: proxy, resources: {{limits: {{memory: {limit}}} }} }}]}}, status: {{phase: Running, "
        + "conditions: [{type: Ready, status: 'False'}], containerStatuses: [{name: istio-proxy, ready: false, restartCount: 4, lastState: {terminated: "
        + $"{{exitCode: 137, reason: {reason}}} }}, state: {{running: {{}} }} }}]}} }}";
}
