using System.Security.Cryptography;
using Isthmus.Testing;
using Isthmus.Tests.Mesh.Guides;
using Xunit;
using static Isthmus.Tests.Mesh.MeshFile.EnvoyPods;

namespace Isthmus.Tests.Mesh.MeshFile;

/// <summary>WasmPlugins of a Pod whose data plane is a real Envoy: the agent fetches the module, and Envoy runs it.</summary>
public sealed class EnvoyWasmTests
{
    /// <summary>
    /// A module that adds the field <c>x-wasm: ran</c> to responses, by hand: <c>proxy_on_response_headers</c> calls
    /// <c>proxy_add_header_map_value(2, 16, 6, 32, 3)</c> of its host, with both words in its memory, and goes on (0). <c>malloc</c> never frees.
    /// </summary>
    private const string Module =
        "AGFzbQEAAAABKAdgBX9/f39/AX9gAABgAX8Bf2ACf38AYAJ/fwF/YAN/f38Bf2ABfwACIgEDZW52GnByb3h5X2FkZF9oZWFkZXJfbWFwX3ZhbHVlAAADBQQBAgMFBQMBAAEGBwF/AUGACAsH"
            + "YwUGbWVtb3J5AgAXcHJveHlfYWJpX3ZlcnNpb25fMF8yXzEAAQZtYWxsb2MAAhdwcm94eV9vbl9jb250ZXh0X2NyZWF0ZQADGXByb3h5X29uX3Jlc3BvbnNlX2hlYWRlcnMABAolBAIACwsA"
            + "IwAjACAAaiQACwIACxEAQQJBEEEGQSBBAxAAGkEACwsUAgBBEAsGeC13YXNtAEEgCwNyYW4=";

    /// <summary>What serves the module: it answers a path of base64 with the bytes.</summary>
    private const string Server = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: files}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: files, namespace: files}
        spec: {selector: {app: files}, ports: [{name: http, port: 8000, targetPort: 8080}]}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: files, namespace: files}
        spec:
          selector: {matchLabels: {app: files}}
          template:
            metadata: {labels: {app: files}}
            spec:
              terminationGracePeriodSeconds: 1
              containers: [{name: httpbin, image: docker.io/kong/httpbin, command: [gunicorn, -b, "0.0.0.0:8080", "httpbin:app", -k, gevent]}]
        """;

    private const string Stored = "/etc/istio/proxy/module.wasm";

    private static readonly string Served = $"http://files.files:8000/base64/{Module.Replace('/', '_').Replace('+', '-').TrimEnd('=')}";

    private static readonly string Sum = Convert.ToHexStringLower(SHA256.HashData(Convert.FromBase64String(Module))), Wrong = new('0', 64);

    [Fact]
    public async Task Plugins_run_and_what_cannot_be_had_is_closed_or_open_as_configured()
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        await using var shell = await GuideShell.CreateAsync();
        await shell.WriteAsync("mesh.yaml", OneCluster);
        await LabUpAsync(shell, "./mesh.yaml");
        await shell.WriteAsync("files.yaml", Server);
        // It only calls: the Service, which comes with the other file, too, does not select it in the end.
        await shell.WriteAsync("own.yaml", Workload("own", "", "own").Replace("app: tide", "app: own", StringComparison.Ordinal));
        await shell.WriteAsync("envoy.yaml", Workload("envoy", ByEnvoy, "envoy") + Strict);
        await ExpectAsync(shell, $"""
            kubectl --context=cluster1 apply -f files.yaml
            kubectl --context=cluster1 apply -f own.yaml
            kubectl --context=cluster1 apply -f envoy.yaml
            kubectl --context=cluster1 -n files rollout status deployment files --timeout=100s
            for name in own envoy; do kubectl --context=cluster1 -n mixed rollout status deployment $name --timeout=100s; done
            kubectl --context=cluster1 -n mixed exec deploy/envoy -c istio-proxy -- sh -c 'echo {Module} | base64 -d > {Stored}'
            """);

        await AnswersAsync(shell, "200");
        await PluginAsync(shell, Served, Sum, "FAIL_CLOSE");
        await AnswersAsync(shell, "200 x-wasm: ran");
        await PluginAsync(shell, Served, Wrong, "FAIL_CLOSE");
        await AnswersAsync(shell, "403");
        await PluginAsync(shell, Served, Wrong, "FAIL_OPEN");
        await AnswersAsync(shell, "200");
        await PluginAsync(shell, $"file://{Stored}", "", "FAIL_CLOSE");
        await AnswersAsync(shell, "200 x-wasm: ran");
        await ExpectAsync(shell, "kubectl --context=cluster1 -n mixed delete wasmplugin greeting");
        await AnswersAsync(shell, "200");
        var log = await ExpectAsync(shell, "kubectl --context=cluster1 -n mixed logs deploy/envoy -c istio-proxy");
        Assert.Contains("Cannot fetch the module of", log, StringComparison.Ordinal);
        Assert.Contains($"hashes to {Sum}", log, StringComparison.Ordinal);
    }

    private static async Task PluginAsync(GuideShell shell, string url, string sum, string strategy)
    {
        await shell.WriteAsync("plugin.yaml", $$"""
            apiVersion: extensions.istio.io/v1alpha1
            kind: WasmPlugin
            metadata: {name: greeting, namespace: mixed}
            spec:
              selector: {matchLabels: {app: tide} }
              url: {{url}}
              sha256: "{{sum}}"
              failStrategy: {{strategy}}
            """);
        await ExpectAsync(shell, "kubectl --context=cluster1 apply -f plugin.yaml");
    }

    /// <summary>The status of a call, and the field of the module.</summary>
    private static Task<string> AnswersAsync(GuideShell shell, string wanted) => UntilAsync(shell,
        "kubectl --context=cluster1 -n mixed exec deploy/own -c caller -- curl -s -i -m 5 tide:5000/hello | tr -d '\\r' | "
            + "awk 'NR == 1 {print $2} /^x-wasm/' | paste -sd' ' | sed 's/^/answers: /; s/$/./'",
        $"answers: {wanted}.");
}
