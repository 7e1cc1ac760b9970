using System.Security.Cryptography;
using Isthmus.Testing;
using Isthmus.Tests.Mesh.Guides;
using Isthmus.Tests.Mesh.Lab;
using Xunit;
using static Isthmus.Tests.Mesh.Envoys.EnvoyPods;

namespace Isthmus.Tests.Mesh.Envoys;

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

    private const string Registry = """
        apiVersion: v1
        kind: Namespace
        metadata: {name: files}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: registry, namespace: files}
        spec: {selector: {app: registry}, ports: [{name: http, port: 5000}]}
        ---
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: registry, namespace: files}
        data: {config.yml: "{version: 0.1, log: {level: error}, storage: {filesystem: {rootdirectory: /store}}, http: {addr: ':5000'}}"}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: registry, namespace: files}
        spec:
          selector: {matchLabels: {app: registry}}
          template:
            metadata: {labels: {app: registry}}
            spec:
              terminationGracePeriodSeconds: 1
              containers:
              - name: registry
                image: host.lab.internal/rootfs
                command: [sh, -c, "until [ -e /store/program ]; do sleep 0.2; done; exec /store/program serve /etc/registry/config.yml"]
                readinessProbe: {httpGet: {path: /v2/, port: 5000}, periodSeconds: 1}
                volumeMounts: [{name: config, mountPath: /etc/registry}, {name: store, mountPath: /store}]
              volumes: [{name: config, configMap: {name: registry}}, {name: store, emptyDir: {}}]
        """;

    /// <summary>Uploads the module as an image with one layer, and prints the digest of its manifest.</summary>
    private const string Upload = """
        set -e
        cd "$(mktemp -d)"
        to=http://registry.files:5000/v2/shop/filter
        echo MODULE | base64 -d > module
        printf '{}' > config
        sum() { sha256sum "$1" | cut -d' ' -f1; }
        for part in module config; do
          place=$(curl -sSi -X POST $to/blobs/uploads/ | tr -d '\r' | awk 'tolower($1) == "location:" {print $2}')
          curl -sSf -X PUT -H 'content-type: application/octet-stream' --data-binary @$part "$place&digest=sha256:$(sum $part)"
        done
        layer='"mediaType":"application/vnd.module.wasm.content.layer.v1+wasm"'
        {
          printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",'
          printf '"config":{"mediaType":"application/vnd.module.wasm.config.v1+json","digest":"sha256:%s","size":2},' "$(sum config)"
          printf '"layers":[{%s,"digest":"sha256:%s","size":%s}]}' "$layer" "$(sum module)" "$(stat -c %s module)"
        } > manifest
        curl -sSf -X PUT -H 'content-type: application/vnd.oci.image.manifest.v1+json' --data-binary @manifest $to/manifests/v1
        echo "manifest: $(sum manifest)"
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

    /// <summary>A real registry without TLS, which is used only if the agent is told to.</summary>
    [Fact]
    public async Task A_module_comes_from_a_registry()
    {
        Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);
        var program = Path.Combine(BuiltProgram.Artifacts, "registry/usr/bin/docker-registry");
        Assert.SkipWhen(!File.Exists(program), $"no registry: there is no file {program}");
        await using var shell = await GuideShell.CreateAsync();
        await shell.WriteAsync("mesh.yaml", OneCluster);
        await LabUpAsync(shell, "./mesh.yaml");
        await shell.WriteAsync("registry.yaml", Registry);
        await shell.WriteAsync("own.yaml", Workload("own", "", "own").Replace("app: tide", "app: own", StringComparison.Ordinal));
        await shell.WriteAsync("envoy.yaml",
            Workload("envoy", """proxy.istio.io/config: "{binaryPath: /usr/local/bin/envoy, proxyMetadata: {WASM_INSECURE_REGISTRIES: 'registry.files:5000'}}" """,
                "envoy") + Strict);
        await shell.WriteAsync("upload.sh", Upload.Replace("MODULE", Module, StringComparison.Ordinal));
        await ExpectAsync(shell, """
            kubectl --context=cluster1 apply -f registry.yaml
            kubectl --context=cluster1 apply -f own.yaml
            kubectl --context=cluster1 apply -f envoy.yaml
            """);
        await UntilAsync(shell, "kubectl --context=cluster1 -n files get pods -l app=registry -o jsonpath='{.items[*].status.phase}'", "Running");
        await ExpectAsync(shell, $"""
            kubectl --context=cluster1 -n files exec -i deploy/registry -- sh -c 'cat > /store/copy; chmod +x /store/copy; mv /store/copy /store/program' < '{program}'
            kubectl --context=cluster1 -n files rollout status deployment registry --timeout=100s
            for name in own envoy; do kubectl --context=cluster1 -n mixed rollout status deployment $name --timeout=100s; done
            """);
        var uploaded = await UntilAsync(shell, "kubectl --context=cluster1 -n mixed exec -i deploy/own -c caller -- bash < upload.sh", "manifest: ");
        var manifest = uploaded.Split("manifest: ")[1].Trim();
        await AnswersAsync(shell, "200");
        await PluginAsync(shell, "oci://registry.files:5000/shop/filter:v1", "", "FAIL_CLOSE");
        await AnswersAsync(shell, "200 x-wasm: ran");
        await PluginAsync(shell, "oci://registry.files:5000/shop/filter:v1", Wrong, "FAIL_CLOSE");
        await AnswersAsync(shell, "403");
        await PluginAsync(shell, "oci://registry.files:5000/shop/filter:v1", manifest, "FAIL_CLOSE");
        await AnswersAsync(shell, "200 x-wasm: ran");
        await PluginAsync(shell, "oci://registry.files.svc.cluster.local:5000/shop/filter:v1", "", "FAIL_CLOSE");
        await AnswersAsync(shell, "403");
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
