using System.Text;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.GatewayApi;
using Isthmus.ControlPlane.Mcs;
using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Intake;
using Isthmus.Injection;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>A small mesh in which every field of the Gateway API can have an effect: what its proxies get, what is made for Gateways and exports, and what
/// statuses say, as one value.</summary>
internal sealed class GatewayApiMesh
{
    /// <summary>Of each sample.</summary>
    private const string Name = "sample";

    private readonly MeshRig _rig = new("c1");
    private readonly ProxyFeed[] _feeds;
    private readonly Dictionary<JsonNode, SortedDictionary<string, string>> _known = new(ReferenceEqualityComparer.Instance);

    internal GatewayApiMesh()
    {
        _rig.App("c1", "web", "10.96.0.10", "10.244.0.1");
        _rig.App("c1", "cache", "10.96.0.11", "10.244.0.2");
        _rig.AppOn("c1", "db", "10.96.0.12", "tcp", 3306, "10.244.0.3");
        _rig.AppOn("c1", "vault", "10.96.0.13", "tls", 443, "10.244.0.4");
        _rig.Writer.Put("c1", OpenService("dns", "10.96.0.14", [53], "UDP"));
        _rig.Pod("c1", "dns", "dns-a", "10.244.0.5");
        _rig.Slice("c1", "dns", 53, "port-53", ("dns-a", "10.244.0.5"));
        foreach (var gateway in (string[])["front", Name])
        {
            var service = OpenService(gateway, $"10.96.1.{gateway.Length}", [80, 81, 82, 8090, 8099, 8443, 9000, 9001, 9443, 9444]);
            service.Spec.Ports.Add(new() { Name = "datagrams", Port = 5300, TargetPort = JsonValue.Create(5300), Protocol = "UDP" });
            _rig.Writer.Put("c1", service);
        }
        Certificates();
        foreach (var item in Samples("base")) Stage((JsonObject)item.DeepClone());
        // Every Service is exported, so that an export has one to offer, and an import of somebody else's is one of an export.
        Stage(new() { ["apiVersion"] = "multicluster.x-k8s.io/v1beta1", ["kind"] = "ServiceExport", ["metadata"] = Metadata("cache", "shop") });
        _rig.Push();
        _feeds =
        [
            _rig.Sidecar("c1"), _rig.Sidecar("c1", "guest", "10.244.0.9", ns: "other"), _rig.Router("c1", "front", labels: Serving("front")),
            _rig.Router("c1", Name, labels: Serving(Name)), _rig.Router("c1", "outer", labels: Serving("outer"), ns: "other"),
        ];
    }

    internal static IReadOnlyList<JsonNode> Samples(string kind) => ApiSamples.Read($"gateway-api/{kind}");

    /// <summary>What the mesh is with a sample. It is taken away before the next one comes.</summary>
    internal SortedDictionary<string, string> With(JsonNode sample)
    {
        var item = (JsonObject)sample.DeepClone();
        item["metadata"] = Metadata(sample["metadata"]?["name"]?.ToString() ?? Name, sample["metadata"]?["namespace"]?.ToString() ?? "shop");
        if (item["kind"]!.ToString() is "GatewayClass" or "XMesh") item["metadata"]!.AsObject().Remove("namespace");
        Stage(item);
        _rig.Push();
        var all = Outcome();
        var (ns, name) = (item["metadata"]!["namespace"]?.ToString() ?? "", item["metadata"]!["name"]!.ToString());
        foreach (var kind in KindsOf(item)) _rig.Writer.Remove(kind, new("c1", ns, name));
        return all;
    }

    /// <summary>Read once for each sample: many fields are removed from the same few.</summary>
    internal SortedDictionary<string, string> Whole(JsonNode sample) =>
        _known.TryGetValue(sample, out var known) ? known : _known[sample] = With(sample);

    private SortedDictionary<string, string> Outcome()
    {
        var (all, mesh) = (new SortedDictionary<string, string>(StringComparer.Ordinal), _rig.Mesh);
        foreach (var (index, feed) in _feeds.Index())
            foreach (var (name, version) in MeshRig.Versions(feed)) all[$"{index} {name}"] = version;
        foreach (var (source, status) in mesh.ApiStatuses.Items) all[$"status {source}"] = $"{status}";
        foreach (var order in GatewayOrders.Of(mesh))
        {
            var parameters = Parameters(mesh.Sources.GatewayClasses.Items.GetValueOrDefault(new("c1", "", order.Gateway.Class))?.Parameters)
                + Parameters(order.Gateway.Infrastructure.Parameters);
            all[$"made {order.Key}"] = parameters + string.Concat(GatewayObjects.Of(order, "u1", InjectorValues.Empty).Select(item => item.ToJsonString()));
        }
        var plan = MultiClusterPlan.Of(mesh, "c1", MultiClusterSettings.Default);
        foreach (var import in plan.Imports) all[$"import {import.Name}"] = $"{import.Spec} {import.Labels} {import.Annotations}";
        foreach (var obsolete in plan.Obsolete) all[$"obsolete {obsolete}"] = "";
        return all;
    }

    /// <summary>The ConfigMap that a reference leads to, or what is wrong with it.</summary>
    private static string Parameters(ApiReference? reference) => reference is null ? ""
        : ParameterRules.Fault(reference, reference is { Namespace: "shop", Name: "parameters" }, "", "")?.Message ?? "parameters";

    private void Certificates()
    {
        var (certificate, key) = TestCa.SelfSignedPair("d.example");
        foreach (var ns in (string[])["shop", "other"])
        {
            foreach (var ca in (string[])["ca", "more"])
                _rig.Writer.Put("c1", new ConfigMap { Metadata = new() { Name = ca, Namespace = ns }, Data = { ["ca.crt"] = new TestCa(ca).Pem } });
            _rig.Writer.Put("c1", new Secret
            {
                Metadata = new() { Name = "cert", Namespace = ns }, Type = "kubernetes.io/tls",
                Data = { ["tls.crt"] = Base64(certificate), ["tls.key"] = Base64(key) },
            });
        }
    }

    private void Stage(JsonObject item)
    {
        foreach (var kind in KindsOf(item)) kind.StageTree(_rig.Writer, "c1", item);
    }

    private IEnumerable<MeshKind> KindsOf(JsonObject item)
    {
        var (version, name) = (item["apiVersion"]!.ToString(), item["kind"]!.ToString());
        var group = version.Contains('/', StringComparison.Ordinal) ? version.Split('/')[0] : "";
        return _rig.Writer.Kinds.All.Where(kind => kind.Resource.Kind == name && kind.Resource.Group == group);
    }

    private static Service OpenService(string name, string address, int[] ports, string protocol = "TCP") => new()
    {
        Metadata = new() { Name = name, Namespace = "shop" },
        Spec = new()
        {
            ClusterIP = address, ClusterIPs = [address], Selector = { ["app"] = name },
            Ports = [.. ports.Select(port => new Isthmus.Kubernetes.Objects.ServicePort
            {
                Name = $"port-{port}", Port = port, TargetPort = JsonValue.Create(port), Protocol = protocol,
            })],
        },
    };

    private static JsonObject Metadata(string name, string ns) => new() { ["name"] = name, ["namespace"] = ns };

    private static Dictionary<string, string> Serving(string gateway) => new() { [GatewayNaming.GatewayLabel] = gateway };

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
