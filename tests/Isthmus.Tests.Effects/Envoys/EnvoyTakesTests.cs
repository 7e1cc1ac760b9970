using System.Text.Json.Nodes;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Agent;
using Isthmus.Proxy.Telemetry;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Xunit;

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
            var followed = new FollowedMesh(discovery, client, server, gateway);
            await followed.BeginAsync();
            foreach (var kind in ApiPage.Working.Select(known => known.Kind).Distinct().Where(kind => kind is not ("IstioOperator" or "WasmPlugin")))
            {
                foreach (var (sample, index) in ApiSamples.Read(kind).Select((sample, index) => (sample, index)))
                {
                    await followed.ChangeAsync($"{kind} {index + 1}", rig => ApiMesh.Put(rig, kind, sample));
                    await followed.ChangeAsync($"without {kind} {index + 1}", rig => ApiMesh.Remove(rig, kind));
                }
            }
            // What admission refuses may be stored all the same: it must not keep an Envoy from the rest.
            foreach (var path in (string[])["jwtRules[].fromHeaders[].name", "jwtRules[].outputClaimToHeaders[].claim"])
            {
                var less = ApiSamples.Read("RequestAuthentication").Select(sample => ApiSamples.Without(sample, path)).First(sample => sample is not null)!;
                await followed.ChangeAsync($"without {path}", rig => ApiMesh.Put(rig, "RequestAuthentication", less));
            }
            await followed.FoundNothingAsync();
            // istioctl sets levels of these loggers at any proxy.
            var loggers = (await client.AskAsync("/logging", HttpMethod.Post)).Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..];
            Assert.NotEmpty(loggers);
            Assert.Empty(loggers.Select(line => line.Trim().Split(':')[0]).Except(EnvoyLoggers.All));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <param name="labels">Of the Pod, beside <c>app</c>, which is what the name of the Pod begins with.</param>
    internal static Node Node(string role, string pod, string address, params (string Key, string Value)[] labels)
    {
        var environment = new Dictionary<string, string>
        {
            ["POD_NAME"] = pod, ["POD_NAMESPACE"] = "shop", ["INSTANCE_IP"] = address, ["SERVICE_ACCOUNT"] = pod.Split('-')[0],
            ["ISTIO_META_CLUSTER_ID"] = "c1", ["ISTIO_META_NETWORK"] = "net-c1", ["ISTIO_META_DNS_CAPTURE"] = "true",
        };
        var node = AgentNode.Build(AgentSettings.Read(role, "shop.svc.cluster.local", environment),
            labels.Append(("app", pod.Split('-')[0])).ToDictionary(label => label.Item1, label => label.Item2), new Dictionary<string, string>());
        node.Metadata.Fields.Remove("ISTHMUS_VERSION");
        return node;
    }
}
