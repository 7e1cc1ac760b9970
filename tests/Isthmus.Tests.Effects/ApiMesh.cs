using System.Collections;
using System.Collections.Concurrent;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Core.Collections;
using Isthmus.Injection;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Mesh;
using ProxyIdentity = Isthmus.Mesh.Model.ProxyIdentity;

namespace Isthmus.Tests.Effects;

/// <summary>What runs the traffic of Pods.</summary>
internal enum Plane
{
    Isthmus, Envoy,
}

/// <summary>A small mesh in which every field of an API can have an effect: what its proxies get and what is injected, as one value.</summary>
internal sealed class ApiMesh
{
    private static readonly JsonObject Pod = (JsonObject)YamlText.Parse("""
        metadata: {name: web-1, labels: {app: web}, annotations: {prometheus.io/scrape: 'true', prometheus.io/port: '9090'}}
        spec: {containers: [{name: web, image: any, ports: [{containerPort: 8080}], readinessProbe: {httpGet: {path: /r, port: 8080}}}]}
        """, "pod")!;

    private static readonly JsonNode Settings = YamlText.Parse("extensionProviders: [{name: spans, zipkin: {service: cache.shop.svc.cluster.local, port: 80}}]",
        "settings")!;

    private static readonly string[] Clusters = ["c1", "c2", "c3"];

    private static readonly NativeSidecars Kubelets = new(NativeSidecarMode.Disabled,
        new Dictionary<string, string> { ["node"] = "v1.32.0" }.ToValueMap());

    /// <summary>With Istio's filters, Wasm and HTTP/3: whatever Envoy can take, it gets.</summary>
    private static readonly ProxySoftware WholeEnvoy =
        new(true, true, IstioFilters.All) { IsRecent = true, NamesMetadataSources = true, RunsWasm = true, HasQuic = true };

    private static readonly ConcurrentDictionary<(bool HasNetworks, Plane Plane, bool AllProxies), ConcurrentBag<ApiMesh>> Idle = [];

    private readonly MeshRig _rig;
    private readonly ProxyFeeds _feeds;
    private readonly Dictionary<JsonNode, SortedDictionary<string, string>> _whole = new(ReferenceEqualityComparer.Instance);

    private ApiMesh(string kind, Plane plane, bool allProxies)
    {
        _rig = Rig(plane == Plane.Envoy ? WholeEnvoy : ProxySoftware.Unknown);
        // Of clusters whose networks are labelled, meshNetworks says nothing.
        if (kind == ApiFields.MeshNetworks)
            foreach (var cluster in Clusters) _rig.Writer.Put(cluster, new Namespace { Metadata = new() { Name = "istio-system" } });
        _feeds = new(_rig, allProxies);
    }

    /// <summary>Whether the mesh with one object differs from the mesh with the other, where all proxies are of one kind. Most differences show in a few
    /// proxies, without the work for all.</summary>
    internal static bool AreDifferent(Plane plane, string kind, JsonNode one, JsonNode other) =>
        Differs(kind, plane, one, other, allProxies: false) || Differs(kind, plane, one, other, allProxies: true);

    private static bool Differs(string kind, Plane plane, JsonNode one, JsonNode other, bool allProxies) =>
        Lend(kind, plane, allProxies, mesh => !mesh.Whole(kind, one).SequenceEqual(mesh.Apply(kind, other)));

    /// <summary>What a mesh that has seen other objects before is with an object of a kind.</summary>
    internal static SortedDictionary<string, string> With(Plane plane, string kind, JsonNode spec) =>
        Lend(kind, plane, allProxies: true, mesh => mesh.Apply(kind, spec));

    /// <summary>What a mesh that has never seen another object is with an object of a kind.</summary>
    internal static SortedDictionary<string, string> WithNew(Plane plane, string kind, JsonNode spec) =>
        new ApiMesh(kind, plane, allProxies: true).Apply(kind, spec);

    // A mesh that was built once serves many. Both of a pair see the same, also addresses that were allocated before.
    private static T Lend<T>(string kind, Plane plane, bool allProxies, Func<ApiMesh, T> use)
    {
        var idle = Idle.GetOrAdd((kind == ApiFields.MeshNetworks, plane, allProxies), static _ => []);
        var mesh = idle.TryTake(out var known) ? known : new(kind, plane, allProxies);
        var result = use(mesh);
        idle.Add(mesh);
        return result;
    }

    /// <summary>Read once for each sample: hundreds of fields are removed from the same few. That a mesh that lived is as a new one is a test.</summary>
    private SortedDictionary<string, string> Whole(string kind, JsonNode sample)
    {
        if (!_whole.TryGetValue(sample, out var known)) _whole[sample] = known = Apply(kind, sample);
        return known;
    }

    /// <summary>What the mesh is with an object of a kind. Its next revision is as before: the object's last good version would stay, and it may
    /// stand in for one of the base.</summary>
    private SortedDictionary<string, string> Apply(string kind, JsonNode spec)
    {
        Put(_rig, kind, spec);
        _rig.Push();
        var all = _feeds.Versions();
        var configs = ProxyConfig.For(_rig.Mesh.Sources.ProxyConfigs.Items.Values, "istio-system", "shop",
            new Dictionary<string, string> { ["app"] = "web" }.ToValueMap());
        all["injected"] = Injected(InjectorValues.Empty.WithMesh((JsonObject)(kind == ApiFields.MeshConfig ? spec : Settings)).With(configs), Pod);
        Remove(_rig, kind);
        return all;
    }

    /// <summary>Adds a sample to the mesh.</summary>
    internal static void Put(MeshRig rig, string kind, JsonNode spec)
    {
        rig.Writer.PutSettings("c1", kind == ApiFields.MeshConfig ? spec : Settings, kind == ApiFields.MeshNetworks ? spec : null);
        if (MeshApi.Istio.FirstOrDefault(known => known.Kind == kind) is { } istio) rig.Writer.PutConfig("c1", Object(istio, spec));
    }

    /// <summary>Takes it away again.</summary>
    internal static void Remove(MeshRig rig, string kind)
    {
        if (MeshApi.Istio.FirstOrDefault(known => known.Kind == kind) is { } istio) rig.Writer.RemoveConfig("c1", kind, "shop", NameOf(istio));
        foreach (var item in ApiSamples.Read("base").Where(item => item["kind"]!.ToString() == kind)) rig.Writer.PutConfig("c1", (JsonObject)item.DeepClone());
        rig.Writer.PutSettings("c1", Settings, null);
    }

    /// <summary>A Pod with these annotations only, as the injector changes it.</summary>
    internal static string Annotated(JsonObject annotations)
    {
        var pod = (JsonObject)Pod.DeepClone();
        pod["metadata"]!["annotations"] = annotations.DeepClone();
        var mesh = JsonNode.Parse(
            """{"extensionProviders": [{"name": "spans", "opentelemetry": {"serviceAttributeEnrichment": "OTEL_SEMANTIC_CONVENTIONS"}}]}""")!;
        var injected = Injected(InjectorValues.Empty.WithMesh((JsonObject)mesh), pod);
        // That the Pod has the annotation does not count as an effect.
        return annotations.Aggregate(injected, (text, entry) => text.Replace($"\"{entry.Key}\":{entry.Value!.ToJsonString()}", "", StringComparison.Ordinal));
    }

    internal static JsonObject Object(KindDescriptor kind, JsonNode spec) => new()
    {
        ["apiVersion"] = $"{kind.Group}/{kind.ReadVersion}", ["kind"] = kind.Kind,
        ["metadata"] = new JsonObject { ["name"] = NameOf(kind), ["namespace"] = "shop" }, ["spec"] = spec.DeepClone(),
    };

    private static string NameOf(KindDescriptor kind) => kind == MeshApi.Gateway ? "front" : "sample";

    /// <summary>The injected Pod, and what the agent and the control plane read from its PROXY_CONFIG. The text itself does not count.</summary>
    private static string Injected(InjectorValues values, JsonObject pod)
    {
        if (PodInjector.Inject(pod, "shop", values, InjectionPath.Parse("/inject"), Kubelets) is not { } injected) return "";
        var proxy = ((string[])["containers", "initContainers"]).SelectMany(list => injected["spec"]![list]?.AsArray() ?? [])
            .First(container => container!["name"]!.ToString() == "istio-proxy")!;
        var variables = proxy["env"]!.AsArray();
        var environment = variables.ToDictionary(variable => variable!["name"]!.ToString(), variable => variable!["value"]?.ToString() ?? "192.0.2.1");
        var settings = AgentSettings.Read("sidecar", "", environment);
        var node = AgentNode.Build(settings, new Dictionary<string, string>(), new Dictionary<string, string>());
        var identity = ProxyIdentity.TryRead(node.Id, node.Metadata, new("", "", ""), out _);
        foreach (var config in variables.Where(variable => variable!["name"]!.ToString() == "PROXY_CONFIG")) config!["value"] = "";
        return string.Join('\n', injected.ToJsonString(), JsonSerializer.Serialize(settings with { ProxyConfig = "" }), JsonSerializer.Serialize(identity),
            StatsOf(settings));
    }

    private static string StatsOf(AgentSettings settings)
    {
        var names = StatsSelection.Read(JsonNode.Parse(settings.ProxyConfig)!);
        return string.Join(' ',
            typeof(StatsSelection).GetFields(BindingFlags.Instance | BindingFlags.NonPublic)
                .SelectMany(field => ((IEnumerable)field.GetValue(names)!).Cast<object>()));
    }

    /// <param name="software">What its proxies are made of; null: they say nothing.</param>
    internal static MeshRig Rig(ProxySoftware? software = null)
    {
        var rig = new MeshRig(Clusters) { Software = software ?? ProxySoftware.Unknown };
        foreach (var (ns, team) in (ReadOnlySpan<(string, string)>)[("shop", "a"), ("other", "b")])
            rig.Writer.Put("c1", new Namespace { Metadata = new() { Name = ns, Labels = { ["team"] = team } } });
        foreach (var (app, address, net) in (ReadOnlySpan<(string, string, string)>)[("web", "10.96.0.10", "10.244.0"), ("cache", "10.96.0.13", "10.244.5")])
        {
            rig.Service("c1", app, address);
            foreach (var version in (ReadOnlySpan<int>)[1, 2])
                rig.Pod("c1", app, $"{app}-v{version}", $"{net}.{version}", labels: new() { ["version"] = $"v{version}" });
            rig.Slice("c1", app, 8080, "http", ($"{app}-v1", $"{net}.1"), ($"{app}-v2", $"{net}.2"));
            foreach (var cluster in (ReadOnlySpan<string>)["c2", "c3"]) rig.App(cluster, app, address, $"{net}.1");
        }
        rig.AppOn("c1", "db", "10.96.0.11", "tcp", 3306, "10.244.0.3");
        rig.AppOn("c1", "vault", "10.96.0.12", "tls", 443, "10.244.0.4");
        rig.EastWest("c1", "172.18.201.1");
        rig.EastWest("c2", "172.18.202.1");
        rig.EastWest("c3", "172.18.203.1");
        rig.Pod("c1", "client", "client", "10.244.0.7", labels: new() { ["version"] = "v1" });
        foreach (var item in ApiSamples.Read("base"))
        {
            if (item["kind"]!.ToString() == "Service") rig.Writer.Put("c1", item.Deserialize(KubeJson.Of<Service>())!);
            else if (item["kind"]!.ToString() == "Ingress") rig.Writer.Kinds.Ingresses.StageTree(rig.Writer, "c1", (JsonObject)item.DeepClone());
            else rig.Writer.PutConfig("c1", (JsonObject)item.DeepClone());
        }
        return rig;
    }

    /// <summary>An Envoy that runs Wasm.</summary>
    internal static ProxyIdentity Envoy(string role, string pod, string address, Dictionary<string, string> labels)
    {
        var environment = new Dictionary<string, string>
        {
            ["POD_NAME"] = pod, ["POD_NAMESPACE"] = "shop", ["INSTANCE_IP"] = address, ["SERVICE_ACCOUNT"] = pod.Split('-')[0], ["ISTIO_META_CLUSTER_ID"] = "c1"
        };
        labels["app"] = pod.Split('-')[0];
        var node = AgentNode.Build(AgentSettings.Read(role, "shop.svc.cluster.local", environment), labels, new Dictionary<string, string>());
        node.Metadata.Fields.Remove("ISTHMUS_VERSION");
        node.UserAgentName = "envoy";
        node.UserAgentBuildVersion = new() { Version = new() { MajorNumber = 1, MinorNumber = 40 } };
        node.Extensions.Clear();
        foreach (var (category, name) in (ReadOnlySpan<(string, string)>)[("envoy.filters.http", "envoy.filters.http.wasm"),
            ("envoy.wasm.runtime", "envoy.wasm.runtime.v8")])
            node.Extensions.Add(new Wire.Envoy.Extension { Category = category, Name = name });
        return MeshFeeds.Read(node, out var error) ?? throw new ArgumentException(error);
    }

    private sealed class ProxyFeeds
    {
        private readonly Isthmus.ControlPlane.Push.ProxyFeed[] _all;

        internal ProxyFeeds(MeshRig rig, bool allProxies)
        {
            _all = [rig.Sidecar("c1"), rig.Sidecar("c1", "web-v1", "10.244.0.1"),
                rig.Router("c1", "door", labels: new(Named()) { ["istio"] = "ingressgateway" })];
            if (allProxies) _all = [.. _all, rig.Sidecar("c1", "guest", "10.244.0.9", ns: "other"), rig.Router("c1", "eastwest", labels: Named()),
                rig.Router("c1", "eastwest", sniDnat: true), rig.Router("c1", "inner")];
        }

        /// <summary>Also the proxy of a Gateway of the Gateway API, which samples name.</summary>
        private static Dictionary<string, string> Named() => new() { [GatewayNaming.GatewayLabel] = "door" };

        internal SortedDictionary<string, string> Versions()
        {
            var all = new SortedDictionary<string, string>(StringComparer.Ordinal);
            foreach (var (feed, index) in _all.Select((feed, index) => (feed, index)))
                foreach (var (name, version) in MeshRig.Versions(feed)) all[$"{index} {name}"] = version;
            return all;
        }
    }
}
