using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Xunit;
using TypeUrls = Isthmus.Wire.Xds.TypeUrls;

namespace Isthmus.Tests.Effects.Envoys;

/// <summary>Envoy, as its project builds it, takes what is made of every field of every API, and finds nothing to warn of.</summary>
public sealed class EnvoyTakesTests
{
    [Fact]
    public async Task Envoy_takes_every_sample_of_every_API_without_a_warning()
    {
        _ = EnvoyProcess.Program;
        var folder = Directory.CreateTempSubdirectory("envoy").FullName;
        try
        {
            var socket = Path.Combine(folder, "discovery");
            var mesh = ApiMesh.Rig();
            // The modules of WasmPlugins are fetched by agents, which these Envoys have not.
            mesh.Writer.RemoveConfig("c1", "WasmPlugin", "shop", "first");
            mesh.GatewayPod("c1", "eastwest", new() { ["istio"] = "ingressgateway" });
            mesh.Writer.PutSecretAccess(new("c1", "shop", "eastwest"), SecretAccess.Granted);
            mesh.Push();
            await using var discovery = await DiscoveryForEnvoys.StartAsync(mesh, socket);
            using var client = new EnvoyProcess(Node("sidecar", "client", "10.244.0.7"), socket, folder);
            using var server = new EnvoyProcess(Node("sidecar", "web-v1", "10.244.0.1"), socket, folder);
            using var gateway = new EnvoyProcess(Node("router", "eastwest-0", "10.244.0.99"), socket, folder);
            EnvoyProcess[] envoys = [client, server, gateway];
            var found = new List<string>();
            // Envoy asks for listeners when it has its clusters, and for routes when it has these.
            await Eventually.TrueAsync(() => Array.Exists(envoys, envoy => envoy.HasEnded)
                || (discovery.Feeds.Count == envoys.Length
                    && discovery.Feeds.All(feed => feed.Status.Types.Any(type => type.TypeUrl == TypeUrls.Route && type.Acked.Length > 0))));
            await SettleAsync("base");
            foreach (var kind in ApiPage.Working.Select(known => known.Kind).Distinct().Where(kind => kind is not ("IstioOperator" or "WasmPlugin")))
            {
                foreach (var (sample, index) in ApiSamples.Read(kind).Select((sample, index) => (sample, index)))
                {
                    discovery.Push(rig => ApiMesh.Put(rig, kind, sample));
                    await SettleAsync($"{kind} {index + 1}");
                    discovery.Push(rig => ApiMesh.Remove(rig, kind));
                    await SettleAsync($"without {kind} {index + 1}");
                }
            }
            Assert.Equal([], found);
            // istioctl sets levels of these loggers at any proxy.
            var loggers = (await client.AskAsync("/logging", HttpMethod.Post)).Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..];
            Assert.NotEmpty(loggers);
            Assert.Empty(loggers.Select(line => line.Trim().Split(':')[0]).Except(EnvoyLoggers.All));
            foreach (var envoy in envoys)
            {
                Assert.All(await RejectedAsync(envoy), counter => Assert.EndsWith(": 0", counter, StringComparison.Ordinal));
                Assert.DoesNotContain("\"error_state\"", await envoy.AskAsync("/config_dump"), StringComparison.Ordinal);
            }

            async Task SettleAsync(string state)
            {
                await Eventually.TrueAsync(() => Array.Exists(envoys, envoy => envoy.HasEnded) || discovery.Feeds.All(feed => feed.Sync != SyncState.Stale));
                found.AddRange(discovery.Feeds.SelectMany(feed => feed.Status.Types.Where(type => type.Error.Length > 0)
                    .Select(type => $"{state}: {feed.Proxy.Name}: {type.Error}")));
                found.AddRange(envoys.SelectMany(envoy => envoy.NewLines()).Where(IsOfConfiguration).Select(line => $"{state}: {line}"));
                Assert.False(Array.Exists(envoys, envoy => envoy.HasEnded), $"{state}: an Envoy has ended: {string.Join('\n', found)}");
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Neither the server of keys that a RequestAuthentication names nor files of Dynatrace exist here, which is no fault of the
    /// configuration.</summary>
    private static bool IsOfConfiguration(string line) =>
        !line.StartsWith("warning jwt Jwks async fetching url=http://web.shop.svc.cluster.local/keys: failed", StringComparison.Ordinal)
        && !line.StartsWith("warning tracing Dynatrace OpenTelemetry resource detector is configured but could not detect attributes",
            StringComparison.Ordinal);

    internal static async Task<IReadOnlyList<string>> RejectedAsync(EnvoyProcess envoy)
    {
        var counters = (await envoy.AskAsync("/stats?filter=update_rejected")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.NotEmpty(counters);
        return counters;
    }

    internal static Node Node(string role, string pod, string address)
    {
        var environment = new Dictionary<string, string>
        {
            ["POD_NAME"] = pod, ["POD_NAMESPACE"] = "shop", ["INSTANCE_IP"] = address, ["SERVICE_ACCOUNT"] = pod.Split('-')[0],
            ["ISTIO_META_CLUSTER_ID"] = "c1", ["ISTIO_META_NETWORK"] = "net-c1", ["ISTIO_META_DNS_CAPTURE"] = "true",
        };
        var node = AgentNode.Build(AgentSettings.Read(role, "shop.svc.cluster.local", environment),
            new Dictionary<string, string> { ["app"] = pod.Split('-')[0] }, new Dictionary<string, string>());
        node.Metadata.Fields.Remove("ISTHMUS_VERSION");
        return node;
    }
}
