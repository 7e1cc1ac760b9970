using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Xunit;

namespace Isthmus.Tests.Operate.Charts;

/// <summary>The Helm charts create what <c>isthmus install</c> creates, and refuse what has no effect.</summary>
public sealed class ChartTests
{
    /// <summary>Topologies, as flags of <c>isthmus install</c>. The charts get the same values.</summary>
    public static TheoryData<string, string[]> Installations => new()
    {
        { "one cluster", [] },
        { "a primary", ["values.global.meshID=mesh1", "values.global.multiCluster.clusterName=cluster1", "values.global.network=network1"] },
        { "a primary of remotes", ["values.global.externalIstiod=true", "values.global.network=network1",
            "values.global.meshNetworks.network2.gateways[0].address=192.0.2.7", "values.global.meshNetworks.network2.gateways[0].port=15443"] },
        { "a revision", ["revision=canary", "values.sidecarInjectorWebhook.enableNamespacesByDefault=true"] },
        { "the default revision by a name", ["revision=canary", "values.defaultRevision=canary"] },
        { "revision tags", ["values.revisionTags[0]=prod", "values.revisionTags[1]=canary", "values.pilot.serviceAnnotations.c=d"] },
        { "the default tag of a revision", ["revision=canary", "values.revisionTags[0]=default",
            "values.sidecarInjectorWebhook.enableNamespacesByDefault=true"] },
        { "a remote with a revision tag", ["profile=remote", "values.global.remotePilotAddress=192.0.2.1", "revision=canary", "values.revisionTags[0]=prod"] },
        { "a remote", ["profile=remote", "values.global.remotePilotAddress=192.0.2.1", "values.global.multiCluster.clusterName=east/2",
            "values.global.network=network2"] },
        { "a remote of two primaries", ["profile=remote", "values.global.remotePilotAddress=192.0.2.1,192.0.2.2"] },
        { "a remote of both IP families", ["profile=remote", "values.global.remotePilotAddress=192.0.2.1,2001:db8::1,192.0.2.2"] },
        { "a remote of a host name", ["profile=remote", "values.global.remotePilotAddress=mesh.example.org",
            "values.sidecarInjectorWebhook.enableNamespacesByDefault=true"] },
        { "a remote of an IPv6 address", ["profile=remote", "values.global.remotePilotAddress=2001:db8::1"] },
        { "a remote of a revision", ["profile=remote", "revision=canary", "values.global.remotePilotAddress=192.0.2.1"] },
        { "a remote with a path", ["profile=remote", "values.global.remotePilotAddress=192.0.2.1", "values.istiodRemote.injectionPath=/inject/cluster/c9"] },
        { "a remote with a URL", ["profile=remote", "values.global.remotePilotAddress=192.0.2.1",
            "values.istiodRemote.injectionURL=https://mesh.example.org:15017/inject"] },
        { "a remote with only a URL", ["profile=remote", "values.istiodRemote.injectionURL=https://192.0.2.1:25017/inject/cluster/c9/net/n9"] },
        { "a remote with only a URL of a host name", ["profile=remote", "values.istiodRemote.injectionURL=https://mesh.example.org"] },
        { "a remote that has the configuration", ["profile=external", "values.global.remotePilotAddress=192.0.2.1", "values.global.configCluster=true",
            "values.global.istioNamespace=control"] },
        {
            "a control plane for another cluster",
            ["profile=empty", "components.pilot.enabled=true", "values.global.istioNamespace=control", "values.global.operatorManageWebhooks=true",
                "values.global.configValidation=false", "values.pilot.env.EXTERNAL_ISTIOD=true", "meshConfig.rootNamespace=control"]
        },
        { "a budget", ["values.global.defaultPodDisruptionBudget.enabled=true", "values.global.priorityClassName=system-cluster-critical"] },
        {
            "high availability",
            ["values.pilot.replicaCount=3", "values.pilot.podDisruptionBudget.maxUnavailable=1", "values.pilot.rollingMaxSurge=1",
                "values.pilot.rollingMaxUnavailable=0",
                "values.pilot.topologySpreadConstraints[0].maxSkew=1", "values.pilot.affinity.podAntiAffinity.a=b", "values.pilot.nodeSelector.disk=ssd",
                "values.pilot.tolerations[0].operator=Exists",
                "values.pilot.priorityClassName=high", "values.pilot.resources.requests.cpu=1", "values.pilot.podAnnotations.a=b",
                "values.pilot.serviceAnnotations.c=d"]
        },
        {
            "an autoscaler",
            ["revision=canary", "values.pilot.autoscaleEnabled=true", "values.pilot.autoscaleMin=2", "values.pilot.autoscaleMax=9",
                "values.pilot.cpu.targetAverageUtilization=60",
                "values.pilot.memory.targetAverageUtilization=70", "values.pilot.autoscaleBehavior.scaleDown.stabilizationWindowSeconds=60"]
        },
        { "network policies", ["revision=canary", "values.global.networkPolicy.enabled=true"] },
        { "objects of the cluster", ["values.global.resourceScope=cluster", "components.cni.enabled=true", "values.istio_cni.enabled=true"] },
        { "objects of the namespace", ["values.global.resourceScope=namespace", "values.console.enabled=true",
            "values.global.defaultPodDisruptionBudget.enabled=true", "values.pilot.autoscaleEnabled=true"] },
        { "a remote's objects of the cluster", ["profile=remote", "values.global.remotePilotAddress=192.0.2.1", "values.global.resourceScope=cluster"] },
        { "a remote's objects of the namespace", ["profile=remote", "values.global.remotePilotAddress=192.0.2.1", "values.global.resourceScope=namespace"] },
        { "images", ["values.global.hub=registry.example.com/mesh", "values.global.tag=1.2.3", "values.global.imagePullPolicy=IfNotPresent",
            "values.global.imagePullSecrets[0]=regcred"] },
        { "a console", ["values.console.enabled=true"] },
        {
            "a console of a revision behind an ingress",
            ["revision=canary", "values.console.enabled=true", "values.console.hosts[0]=console.example.com",
                "values.console.hosts[1]=console.example.com:8443", "values.console.credentialName=console-tls",
                "values.console.prometheus=monitoring/prometheus:9090",
                "values.console.nodeSelector.disk=ssd", "values.console.tolerations[0].operator=Exists", "values.console.affinity.podAntiAffinity.a=b",
                "values.console.podAnnotations.a=b", "values.console.serviceAnnotations.c=d",
                "values.console.priorityClassName=high", "values.console.resources.requests.cpu=1", "values.console.resources.requests.memory=64Mi",
                "values.console.resources.limits.memory=1Gi", "values.global.multiCluster.clusterName=cluster1",
                "values.global.hub=registry.example.com/mesh", "values.global.tag=1.2.3", "values.global.imagePullPolicy=IfNotPresent",
                "values.global.imagePullSecrets[0]=regcred"]
        },
        { "a console beside a remote", ["profile=remote", "values.global.remotePilotAddress=192.0.2.1", "values.console.enabled=true",
            "values.console.image=registry.example.com/other:1"] },
        { "an image with its registry", ["values.pilot.image=registry.example.com/other:1", "values.sidecarInjectorWebhook.enableNamespacesByDefault=true"] },
        { "Secrets of some namespaces", ["values.global.externalIstiod=true", "values.pilot.env.ISTHMUS_SECRET_NAMESPACES=edge",
            "values.pilot.env.PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER=true", "revision=canary"] },
        { "no more Secrets than its own", ["values.pilot.env.ISTHMUS_SECRET_NAMESPACES=istio-system"] },
        { "a remote whose Secrets are read", ["profile=remote", "values.global.remotePilotAddress=192.0.2.1",
            "values.pilot.env.PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER=true"] },
        { "a remote whose Secrets are read in part", ["profile=remote", "values.global.remotePilotAddress=192.0.2.1",
            "values.pilot.env.ISTHMUS_SECRET_NAMESPACES=edge", "values.pilot.env.PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER=true"] },
        { "the Gateway API", ["values.base.enableGatewayAPICRDs=true"] },
        { "the Gateway API by who may install for the cluster", ["values.base.enableGatewayAPICRDs=true", "values.global.resourceScope=cluster"] },
        { "the Gateway API by who may install in a namespace", ["values.base.enableGatewayAPICRDs=true", "values.global.resourceScope=namespace"] },
        { "no account for others", ["values.global.enableReaderRBAC=false"] },
        { "an account for others that exists", ["values.global.readerServiceAccount.name=ops", "values.global.readerServiceAccount.namespace=tools"] },
        {
            "an account for others that exists and reads Secrets",
            ["profile=remote", "values.global.remotePilotAddress=192.0.2.1", "values.global.readerServiceAccount.name=ops",
                "values.global.readerServiceAccount.namespace=tools", "values.pilot.env.ISTHMUS_SECRET_NAMESPACES=edge",
                "values.pilot.env.PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER=true"]
        },
        { "node agents", ["components.cni.enabled=true", "values.istio_cni.enabled=true"] },
        { "node agents by their newer name", ["components.cni.enabled=true", "values.pilot.cni.enabled=true", "values.global.imagePullPolicy=Never",
            "values.global.imagePullSecrets[0]=regcred"] },
        {
            "node agents with settings",
            ["revision=canary", "components.cni.enabled=true", "values.istio_cni.enabled=true", "values.cni.cniBinDir=/b", "values.cni.cniConfDir=/c",
                "values.cni.cniConfFileName=x", "values.cni.excludeNamespaces[0]=infra",
                "values.cni.repair.repairPods=false", "values.cni.repair.deletePods=true", "values.cni.repair.labelPods=true", "values.cni.hub=h.example.com",
                "values.cni.tag=7", "values.cni.pullPolicy=Never", "values.cni.logging.level=all:debug",
                "values.cni.affinity.nodeAffinity.a=b", "values.cni.podAnnotations.p=q", "values.cni.rollingMaxUnavailable=2", "values.cni.chained=true"]
        },
        { "node agents without repair", ["components.cni.enabled=true", "values.istio_cni.enabled=true", "values.cni.repair.enabled=false"] },
        {
            "settings",
            ["meshConfig.trustDomain=td", "meshConfig.accessLogFile=/dev/stdout", "meshConfig.defaultConfig.discoveryAddress=a:15012",
                "values.pilot.env.REVISION=other", "values.pilot.env.PILOT_HTTP10=1",
                "values.pilot.replicaCount=3", "values.global.logging.level=ads:debug", "values.global.proxy.clusterDomain=example.org",
                "values.global.omitSidecarInjectorConfigMap=true", "values.base.validationURL=https://a/validate",
                "values.sidecarInjectorWebhook.rewriteAppHTTPProbe=false"]
        },
    };

    [Theory]
    [MemberData(nameof(Installations))]
    public async Task Charts_create_what_install_creates(string name, string[] flags)
    {
        Assert.NotEmpty(name);
        var spec = OperatorSpec.Build([],
            [.. flags, .. flags.Any(flag => flag.StartsWith("profile=", StringComparison.Ordinal)) ? (string[])[] : ["profile=minimal"]], null);
        Assert.Empty(spec.Warnings);
        var expected = Manifests.Render(spec).SelectMany(component => component.Objects).ToList();
        var values = ChartValues(flags);
        if (spec.Enabled("istiodRemote")) Put(values, "istiodRemote", "enabled", true);
        // An external control plane needs no base.
        List<ChartRelease> releases = [new("istiod", "istiod", spec.Namespace, values)];
        if (expected.Any(value => value["metadata"]!["name"]!.ToString() == "istio-reader-service-account"
            || value["kind"]!.ToString() == "CustomResourceDefinition"))
        {
            var definitions = expected.Any(value => value["kind"]!.ToString() == "CustomResourceDefinition");
            var global = new JsonObject { ["istioNamespace"] = spec.Namespace };
            foreach (var key in (string[])["resourceScope", "enableReaderRBAC", "readerServiceAccount"])
            {
                if (values["global"]?[key] is { } given) global[key] = given.DeepClone();
            }
            var (own, asked) = (new JsonObject { ["enableIstioConfigCRDs"] = definitions }, values["base"]?["enableGatewayAPICRDs"]?.DeepClone());
            if (asked is not null) own["enableGatewayAPICRDs"] = asked;
            releases.Add(new("base", "istio-base", spec.Namespace, new() { ["global"] = global, ["base"] = own }));
            (values["base"] as JsonObject)?.Remove("enableGatewayAPICRDs"); // The other chart does not have it.
        }
        if (spec.Enabled("cni"))
        {
            releases.Add(new("cni", "istio-cni", "kube-system", new()
            {
                ["global"] = new JsonObject((values["global"] as JsonObject ?? [])
                    .Where(field => field.Key is "imagePullPolicy" or "imagePullSecrets" or "resourceScope")
                    .Select(field => KeyValuePair.Create(field.Key, field.Value?.DeepClone()))),
                ["revision"] = values["revision"]?.DeepClone() ?? "", ["cni"] = values["cni"]?.DeepClone() ?? new JsonObject(),
            }));
            // Its own chart has these values.
            values.Remove("cni");
        }
        Same(expected, await ObjectsAsync([.. releases]));
    }

    [Fact]
    public async Task A_gateway_is_as_available_as_the_one_that_install_creates()
    {
        string[] common = ["nodeSelector.disk=ssd", "tolerations[0].operator=Exists", "affinity.podAntiAffinity.a=b", "topologySpreadConstraints[0].maxSkew=1",
            "resources.requests.cpu=1", "podAnnotations.a=b", "priorityClassName=high", "env.X=y"];
        string[] service = ["type=LoadBalancer", "loadBalancerIP=192.0.2.1", "loadBalancerSourceRanges[0]=192.0.2.0/24", "externalTrafficPolicy=Local",
            "externalIPs[0]=192.0.2.9"];
        const string name = "istio-ingressgateway";
        var spec = OperatorSpec.Build([],
            ["profile=empty", $"components.ingressGateways[0].name={name}", "components.ingressGateways[0].enabled=true",
                "components.ingressGateways[0].k8s.podDisruptionBudget.minAvailable=1", "values.global.networkPolicy.enabled=true",
            .. common.Concat(service)
                .Concat(["autoscaleEnabled=true", "autoscaleMin=2", "autoscaleMax=4", "cpu.targetAverageUtilization=50", "serviceAnnotations.c=d",
                    "rollingMaxSurge=1", "rollingMaxUnavailable=0"])
                .Select(flag => $"values.gateways.{name}.{flag}")], null);
        Assert.Empty(spec.Warnings);
        var values = new JsonObject();
        foreach (var flag in common.Concat(service.Select(flag => $"service.{flag}"))
            .Concat(["serviceAccount.name=istio-ingressgateway-service-account", "service.annotations.c=d", "podDisruptionBudget.minAvailable=1",
                "global.networkPolicy.enabled=true",
            "autoscaling.enabled=true", "autoscaling.minReplicas=2", "autoscaling.maxReplicas=4", "autoscaling.targetCPUUtilizationPercentage=50",
            "strategy.rollingUpdate.maxSurge=1", "strategy.rollingUpdate.maxUnavailable=0"]))
        {
            SetFlag.Apply(values, flag);
        }
        // Helm merges mappings with the defaults of the chart; install replaces them.
        values["resources"]!["limits"] = null;
        values["resources"]!["requests"]!["memory"] = null;
        Same(Manifests.Render(spec).SelectMany(component => component.Objects), await ObjectsAsync(new ChartRelease("gateway", name, spec.Namespace, values)));
    }

    [Theory]
    [InlineData("default", "")]
    [InlineData("default", "canary")]
    [InlineData("eastwest", "")]
    [InlineData("eastwest", "canary")]
    public async Task A_gateway_is_the_one_that_install_creates(string which, string revision)
    {
        var name = which == "eastwest" ? EastWestGateway.Name : "istio-ingressgateway";
        var spec = which == "eastwest"
            ? OperatorSpec.Build([("eastwest", YamlText.Print(EastWestGateway.Operator("network1", revision, [])))], [], null)
            : OperatorSpec.Build([], ["profile=empty", $"components.ingressGateways[0].name={name}", "components.ingressGateways[0].enabled=true"], revision);
        var values = new JsonObject { ["revision"] = revision, ["serviceAccount"] = new JsonObject { ["name"] = $"{name}-service-account" } };
        if (which == "eastwest") values["networkGateway"] = "network1";
        Same(Manifests.Render(spec).SelectMany(component => component.Objects), await ObjectsAsync(new ChartRelease("gateway", name, spec.Namespace, values)));
    }

    [Fact]
    public async Task A_gateway_takes_its_settings()
    {
        var objects = await ObjectsAsync(new ChartRelease("gateway", "istio-ingress", "ingress", Json("""
            {"name": "front", "labels": {"istio": "edge", "team": "a"}, "service": {"type": "NodePort", "ports": [{"name": "http", "port": 80, "nodePort": 30080}], "annotations": {"a": "b"}},
             "imagePullPolicy": "Never", "imagePullSecrets": [{"name": "regcred"}], "env": {"X": 1}, "tolerations": [{"operator": "Exists"}],
             "priorityClassName": "high", "podAnnotations": {"p": "q"}, "rbac": {"enabled": false}}
            """)));
        Assert.Equal(["Deployment front", "Service front", "ServiceAccount front"],
            objects.Select(value => $"{value["kind"]} {value["metadata"]!["name"]}").Order(StringComparer.Ordinal));
        var service = objects.Single(value => value["kind"]!.ToString() == "Service");
        Assert.Equal("""{"app":"front","istio":"edge"}""", service["spec"]!["selector"]!.ToJsonString());
        Assert.Equal(("NodePort", "30080", "80", "a"),
            (service["spec"]!["type"]!.ToString(), service["spec"]!["ports"]![0]!["nodePort"]!.ToString(),
                service["spec"]!["ports"]![0]!["targetPort"]!.ToString(), service["metadata"]!["labels"]!["team"]!.ToString()));
        var pod = objects.Single(value => value["kind"]!.ToString() == "Deployment")["spec"]!["template"]!;
        Assert.Equal(("q", "Never", "high", "Exists", "Never"),
            (pod["metadata"]!["annotations"]!["p"]!.ToString(), pod["metadata"]!["annotations"]!["isthmus.internal/image-pull-policy"]!.ToString(),
            pod["spec"]!["priorityClassName"]!.ToString(), pod["spec"]!["tolerations"]![0]!["operator"]!.ToString(),
            pod["spec"]!["containers"]![0]!["imagePullPolicy"]!.ToString()));
    }

    [Fact]
    public async Task A_gateway_of_a_network_takes_its_ports()
    {
        var objects = await ObjectsAsync(new ChartRelease("gateway", "eastwest", "istio-system",
            Json(
                """{"networkGateway": "n1", "networkGatewayPorts": {"tls": {"port": 443, "targetPort": 15443}, "status-port": {"port": 9000, "protocol": "TCP"} } }""")));
        var service = objects.Single(value => value["kind"]!.ToString() == "Service");
        Assert.Equal(["status-port 9000 15021", "tls 443 15443", "tls-istiod 15012 15012", "tls-webhook 15017 15017"],
            service["spec"]!["ports"]!.AsArray().Select(port => $"{port!["name"]} {port["port"]} {port["targetPort"]}"));
        Assert.Equal("443", service["metadata"]!["labels"]!["networking.istio.io/gatewayPort"]!.ToString());
        Assert.Null(
            objects.Single(
                value => value["kind"]!.ToString() == "Deployment")["spec"]!["template"]!["metadata"]!["labels"]!["networking.istio.io/gatewayPort"]);
    }

    [Fact]
    public async Task Values_replace_those_of_the_charts_own_and_zero_is_a_value()
    {
        var objects = await ObjectsAsync(
            new ChartRelease("istiod", "istiod", "istio-system", Json("""{"pilot": {"podAnnotations": {"prometheus.io/scrape": "false", "a": "b"}}}""")),
            new ChartRelease("gateway", "front", "ingress",
                Json(
                    """{"labels": {"topology.istio.io/network": "n1"}, "terminationGracePeriodSeconds": 0, "podAnnotations": {"inject.istio.io/templates": "gateway,own"}}""")));
        var deployments = objects.Where(value => value["kind"]!.ToString() == "Deployment")
            .ToDictionary(value => value["metadata"]!["name"]!.ToString(), value => value["spec"]!["template"]!);
        Assert.Equal("""{"a":"b","prometheus.io/port":"15014","prometheus.io/scrape":"false","sidecar.istio.io/inject":"false"}""",
            deployments["istiod"]["metadata"]!["annotations"]!.ToJsonString());
        Assert.Equal("gateway,own", deployments["front"]["metadata"]!["annotations"]!["inject.istio.io/templates"]!.ToString());
        Assert.Equal(("n1", "0"),
            (deployments["front"]["metadata"]!["labels"]!["topology.istio.io/network"]!.ToString(),
                deployments["front"]["spec"]!["terminationGracePeriodSeconds"]!.ToString()));
    }

    [Fact]
    public async Task What_has_no_effect_is_refused_by_name()
    {
        string[] paths = [.. ValuesSchema.Idle.Where(path => path.StartsWith("values.", StringComparison.Ordinal)
            && !path.StartsWith("values.gateways", StringComparison.Ordinal))
            .Select(path => path["values.".Length..])
            .Where(path => path is not ("revision" or "istiodRemote.enabled") && !path.StartsWith("cni.", StringComparison.Ordinal)
                && !path.StartsWith("meshConfig", StringComparison.Ordinal) && !path.StartsWith("istiocoredns", StringComparison.Ordinal)),
            "gateways.istio-ingressgateway.type", "istiocoredns.enabled", "global.multiCluster.enabled", "unknown", "global.unknown"];
        var results = await HelmRenderer.RenderAsync([.. paths.Select(path => new ChartRelease("istiod", "istiod", "istio-system", Set(path)))]);
        foreach (var (path, result) in paths.Zip(results))
            Assert.Contains(
                $"values.{(path.StartsWith("gateways", StringComparison.Ordinal) || path.StartsWith("istiocoredns", StringComparison.Ordinal) ? path.Split('.')[0] : path)}: ",
                result.Error, StringComparison.Ordinal);
        var (mesh, gateway, reader, both) = (Set("meshConfig.inboundClusterStatName"), Set("kind"), Set("base.unknown"),
            Json("""{"telemetry": {"enabled": true}, "global": {"logAsJson": false, "sts": {}}}"""));
        var more = await HelmRenderer.RenderAsync([new("istiod", "a", "istio-system", mesh), new("gateway", "a", "istio-system", gateway),
            new("base", "a", "istio-system", reader), new("istiod", "a", "istio-system", both)]);
        Assert.Contains("values.meshConfig.inboundClusterStatName: \"x\" has no effect in Isthmus; remove it", more[0].Error, StringComparison.Ordinal);
        Assert.Contains("values.cni: what is below it has no effect",
            Assert.Single(await HelmRenderer.RenderAsync([new("istiod", "a", "istio-system", Set("cni.cniBinDir"))])).Error, StringComparison.Ordinal);
        Assert.Contains("values.kind: \"x\" has no effect in Isthmus; remove it", more[1].Error, StringComparison.Ordinal);
        Assert.Contains("values.base.unknown: \"x\" has no effect in Isthmus; remove it", more[2].Error, StringComparison.Ordinal);
        Assert.EndsWith(
            "values.global.logAsJson: false has no effect in Isthmus; remove it\nvalues.telemetry: what is below it has no effect in Isthmus; remove it",
            more[3].Error);
    }

    [Theory]
    [InlineData("istiod", """{"istiodRemote": {"enabled": true}}""", "values.global.remotePilotAddress: is required")]
    [InlineData("istiod", """{"istiodRemote": {"enabled": true}, "global": {"remotePilotAddress": "192.0.2.1,mesh.example.org"}}""",
        "values.global.remotePilotAddress: '192.0.2.1,mesh.example.org' is a list that contains a host name")]
    [InlineData("istiod", """{"istiodRemote": {"enabled": true, "injectionURL": "192.0.2.1:15017"}}""", "values.istiodRemote.injectionURL: ")]
    [InlineData("istiod", """{"global": {"istioNamespace": "other"}}""",
        "values.global.istioNamespace: \"other\" is not the namespace of the release, \"istio-system\"")]
    [InlineData("istiod", """{"istio_cni": {"enabled": true, "chained": false}}""", "values.istio_cni.chained: false is not supported")]
    [InlineData("cni", """{"cni": {"chained": false}}""", "values.cni.chained: false is not supported")]
    [InlineData("cni", """{"cni": {"ambient": {"enabled": true}, "repair": {"initContainerName": "x"}}}""",
        "values.cni.ambient: what is below it has no effect in Isthmus; remove it\nvalues.cni.repair.initContainerName: \"x\" has no effect")]
    [InlineData("base", """{"global": {"istioNamespace": "other"}}""",
        "values.global.istioNamespace: \"other\" is not the namespace of the release, \"istio-system\"")]
    [InlineData("gateway", """{"networkGateway": "n1", "labels": {"topology.istio.io/network": "n2"}}""",
        "values.labels.topology.istio.io/network: \"n2\" is not the network of values.networkGateway, \"n1\"")]
    [InlineData("gateway", """{"networkGateway": "n1", "networkGatewayPorts": {"tls": {"nodePort": 30443} } }""",
        "values.networkGatewayPorts.tls.nodePort: 30443 has no effect in Isthmus; remove it")]
    [InlineData("istiod", """{"global": {"resourceScope": "none"}}""", "values.global.resourceScope: \"none\" is not supported; use all, cluster or namespace")]
    [InlineData("istiod", """{"global": {"readerServiceAccount": {"name": "ops"}}}""", "values.global.readerServiceAccount.namespace: is missing")]
    [InlineData("istiod", """{"global": {"readerServiceAccount": {"namespace": "tools"}}}""", "values.global.readerServiceAccount.name: is missing")]
    [InlineData("istiod", """{"revisionTags": ["Prod"]}""", "values.revisionTags: \"Prod\" is not a valid tag name")]
    [InlineData("istiod", """{"revision": "canary", "revisionTags": ["canary"]}""", "values.revisionTags: \"canary\" is the name of the revision itself")]
    [InlineData("istiod", """{"revisionTags": ["default"]}""", "values.revisionTags: \"default\" is the name of the revision itself")]
    [InlineData("base", """{"global": {"readerServiceAccount": {"audience": "tools"}}}""",
        "values.global.readerServiceAccount.audience: \"tools\" has no effect in Isthmus; remove it")]
    [InlineData("base", """{"defaultRevision": "canary"}""", "values.defaultRevision: \"canary\" has no effect in the chart base; set it in the chart istiod")]
    public async Task Values_that_cannot_work_are_refused(string chart, string values, string message) =>
        Assert.Contains(message, Assert.Single(await HelmRenderer.RenderAsync([new(chart, "a", "istio-system", Json(values))])).Error,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("values.revisionTags[0]=p_1",
        "spec.values.revisionTags: p_1: is not a valid tag name (use lower-case letters, digits and '-', starting and ending with a letter or digit, at most "
            + "43 characters)")]
    [InlineData("values.revisionTags[0]=default", "spec.values.revisionTags: default: is the name of the revision itself")]
    [InlineData("values.revisionTags=prod", "spec.values.revisionTags: is not a list")]
    [InlineData("values.global.readerServiceAccount.name=ops",
        "values.global.readerServiceAccount.namespace: is missing: an account has a name and a namespace")]
    [InlineData("values.global.readerServiceAccount.namespace=tools",
        "values.global.readerServiceAccount.name: is missing: an account has a name and a namespace")]
    public void Install_refuses_them_too(string flag, string message) =>
        Assert.Contains(message, Assert.Throws<ProblemException>(() => Manifests.Render(OperatorSpec.Build([], ["profile=minimal", flag], null))).Message,
            StringComparison.Ordinal);

    /// <summary>Tools find the parts of a mesh by these labels. Definitions are shared by all installations.</summary>
    [Fact]
    public async Task Objects_have_the_labels_that_Kubernetes_recommends()
    {
        var flags = (string[])["values.console.enabled=true", "values.global.externalIstiod=true", "values.pilot.podDisruptionBudget.minAvailable=1",
            "values.global.networkPolicy.enabled=true"];
        var installed = Manifests.Render(OperatorSpec.Build([], [.. flags, "profile=default", "components.cni.enabled=true", "values.istio_cni.enabled=true"],
            null))
            .SelectMany(component => component.Objects);
        Assert.Equal(["isthmus-console", "istio-cni", "istio-ingressgateway", "istio-reader", "istiod"],
            Recommended(installed, "istio isthmus ").Order(StringComparer.Ordinal));
        var charts = new Dictionary<string, string[]>
        {
            ["base"] = ["istio-reader"], ["istiod"] = ["isthmus-console", "istio-reader", "istiod"], ["cni"] = ["istio-cni"], ["gateway"] = ["x"]
        };
        foreach (var (chart, names) in charts)
        {
            var values = chart == "istiod" ? ChartValues(flags) : [];
            if (chart == "cni") values["global"] = new JsonObject { ["istioNamespace"] = "istio-system" };
            var objects = await ObjectsAsync(new ChartRelease(chart, "x", "istio-system", values));
            Assert.Equal(names, Recommended(objects, $"x Helm {chart}-{BuildVersion.Current}").Order(StringComparer.Ordinal));
        }
        var own = await ObjectsAsync(new ChartRelease("gateway", "x", "istio-system", Json("""{"labels": {"app.kubernetes.io/name": "front"}}""")));
        Assert.Equal(["front"], Recommended(own, $"x Helm gateway-{BuildVersion.Current}"));
    }

    private static IEnumerable<string> Recommended(IEnumerable<JsonObject> objects, string expected)
    {
        foreach (var value in objects.Where(value => value["kind"]!.ToString() != "CustomResourceDefinition"))
        {
            var pod = value["spec"]?["template"]?["metadata"]?["labels"];
            foreach (var labels in ((JsonNode?[])[value["metadata"]!["labels"], pod]).OfType<JsonObject>())
            {
                var what = $"{value["kind"]} {value["metadata"]!["name"]}";
                string Of(string label) => labels[$"app.kubernetes.io/{label}"]?.ToString() ?? "";
                Assert.Equal($"{what}: {expected}", $"{what}: {Of("instance")} {Of("managed-by")} {labels["helm.sh/chart"]}");
                Assert.Equal(("istio", BuildVersion.Current), (Of("part-of"), Of("version")));
            }
            foreach (var selector in ((JsonNode?[])[value["spec"]?["selector"]]).OfType<JsonObject>())
                Assert.DoesNotContain("app.kubernetes.io", selector.ToJsonString(), StringComparison.Ordinal);
        }
        return objects.Select(value => value["metadata"]?["labels"]?["app.kubernetes.io/name"]?.ToString()).OfType<string>().Distinct();
    }

    /// <summary>Server-side apply refuses an upgrade that changes what the control plane owns.</summary>
    [Theory]
    [InlineData(false, "Ignore")]
    [InlineData(true, null)]
    public async Task An_upgrade_leaves_the_failure_policy_to_the_control_plane(bool upgrade, string? policy)
    {
        var objects = await ObjectsAsync(new ChartRelease("istiod", "istiod", "istio-system", [], upgrade));
        var webhooks = objects.Single(value => value["kind"]!.ToString() == "ValidatingWebhookConfiguration")["webhooks"]!.AsArray();
        Assert.All(webhooks, webhook => Assert.Equal(
            webhook!["name"]!.ToString().EndsWith(".istio.io", StringComparison.Ordinal) ? policy : "Ignore", webhook["failurePolicy"]?.ToString()));
    }

    [Fact]
    public async Task Definitions_can_be_left_out()
    {
        var objects = await ObjectsAsync(new ChartRelease("base", "istio-base", "istio-system",
            Json("""{"defaultRevision": "default", "base": {"excludedCRDs": ["wasmplugins.extensions.istio.io"]}}""")));
        Assert.Contains(objects,
            value => value["metadata"]!["name"]!.ToString() == "virtualservices.networking.istio.io"
                && value["metadata"]!["annotations"]!["helm.sh/resource-policy"]!.ToString() == "keep");
        Assert.DoesNotContain(objects, value => value["metadata"]!["name"]!.ToString() == "wasmplugins.extensions.istio.io");
    }

    private static async Task<List<JsonObject>> ObjectsAsync(params ChartRelease[] releases)
    {
        var results = await HelmRenderer.RenderAsync(releases);
        Assert.All(results, result => Assert.Equal("", result.Error));
        return [.. results.SelectMany(result => result.Objects)];
    }

    private static void Same(IEnumerable<JsonObject> expected, IEnumerable<JsonObject> actual)
    {
        var (wanted, made) = (ComparedObjects.Of(expected), ComparedObjects.Of(actual));
        Assert.Equal(wanted.Keys, made.Keys);
        foreach (var (name, text) in wanted) Assert.True(text == made[name], $"{name} differs.\ninstall:\n{text}\nchart:\n{made[name]}");
    }

    private static JsonObject ChartValues(string[] flags)
    {
        var spec = new JsonObject();
        foreach (var flag in flags) SetFlag.Apply(spec, flag);
        var values = spec["values"]?.DeepClone() as JsonObject ?? [];
        foreach (var field in (string[])["meshConfig", "revision"])
        {
            if (spec[field] is { } value) values[field] = value.DeepClone();
        }
        return values;
    }

    private static void Put(JsonObject values, string part, string field, JsonNode value) =>
        (values[part] as JsonObject ?? (JsonObject)(values[part] = new JsonObject())!)[field] = value;

    private static JsonObject Set(string path)
    {
        var values = new JsonObject();
        SetFlag.Apply(values, $"{path}=x");
        return values;
    }

    private static JsonObject Json(string text) => JsonNode.Parse(text)!.AsObject();
}
