using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Install;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary><c>isthmus trace gateway/NAME</c> follows calls from outside through a gateway into the mesh, and names the first object that stops one.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class GatewayTraceTests(LoopbackMeshRig mesh, FaultyServices services)
{
    private const string System = "istio-system";

    private const string Objects = """
        apiVersion: v1
        kind: Service
        metadata: {name: $door, namespace: istio-system, annotations: {in-cluster: cluster1}}
        spec:
          type: LoadBalancer
          selector: {istio: eastwestgateway}
          ports: [{name: http, port: 80, targetPort: 18480}, {name: shut, port: 81, targetPort: 18481}]
        ---
        apiVersion: networking.istio.io/v1beta1
        kind: Gateway
        metadata: {name: $door, namespace: istio-system, annotations: {in-cluster: cluster1}}
        spec:
          selector: {istio: eastwestgateway}
          servers:
          - port: {number: 80, name: http, protocol: HTTP}
            hosts: [$door.example.com, $unbound.example.com, $unrouted.example.com, $claimed.example.com, $left.example.com]
        ---
        apiVersion: networking.istio.io/v1beta1
        kind: VirtualService
        metadata: {name: $door, namespace: $ns, annotations: {in-cluster: cluster1}}
        spec:
          hosts: [$door.example.com]
          gateways: [istio-system/$door]
          http:
          - match: [{uri: {prefix: /hello}}]
            route: [{destination: {host: $both.$ns.svc.cluster.local, port: {number: 18081}}}]
        ---
        apiVersion: networking.istio.io/v1beta1
        kind: VirtualService
        metadata: {name: $unbound, namespace: $ns, annotations: {in-cluster: cluster1}}
        spec:
          hosts: [$unbound.example.com]
          gateways: [istio-system/$other]
          http: [{route: [{destination: {host: $both.$ns.svc.cluster.local, port: {number: 18081}}}]}]
        ---
        apiVersion: networking.istio.io/v1beta1
        kind: VirtualService
        metadata: {name: $left, namespace: $ns, annotations: {in-cluster: cluster1}}
        spec:
          hosts: [$left.example.com]
          gateways: [istio-system/$door]
          http: [{match: [{uri: {prefix: /hello}}], delegate: {name: $part, namespace: $ns}}]
        """;

    /// <summary>What the VirtualService of $left leaves requests to.</summary>
    private const string Part = """
        apiVersion: networking.istio.io/v1beta1
        kind: VirtualService
        metadata: {name: $part, namespace: $ns, annotations: {in-cluster: cluster1}}
        spec: {http: [{MATCHroute: [{destination: {host: $both.$ns.svc.cluster.local, port: {number: 18081}}}]}]}
        """;

    private const string Tokens = """
        apiVersion: networking.istio.io/v1beta1
        kind: VirtualService
        metadata: {name: $claimed, namespace: $ns, annotations: {in-cluster: cluster1}}
        spec:
          hosts: [$claimed.example.com]
          gateways: [istio-system/$door]
          http:
          - {name: admins, match: [{uri: {prefix: /hello}, headers: {'@request.auth.claims.group': {exact: admin}}}],
             route: [{destination: {host: $both.$ns.svc.cluster.local, port: {number: 18081}}}]}
          - {name: guarded, match: [{uri: {prefix: /guarded}}], route: [{destination: {host: $tokened.$ns.svc.cluster.local}}]}
          - {name: others, match: [{uri: {prefix: /hello}}], redirect: {uri: /login}}
          - {name: staff, match: [{uri: {prefix: /staff}, headers: {'@request.auth.claims.group': {exact: admin}}}], redirect: {uri: /desk}}
        ---
        apiVersion: security.istio.io/v1beta1
        kind: RequestAuthentication
        metadata: {name: $claimed, namespace: istio-system, annotations: {in-cluster: cluster1}}
        spec: {selector: {matchLabels: {istio: eastwestgateway}}, jwtRules: [{issuer: $claimed, jwks: 'KEYS'}, {issuer: $issuer, jwks: 'KEYS'}]}
        ---
        apiVersion: security.istio.io/v1beta1
        kind: AuthorizationPolicy
        metadata: {name: $claimed, namespace: istio-system, annotations: {in-cluster: cluster1}}
        spec:
          selector: {matchLabels: {istio: eastwestgateway}}
          action: DENY
          rules: [{from: [{source: {notRequestPrincipals: ['*']}}], to: [{operation: {ports: ['18480'], paths: [/hello/vault]}}]}]
        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_call_from_outside_is_followed_through_the_gateway_and_its_first_cause_is_named()
    {
        await services.ReadyAsync(mesh);
        try
        {
            await mesh.ApplyAsync("cluster1", services.Fill(Objects));
            await ExpectAsync("$door.example.com/hello", "✔ The call would get through; it was not made.", "a client outside, through $door.istio-system",
                "18480", "Pod $ns/$here", "? call", "only a client outside can make it");
            await ExpectAsync("$door.example.com/other", "(ISM2024)", "object  VirtualService $ns/$door in cluster1");
            await ExpectAsync("x$door.example.com/", "(ISM2055)", "object  Gateway istio-system/$door in cluster1", "but not x$door.example.com");
            await ExpectAsync("$unrouted.example.com/", "(ISM2085)", "object  Gateway istio-system/$door in cluster1",
                "no VirtualService with this Gateway routes $unrouted.example.com");
            await ExpectAsync("$unbound.example.com/", "(ISM2085)", "object  VirtualService $ns/$unbound in cluster1", "field   spec.gateways");
            await ExpectAsync("https://$door.example.com:80/hello", "(ISM2084)", "object  Gateway istio-system/$door in cluster1", "accepts no TLS at port 80");
            await ExpectAsync("grpc://$door.example.com/hello", "(ISM2093)", "object  Service $ns/$both in cluster1", "so the gateway speaks HTTP/1.1 to it");
            await ExpectAsync("$door.example.com:81/hello", "(ISM2053)", "but the call arrives at 81");
            await ExpectAsync("$door.example.com:82/hello", "(ISM2030)", "object  Service istio-system/$door in cluster1", "has no port 82");
            await Assert.ThrowsAsync<ProblemException>(() => mesh.TraceAsync($"gateway/{services.Name("absent")}", System, "example.com"));

            await LeaveAsync("match: [{uri: {prefix: /api}}], ");
            await ExpectAsync("$left.example.com/hello", "(ISM2024)", "object  VirtualService $ns/$part in cluster1", "field   spec.http[0].match[0].uri",
                "is prefix /api, which is not within spec.http[0].match of VirtualService $ns/$left (prefix /hello)",
                "leave out this match, or write prefix /hello there, or a longer path that begins so");
            // Both halves of the remedy.
            foreach (var match in (string[])["match: [{uri: {prefix: /hello}}], ", ""])
            {
                await LeaveAsync(match);
                await ExpectAsync("$left.example.com/hello", "✔ The call would get through; it was not made.");
                await LeaveAsync("match: [{uri: {exact: /hello/you}}], ");
                await ExpectAsync("$left.example.com/hello", "(ISM2024)", "object  VirtualService $ns/$part in cluster1",
                    "none of its routes matches GET /hello, which VirtualService $ns/$left leaves to it");
            }
            await ExpectAsync("$left.example.com/else", "(ISM2024)", "object  VirtualService $ns/$left in cluster1",
                "field   spec.http[0].match[0].uri.prefix");
        }
        finally
        {
            var client = mesh.Client("cluster1");
            await client.DeleteAsync(Kinds.Service, System, services.Name("door"), Stop);
            await client.DeleteAsync(Manifests.ResourceOf(MeshApi.Gateway), System, services.Name("door"), Stop);
            foreach (var name in (string[])["door", "unbound", "left", "part"])
                await client.DeleteAsync(Manifests.ResourceOf(MeshApi.VirtualService), services.Name("ns"), services.Name(name), Stop);
        }
    }

    /// <summary>The gateway chooses routes by the claims of tokens that it has checked, and its policies decide.</summary>
    [Fact]
    public async Task The_token_of_a_call_from_outside_decides_at_the_gateway()
    {
        await services.ReadyAsync(mesh);
        try
        {
            using var thief = TokenMint.OfStranger();
            var claims = new JsonObject { ["iss"] = services.Name("claimed"), ["sub"] = "ann", ["group"] = "admin" };
            var (admin, stolen) = (services.Tokens.Sign(claims), thief.Sign(claims));
            claims["group"] = "clerk";
            var clerk = services.Tokens.Sign(claims);
            await mesh.ApplyAsync("cluster1", services.Fill(Objects));
            await mesh.ApplyAsync("cluster1", services.Fill(Tokens));
            await ExpectWithAsync("", "$claimed.example.com/hello", "✔ The call would get through; it was not made.",
                "route others, chosen without claims: the call has no valid token: responds with a redirect, 301");
            await ExpectWithAsync(admin, "$claimed.example.com/hello", "✔ The call would get through; it was not made.",
                "route admins, chosen with the claims of the token", "Pod $ns/$here");
            await ExpectWithAsync(clerk, "$claimed.example.com/hello", "route others, chosen with the claims of the token: responds with a redirect, 301");
            await ExpectWithAsync("", "$claimed.example.com/staff", "(ISM2024)", "object  VirtualService $ns/$claimed in cluster1",
                "Some match claims of tokens, and this call has no valid token", "--jwt TOKEN");
            await ExpectWithAsync(clerk, "$claimed.example.com/staff", "(ISM2024)", "Some match claims of tokens, and this call has others");
            await ExpectWithAsync(admin, "$claimed.example.com/staff", "route staff, chosen with the claims of the token: responds with a redirect, 301");
            await ExpectWithAsync(stolen, "$claimed.example.com/hello", "(ISM2082)", "object  RequestAuthentication istio-system/$claimed in cluster1",
                "Jwt verification fails: no key of ", "the response is 401");
            await ExpectWithAsync("", "$claimed.example.com/hello/vault", "(ISM2064)", "object  AuthorizationPolicy istio-system/$claimed in cluster1",
                "denies requests without a valid token");
            await ExpectWithAsync(admin, "$claimed.example.com/hello/vault", "✔ The call would get through; it was not made.");

            // The gateway takes the token out of the request, unless it is told not to.
            var ofCallee = services.Tokens.Sign(InjectedFault.Claims(services, 1));
            await ExpectWithAsync(ofCallee, "$claimed.example.com/guarded", "(ISM2064)", "object  RequestAuthentication istio-system/$claimed in cluster1",
                "field   spec.jwtRules[1].forwardOriginalToken", "takes the token out of the request", "AuthorizationPolicy $ns/$tokened in cluster1 wants one",
                "set it to true");
            await ExpectWithAsync(admin, "$claimed.example.com/guarded", "(ISM2064)", "object  AuthorizationPolicy $ns/$tokened in cluster1",
                "send a token of $issuer");
            await ExpectWithAsync("", "$claimed.example.com/guarded", "(ISM2064)", "object  AuthorizationPolicy $ns/$tokened in cluster1", "--jwt TOKEN");
            await mesh.ApplyAsync("cluster1", services.Fill(Tokens.Replace("issuer: $issuer, jwks: 'KEYS'",
                "issuer: $issuer, jwks: 'KEYS', forwardOriginalToken: true", StringComparison.Ordinal)));
            await ExpectWithAsync(ofCallee, "$claimed.example.com/guarded", "✔ The call would get through; it was not made.");
        }
        finally
        {
            var client = mesh.Client("cluster1");
            await client.DeleteAsync(Manifests.ResourceOf(MeshApi.AuthorizationPolicy), System, services.Name("claimed"), Stop);
            await client.DeleteAsync(Manifests.ResourceOf(MeshApi.RequestAuthentication), System, services.Name("claimed"), Stop);
            await client.DeleteAsync(Kinds.Service, System, services.Name("door"), Stop);
            await client.DeleteAsync(Manifests.ResourceOf(MeshApi.Gateway), System, services.Name("door"), Stop);
            foreach (var name in (string[])["door", "unbound", "left", "claimed"])
                await client.DeleteAsync(Manifests.ResourceOf(MeshApi.VirtualService), services.Name("ns"), services.Name(name), Stop);
        }
    }

    private Task LeaveAsync(string match) => mesh.ApplyAsync("cluster1", services.Fill(Part.Replace("MATCH", match, StringComparison.Ordinal)));

    private Task ExpectAsync(string target, params string[] parts) => ExpectWithAsync("", target, parts);

    private Task ExpectWithAsync(string token, string target, params string[] parts) => mesh.UntilAsync(
        async () => TraceText.Write(await mesh.TraceAsync($"gateway/{services.Name("door")}", System, services.Fill(target),
            SentRequest.Parse("", [], "", token)),
            details: true),
        text => parts.All(part => text.Contains(services.Fill(part), StringComparison.Ordinal)),
        $"{services.Fill(target)}: {services.Fill(string.Join(" | ", parts))}");
}
