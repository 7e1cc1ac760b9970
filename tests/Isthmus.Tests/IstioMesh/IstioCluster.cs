using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Lab.ApiServer.Pki;
using Isthmus.Lab.Machine.Network;
using Isthmus.Operate.Install;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Isthmus.Tests.Commands;
using Isthmus.Tests.LoopbackMesh;
using Xunit;

namespace Isthmus.Tests.IstioMesh;

/// <summary>A cluster of a mesh that is Istio's alone: the objects that its charts and its injector write, the debug pages of an
/// istiod, and real Envoys with what it sends. Nothing in it is Isthmus' but the API server.</summary>
internal sealed class IstioCluster(string name, IstioRelease release, TestCa ca, LoopbackRange range, int third, string folder) : IAsyncDisposable
{
    private readonly LoopbackCluster _server = new();
    private readonly List<EnvoyProcess> _envoys = [];
    private readonly Dictionary<string, IPAddress> _addresses = new(StringComparer.Ordinal)
    {
        [IstioMeshRig.Istiod] = range.Address(third, 2), [IstioMeshRig.Web] = range.Address(third, 3), [IstioMeshRig.Sleep] = range.Address(third, 4),
        [IstioMeshRig.Gateway] = range.Address(third, 5),
    };

    private LoopbackServer? _istiod;
    private LoopbackForward? _forward;

    internal string Name => name;

    internal KubeClient Client { get; private set; } = null!;

    internal IstiodPages Pages { get; private set; } = null!;

    internal IPAddress Web => _addresses[IstioMeshRig.Web];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <param name="mesh">All clusters.</param>
    internal async Task StartAsync(IReadOnlyList<IstioCluster> mesh)
    {
        Client = await _server.StartAsync(name);
        _forward = new(Path.Combine(_server.Folder, NodeSocket.FileName), (_, pod) => _addresses.GetValueOrDefault(pod));
        var others = mesh.Where(other => other != this).Select(other => other.Name).ToList();
        await ApplyObjectsAsync(others);
        Pages = new(release, name, others, Web.ToString());
        _istiod = new(new(_addresses[IstioMeshRig.Istiod], 8080), Pages.ServeAsync);
        if (RealEnvoy.Find() is null) return;
        Begin(mesh, IstioMeshRig.Web, "shop", "web", "8080", "sidecar", "default");
        Begin(mesh, IstioMeshRig.Sleep, "shop", "sleep", "8081", "sidecar", "default");
        Begin(mesh, IstioMeshRig.Gateway, "istio-system", "istio-ingressgateway", "8080", "router", "istio-ingressgateway");
        foreach (var pod in (string[])[IstioMeshRig.Web, IstioMeshRig.Sleep, IstioMeshRig.Gateway])
            await EnvoyProcess.ReadyAsync(_addresses[pod], Stop);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var envoy in _envoys) envoy.Dispose();
        if (_istiod is not null) await _istiod.DisposeAsync();
        if (_forward is not null) await _forward.DisposeAsync();
        await _server.DisposeAsync();
    }

    internal async Task ApplyAsync(string text) =>
        await new Applier(Client, TimeProvider.System).ApplyAsync([.. YamlText.ParseAll(text, "test").OfType<JsonObject>()], Stop);

    /// <summary>The entries of a kubeconfig of an administrator: cluster, user, context.</summary>
    internal async Task<(string Cluster, string User, string Context)> DescribeAsync()
    {
        static string Packed(string text) => Convert.ToBase64String(Encoding.ASCII.GetBytes(text));
        var (certificate, key) = await _server.Pki.ReadPairAsync(PkiNames.Admin, Stop);
        return ($$$"""{name: {{{name}}}, cluster: {server: "{{{Client.Access.Server}}}", certificate-authority-data: {{{Packed(_server.Pki.CaPem)}}}}}""",
            $$$"""{name: {{{name}}}, user: {client-certificate-data: {{{Packed(certificate)}}}, client-key-data: {{{Packed(key)}}}}}""",
            $$$"""{name: {{{name}}}, context: {cluster: {{{name}}}, user: {{{name}}}}}""");
    }

    /// <param name="others">The clusters whose remote secrets it has.</param>
    private async Task ApplyObjectsAsync(IEnumerable<string> others)
    {
        await ApplyAsync(await File.ReadAllTextAsync(Repository.At("charts/base/files/crd-all.gen.yaml"), Stop));
        var text = release.Adapt(await File.ReadAllTextAsync(Repository.At("tests/Isthmus.Tests/IstioMesh/objects.yaml"), Stop))
            .Replace("cluster1", name, StringComparison.Ordinal)
            .Replace("$ROOT", System.Text.Json.JsonSerializer.Serialize(ca.Pem), StringComparison.Ordinal)
            .Replace("$BUNDLE", Convert.ToBase64String(Encoding.ASCII.GetBytes(ca.Pem)), StringComparison.Ordinal);
        var objects = YamlText.ParseAll(text, "objects.yaml").OfType<JsonObject>().ToList();
        var sleep = (JsonObject)objects.Find(value => value["metadata"]!["name"]!.ToString() == IstioMeshRig.Web)!.DeepClone();
        sleep["metadata"]!["name"] = IstioMeshRig.Sleep;
        foreach (var label in (string[])["app", "service.istio.io/canonical-name"]) sleep["metadata"]!["labels"]![label] = "sleep";
        objects.Add(sleep);
        foreach (var pod in objects.Where(value => value["kind"]!.ToString() == "Pod")) release.Place(pod);
        foreach (var other in others) objects.Add((JsonObject)YamlText.Parse(RemoteSecret(other), other)!);
        // No istiod answers the webhook, which would refuse the Pods: it comes last.
        var webhook = objects.Find(value => value["kind"]!.ToString() == "MutatingWebhookConfiguration")!;
        objects.Remove(webhook);
        await new Applier(Client, TimeProvider.System).ApplyAsync(objects, Stop);
        foreach (var (pod, address) in _addresses)
            await ReportAsync(objects.Find(value => value["kind"]!.ToString() == "Pod" && value["metadata"]!["name"]!.ToString() == pod)!, address);
        foreach (var (service, ns, pod, port) in ((string, string, string, int)[])[("web", "shop", IstioMeshRig.Web, 8080),
            ("sleep", "shop", IstioMeshRig.Sleep, 8081), ("istiod", "istio-system", IstioMeshRig.Istiod, 15012)])
            await ApplyAsync($$$"""
                apiVersion: discovery.k8s.io/v1
                kind: EndpointSlice
                metadata: {name: {{{service}}}-1, namespace: {{{ns}}}, labels: {kubernetes.io/service-name: {{{service}}}}}
                addressType: IPv4
                ports: [{name: http, port: {{{port}}}, protocol: TCP}]
                endpoints: [{addresses: ["{{{_addresses[pod]}}}"], conditions: {ready: true}, nodeName: node, targetRef: {kind: Pod, name: {{{pod}}}, namespace: {{{ns}}}}}]
                """);
        await new Applier(Client, TimeProvider.System).ApplyAsync([webhook], Stop);
    }

    private async Task ReportAsync(JsonObject pod, IPAddress address)
    {
        const string Since = "2026-11-27T10:00:00Z";
        JsonArray Statuses(string list) => new JsonArray([.. (pod["spec"]![list] as JsonArray ?? []).Select(container => (JsonNode)new JsonObject
        {
            ["name"] = container!["name"]!.ToString(), ["image"] = container["image"]!.ToString(), ["imageID"] = container["image"]!.ToString(),
            ["ready"] = true, ["started"] = true, ["restartCount"] = 0,
            ["state"] = list == "containers" || container["restartPolicy"] is not null
                ? new JsonObject { ["running"] = new JsonObject { ["startedAt"] = Since } }
                : new JsonObject
                {
                    ["terminated"] = new JsonObject { ["exitCode"] = 0, ["reason"] = "Completed", ["startedAt"] = Since, ["finishedAt"] = Since }
                },
        })]);
        var status = new JsonObject
        {
            ["phase"] = "Running", ["podIP"] = address.ToString(), ["podIPs"] = new JsonArray(new JsonObject { ["ip"] = address.ToString() }),
            ["hostIP"] = "127.0.0.1", ["startTime"] = Since,
            ["conditions"] = new JsonArray([.. ((string[])["Initialized", "Ready", "ContainersReady", "PodScheduled"])
                .Select(type => (JsonNode)new JsonObject { ["type"] = type, ["status"] = "True", ["lastTransitionTime"] = Since })]),
            ["containerStatuses"] = Statuses("containers"), ["initContainerStatuses"] = Statuses("initContainers"),
        };
        await Client.PatchAsync(Kinds.Pod, pod["metadata"]!["namespace"]!.ToString(), pod["metadata"]!["name"]!.ToString(),
            new JsonObject { ["status"] = status }, PatchType.Merge, Stop, "status");
    }

    /// <summary>As <c>istioctl create-remote-secret</c> writes it. Control planes would reach the API server at its address for other clusters.</summary>
    private static string RemoteSecret(string other) => $$$"""
        apiVersion: v1
        kind: Secret
        metadata:
          name: istio-remote-secret-{{{other}}}
          namespace: istio-system
          labels: {istio/multiCluster: "true"}
          annotations: {networking.istio.io/cluster: {{{other}}}}
        stringData:
          {{{other}}}: |
            apiVersion: v1
            kind: Config
            current-context: {{{other}}}
            clusters: [{name: {{{other}}}, cluster: {server: "https://{{{other}}}.example.com:6443"}}]
            users: [{name: {{{other}}}, user: {token: opaque}}]
            contexts: [{name: {{{other}}}, context: {cluster: {{{other}}}, user: {{{other}}}}}]
        """;

    /// <summary>An endpoint of the service web, as istiod sends it.</summary>
    private static string Endpoint(IstioCluster cluster) => $$$"""
        {"endpoint": {"address": {"socket_address": {"address": "{{{cluster.Web}}}", "port_value": 8080} } }, "health_status": "HEALTHY", "load_balancing_weight": 1,
         "metadata": {"filter_metadata": {"envoy.transport_socket_match": {"tlsMode": "istio"}, "istio": {"workload": "web;shop;web;v1;{{{cluster.Name}}}"} } } }
        """;

    private void Begin(IReadOnlyList<IstioCluster> mesh, string pod, string ns, string app, string port, string type, string account)
    {
        using var certificate = ca.RsaServer($"spiffe://cluster.local/ns/{ns}/sa/{account}");
        using var key = certificate.GetRSAPrivateKey()!;
        static string Packed(string text) => Convert.ToBase64String(Encoding.ASCII.GetBytes(text));
        _envoys.Add(EnvoyProcess.Start(Path.Combine(folder, name, pod), release, new Dictionary<string, string>
        {
            ["TYPE"] = type, ["IP"] = _addresses[pod].ToString(), ["POD"] = pod, ["NS"] = ns, ["APP"] = app, ["PORT"] = port, ["ACCOUNT"] = account,
            ["CLUSTER"] = name, ["ENDPOINTS"] = $"[{string.Join(", ", mesh.Select(Endpoint))}]".ReplaceLineEndings(" "), ["COUNT"] = $"{mesh.Count}",
            ["CERT"] = Packed(certificate.ExportCertificatePem() + "\n" + ca.Pem), ["KEY"] = Packed(key.ExportPkcs8PrivateKeyPem()),
            ["ROOT"] = Packed(ca.Pem),
        }));
    }
}
