using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Kinds;

public sealed class BuiltInRulesTests : IDisposable
{
    private readonly StoreRig _rig = new();

    [Fact]
    public void A_rich_Pod_gets_the_defaults_that_a_real_server_gives()
    {
        var pod = Defaulted("", "pods", """
            {"metadata": {"name": "p"}, "spec": {
              "containers": [{"name": "c", "image": "x:latest", "ports": [{"containerPort": 80}],
                "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "livenessProbe": {"httpGet": {"port": 80}}, "resources": {"limits": {"cpu": "1"}}}],
              "initContainers": [{"name": "i", "image": "r.test:5000/x:1"}],
              "volumes": [{"name": "a"}, {"name": "d", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
                {"name": "f", "hostPath": {"path": "/x"}}]}}
            """);
        var container = Json.Objects(pod.At("spec", "containers")).Single();
        Assert.Equal("Always", Json.Text(container["imagePullPolicy"]));
        Assert.Equal("IfNotPresent", Json.Text(Json.Objects(pod.At("spec", "initContainers")).Single()["imagePullPolicy"]));
        Assert.Equal("""{"httpGet":{"port":80,"path":"/","scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3}""",
            container["livenessProbe"]!.ToJsonString());
        Assert.Equal("""{"limits":{"cpu":"1"},"requests":{"cpu":"1"}}""", container["resources"]!.ToJsonString());
        Assert.Equal("""{"fieldPath":"metadata.name","apiVersion":"v1"}""",
            Json.Objects(container["env"]).Single().At("valueFrom", "fieldRef")!.ToJsonString());
        Assert.Equal(
            """[{"name":"a","emptyDir":{}},{"name":"d","projected":{"sources":[{"serviceAccountToken":{"path":"t","expirationSeconds":3600}}]"""
                + ""","defaultMode":420}},{"name":"f","hostPath":{"path":"/x","type":""}}]""",
            pod.At("spec", "volumes")!.ToJsonString());
        Assert.Equal(30, Json.Whole(pod.At("spec", "terminationGracePeriodSeconds")));
    }

    [Theory]
    [InlineData("", "pods", """{"spec": {}}""", "spec.containers: Required value")]
    [InlineData("", "pods",
        """
        {"spec": {"restartPolicy": "Maybe", "containers": [{"name": "A B", "ports": [{"containerPort": 99999}],
            "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}, {"image": "x"}]}}
        """,
        "spec.containers[0].name: Invalid value: \"A B\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
            + "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        "spec.containers[0].image: Required value",
        "spec.containers[0].ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive",
        "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        "spec.containers[1].name: Required value",
        "spec.restartPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", \"OnFailure\", \"Never\"")]
    [InlineData("", "pods",
        """{"spec": {"hostnameOverride": "A", "hostNetwork": true, "setHostnameAsFQDN": true, "containers": [{"name": "c", "image": "x"}]}}""",
        "spec.hostnameOverride: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
            + "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        "spec.hostnameOverride: Forbidden: may not be set when hostNetwork is true",
        "spec.hostnameOverride: Forbidden: may not be set when setHostnameAsFQDN is true")]
    [InlineData("", "pods",
        """{"spec": {"hostnameOverride": "a2345678901234567890123456789012.a23456789012345678901234567890123", "containers": [{"name": "c", "image": "x"}]}}""",
        "spec.hostnameOverride: Too long: may not be more than 64 bytes")]
    [InlineData("", "pods", """{"spec": {"containers": [{"name": "c", "image": "x", "volumeMounts": [{"name": "nosuch", "mountPath": "/x"}]}]}}""",
        "spec.containers[0].volumeMounts[0].name: Not found: \"nosuch\"")]
    [InlineData("", "pods",
        """
            {"spec": {"containers": [{"name": "c", "image": "x", "restartPolicy": "Always"}],
              "initContainers": [{"name": "i", "image": "x", "restartPolicy": "Never"}]}}
            """,
        "spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers",
        "spec.initContainers[0].restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"")]
    [InlineData("", "pods",
        """
        {"spec": {"containers": [{"name": "c", "image": "x"}],
          "initContainers": [{"name": "i", "image": "x", "startupProbe": {"exec": {"command": ["a"]}},
            "lifecycle": {"preStop": {"exec": {"command": ["a"]}}}}]}}
        """,
        "spec.initContainers[0].startupProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
        "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always")]
    [InlineData("", "pods",
        """
            {"spec": {"containers": [{"name": "c", "image": "x"}],
              "initContainers": [{"name": "i", "image": "x", "restartPolicy": "Always", "startupProbe": {}, "lifecycle": {"preStop": {}}}]}}
            """,
        "spec.initContainers[0].startupProbe: Required value: must specify a handler type",
        "spec.initContainers[0].lifecycle.preStop: Required value: must specify a handler type")]
    [InlineData("apps", "deployments", """{"spec": {}}""", "spec.selector: Required value",
        "spec.template.metadata.labels: Invalid value: map[string]string(nil): `selector` does not match template `labels`",
        "spec.template.spec.containers: Required value")]
    [InlineData("", "secrets", """{"type": "kubernetes.io/tls", "data": {}}""", "data[tls.crt]: Required value", "data[tls.key]: Required value")]
    [InlineData(Resources.AdmissionGroup, "validatingwebhookconfigurations", """{"webhooks": [{"name": "short", "clientConfig": {}}]}""",
        "webhooks[0].name: Invalid value: \"short\": should be a domain with at least three segments separated by dots",
        "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun",
        "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
        "webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1")]
    public void Mistakes_are_listed_in_known_words(string group, string plural, string fields, params string[] errors)
    {
        var kind = _rig.Kind(group, "v1", plural);
        var o = Defaulted(group, plural, fields);
        Assert.Equal(errors, kind.Strategy.Validate(o, _rig.Write(kind)).Select(error => error.ToString()));
    }

    /// <summary>Since Kubernetes 1.28, hostPort of a template is left to Pods: there, it would stay when somebody removes hostNetwork.</summary>
    [Fact]
    public void Ports_of_the_Node_are_those_of_Pods_and_not_of_templates()
    {
        const string spec = """{"hostNetwork": true, "containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 80}]}]}""";
        var pod = Defaulted("", "pods", $"{{\"spec\": {spec}}}");
        var workload = Defaulted("apps", "deployments", $"{{\"spec\": {{\"template\": {{\"spec\": {spec}}}}}}}");
        Assert.Equal("80", pod["spec"]!["containers"]![0]!["ports"]![0]!["hostPort"]?.ToString());
        Assert.Null(workload["spec"]!["template"]!["spec"]!["containers"]![0]!["ports"]![0]!["hostPort"]);
        Assert.Equal("TCP", workload["spec"]!["template"]!["spec"]!["containers"]![0]!["ports"]![0]!["protocol"]!.ToString());
    }

    [Theory]
    [InlineData("", "configmaps", """{"immutable": true, "data": {"a": "b"}}""", """{"immutable": true, "data": {"a": "c"}}""",
        "data: Forbidden: field is immutable when `immutable` is set")]
    [InlineData("apps", "deployments", """{"spec": {"selector": {"matchLabels": {"app": "dep"}}}}""",
        """{"spec": {"selector": {"matchLabels": {"app": "other"}}}}""",
        "spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{\"app\":\"other\"}, "
            + "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable")]
    [InlineData(Resources.RbacGroup, "rolebindings", """{"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}}""",
        """{"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}}""",
        "roleRef: Invalid value: rbac.RoleRef{APIGroup:\"rbac.authorization.k8s.io\", Kind:\"ClusterRole\", Name:\"edit\"}: cannot change roleRef")]
    public void What_never_changes_is_refused_in_known_words(string group, string plural, string old, string next, string error)
    {
        var kind = _rig.Kind(group, "v1", plural);
        var errors = kind.Strategy.ValidateUpdate((JsonObject)JsonNode.Parse(old)!, (JsonObject)JsonNode.Parse(next)!, _rig.Write(kind));
        Assert.Equal(error, Assert.Single(errors).ToString());
    }

    [Fact]
    public void A_Pod_may_change_its_image_and_little_else()
    {
        var kind = _rig.Kind("", "v1", "pods");
        var old = Defaulted("", "pods", """{"spec": {"nodeName": "a", "containers": [{"name": "c", "image": "x:1"}]}}""");
        var image = Defaulted("", "pods", """{"spec": {"nodeName": "a", "containers": [{"name": "c", "image": "x:2"}]}}""");
        var node = Defaulted("", "pods", """{"spec": {"nodeName": "b", "containers": [{"name": "c", "image": "x:1"}]}}""");
        Assert.Empty(kind.Strategy.ValidateUpdate(old, image, _rig.Write(kind)));
        Assert.StartsWith("Forbidden: pod updates may not change fields other than",
            Assert.Single(kind.Strategy.ValidateUpdate(old, node, _rig.Write(kind))).Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Texts_of_a_Secret_become_data()
    {
        var secret = Defaulted("", "secrets", """{"metadata": {"name": "s"}, "stringData": {"a": "b"}}""");
        Assert.Equal("""{"metadata":{"name":"s"},"data":{"a":"Yg=="},"type":"Opaque"}""", secret.ToJsonString());
    }

    [Fact]
    public void A_Namespace_waits_for_its_finalizer()
    {
        var kind = _rig.Kind("", "v1", "namespaces");
        var ns = (JsonObject)JsonNode.Parse("""{"metadata": {"name": "x"}}""")!;
        kind.Strategy.PrepareForCreate(ns, _rig.Write(kind));
        kind.Strategy.Default(ns);
        Assert.Equal("x", ns.TextAt("metadata", "labels", "kubernetes.io/metadata.name"));
        Assert.False(kind.Strategy.BeforeDelete(ns, _rig.Write(kind)));
        Assert.Equal("Terminating", ns.TextAt("status", "phase"));
        ns["spec"] = new JsonObject();
        Assert.True(kind.Strategy.MayRemove(ns));
    }

    [Fact]
    public void Bound_Pods_have_grace_and_others_do_not()
    {
        var strategy = _rig.Kind("", "v1", "pods").Strategy;
        var bound = (JsonObject)JsonNode.Parse("""{"spec": {"nodeName": "a", "terminationGracePeriodSeconds": 7}}""")!;
        Assert.Equal(7, strategy.Grace(bound, null).Seconds);
        Assert.Equal(3, strategy.Grace(bound, 3).Seconds);
        Assert.Null(strategy.Grace(bound, 0).Seconds);
        Assert.Null(strategy.Grace((JsonObject)JsonNode.Parse("""{"spec": {}}""")!, null).Seconds);
    }

    /// <summary>Bodies are decoded by type before they get here. Whatever decoding accepts must never cause an internal
    /// error.</summary>
    [Fact]
    public void No_body_of_any_kind_breaks_its_rules()
    {
        var kinds = _rig.Context.Kinds.All.ToList();
        Prop.ForAll(Bodies().Resize(6).ToArbitrary(), body =>
        {
            foreach (var kind in kinds)
            {
                var o = SchemaDecoderOrNull(body, kind);
                if (o is null) continue;
                kind.Strategy.PrepareForCreate(o, _rig.Write(kind));
                kind.Strategy.Default(o);
                var once = o.ToJsonString();
                kind.Strategy.Default(o);
                Assert.Equal(once, o.ToJsonString());
                _ = kind.Strategy.Validate(o, _rig.Write(kind)).Count();
                _ = kind.Strategy.ValidateUpdate(o, (JsonObject)o.DeepClone(), _rig.Write(kind)).Count();
            }
        }).MustHold();
    }

    public void Dispose() => _rig.Dispose();

    private static JsonObject? SchemaDecoderOrNull(string body, KindDescriptor kind)
    {
        try
        {
            return SchemaDecoder.Decode(System.Text.Encoding.UTF8.GetBytes(body), kind.Schema, []);
        }
        catch (DecodeException)
        {
            return null;
        }
    }

    private static Gen<string> Bodies()
    {
        var names = Gen.Elements(
            "spec", "template", "metadata", "name", "labels", "annotations", "containers", "image", "ports", "port", "env", "valueFrom", "fieldRef", "volumes",
            "projected", "sources", "resources", "limits", "requests", "cpu", "livenessProbe", "httpGet", "type", "clusterIP", "selector", "matchLabels",
            "rules",
            "verbs", "subjects", "roleRef", "webhooks", "clientConfig", "data", "stringData", "subsets", "addresses", "endpoints", "status", "strategy",
            "versions");
        return Node(4);

        Gen<string> Node(int depth)
        {
            var leaf = Gen.Elements("null", "1", "-1", "80", "\"\"", "\"x\"", "\"None\"", "\"ClusterIP\"", "true", "[]", "{}", "\"500m\"");
            if (depth == 0) return leaf;
            var o = from keys in names.ListOf() from values in Node(depth - 1).ListOf(keys.Count)
                    select $"{{{string.Join(",", keys.Zip(values).DistinctBy(pair => pair.First).Select(pair => $"\"{pair.First}\":{pair.Second}"))}}}";
            if (depth == 4) return o;
            return Gen.Frequency((3, o), (2, Node(depth - 1).ListOf().Select(items => $"[{string.Join(",", items)}]")), (2, leaf));
        }
    }

    private JsonObject Defaulted(string group, string plural, string json)
    {
        var o = (JsonObject)JsonNode.Parse(json)!;
        _rig.Kind(group, "v1", plural).Strategy.Default(o);
        return o;
    }
}
