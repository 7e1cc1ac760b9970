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
        Assert.Equal("default", (await rig.Lab.KubectlAsync($"--kubeconfig={rig.Loopback}", "get", "namespace", "default", "-o", "jsonpath={.metadata.name}")).Expect(0));
        // The kernel's list of listeners: 0100007F is 127.0.0.1.
        var port = new Uri(address).Port.ToString("X4", CultureInfo.InvariantCulture);
        var listeners = (await File.ReadAllLinesAsync("/proc/self/net/tcp", Stop)).Concat(await File.ReadAllLinesAsync("/proc/self/net/tcp6", Stop))
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(fields => fields[3] == "0A").Select(fields => fields[1]);
        Assert.Equal($"0100007F:{port}", Assert.Single(listeners, listener => listener.EndsWith($":{port}", StringComparison.Ordinal)));
        var inside = await rig.Lab.IsthmusAsync("lab", "shell", "--", "dotnet", LabRig.FindProgram(), "lab", "kubeconfig", "--loopback");
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
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(options => options.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        await using var server = builder.Build();
        server.Run(async context =>
        {
            var review = JsonNode.Parse(await new StreamReader(context.Request.Body).ReadToEndAsync(Stop))!["request"]!;
            var response = new JsonObject { ["uid"] = (string?)review["uid"], ["allowed"] = false, ["status"] = new JsonObject { ["message"] = $"{context.Request.Path} saw {review["name"]}" } };
            await context.Response.WriteAsync(new JsonObject { ["apiVersion"] = "admission.k8s.io/v1", ["kind"] = "AdmissionReview", ["response"] = response }.ToJsonString(), Stop);
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
