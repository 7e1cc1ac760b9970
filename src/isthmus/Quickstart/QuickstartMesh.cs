using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Certificates;
using Isthmus.Operate.Install;
using Isthmus.Operate.RemoteSecrets;

namespace Isthmus.Quickstart;

/// <summary>Makes one mesh of lab clusters, each on a network of its own: what guides 1 to 4 do by hand.</summary>
internal sealed class QuickstartMesh(IReadOnlyList<QuickstartCluster> clusters, string folder, TimeProvider time)
{
    private const string SampleNamespace = "sample";
    private static readonly TimeSpan Readiness = TimeSpan.FromMinutes(2);

    internal void MakeCertificates()
    {
        var files = new CaFiles(folder, time);
        var request = new CaRequest(Wire.Tls.KeyKind.EcP256, 3650);
        if (!File.Exists(Path.Combine(folder, CaFiles.RootKey))) files.MakeRoot(request);
        foreach (var cluster in clusters)
        {
            if (!File.Exists(Path.Combine(folder, cluster.Name, "ca-key.pem"))) files.MakeIntermediate(cluster.Name, request, WellKnown.SystemNamespace);
        }
    }

    /// <summary>Namespaces with their labels, and the CA of each cluster.</summary>
    internal Task PrepareAsync(CancellationToken stop) => EachAsync(async cluster =>
    {
        await NamespaceAsync(cluster, WellKnown.SystemNamespace, Labels.Network, cluster.Network, stop);
        await NamespaceAsync(cluster, SampleNamespace, Labels.Injection, "enabled", stop);
        var data = new JsonObject();
        foreach (var file in CaFiles.ClusterFiles)
            data[file] = Convert.ToBase64String(await File.ReadAllBytesAsync(Path.Combine(folder, cluster.Name, file), stop));
        await cluster.Client.ApplyAsync(Kinds.Secret, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Secret", ["type"] = "Opaque", ["data"] = data,
            ["metadata"] = new JsonObject { ["name"] = WellKnown.CaCerts, ["namespace"] = WellKnown.SystemNamespace },
        }, stop);
    });

    /// <summary>Each control plane gets the credentials of every other cluster.</summary>
    internal Task ExchangeSecretsAsync(CancellationToken stop) => EachAsync(async cluster =>
    {
        var request = new RemoteSecretRequest { Name = cluster.Name, Server = cluster.Server };
        var secret = (JsonObject)YamlText.ParseAll(await new RemoteSecret(cluster.Client, time, _ => { }).MakeAsync(request, stop), cluster.Name)[0];
        foreach (var other in clusters.Where(other => other != cluster))
            await other.Client.ApplyAsync(Kinds.Secret, (JsonObject)secret.DeepClone(), stop);
    });

    internal Task InstallControlPlanesAsync(CancellationToken stop) => EachAsync(cluster => InstallAsync(cluster, ControlPlane(cluster), stop));

    internal Task InstallGatewaysAsync(CancellationToken stop) => EachAsync(async cluster =>
    {
        await InstallAsync(cluster, Gateway(cluster), stop);
        await ApplyAsync(cluster, "multicluster/expose-services.yaml", WellKnown.SystemNamespace, _ => true, stop);
        cluster.GatewayAddress = await AddressAsync(cluster, stop);
    });

    /// <summary>Version N of the callee runs in the Nth cluster only; its Service and the caller are everywhere.</summary>
    internal Task DeploySamplesAsync(CancellationToken stop) => EachAsync(async cluster =>
    {
        var version = $"v{cluster.Ordinal}";
        await ApplyAsync(cluster, "helloworld/helloworld.yaml", SampleNamespace,
            value => value["kind"]?.ToString() == "Service" || value["metadata"]?["labels"]?["version"]?.ToString() == version, stop);
        await ApplyAsync(cluster, "sleep/sleep.yaml", SampleNamespace, _ => true, stop);
    });

    internal Task SamplesReadyAsync(CancellationToken stop) => EachAsync(async cluster =>
    {
        var deployments = await cluster.Client.ListAllAsync<JsonObject>(Kinds.Deployment, SampleNamespace, new ListOptions(), stop);
        await new Applier(cluster.Client, time).ReadyAsync([.. deployments], Readiness, stop);
    });

    /// <summary>The caller of a cluster asks <paramref name="times"/> times, on one connection after the other; what it got, line by line.</summary>
    internal async Task<string> CallAsync(QuickstartCluster cluster, int times, string agent, CancellationToken stop)
    {
        var pods = await cluster.Client.ListAllAsync<Pod>(Kinds.Pod, SampleNamespace, new ListOptions { LabelSelector = "app=sleep" }, stop);
        var pod = pods.FirstOrDefault(candidate => candidate.Status.IsReady) ?? throw new ProblemException($"{cluster.Name}: Pod with app=sleep", "is not ready");
        var script = $"for i in $(seq {times}); do curl -sS -m 5 -A {agent} helloworld.{SampleNamespace}:5000/hello 2>&1 || echo; done";
        var result = await PodExec.RunAsync(cluster.Client.Access, SampleNamespace, pod.Metadata.Name, "sleep", ["sh", "-c", script], stop);
        return result.Output;
    }

    /// <summary>What the callee's sidecars and the gateway of a cluster wrote.</summary>
    internal async Task<ClusterLogs> LogsAsync(QuickstartCluster cluster, CancellationToken stop)
    {
        var callees = new List<(string, AccessLogLine)>();
        foreach (var pod in await cluster.Client.ListAllAsync<Pod>(Kinds.Pod, SampleNamespace, new ListOptions { LabelSelector = "app=helloworld" }, stop))
            callees.AddRange((await LinesAsync(cluster, pod, stop)).Select(line => (pod.Metadata.Labels.GetValueOrDefault("version") ?? "", line)));
        var gateway = new List<AccessLogLine>();
        foreach (var pod in await cluster.Client.ListAllAsync<Pod>(Kinds.Pod, WellKnown.SystemNamespace, new ListOptions { LabelSelector = "istio=eastwestgateway" }, stop))
            gateway.AddRange(await LinesAsync(cluster, pod, stop));
        return new(cluster.Name, callees, gateway, cluster.GatewayAddress);
    }

    private static async Task<IEnumerable<AccessLogLine>> LinesAsync(QuickstartCluster cluster, Pod pod, CancellationToken stop)
    {
        var log = await cluster.Client.RawAsync(HttpMethod.Get, Kinds.Pod.Path(pod.Metadata.Namespace, pod.Metadata.Name, "log") + "?container=istio-proxy", null, stop);
        return System.Text.Encoding.UTF8.GetString(log).Split('\n').Select(AccessLogLine.Parse).OfType<AccessLogLine>();
    }

    private async Task InstallAsync(QuickstartCluster cluster, string text, CancellationToken stop) =>
        await new Installer(cluster.Client, time, Silent.Instance).InstallAsync(OperatorSpec.Build([("quickstart", text)], [], null), Readiness, stop);

    private static string ControlPlane(QuickstartCluster cluster) => YamlText.Print(new JsonObject
    {
        ["apiVersion"] = "install.istio.io/v1alpha1",
        ["kind"] = "IstioOperator",
        ["spec"] = new JsonObject
        {
            ["profile"] = "minimal",
            ["meshConfig"] = new JsonObject { ["accessLogFile"] = "/dev/stdout", ["accessLogFormat"] = AccessLogLine.Format },
            ["values"] = new JsonObject
            {
                ["global"] = new JsonObject
                {
                    ["meshID"] = "mesh1", ["network"] = cluster.Network, ["multiCluster"] = new JsonObject { ["clusterName"] = cluster.Name },
                },
            },
        },
    });

    /// <summary>What samples/multicluster/gen-eastwest-gateway.sh prints.</summary>
    private static string Gateway(QuickstartCluster cluster) => $$"""
        apiVersion: install.istio.io/v1alpha1
        kind: IstioOperator
        metadata:
          name: eastwest
        spec:
          profile: empty
          components:
            ingressGateways:
              - name: istio-eastwestgateway
                enabled: true
                label:
                  istio: eastwestgateway
                  app: istio-eastwestgateway
                  topology.istio.io/network: {{cluster.Network}}
                k8s:
                  env:
                    - name: ISTIO_META_REQUESTED_NETWORK_VIEW
                      value: {{cluster.Network}}
                  service:
                    ports:
                      - {name: status-port, port: 15021, targetPort: 15021}
                      - {name: tls, port: 15443, targetPort: 15443}
                      - {name: tls-istiod, port: 15012, targetPort: 15012}
                      - {name: tls-webhook, port: 15017, targetPort: 15017}
          values:
            global:
              network: {{cluster.Network}}
        """;

    private async Task<string> AddressAsync(QuickstartCluster cluster, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(Readiness);
        try
        {
            while (true)
            {
                var service = await cluster.Client.GetAsync<Service>(Kinds.Service, WellKnown.SystemNamespace, "istio-eastwestgateway", limit.Token);
                if (service.Status.LoadBalancer.Ingress.FirstOrDefault()?.Ip is { Length: > 0 } address) return address;
                await Task.Delay(TimeSpan.FromMilliseconds(50), time, limit.Token);
            }
        }
        catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
        {
            throw new ProblemException($"{cluster.Name}: Service istio-system/istio-eastwestgateway", "got no external address", "look at its events with kubectl describe", e);
        }
    }

    private static Task NamespaceAsync(QuickstartCluster cluster, string name, string label, string value, CancellationToken stop) =>
        cluster.Client.ApplyAsync(Kinds.Namespace, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Namespace",
            ["metadata"] = new JsonObject { ["name"] = name, ["labels"] = new JsonObject { [label] = value } },
        }, stop);

    private static async Task ApplyAsync(QuickstartCluster cluster, string sample, string ns, Func<JsonObject, bool> wanted, CancellationToken stop)
    {
        foreach (var value in YamlText.ParseAll(Sample(sample), sample).OfType<JsonObject>().Where(wanted))
        {
            value["metadata"]!["namespace"] = ns;
            var (apiVersion, kind) = (value["apiVersion"]!.ToString(), value["kind"]!.ToString());
            var known = Kinds.Find(apiVersion, kind) ?? (IstioKind.Find(apiVersion, kind) is { } istio
                ? new ResourceKind(istio.Group, apiVersion[(apiVersion.IndexOf('/', StringComparison.Ordinal) + 1)..], istio.Kind, istio.Plural, true)
                : throw new NotSupportedException($"{sample}: kind {kind}"));
            await cluster.Client.ApplyAsync(known, value, stop);
        }
    }

    private static string Sample(string name)
    {
        using var stream = typeof(QuickstartMesh).Assembly.GetManifestResourceStream($"samples/{name}")
            ?? throw new InvalidOperationException($"samples/{name} is not part of this build");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    private Task EachAsync(Func<QuickstartCluster, Task> work) => Task.WhenAll(clusters.Select(work));

    private sealed class Silent : IInstallProgress
    {
        internal static readonly Silent Instance = new();

        public void Started(string component) { }

        public void Finished(string component, TimeSpan took) { }

        public void Note(string text) { }
    }
}

/// <summary>One cluster of the quickstart.</summary>
internal sealed class QuickstartCluster(string name, int ordinal, KubeClient client) : IDisposable
{
    internal string Name => name;

    /// <summary>1 for the first.</summary>
    internal int Ordinal => ordinal;

    internal string Network => $"network{ordinal}";

    internal KubeClient Client => client;

    /// <summary>The API server's address as Pods of other clusters reach it.</summary>
    internal string Server => client.Access.Server.ToString().TrimEnd('/');

    internal string GatewayAddress { get; set; } = "";

    public void Dispose() => client.Dispose();
}
