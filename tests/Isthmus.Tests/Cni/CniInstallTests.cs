using System.Text.Json.Nodes;
using Isthmus.Cni;
using Isthmus.Core.Problems;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Xunit;

namespace Isthmus.Tests.Cni;

/// <summary>The CNI agent as <c>install</c> creates it.</summary>
public sealed class CniInstallTests
{
    [Fact]
    public void The_component_comes_before_the_control_plane_and_injection_uses_it()
    {
        var components = Manifests.Render(Spec());
        Assert.Equal(["Istio core", "CNI", "Istiod"], components.Select(component => component.Name));
        var objects = components[1].Objects;
        Assert.Equal(["ServiceAccount istio-cni", "ClusterRole istio-cni", "ClusterRoleBinding istio-cni", "Role istio-cni", "RoleBinding istio-cni",
            "DaemonSet istio-cni-node"],
            objects.Select(value => $"{value["kind"]} {value["metadata"]!["name"]}"));
        Assert.All(objects, value => Assert.Equal("Cni", value["metadata"]!["labels"]!["operator.istio.io/component"]!.ToString()));
        Assert.Equal("""{"enabled":true}""", Injector(Spec())["istio_cni"]!.ToJsonString());
        Assert.Null(Injector(OperatorSpec.Build([], ["profile=minimal"], null))["istio_cni"]);
        Assert.Null(Injector(Spec("values.istio_cni.enabled=false"))["istio_cni"]);
        // The agent of another installation, by Istio's older and newer names.
        foreach (var flag in (string[])["values.istio_cni.enabled=true", "values.pilot.cni.enabled=true"])
        {
            var spec = OperatorSpec.Build([], ["profile=minimal", flag], null);
            Assert.Equal("""{"enabled":true}""", Injector(spec)["istio_cni"]!.ToJsonString());
            Assert.DoesNotContain(Manifests.Render(spec), component => component.Name == "CNI");
        }
    }

    [Fact]
    public void The_agent_reads_what_its_DaemonSet_says()
    {
        var pod = DaemonSet(Spec())["spec"]!["template"]!["spec"]!;
        var settings = Settings(pod);
        Assert.Equal(["kube-system", "istio-system"], settings.ExcludedNamespaces);
        Assert.Equal(("n1", "kube-system", ""), (settings.NodeName, settings.Namespace, settings.ConfigurationFile));
        Assert.Equal(new(true, false, false), settings.Repair);
        // Everything that the agent uses of the node is mounted.
        var mounts = pod["containers"]![0]!["volumeMounts"]!.AsArray()
            .ToDictionary(mount => mount!["mountPath"]!.ToString(), mount => mount!["name"]!.ToString());
        var volumes = pod["volumes"]!.AsArray().ToDictionary(volume => volume!["name"]!.ToString(), volume => volume!["hostPath"]!["path"]!.ToString());
        foreach (var (inside,
            outside) in new[] { (settings.ConfigurationDirectory,
                "/etc/cni/net.d"), (settings.BinaryDirectory, "/opt/cni/bin"), (Path.GetDirectoryName(settings.Socket)!,
                "/var/run/istio-cni"), ($"{settings.NodeRoot}/var/run/netns", "/var/run/netns"), ($"{settings.NodeRoot}/proc", "/proc") })
            Assert.Equal(outside, volumes[mounts[inside]]);
        Assert.Equal("""["NET_ADMIN","SYS_ADMIN","SYS_PTRACE","DAC_OVERRIDE"]""",
            pod["containers"]![0]!["securityContext"]!["capabilities"]!["add"]!.ToJsonString());
    }

    [Fact]
    public void Each_value_has_its_effect()
    {
        var spec = Spec("components.cni.namespace=net", "components.cni.hub=registry.example.com", "components.cni.k8s.tolerations[0].key=x",
            "components.cni.k8s.env[0].name=A", "values.cni.cniBinDir=/b", "values.cni.cniConfDir=/c",
            "values.cni.cniConfFileName=05-x.conflist", "values.cni.excludeNamespaces[0]=infra", "values.cni.repair.repairPods=false",
            "values.cni.repair.deletePods=true", "values.cni.repair.labelPods=true", "values.cni.tag=7", "values.cni.pullPolicy=Never",
            "values.cni.logging.level=all:debug", "values.cni.resources.requests.cpu=7m", "values.cni.affinity.nodeAffinity.a=b",
            "values.cni.podAnnotations.p=q", "values.cni.rollingMaxUnavailable=2", "values.cni.chained=true");
        Assert.Empty(spec.Warnings);
        var set = DaemonSet(spec);
        var pod = set["spec"]!["template"]!["spec"]!;
        var container = pod["containers"]![0]!;
        var settings = Settings(pod);
        Assert.Equal(("net", "registry.example.com/isthmus:7", "Never", "2"),
            (set["metadata"]!["namespace"]!.ToString(), container["image"]!.ToString(), container["imagePullPolicy"]!.ToString(),
                set["spec"]!["updateStrategy"]!["rollingUpdate"]!["maxUnavailable"]!.ToString()));
        Assert.Equal(("05-x.conflist", true, "n1"), (settings.ConfigurationFile, settings.IsVerbose, settings.NodeName));
        Assert.Equal(["infra", "net"], settings.ExcludedNamespaces);
        Assert.Equal(new(false, true, true), settings.Repair);
        Assert.Equal(["/b", "/c"], pod["volumes"]!.AsArray().Take(2).Select(volume => volume!["hostPath"]!["path"]!.ToString()));
        Assert.Equal(("x", "A", "7m", "b", "q"),
            (pod["tolerations"]![0]!["key"]!.ToString(), container["env"]!.AsArray()[^1]!["name"]!.ToString(),
                container["resources"]!["requests"]!["cpu"]!.ToString(), pod["affinity"]!["nodeAffinity"]!["a"]!.ToString(),
            set["spec"]!["template"]!["metadata"]!["annotations"]!["p"]!.ToString()));
        var role = Manifests.Render(spec).SelectMany(component => component.Objects)
            .Single(value => value["kind"]!.ToString() == "ClusterRole" && value["metadata"]!["name"]!.ToString() == "istio-cni");
        Assert.Equal("""["get","list","watch","delete","patch"]""", role["rules"]![0]!["verbs"]!.ToJsonString());
        Assert.Null(Settings(DaemonSet(Spec("values.cni.repair.enabled=false"))["spec"]!["template"]!["spec"]!).Repair);
    }

    [Theory]
    [InlineData("values.cni.chained=false",
        "spec.values.cni.chained: false is not supported: the plug-in runs in the chain of the node's network, not as a network of its own (Multus) (remove "
            + "it)")]
    [InlineData("values.istio_cni.chained=false", "spec.values.istio_cni.chained: false is not supported")]
    [InlineData("values.cni.repair.deletePods=maybe", "spec.values.cni.repair.deletePods: 'maybe' is not true or false")]
    [InlineData("values.cni.excludeNamespaces=a", "spec.values.cni.excludeNamespaces: 'a' should be a list")]
    [InlineData("components.cni.k8s.replicaCount=2",
        "spec.components.cni.k8s.replicaCount: has no effect here (remove it: a DaemonSet has a Pod on each node)")]
    [InlineData("components.cni.k8s.strategy.type=x", "spec.components.cni.k8s.strategy: has no effect here (set values.cni.rollingMaxUnavailable)")]
    public void What_cannot_work_is_refused(string flag, string message) =>
        Assert.Contains(message, Assert.Throws<ProblemException>(() => Spec(flag)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("values.cni.ambient.enabled=true", "values.cni.ambient: what is below it has no effect here (remove it: there is no ambient mode)")]
    [InlineData("values.cni.repair.initContainerName=x",
        "values.cni.repair.initContainerName: 'x' has no effect here (remove it, unless a control plane of Istio is installed from the same values)")]
    [InlineData("values.cni.cniNetnsDir=/x",
        "values.cni.cniNetnsDir: '/x' has no effect here (remove it, unless a control plane of Istio is installed from the same values)")]
    [InlineData("values.cni.excludeNamespace=x",
        "values.cni.excludeNamespace: is not a known field; 'x' has no effect (did you mean values.cni.excludeNamespaces?)")]
    public void What_only_Istio_supports_is_reported(string flag, string warning) =>
        Assert.Equal([$"--set: {warning}"], Spec(flag).Warnings.Select(problem => problem.ToString()));

    private static OperatorSpec Spec(params string[] flags) => OperatorSpec.Build([], ["profile=minimal", "components.cni.enabled=true", .. flags], null);

    private static JsonObject DaemonSet(OperatorSpec spec) =>
        Manifests.Render(spec).SelectMany(component => component.Objects).Single(value => value["kind"]!.ToString() == "DaemonSet");

    private static JsonNode Injector(OperatorSpec spec) =>
        JsonNode.Parse(Manifests.Render(spec).SelectMany(component => component.Objects)
            .Single(value => value["metadata"]!["name"]!.ToString() == "istio-sidecar-injector"
                && value["kind"]!.ToString() == "ConfigMap")["data"]!["values"]!.ToString())!;

    private static CniSettings Settings(JsonNode pod)
    {
        var container = pod["containers"]![0]!;
        var environment = container["env"]!.AsArray()
            .ToDictionary(variable => variable!["name"]!.ToString(),
                variable => variable!["value"]?.ToString() ?? (variable["name"]!.ToString() == "NODE_NAME" ? "n1" : "net"));
        if (pod["containers"]![0]!["image"]!.ToString().StartsWith("isthmus.internal", StringComparison.Ordinal)) environment["POD_NAMESPACE"] = "kube-system";
        return CniSettings.Read([.. container["args"]!.AsArray().Skip(1).Select(arg => arg!.ToString())], name => environment.GetValueOrDefault(name));
    }
}
