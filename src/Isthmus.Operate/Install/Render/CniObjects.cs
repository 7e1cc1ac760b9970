using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Operate.Install.Operator;
using static Isthmus.Operate.Install.Render.ObjectLabels;
using static Isthmus.Operate.Install.Render.Rbac;

namespace Isthmus.Operate.Install.Render;

/// <summary>The CNI agent of each node (chart <c>istio-cni</c>). It belongs to the cluster, whatever revisions there are.</summary>
internal sealed class CniObjects
{
    internal const string Name = "istio-cni-node", Component = "Cni";

    private const string Account = "istio-cni";
    private const int ReadyPort = 8000;

    private readonly OperatorSpec _spec;
    private readonly JsonObject _values;
    private readonly string _namespace;

    private CniObjects(OperatorSpec spec) => (_spec, _values, _namespace) = (spec, spec.Value("cni") as JsonObject ?? [], Namespace(spec));

    /// <summary>Pods there are never injected, and may use the priority of nodes' own Pods.</summary>
    internal static string Namespace(OperatorSpec spec) => spec.Component("cni")["namespace"]?.ToString() is { Length: > 0 } own ? own : "kube-system";

    internal static IEnumerable<JsonObject> Build(OperatorSpec spec) => new CniObjects(spec).Build();

    private IEnumerable<JsonObject> Build()
    {
        yield return WithPullSecrets(_spec, ServiceAccount(Account, _namespace, Labelled()));
        List<string> verbs = ["get", "list", "watch"];
        if (Repairs("deletePods", false)) verbs.Add("delete");
        if (Repairs("labelPods", false)) verbs.Add("patch");
        yield return ClusterRole(Account, Labelled(), Rule("core", "pods", string.Join(' ', verbs)));
        yield return ClusterRoleBinding(Account, Labelled(), Account, _namespace);
        // The agent leaves its node as it found it if this object is gone.
        var own = Rule("apps", "daemonsets", "get");
        own["resourceNames"] = Strings(Name);
        yield return Role(Account, _namespace, Labelled(), own);
        yield return RoleBinding(Account, _namespace, Labelled(), Account);
        yield return DaemonSet();
    }

    private JsonObject Labelled() => Make(_spec, Component, "istio-cni", ("k8s-app", Name));

    private string Text(string field, string otherwise) => _values[field]?.ToString() is { Length: > 0 } text ? text : otherwise;

    private bool Repairs(string field, bool otherwise) => ((bool?)_values["repair"]?["enabled"] ?? true) && ((bool?)_values["repair"]?[field] ?? otherwise);

    private JsonObject DaemonSet()
    {
        var podLabels = Labelled();
        podLabels[Labels.Inject] = "false";
        var metadata = new JsonObject
        {
            ["labels"] = podLabels,
            // The usual profile forbids reading which network namespace a process of the node is in.
            ["annotations"] = new JsonObject { [Labels.Inject] = "false", ["container.apparmor.security.beta.kubernetes.io/install-cni"] = "unconfined" },
        };
        var pod = PodSpec();
        new WorkloadSettings(_spec, PodValues(), _spec.Component("cni")["k8s"] as JsonObject).Apply(pod, metadata);
        foreach (var entry in _spec.Component("cni")["k8s"]?["env"] as JsonArray ?? []) ((JsonArray)pod["containers"]![0]!["env"]!).Add(entry?.DeepClone());
        var set = Object("apps/v1", "DaemonSet", Name, _namespace, Labelled());
        set["spec"] = new JsonObject
        {
            ["selector"] = new JsonObject { ["matchLabels"] = new JsonObject { ["k8s-app"] = Name } },
            ["updateStrategy"] = new JsonObject
            {
                ["type"] = "RollingUpdate", ["rollingUpdate"] = new JsonObject { ["maxUnavailable"] = _values["rollingMaxUnavailable"]?.DeepClone() ?? 1 }
            },
            ["template"] = new JsonObject { ["metadata"] = metadata, ["spec"] = pod },
        };
        return set;
    }

    /// <summary>Without the agent, Pods of its node do not join the mesh: the priority of control planes does not apply.</summary>
    private JsonObject PodValues()
    {
        var values = (JsonObject)_values.DeepClone();
        values["priorityClassName"] = "system-node-critical";
        return values;
    }

    private JsonObject PodSpec()
    {
        var (network, programs) = (Text("cniConfDir", "/etc/cni/net.d"), Text("cniBinDir", "/opt/cni/bin"));
        var sources = new JsonObject
        {
            ["hub"] = (_spec.Component("cni")["hub"] ?? _values["hub"])?.DeepClone(), ["tag"] = (_spec.Component("cni")["tag"] ?? _values["tag"])?.DeepClone()
        };
        var container = new JsonObject
        {
            ["name"] = "install-cni",
            ["image"] = _spec.Image(Text("image", "isthmus"), sources),
            ["args"] = Strings("install-cni",
                $"--log_output_level={_values["logging"]?["level"]?.ToString() ?? _spec.Value("global", "logging", "level")?.ToString() ?? "default:info"}"),
            ["ports"] = new JsonArray(IstiodObjects.ContainerPort(ReadyPort)),
            ["readinessProbe"] = new JsonObject
            {
                ["httpGet"] = new JsonObject { ["path"] = "/readyz", ["port"] = ReadyPort }, ["periodSeconds"] = 2, ["timeoutSeconds"] = 5
            },
            ["env"] = Environment(),
            ["resources"] = new JsonObject { ["requests"] = new JsonObject { ["cpu"] = "100m", ["memory"] = "100Mi" } },
            ["securityContext"] = new JsonObject
            {
                ["privileged"] = false, ["runAsUser"] = 0, ["runAsGroup"] = 0, ["runAsNonRoot"] = false, ["readOnlyRootFilesystem"] = true,
                // To enter the namespaces of Pods (SYS_ADMIN, and SYS_PTRACE to find them) and write rules there, and files of the node whoever owns them.
                ["capabilities"] = new JsonObject { ["drop"] = Strings("ALL"), ["add"] = Strings("NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE", "DAC_OVERRIDE") },
                ["seccompProfile"] = new JsonObject { ["type"] = "RuntimeDefault" },
            },
            ["volumeMounts"] = new JsonArray(
                Mount("cni-bin-dir", "/host/opt/cni/bin"), Mount("cni-net-dir", "/host/etc/cni/net.d"), Mount("cni-socket-dir", "/var/run/istio-cni"),
                Mount("cni-netns-dir", "/host/var/run/netns", readOnly: true, "HostToContainer"), Mount("cni-host-procfs", "/host/proc", readOnly: true)),
        };
        if ((Text("pullPolicy", "") is { Length: > 0 } own ? own : _spec.Value("global", "imagePullPolicy")?.ToString()) is { Length: > 0 } policy)
            container["imagePullPolicy"] = policy;
        return new JsonObject
        {
            ["nodeSelector"] = new JsonObject { ["kubernetes.io/os"] = "linux" },
            ["tolerations"] = new JsonArray(
                new JsonObject { ["effect"] = "NoSchedule", ["operator"] = "Exists" },
                new JsonObject { ["key"] = "CriticalAddonsOnly", ["operator"] = "Exists" },
                new JsonObject { ["effect"] = "NoExecute", ["operator"] = "Exists" }),
            ["serviceAccountName"] = Account,
            ["terminationGracePeriodSeconds"] = 15,
            ["containers"] = new JsonArray(container),
            ["volumes"] = new JsonArray(
                Node("cni-bin-dir", programs), Node("cni-net-dir", network), Node("cni-socket-dir", "/var/run/istio-cni"),
                Node("cni-netns-dir", "/var/run/netns"), Node("cni-host-procfs", "/proc", "Directory")),
        };
    }

    private JsonArray Environment()
    {
        var excluded = _values["excludeNamespaces"] as JsonArray ?? Strings("kube-system", _spec.Namespace);
        return new(
            IstiodObjects.Field("NODE_NAME", "spec.nodeName"),
            IstiodObjects.Field("POD_NAMESPACE", "metadata.namespace"),
            IstiodObjects.Value("CNI_CONF_NAME", Text("cniConfFileName", "")),
            IstiodObjects.Value("EXCLUDE_NAMESPACES", string.Join(',', excluded.Select(name => name?.ToString()))),
            IstiodObjects.Value("REPAIR_ENABLED", Flag(Repairs("enabled", true))),
            IstiodObjects.Value("REPAIR_REPAIR_PODS", Flag(Repairs("repairPods", true))),
            IstiodObjects.Value("REPAIR_DELETE_PODS", Flag(Repairs("deletePods", false))),
            IstiodObjects.Value("REPAIR_LABEL_PODS", Flag(Repairs("labelPods", false))));
    }

    private static string Flag(bool value) => value.ToString(CultureInfo.InvariantCulture).ToLowerInvariant();

    private static JsonObject Mount(string name, string path, bool readOnly = false, string propagation = "")
    {
        var mount = new JsonObject { ["name"] = name, ["mountPath"] = path };
        if (readOnly) mount["readOnly"] = true;
        if (propagation.Length > 0) mount["mountPropagation"] = propagation;
        return mount;
    }

    private static JsonObject Node(string name, string path, string type = "DirectoryOrCreate") =>
        new() { ["name"] = name, ["hostPath"] = new JsonObject { ["path"] = path, ["type"] = type } };
}
