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
using Isthmus.Testing;
using Isthmus.Tests.Commands;
using Isthmus.Tests.ControlPlane;
using Isthmus.Tests.LoopbackMesh;
using Xunit;

namespace Isthmus.Tests.IstioMesh;

/// <summary>A cluster whose mesh is Istio's alone: the objects that its charts and its injector write, the debug pages of an
/// istiod, and real Envoys with what it sends. Nothing in it is Isthmus' but the API server.</summary>
public sealed class IstioMeshRig : IAsyncLifetime
{
    internal const string Istiod = "istiod-7c9d-a1", Web = "web-5d9-w1", Sleep = "sleep-8b4-s1", Gateway = "istio-ingressgateway-6f5-g1";

    private readonly string _folder = Directory.CreateTempSubdirectory("isthmus-istio-mesh-").FullName;
    private readonly LoopbackCluster _server = new();
    private readonly LoopbackRange _range = LoopbackRange.Reserve();
    private readonly TestCa _ca = new("cluster.local");
    private readonly List<EnvoyProcess> _envoys = [];
    private readonly Dictionary<string, IPAddress> _addresses = new(StringComparer.Ordinal);
    private LoopbackServer? _istiod;
    private LoopbackForward? _forward;

    internal KubeClient Client { get; private set; } = null!;

    /// <summary>Whether the istiod has debug pages.</summary>
    internal bool HasDebugPages { get; set; } = true;

    internal ClusterAccess Access => KubeConfig.Load(Kubeconfig, "cluster1", _ => null);

    private string Kubeconfig => Path.Combine(_folder, "kubeconfig");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        foreach (var (pod, last) in ((string, int)[])[(Istiod, 2), (Web, 3), (Sleep, 4), (Gateway, 5)]) _addresses[pod] = _range.Address(1, last);
        Client = await _server.StartAsync("cluster1");
        _forward = new(Path.Combine(_server.Folder, NodeSocket.FileName), (_, name) => _addresses.GetValueOrDefault(name));
        await DescribeAsync();
        await ApplyAsync();
        _istiod = new(new(_addresses[Istiod], 8080), (socket, stop) => IstiodPages.ServeAsync(socket, () => HasDebugPages, stop));
        if (RealEnvoy.Find() is null) return;
        Begin(Web, "shop", "web", "8080", "sidecar", "default");
        Begin(Sleep, "shop", "sleep", "8081", "sidecar", "default");
        Begin(Gateway, "istio-system", "istio-ingressgateway", "8080", "router", "istio-ingressgateway");
        foreach (var pod in (string[])[Web, Sleep, Gateway]) await EnvoyProcess.ReadyAsync(_addresses[pod], Stop);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var envoy in _envoys) envoy.Dispose();
        if (_istiod is not null) await _istiod.DisposeAsync();
        if (_forward is not null) await _forward.DisposeAsync();
        await _server.DisposeAsync();
        _range.Dispose();
        _ca.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Runs a command as a user does.</summary>
    internal Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] line) =>
        StartedProgram.RunAsync(line, Stop, ("KUBECONFIG", Kubeconfig));

    internal async Task ApplyAsync(string text) =>
        await new Applier(Client, TimeProvider.System).ApplyAsync([.. YamlText.ParseAll(text, "test").OfType<JsonObject>()], Stop);

    private async Task ApplyAsync()
    {
        await ApplyAsync(await File.ReadAllTextAsync(Repository.At("charts/base/files/crd-all.gen.yaml"), Stop));
        var text = (await File.ReadAllTextAsync(Repository.At("tests/Isthmus.Tests/IstioMesh/objects.yaml"), Stop))
            .Replace("$ROOT", System.Text.Json.JsonSerializer.Serialize(_ca.Pem), StringComparison.Ordinal)
            .Replace("$BUNDLE", Convert.ToBase64String(Encoding.ASCII.GetBytes(_ca.Pem)), StringComparison.Ordinal);
        var objects = YamlText.ParseAll(text, "objects.yaml").OfType<JsonObject>().ToList();
        var sleep = (JsonObject)objects.Find(value => value["metadata"]!["name"]!.ToString() == Web)!.DeepClone();
        sleep["metadata"]!["name"] = Sleep;
        foreach (var label in (string[])["app", "service.istio.io/canonical-name"]) sleep["metadata"]!["labels"]![label] = "sleep";
        objects.Add(sleep);
        // No istiod answers the webhook, which would refuse the Pods: it comes last.
        var webhook = objects.Find(value => value["kind"]!.ToString() == "MutatingWebhookConfiguration")!;
        objects.Remove(webhook);
        await new Applier(Client, TimeProvider.System).ApplyAsync(objects, Stop);
        foreach (var (pod, address) in _addresses)
            await ReportAsync(objects.Find(value => value["kind"]!.ToString() == "Pod" && value["metadata"]!["name"]!.ToString() == pod)!, address);
        foreach (var (service, ns, pod, port) in ((string, string, string, int)[])[("web", "shop", Web, 8080), ("sleep", "shop", Sleep, 8081),
            ("istiod", "istio-system", Istiod, 15012)])
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
            ["state"] = list == "containers"
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

    private void Begin(string pod, string ns, string app, string port, string type, string account)
    {
        using var certificate = _ca.RsaServer($"spiffe://cluster.local/ns/{ns}/sa/{account}");
        using var key = certificate.GetRSAPrivateKey()!;
        static string Packed(string text) => Convert.ToBase64String(Encoding.ASCII.GetBytes(text));
        _envoys.Add(EnvoyProcess.Start(Path.Combine(_folder, pod), new Dictionary<string, string>
        {
            ["TYPE"] = type, ["IP"] = _addresses[pod].ToString(), ["POD"] = pod, ["NS"] = ns, ["APP"] = app, ["PORT"] = port, ["ACCOUNT"] = account,
            ["WEB"] = _addresses[Web].ToString(),
            ["CERT"] = Packed(certificate.ExportCertificatePem() + "\n" + _ca.Pem), ["KEY"] = Packed(key.ExportPkcs8PrivateKeyPem()),
            ["ROOT"] = Packed(_ca.Pem),
        }));
    }

    /// <summary>Writes the user's kubeconfig.</summary>
    private async Task DescribeAsync()
    {
        static string Packed(string text) => Convert.ToBase64String(Encoding.ASCII.GetBytes(text));
        var (certificate, key) = await _server.Pki.ReadPairAsync(PkiNames.Admin, Stop);
        await File.WriteAllTextAsync(Kubeconfig, $$$"""
            apiVersion: v1
            kind: Config
            current-context: cluster1
            clusters: [{name: cluster1, cluster: {server: "{{{Client.Access.Server}}}", certificate-authority-data: {{{Packed(_server.Pki.CaPem)}}}}}]
            users: [{name: cluster1, user: {client-certificate-data: {{{Packed(certificate)}}}, client-key-data: {{{Packed(key)}}}}}]
            contexts: [{name: cluster1, context: {cluster: cluster1, user: cluster1}}]
            """, Stop);
    }
}
