using System.Text.Json.Nodes;
using Isthmus.Graph.Settings;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>What the levels of PodSecurity say about Pods of the mesh.</summary>
public sealed class PodSecurityTests
{
    private const string Application = """
        {metadata: {name: web, annotations: {A}}, spec: {securityContext: {P}, containers: [
          {name: web, image: any, securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}}]}}
        """;

    private static readonly InjectorValues Values = new((JsonObject)JsonNode.Parse("""{"global":{}}""")!, [], "cluster.local");

    [Theory]
    [InlineData(NativeSidecarMode.Disabled)]
    [InlineData(NativeSidecarMode.Enabled)]
    public void Only_the_container_that_captures_traffic_exceeds_a_level(NativeSidecarMode mode)
    {
        var pod = Inject("", "", mode);
        Assert.Equal(["istio-init: capabilities.add NET_ADMIN"], Baseline(pod));
        Assert.Equal(["istio-init: capabilities.add NET_ADMIN", "istio-init: runAsNonRoot"], Restricted(pod));
        Assert.All(Containers(pod).Where(container => container["name"]!.ToString() != "web"),
            container => Assert.True((bool)container["securityContext"]!["readOnlyRootFilesystem"]!));
    }

    [Theory]
    [InlineData(NativeSidecarMode.Disabled)]
    [InlineData(NativeSidecarMode.Enabled)]
    public void With_the_node_agent_a_Pod_is_restricted(NativeSidecarMode mode)
    {
        var values = Values with
        {
            Values = (JsonObject)JsonNode.Parse("""{"global":{"proxy":{"excludeOutboundPorts":"25"}},"istio_cni":{"enabled":true}}""")!
        };
        var pod = Inject("traffic.sidecar.istio.io/excludeInboundPorts: \"81\"", "", mode, values);
        Assert.Empty(Restricted(pod));
        var first = pod["spec"]!["initContainers"]![0]!;
        Assert.Equal("istio-validation", first["name"]!.ToString());
        Assert.Equal(["--run-validation", "--skip-rule-apply"], first["args"]!.AsArray().TakeLast(2).Select(arg => arg!.ToString()));
        Assert.Equal(
            """{"capabilities":{"drop":["ALL"]},"privileged":false,"runAsUser":1337,"runAsGroup":1337,"runAsNonRoot":true,"readOnlyRootFilesystem":true"""
                + ""","allowPrivilegeEscalation":false,"seccompProfile":{"type":"RuntimeDefault"}}""",
            first["securityContext"]!.ToJsonString());
        // Istio's own agent reads these.
        var annotations = pod["metadata"]!["annotations"]!;
        Assert.Equal(("*", "*", "15090,15021,15020,81", "25"),
            (annotations["traffic.sidecar.istio.io/includeOutboundIPRanges"]!.ToString(),
                annotations["traffic.sidecar.istio.io/includeInboundPorts"]!.ToString(),
            annotations["traffic.sidecar.istio.io/excludeInboundPorts"]!.ToString(), annotations["traffic.sidecar.istio.io/excludeOutboundPorts"]!.ToString()));
        Assert.Contains("\"istio-validation\"", annotations["sidecar.istio.io/status"]!.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(Containers(Inject("sidecar.istio.io/interceptionMode: NONE", "", mode, values)),
            container => container["name"]!.ToString() == "istio-validation");
    }

    [Fact]
    public void Without_capture_a_Pod_is_restricted() => Assert.Empty(Restricted(Inject("sidecar.istio.io/interceptionMode: NONE", "")));

    [Fact]
    public void The_seccomp_profile_of_the_Pod_or_the_installation_wins()
    {
        Assert.All(Profiles(Inject("", "seccompProfile: {type: Localhost, localhostProfile: mine}")), Assert.Null);
        var values = Values with { Values = (JsonObject)JsonNode.Parse("""{"global":{"proxy":{"seccompProfile":{"type":"Unconfined"}}}}""")! };
        Assert.All(Profiles(Inject("", "", values: values)), type => Assert.Equal("Unconfined", type));

        static IEnumerable<string?> Profiles(JsonObject pod) =>
            Containers(pod).Where(container => container["name"]!.ToString() != "web")
                .Select(container => container["securityContext"]!["seccompProfile"]?["type"]?.ToString());
    }

    [Fact]
    public void Control_planes_and_gateways_are_restricted()
    {
        var deployments = Manifests.Render(OperatorSpec.Build([], ["profile=default"], null)).SelectMany(component => component.Objects)
            .Where(value => value["kind"]!.ToString() == "Deployment").ToList();
        Assert.Equal(["istio-ingressgateway", "istiod"], deployments.Select(value => value["metadata"]!["name"]!.ToString()).Order(StringComparer.Ordinal));
        foreach (var template in deployments.Select(value => (JsonObject)value["spec"]!["template"]!.DeepClone()))
            Assert.Empty(Restricted(PodInjector.Inject(template, "istio-system", Values, InjectionPath.Default, NativeSidecars.Off) ?? template));
    }

    private static JsonObject Inject(string annotations, string security, NativeSidecarMode mode = NativeSidecarMode.Disabled, InjectorValues? values = null) =>
        PodInjector.Inject(
        (JsonObject)YamlText.Parse(Application.Replace("{A}", $"{{{annotations}}}", StringComparison.Ordinal)
            .Replace("{P}", $"{{{security}}}", StringComparison.Ordinal),
            "test")!,
        "shop", values ?? Values, InjectionPath.Default, new(mode, []))!;

    private static IEnumerable<JsonObject> Containers(JsonObject pod) =>
        ((string[])["initContainers", "containers"]).SelectMany(list => pod["spec"]![list] as JsonArray ?? []).OfType<JsonObject>();

    /// <summary>What violates the level <c>baseline</c>, of the fields that occur here.</summary>
    private static IEnumerable<string> Baseline(JsonObject pod)
    {
        string[] allowed = ["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP",
            "SETUID", "SYS_CHROOT"];
        if (pod["spec"]!["hostNetwork"] is not null) yield return "hostNetwork";
        foreach (var container in Containers(pod))
        {
            if ((bool?)container["securityContext"]?["privileged"] == true) yield return $"{container["name"]}: privileged";
            if (container["securityContext"]?["seccompProfile"]?["type"]?.ToString() == "Unconfined") yield return $"{container["name"]}: seccompProfile";
            foreach (var added in Added(container).Except(allowed)) yield return $"{container["name"]}: capabilities.add {added}";
            foreach (var port in (container["ports"] as JsonArray ?? []).Where(port => port!["hostPort"] is not null))
                yield return $"{container["name"]}: hostPort {port!["hostPort"]}";
        }
    }

    /// <summary>What violates the level <c>restricted</c>.</summary>
    private static IEnumerable<string> Restricted(JsonObject pod)
    {
        string[] volumes = ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];
        foreach (var violation in Baseline(pod)) yield return violation;
        foreach (var volume in (pod["spec"]!["volumes"] as JsonArray ?? []).OfType<JsonObject>()
            .Where(volume => !volume.Any(field => volumes.Contains(field.Key))))
            yield return $"volume {volume["name"]}";
        var whole = pod["spec"]!["securityContext"];
        foreach (var container in Containers(pod))
        {
            var (name, own) = (container["name"], container["securityContext"]);
            if ((bool?)own?["allowPrivilegeEscalation"] != false) yield return $"{name}: allowPrivilegeEscalation";
            if ((bool?)(own?["runAsNonRoot"] ?? whole?["runAsNonRoot"]) != true || (int?)(own?["runAsUser"] ?? whole?["runAsUser"]) == 0)
                yield return $"{name}: runAsNonRoot";
            if ((own?["seccompProfile"] ?? whole?["seccompProfile"])?["type"]?.ToString() is not ("RuntimeDefault" or "Localhost"))
                yield return $"{name}: seccompProfile";
            if (!(own?["capabilities"]?["drop"] as JsonArray ?? []).Any(dropped => dropped!.ToString() == "ALL")) yield return $"{name}: capabilities.drop";
        }
    }

    private static IEnumerable<string> Added(JsonObject container) =>
        (container["securityContext"]?["capabilities"]?["add"] as JsonArray ?? []).Select(added => added!.ToString());
}
