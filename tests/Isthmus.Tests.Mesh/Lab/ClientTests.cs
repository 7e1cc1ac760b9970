using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab;

/// <summary>Client libraries and operators on the machine, outside of the lab.</summary>
[Trait("shard", "cluster")]
public sealed class ClientTests(ClientRig rig) : IClassFixture<ClientRig>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Pythons_client_which_ignores_proxies_lists_executes_attaches_and_forwards_ports()
    {
        const string script = """
            import sys
            from kubernetes import client, config
            from kubernetes.stream import portforward, stream
            config.load_kube_config(sys.argv[1])
            api = client.CoreV1Api()
            print(sorted(pod.metadata.name for pod in api.list_namespaced_pod("default", label_selector="!guest").items))

            def execute(*command, **more):
                session = stream(api.connect_get_namespaced_pod_exec, "web", "default", command=list(command), stdout=True, stderr=True, tty=False, _preload_content=False, **more)
                if more: session.write_stdin("echo read; exit 3\n")
                session.run_forever(timeout=30)
                print("exec", repr(session.read_stdout()), repr(session.read_stderr()), session.returncode)
            execute("sh", "-c", "echo out; echo err >&2; exit 7")
            execute("true")
            execute("sh", stdin=True)

            talk = stream(api.connect_get_namespaced_pod_attach, "talk", "default", stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False)
            talk.write_stdin("hello\n")
            print("attach", repr(talk.readline_stdout(timeout=30)))
            talk.close()

            forwarded = portforward(api.connect_get_namespaced_pod_portforward, "web", "default", ports="8080,81")
            web = forwarded.socket(8080)
            web.setblocking(True)
            web.sendall(b"GET /GPL-3 HTTP/1.0\r\n\r\n")
            answer = b""
            while part := web.recv(65536): answer += part
            print("forwarded", answer.split(b"\r\n")[0].decode(), len(answer) > 30000, forwarded.error(8080))
            closed = forwarded.socket(81)
            closed.setblocking(True)
            print("closed", closed.recv(1), "Connection refused" in forwarded.error(81))
            """;
        Assert.Equal("""
            ['talk', 'web']
            exec 'out\n' 'err\n' 7
            exec '' '' 0
            exec 'read\n' '' 3
            attach 'heard hello'
            forwarded HTTP/1.0 200 OK True None
            closed b'' True

            """, await ClientRig.RunAsync("/usr/bin/python3", "-W", "ignore", "-c", script, rig.Loopback));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Kubectl_executes_with_and_without_WebSockets(bool webSockets)
    {
        // A command that waits for its input answers when kubectl is ready for the output. Some versions discard what arrives before (docs/limits.md).
        using var kubectl = Process.Start(new ProcessStartInfo("kubectl",
            ["--kubeconfig", rig.Loopback, "-v", "8", "exec", "-i", "web", "--", "sh", "-c", "read word; echo got $word; echo err >&2; exit 7"])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            Environment = { ["KUBECTL_REMOTE_COMMAND_WEBSOCKETS"] = webSockets ? "true" : "false" },
        })!;
        var errors = kubectl.StandardError.ReadToEndAsync(Stop);
        await kubectl.StandardInput.WriteLineAsync("hello".AsMemory(), Stop);
        kubectl.StandardInput.Close();
        var output = await kubectl.StandardOutput.ReadToEndAsync(Stop);
        await kubectl.WaitForExitAsync(Stop);
        Assert.Equal(("got hello\n", 7), (output, kubectl.ExitCode));
        Assert.Contains("err", (await errors).Split('\n'));
        // kubectl falls back to SPDY by itself if it cannot use WebSockets.
        Assert.Contains(webSockets ? "Sec-Websocket-Protocol: v5.channel.k8s.io" : "Upgrade: SPDY/3.1", await errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Nodes_client_lists_watches_applies_executes_and_forwards_ports(bool loopback)
    {
        const string script = """
            import * as k8s from '@kubernetes/client-node';
            import net from 'node:net';
            import { PassThrough } from 'node:stream';
            const config = new k8s.KubeConfig();
            config.loadFromFile(process.argv[1]);
            const core = config.makeApiClient(k8s.CoreV1Api);
            console.log('list', (await core.listNamespacedPod({ namespace: 'default', labelSelector: '!guest' })).items.map(pod => pod.metadata.name).sort().join(' '));

            const seen = [];
            let isDeleted;
            const over = new Promise(resolve => { isDeleted = resolve; });
            const watch = await new k8s.Watch(config).watch('/api/v1/namespaces/default/configmaps', { fieldSelector: 'metadata.name=node' }, (type, map) => {
              seen.push(`${type} ${map.data.value}`);
              if (type === 'DELETED') isDeleted();
            }, () => {});
            const apply = value => k8s.KubernetesObjectApi.makeApiClient(config).patch(
              { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'node', namespace: 'default' }, data: { value } }, undefined, undefined, 'node', true, k8s.PatchStrategy.ServerSideApply);
            await apply('1');
            const applied = await apply('2');
            console.log('applied', applied.metadata.managedFields.map(fields => `${fields.manager} ${fields.operation}`).join(' '));
            await core.deleteNamespacedConfigMap({ name: 'node', namespace: 'default' });
            await over;
            watch.abort();
            console.log('watch', seen.join(', '));

            const output = new PassThrough();
            let text = '';
            output.on('data', data => text += data);
            const status = await new Promise((resolve, reject) =>
              new k8s.Exec(config)
                .exec('default', 'web', 'web', ['sh', '-c', 'read word; echo got $word; exit 7'], output, new PassThrough(),
                  PassThrough.from(['hello\n']), false, resolve)
                .catch(reject));
            console.log('exec', text.trim(), status.reason, status.details.causes[0].message);

            const server = net.createServer(socket => new k8s.PortForward(config).portForward('default', 'web', [8080], socket, null, socket));
            await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
            const answer = await fetch(`http://127.0.0.1:${server.address().port}/GPL-3`);
            console.log('forwarded', answer.status, (await answer.text()).length > 30000);
            process.exit(0);
            """;
        using var node = rig.BeginNode(script, loopback ? rig.Loopback : rig.Lab.Kubeconfig);
        Assert.Equal("""
            list talk web
            applied node Apply
            watch ADDED 1, MODIFIED 2, DELETED 2
            exec got hello NonZeroExitCode 7
            forwarded 200 true

            """, await ClientRig.EndAsync(node));
    }

    [Fact]
    public async Task An_operator_on_the_machine_defines_a_kind_and_looks_after_its_objects()
    {
        const string script = """
            import { writeFileSync } from 'node:fs';
            import operator from '@dot-i/k8s-operator';
            const definition = process.argv[1];
            writeFileSync(definition, JSON.stringify({
              apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: 'greetings.example.com' },
              spec: {
                group: 'example.com', scope: 'Namespaced', names: { kind: 'Greeting', plural: 'greetings', singular: 'greeting' },
                versions: [{ name: 'v1', served: true, storage: true, subresources: { status: {} }, schema: { openAPIV3Schema: { type: 'object', properties: {
                  spec: { type: 'object', properties: { to: { type: 'string' } } }, status: { type: 'object', properties: { said: { type: 'string' } } } } } } }],
              } }));
            class Greeter extends operator.default {
              async init() {
                const { group, versions, plural } = await this.registerCustomResourceDefinition(definition);
                await this.watchResource(group, versions[0].name, plural, async event => {
                  if (event.type === 'DELETED') process.exit(0);
                  const isGoing = await this.handleResourceFinalizer(event, 'greetings.example.com', async () => console.log('finalized', event.meta.name));
                  const said = `hello ${event.object.spec.to}`;
                  if (!isGoing && event.object.status?.said !== said) await this.patchResourceStatus(event.meta, { said });
                });
                console.log('watching');
              }
            }
            await new Greeter().start();
            """;
        using var process = rig.BeginNode(script, Path.Combine(Path.GetDirectoryName(rig.Loopback)!, "definition.json"));
        Assert.Equal("watching", await process.StandardOutput.ReadLineAsync(Stop));
        await rig.ApplyAsync("""
            apiVersion: example.com/v1
            kind: Greeting
            metadata: {name: one}
            spec: {to: world}
            """);
        Task<Outcome> AskAsync() => rig.Lab.KubectlAsync("get", "greeting", "one", "-o", "jsonpath={.status.said}");
        Assert.Equal("hello world", await LabRig.UntilAsync(AskAsync, "hello"));
        (await rig.Lab.KubectlAsync("patch", "greeting", "one", "--type=merge", "-p", """{"spec": {"to": "you"}}""")).Expect(0);
        Assert.Equal("hello you", await LabRig.UntilAsync(AskAsync, "hello you"));
        (await rig.Lab.KubectlAsync("delete", "greeting", "one", "--timeout=90s")).Expect(0);
        Assert.Equal("finalized one\n", await ClientRig.EndAsync(process));
    }

    [Fact]
    public async Task The_loopback_address_stays_the_same_and_is_bound_on_127_0_0_1_only()
    {
        var first = (await rig.Lab.IsthmusAsync("lab", "kubeconfig", "--loopback")).Expect(0);
        Assert.Equal(first, (await rig.Lab.IsthmusAsync("lab", "kubeconfig", "--loopback", "--cluster", "cluster1")).Expect(0));
        var address = (string)(await rig.Lab.StatusAsync())["clusters"]![0]!["loopback"]!;
        Assert.Matches("^https://127\\.0\\.0\\.1:[0-9]+$", address);
        Assert.Contains($"server: {address}\n", first);
        Assert.DoesNotContain("proxy-url", first);
        Assert.Contains("proxy-url: http://127.0.0.1:", (await rig.Lab.IsthmusAsync("lab", "kubeconfig")).Expect(0));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(rig.Loopback));
        Assert.Equal("default",
            (await rig.Lab.KubectlAsync($"--kubeconfig={rig.Loopback}", "get", "namespace", "default", "-o", "jsonpath={.metadata.name}")).Expect(0));
        // The kernel's list of listeners: 0100007F is 127.0.0.1.
        var port = new Uri(address).Port.ToString("X4", CultureInfo.InvariantCulture);
        var listeners = (await File.ReadAllLinesAsync("/proc/self/net/tcp", Stop)).Concat(await File.ReadAllLinesAsync("/proc/self/net/tcp6", Stop))
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(fields => fields[3] == "0A").Select(fields => fields[1]);
        Assert.Equal($"0100007F:{port}", Assert.Single(listeners, listener => listener.EndsWith($":{port}", StringComparison.Ordinal)));
        var inside = await rig.Lab.IsthmusAsync(["lab", "shell", "--", .. BuiltProgram.Command.With("lab", "kubeconfig", "--loopback")]);
        inside.Expect(1);
        Assert.Contains("cannot be opened inside the lab", inside.Errors);
    }

    [Fact]
    public async Task A_webhook_under_development_on_the_machine_is_called_at_its_loopback_address()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=webhook", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddHours(1));
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration()
            .ConfigureKestrel(options => options.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        await using var server = builder.Build();
        server.Run(async context =>
        {
            var review = JsonNode.Parse(await new StreamReader(context.Request.Body).ReadToEndAsync(Stop))!["request"]!;
            var response = new JsonObject
            {
                ["uid"] = (string?)review["uid"], ["allowed"] = false,
                ["status"] = new JsonObject { ["message"] = $"{context.Request.Path} saw {review["name"]}" }
            };
            await context.Response.WriteAsync(new JsonObject
            {
                ["apiVersion"] = "admission.k8s.io/v1", ["kind"] = "AdmissionReview", ["response"] = response
            }.ToJsonString(),
                Stop);
        });
        await server.StartAsync(Stop);
        foreach (var host in (string[])["127.0.0.1", "localhost"])
        {
            await rig.ApplyAsync($$$"""
                apiVersion: admissionregistration.k8s.io/v1
                kind: ValidatingWebhookConfiguration
                metadata: {name: development}
                webhooks:
                - name: development.example.com
                  clientConfig:
                    url: https://{{{host}}}:{{{new Uri(server.Urls.First()).Port}}}/{{{host}}}
                    caBundle: {{{Convert.ToBase64String(Encoding.ASCII.GetBytes(certificate.ExportCertificatePem()))}}}
                  rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods]}]
                  objectSelector: {matchLabels: {refuse: please}}
                  sideEffects: None
                  admissionReviewVersions: [v1]
                """);
            var refused = await rig.Lab.KubectlAsync("run", "refused", "--image=none", "--labels=refuse=please");
            Assert.Contains($"admission webhook \"development.example.com\" denied the request: /{host} saw refused", refused.Errors);
        }
        await server.StopAsync(Stop);
        (await rig.Lab.KubectlAsync("delete", "validatingwebhookconfiguration", "development")).Expect(0);
    }
}
