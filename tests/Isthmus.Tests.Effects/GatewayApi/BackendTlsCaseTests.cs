using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Testing;
using Xunit;
using static Isthmus.Tests.Effects.GatewayApi.RoutedCalls;

namespace Isthmus.Tests.Effects.GatewayApi;

/// <summary>TLS from a Gateway to backends, and what the policies for it say of themselves.</summary>
public sealed class BackendTlsCaseTests
{
    private const string Host = "abc.example.com", Identity = "spiffe://abc.example.com/test-identity";

    private static readonly TestCa Known = new("known"), Other = new("other");

    /// <summary>Whatever the port calls itself: the policy says that it is TLS.</summary>
    [Theory]
    [InlineData("btls")]
    [InlineData("https")]
    [InlineData("http")]
    public async Task A_request_is_encrypted_for_a_server_that_the_policy_knows(string port)
    {
        await using var calls = await OfAsync(port, Policy("known", "v1", Host) + Policy("wrong-name", "v2", "mismatch.example.com")
            + Policy("wrong-ca", "v3", Host, ca: "other"));
        await calls.ExpectAsync($"""
            GET {Host}/v1 => v1 sni={Host}
            GET {Host}/v2 => 503
            GET {Host}/v3 => 503
            GET web.org>{Host}/v1 => v1 sni={Host}
            """);
        Assert.Equal(["known: Accepted ResolvedRefs", "wrong-ca: Accepted ResolvedRefs", "wrong-name: Accepted ResolvedRefs"], Policies(calls));
    }

    [Fact]
    public async Task A_name_of_the_server_is_one_that_the_policy_lists()
    {
        await using (var calls = await OfAsync("btls", Policy("dns", "v1", Host, $"{{type: Hostname, hostname: {Host}}}")
            + Policy("uri", "v2", Host, $"{{type: URI, uri: '{Identity}'}}")
            + Policy("both", "v3", Host, $"{{type: URI, uri: '{Identity}'}}, {{type: Hostname, hostname: {Host}}}")))
            await calls.ExpectAsync($"""
                GET {Host}/v1 => v1 sni={Host}
                GET {Host}/v2 => v2 sni={Host}
                GET {Host}/v3 => v3 sni={Host}
                """);
        await using var others = await OfAsync("btls", Policy("dns", "v1", Host, "{type: Hostname, hostname: def.example.com}")
            + Policy("uri", "v2", Host, "{type: URI, uri: 'spiffe://def.example.com/test-identity'}")
            + Policy("both", "v3", Host, "{type: URI, uri: 'spiffe://def.example.com/test-identity'}, {type: Hostname, hostname: def.example.com}"));
        await others.ExpectAsync($"""
            GET {Host}/v1 => 503
            GET {Host}/v2 => 503
            GET {Host}/v3 => 503
            """);
        Assert.Equal(["both: Accepted ResolvedRefs", "dns: Accepted ResolvedRefs", "uri: Accepted ResolvedRefs"], Policies(others));
    }

    [Fact]
    public async Task Of_policies_for_one_target_the_older_one_applies_and_the_other_one_says_so()
    {
        await using var calls = await OfAsync("btls", Policy("whole", "v1", "other.example.com") + Policy("whole-late", "v1", Host, age: "2026-02-01T00:00:00Z")
            + Policy("port", "v2", "other.example.com", section: "btls") + Policy("port-late", "v2", Host, section: "btls", age: "2026-02-01T00:00:00Z")
            + Policy("wide", "v3", Host) + Policy("narrow", "v3", "other.example.com", section: "btls", age: "2026-02-01T00:00:00Z"));
        await calls.ExpectAsync($"""
            GET {Host}/v1 => v1 sni=other.example.com
            GET {Host}/v2 => v2 sni=other.example.com
            GET {Host}/v3 => v3 sni=other.example.com
            """);
        Assert.Equal(["narrow: Accepted", "port-late: Conflicted", "port: Accepted", "whole-late: Conflicted", "whole: Accepted", "wide: Accepted"],
            Policies(calls).Select(line => line.Split(' ')).Select(words => $"{words[0]} {words[1]}"));
    }

    [Theory]
    [InlineData("{group: '', kind: ConfigMap, name: none}", "InvalidCACertificateRef")]
    [InlineData("{group: '', kind: ConfigMap, name: rotten}", "InvalidCACertificateRef")]
    [InlineData("{group: example.com, kind: Thing, name: known}", "InvalidKind")]
    public async Task Without_a_CA_no_request_gets_through(string reference, string reason)
    {
        await using var calls = await OfAsync("btls", Policy("p", "v1", Host, reference: reference));
        await calls.ExpectAsync($"GET {Host}/v1 => 503");
        Assert.Equal([$"p: NoValidCACertificate {reason}"], Policies(calls));
    }

    [Fact]
    public async Task A_policy_follows_the_content_of_its_CA()
    {
        await using var calls = await OfAsync("btls", Policy("p", "v1", Host, ca: "late"));
        foreach (var (ca, outcome, status) in new[]
        {
            ("", "503", "p: NoValidCACertificate InvalidCACertificateRef"), (Known.Pem, "v1", "p: Accepted ResolvedRefs"),
            ("nothing", "503", "p: NoValidCACertificate InvalidCACertificateRef"), (Known.Pem, "v1", "p: Accepted ResolvedRefs"),
        })
        {
            if (ca.Length > 0) Put(calls.Rig, "late", ca);
            calls.Apply("");
            await calls.ExpectAsync($"GET {Host}/v1 => {outcome}");
            Assert.Equal([status], Policies(calls));
        }
    }

    private static Task<RoutedCalls> OfAsync(string port, string policies) => AtGatewayAsync(
        Route("r", "{name: front}", string.Join(", ", new[] { ("v1", V1), ("v2", V2), ("v3", V3) }.Select(item =>
            $"{{matches: [{{path: {{type: Exact, value: /{item.Item1}}} }}], retry: {{attempts: 0}}, {item.Item2}}}"))) + policies,
        second: "{name: tls, port: 9000, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]} }", prepare: rig =>
        {
            ListenerCaseTests.Certificate(rig);
            Put(rig, "known", Known.Pem);
            Put(rig, "other", Other.Pem);
            Put(rig, "rotten", "nothing");
        }, server: Known.Server(Host, "other.example.com", Identity), port: port);

    private static string Policy(string name, string target, string hostname, string names = "", string section = "", string ca = "known",
        string reference = "", string age = "2026-01-01T00:00:00Z") => $$"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: BackendTLSPolicy
        metadata: {name: {{name}}, namespace: shop, creationTimestamp: '{{age}}'}
        spec:
          targetRefs: [{group: '', kind: Service, name: {{target}}{{(section.Length > 0 ? $", sectionName: {section}" : "")}} }]
          validation: {hostname: {{hostname}}{{(names.Length > 0 ? $", subjectAltNames: [{names}]" : "")}},
            caCertificateRefs: [{{(reference.Length > 0 ? reference : $"{{group: '', kind: ConfigMap, name: {ca}}}")}}]}
        ---

        """;

    private static void Put(MeshRig rig, string name, string ca) =>
        rig.Writer.Put("c1", new ConfigMap { Metadata = new() { Name = name, Namespace = MeshRig.Namespace }, Data = { ["ca.crt"] = ca } });

    /// <summary>The policies of the Gateway, with the reasons of <c>Accepted</c> and <c>ResolvedRefs</c>.</summary>
    private static IEnumerable<string> Policies(RoutedCalls calls) => calls.Rig.Mesh.PolicyStatuses.Items.Values.Select(status =>
        $"{status.Source.Name}: {string.Join(' ', Assert.Single(status.Ancestors).Conditions.OrderBy(condition => condition.Type).Select(condition =>
            condition.Reason))}").Order(StringComparer.Ordinal);
}
