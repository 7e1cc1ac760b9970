using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>Faults at a gateway that clients outside meet: its certificates, its hosts, and the VirtualServices that name it. Each command names the one that
/// it can know.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class GatewayFaultTests(LoopbackMeshRig mesh, FaultyServices services)
{
    private const string System = "istio-system", OtherName = "ISM2102";

    private const string Objects = """
        apiVersion: v1
        kind: Service
        metadata: {name: $porch, namespace: istio-system}
        spec:
          type: LoadBalancer
          selector: {istio: eastwestgateway}
          ports: [{name: https, port: 443, targetPort: 18543}, {name: http, port: 80, targetPort: 18580}]
        ---
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: $porch, namespace: istio-system}
        spec:
          selector: {istio: eastwestgateway}
          servers:
          - {port: {number: 443, name: valid, protocol: HTTPS}, hosts: [$valid.example.com], tls: {mode: SIMPLE, credentialName: $valid}}
          - {port: {number: 443, name: expired, protocol: HTTPS}, hosts: [$expired.example.com], tls: {mode: SIMPLE, credentialName: $expired}}
          - {port: {number: 443, name: misnamed, protocol: HTTPS}, hosts: [$elsename.example.com], tls: {mode: SIMPLE, credentialName: $elsename}}
          - {port: {number: 443, name: unfit, protocol: HTTPS}, hosts: [$unfit.example.com], tls: {mode: SIMPLE, credentialName: $unfit}}
          - {port: {number: 443, name: absent, protocol: HTTPS}, hosts: [$absent.example.com], tls: {mode: SIMPLE, credentialName: $absent}}
          - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.$wild.example.com"]}
          - {port: {number: 80, name: other, protocol: HTTP}, hosts: [$foreign.example.com]}
          - {port: {number: 80, name: withheld, protocol: HTTP}, hosts: [$withheld.example.com]}
          - {port: {number: 80, name: elsewhere, protocol: HTTP}, hosts: [$other/$elsens.example.com]}
          - {port: {number: 443, name: passed, protocol: TLS}, hosts: [$passed.example.com], tls: {mode: PASSTHROUGH}}
          - {port: {number: 443, name: caless, protocol: HTTPS}, hosts: [$caless.example.com], tls: {mode: MUTUAL, credentialName: $caless}}
        ---
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {name: $porch-b, namespace: istio-system}
        spec:
          selector: {istio: eastwestgateway}
          servers: [{port: {number: 443, name: again, protocol: HTTPS}, hosts: [$valid.example.com], tls: {mode: SIMPLE, credentialName: $valid}}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: $porch, namespace: $ns}
        spec:
          hosts: [$valid.example.com, $expired.example.com, $elsename.example.com, $unfit.example.com, $absent.example.com]
          gateways: [istio-system/$porch]
          http: [{route: [{destination: {host: $both, port: {number: 18081}}}]}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: $wild, namespace: $ns}
        spec:
          hosts: [$wild.example.com]
          gateways: [istio-system/$porch]
          http: [{route: [{destination: {host: $both, port: {number: 18081}}}]}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: $foreign, namespace: $ns}
        spec:
          hosts: [$foreign.example.com]
          gateways: [$porch]
          http: [{route: [{destination: {host: $both, port: {number: 18081}}}]}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: $withheld, namespace: $ns}
        spec:
          hosts: [$withheld.example.com]
          gateways: [istio-system/$porch]
          exportTo: ["."]
          http: [{route: [{destination: {host: $both, port: {number: 18081}}}]}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: $elsens, namespace: $ns}
        spec:
          hosts: [$elsens.example.com]
          gateways: [istio-system/$porch]
          http: [{route: [{destination: {host: $both, port: {number: 18081}}}]}]
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: $passed, namespace: $ns}
        spec:
          hosts: [$passed.example.com]
          gateways: [istio-system/$porch]
          http: [{route: [{destination: {host: $both, port: {number: 18081}}}]}]
        """;

    private const string Route = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: $NAME, namespace: $ns}\nspec: "
        + "{hosts: [$NAME.example.com], gateways: [GATEWAY], http: [{route: [{destination: {host: $both, port: {number: 18081}}}]}]}";

    /// <summary>The remedies that objects apply: a part of what is printed, and the objects as they are then.</summary>
    private static readonly (string Code, string Target, string Remedy, string Objects)[] Remedies =
    [
        ("ISM2085", "http://$foreign.example.com/hello", "add istio-system/$porch to spec.gateways",
            Route.Replace("$NAME", "$foreign", StringComparison.Ordinal).Replace("GATEWAY", "istio-system/$porch", StringComparison.Ordinal)),
        ("ISM2085", "http://$withheld.example.com/hello", "add istio-system to exportTo, or remove it", Route.Replace("$NAME", "$withheld",
            StringComparison.Ordinal).Replace("GATEWAY], ", "istio-system/$porch], exportTo: [., istio-system], ", StringComparison.Ordinal)),
        ("ISM2085", "http://$elsens.example.com/hello", "write $ns/$elsens.example.com",
            Objects.Replace("$other/$elsens.example.com", "$ns/$elsens.example.com", StringComparison.Ordinal).Split("\n---\n")[1]),
    ];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_fault_at_a_gateway_is_named_by_the_commands_that_can_know_it()
    {
        await services.ReadyAsync(mesh);
        var client = mesh.Client("cluster1");
        try
        {
            // Of two Gateways with one host, the older one has it: this one must not come in an earlier second.
            var isSecond = Objects.Split("\n---\n").ToLookup(one => one.Contains("name: $porch-b", StringComparison.Ordinal));
            foreach (var documents in isSecond.OrderBy(one => one.Key))
                await mesh.ApplyAsync("cluster1", services.Fill(string.Join("\n---\n", documents)));
            using var ca = new TestCa("shop");
            await StoreAsync("valid", ca.Server(Host("valid")));
            await StoreAsync("expired", ca.Until(TimeProvider.System.GetUtcNow().AddDays(-1), Host("expired")));
            await StoreAsync("caless", ca.Server(Host("caless")));
            await StoreAsync("elsename", ca.Server("other.example.com"));
            await StoreAsync("unfit", ca.Server(Host("unfit")), ca.Server(Host("unfit")));

            await TracedAsync("https://$valid.example.com/hello", "✔ The call would get through; it was not made.");
            await TracedAsync("https://$expired.example.com/hello", "(ISM2061)", "object  Gateway istio-system/$porch in cluster1",
                "field   spec.servers[1].tls", "clients refuse it");
            await TracedAsync("https://$elsename.example.com/hello", $"({OtherName})", "object  Gateway istio-system/$porch in cluster1",
                "is for other.example.com, and not for $elsename.example.com", "put a certificate for $elsename.example.com into the Secret");
            await TracedAsync("https://$unfit.example.com/hello", "(ISM2060)", "object  Gateway istio-system/$porch in cluster1",
                "field   spec.servers[3].tls.credentialName", "names Secret istio-system/$unfit, which holds a certificate and a key that cannot be used together", "it has tls.crt, tls.key");
            await TracedAsync("https://$absent.example.com/hello", "(ISM2060)", "object  Gateway istio-system/$porch in cluster1",
                "field   spec.servers[4].tls.credentialName", "names Secret istio-system/$absent, which does not exist",
                "kubectl --context=cluster1 -n istio-system create secret tls $absent --cert=FILE --key=FILE");
            await TracedAsync("https://$caless.example.com/hello", "(ISM2060)", "object  Gateway istio-system/$porch in cluster1",
                "field   spec.servers[10].tls", "has no CA $caless-cacert for the certificates that it demands of clients");
            await TracedAsync("http://$wild.example.com/hello", "(ISM2055)", "object  Gateway istio-system/$porch in cluster1", "*.$wild.example.com",
                "but not $wild.example.com");
            await TracedAsync("http://$foreign.example.com/hello", "(ISM2085)", "object  VirtualService $ns/$foreign in cluster1", "field   spec.gateways",
                "add istio-system/$porch to spec.gateways");
            await TracedAsync("http://$withheld.example.com/hello", "(ISM2085)", "object  VirtualService $ns/$withheld in cluster1", "field   spec.exportTo",
                "the gateway is in namespace istio-system");
            await TracedAsync("http://$elsens.example.com/hello", "(ISM2085)", "object  Gateway istio-system/$porch in cluster1",
                "admits no VirtualServices of namespace $ns", "write $ns/$elsens.example.com");
            await TracedAsync("https://$passed.example.com/hello", "(ISM2085)", "object  VirtualService $ns/$passed in cluster1", "field   spec.http",
                "has routes for requests only", "write tls routes");

            await FoundAsync("analyze", async () => (await mesh.AnalyzeAsync()).Select(finding => finding.Problem),
                "ISM1461 Secret istio-system/$expired", "ISM1464 Secret istio-system/$elsename", "IST0161 Gateway istio-system/$porch: spec.servers[3].tls",
                "IST0101 Gateway istio-system/$porch: spec.servers[4].tls", "IST0132 VirtualService $ns/$wild: spec.gateways[0]",
                "IST0101 VirtualService $ns/$foreign: spec.gateways[0]",
                "IST0145 Gateway istio-system/$porch-b: spec.servers[0]", "IST0138 Gateway istio-system/$porch-b: ");
            await FoundAsync("verify", async () => await mesh.VerifyAsync(), "ISM1461 Secret istio-system/$expired", "ISM1464 Secret istio-system/$elsename",
                "IST0161 Gateway istio-system/$porch: spec.servers[3].tls", "IST0101 Gateway istio-system/$porch: spec.servers[4].tls",
                "ISM1031 VirtualService $ns/$foreign: spec.gateways[0]");

            foreach (var (code, target, remedy, objects) in Remedies)
            {
                await TracedAsync(target, $"({code})", remedy);
                await mesh.ApplyAsync("cluster1", services.Fill(objects));
                await TracedAsync(target, "✔ The call would get through; it was not made.");
            }
            await mesh.UntilAsync(async () => string.Join('\n', (await mesh.VerifyAsync()).Select(problem => problem.Code)),
                codes => !codes.Contains("ISM1031", StringComparison.Ordinal), "the VirtualService names a Gateway that exists");
            await StoreAsync("elsename", ca.Server(Host("elsename")));
            await TracedAsync("https://$elsename.example.com/hello", "✔ The call would get through; it was not made.");

            // The gateway refuses the pair for as long as it has no other.
            await StoreAsync("unfit", ca.Server(Host("unfit")));
            await TracedAsync("https://$unfit.example.com/hello", "✔ The call would get through; it was not made.");
            await mesh.UntilAsync(async () => string.Join('\n', (await mesh.VerifyAsync()).Select(problem => problem.Code)),
                codes => !codes.Contains("ISM1032", StringComparison.Ordinal), "the gateway has taken the pair that fits");

            // What is gone is not refused any more.
            await StoreAsync("unfit", ca.Server(Host("unfit")), ca.Server(Host("unfit")));
            await FoundAsync("verify", async () => await mesh.VerifyAsync(), "IST0161 Gateway istio-system/$porch: spec.servers[3].tls");
            await client.DeleteAsync(Kinds.Secret, System, services.Name("unfit"), Stop);
            await FoundAsync("verify", async () => await mesh.VerifyAsync(), "IST0101 Gateway istio-system/$porch: spec.servers[3].tls");
            await mesh.UntilAsync(async () => string.Join('\n', (await mesh.VerifyAsync()).Select(problem => problem.Code)),
                codes => !codes.Contains("ISM1032", StringComparison.Ordinal), "nobody refuses a Secret that is gone");
        }
        finally
        {
            await client.DeleteAsync(Kinds.Service, System, services.Name("porch"), Stop);
            foreach (var name in (string[])["valid", "expired", "elsename", "unfit", "caless"])
                await client.DeleteAsync(Kinds.Secret, System, services.Name(name), Stop);
            foreach (var suffix in (string[])["", "-b"])
                await client.DeleteAsync(Manifests.ResourceOf(MeshApi.Gateway), System, services.Name("porch") + suffix, Stop);
            foreach (var name in (string[])["porch", "wild", "foreign", "withheld", "elsens", "passed"])
                await client.DeleteAsync(Manifests.ResourceOf(MeshApi.VirtualService), services.Name("ns"), services.Name(name), Stop);
        }
    }

    private string Host(string name) => $"{services.Name(name)}.example.com";

    /// <param name="keyOf">The certificate whose key the Secret has; null: the same.</param>
    private Task StoreAsync(string name, X509Certificate2 certificate, X509Certificate2? keyOf = null) =>
        mesh.Client("cluster1").ApplyAsync(Kinds.Secret, new JsonObject
    {
        ["apiVersion"] = "v1", ["kind"] = "Secret", ["type"] = "kubernetes.io/tls",
        ["metadata"] = new JsonObject { ["name"] = services.Name(name), ["namespace"] = System },
        ["data"] = new JsonObject
        {
            ["tls.crt"] = Packed(certificate.ExportCertificatePem()),
            ["tls.key"] = Packed((keyOf ?? certificate).GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem())
        },
    }, Stop);

    private static string Packed(string text) => Convert.ToBase64String(Encoding.ASCII.GetBytes(text));

    private Task TracedAsync(string target, params string[] parts) => mesh.UntilAsync(
        async () => TraceText.Write(await mesh.TraceAsync($"gateway/{services.Name("porch")}", System, services.Fill(target)), details: true),
        text => parts.All(part => text.Contains(services.Fill(part), StringComparison.Ordinal)),
        $"{services.Fill(target)}: {services.Fill(string.Join(" | ", parts))}");

    private Task FoundAsync(string command, Func<Task<IEnumerable<Core.Problems.Problem>>> ask, params string[] lines) => mesh.UntilAsync(
        async () => string.Join('\n', (await ask()).Select(problem => $"{problem.Code} {problem.Object}: {problem.Path}")),
        text => lines.All(line => text.Split('\n').Any(found => found.StartsWith(services.Fill(line), StringComparison.Ordinal))),
        $"{command} finds {services.Fill(string.Join('\n', lines))}");
}
