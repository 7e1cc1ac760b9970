using System.Buffers.Text;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Certificates;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>What the inventory of certificates says, from real certificates.</summary>
public sealed class CertificateAnalysisTests : IDisposable
{
    private const string Expired = "ISM1461", Ends = "ISM1462", Refused = "ISM1463", ForOthers = "ISM1464", Untrusted = "ISM1465", Chain = "ISM1533";

    private static readonly DateTimeOffset Now = new(2030, 6, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly Issuer _root = Issuer.SelfSigned(new("Istio", "Root CA"), Keys.Create(KeyKind.EcP256), Now.AddYears(-1), Now.AddYears(9));
    private readonly Issuer _other = Issuer.SelfSigned(new("Istio", "Other root"), Keys.Create(KeyKind.EcP256), Now.AddDays(-1), Now.AddYears(9));

    public void Dispose()
    {
        _root.Dispose();
        _other.Dispose();
    }

    [Theory]
    [InlineData(90, 45, "")] // Of 90 days, half is left.
    [InlineData(90, 17, Ends + " Warning")]
    [InlineData(90, 4, Ends + " Error")]
    [InlineData(3650, 61, "")] // A fifth of ten years would be two years.
    [InlineData(3650, 59, Ends + " Warning")]
    [InlineData(3650, 13, Ends + " Error")]
    [InlineData(90, 0, Expired + " Error")]
    [InlineData(90, 91, Expired + " Error")] // Not valid yet.
    public void A_certificate_is_judged_by_the_share_of_its_life_that_is_left(int life, int left, string expected)
    {
        var end = Now.AddDays(left);
        Assert.Equal(expected, Judge(new("c1", CertificateRole.Gateway, "Secret edge/www", "CN=www", end.AddDays(-life), end)));
    }

    [Fact]
    public void What_is_renewed_on_its_own_is_named_only_when_nobody_did()
    {
        var leaf = new MeshCertificate("c1", CertificateRole.Workload, "Pod shop/web", "spiffe://x", Now.AddHours(-13), Now.AddHours(11));
        Assert.Equal("", Judge(leaf));
        Assert.Equal(Ends + " Warning", Judge(leaf with { Begins = Now.AddHours(-23), Ends = Now.AddHours(1) }));
        Assert.Equal(Ends + " Error", Judge(leaf with { Begins = Now.AddHours(-23.8), Ends = Now.AddHours(0.2) }));
        Assert.Equal(Expired + " Error", Judge(leaf with { Ends = Now.AddMinutes(-1) }));
    }

    [Theory]
    [InlineData("www.example.com", "www.example.com", true)]
    [InlineData("WWW.example.com", "www.example.com", true)]
    [InlineData("*.example.com", "www.example.com", true)]
    [InlineData("*.example.com", "a.www.example.com", false)]
    [InlineData("*.example.com", "example.com", false)]
    [InlineData("*.example.com", "*.example.com", true)]
    [InlineData("www.example.com", "*.example.com", true)]
    [InlineData("other.org", "www.example.com", false)]
    [InlineData("other.org", "*", true)]
    public void A_certificate_for_other_hosts_than_the_servers_is_named(string name, string host, bool fits) => Assert.Equal(fits ? "" : ForOthers + " Error",
        Judge(new("c1", CertificateRole.Gateway, "Secret edge/www", "CN=x", Now.AddDays(-1), Now.AddDays(89)) { Names = [name], Hosts = [host] }));

    [Theory]
    [InlineData("good", "ok", "")]
    [InlineData("its root ends before it", "ok", "")]
    [InlineData("its key belongs to another", "refused: the key does not belong to the certificate", Refused + " Error")]
    [InlineData("of another root", "refused: the signing certificate does not verify against root-cert.pem", Refused + " Error")]
    [InlineData("expired", "refused: it expired at", Refused + " Error")]
    [InlineData("waits", "waits", "")]
    public void An_intermediate_in_cacerts_is_in_force_or_refused_and_why(string kind, string state, string finding)
    {
        using var inForce = _root.IssueIntermediate(new("Istio", "Intermediate", "c1"), Keys.Create(KeyKind.EcP256), SubjectNames.None, Now.AddDays(-10),
            Now.AddYears(kind == "its root ends before it" ? 10 : 5));
        using var next = (kind == "of another root" ? _other : _root)
            .IssueIntermediate(new("Istio", "Intermediate", "c1"), Keys.Create(KeyKind.EcP256), SubjectNames.None, Now.AddDays(-10),
                kind == "expired" ? Now.AddDays(-1) : Now.AddYears(6));
        var isInForce = kind is "good" or "its root ends before it";
        var given = isInForce ? inForce : next;
        var facts = SecretFacts.Of(Secret("cacerts", ("ca-cert.pem", CertificateText.Write(given.Certificate)),
            ("ca-key.pem", Keys.ToPem((kind == "its key belongs to another" ? inForce : given).Key)),
            ("root-cert.pem", CertificateText.Write(_root.Certificate)),
            ("cert-chain.pem", CertificateText.Write(given.Certificate) + CertificateText.Write(_root.Certificate))));
        var all = new AuthorityCertificates("c1", "istio-system", CertificateText.Write(_root.Certificate), CertificateText.Write(inForce.Certificate), facts,
            null).All(Now)
            .ToList();

        var root = Assert.Single(all, one => one.Role == CertificateRole.Root);
        Assert.True(root is { IsInForce: true, Signs: false });
        var signing = Assert.Single(all, one => one.Signs);
        Assert.Equal((CertificateRecord.Fingerprint(inForce.Certificate), root.Fingerprint,
            isInForce ? "Secret istio-system/cacerts" : "ConfigMap istio-system/istio-ca-root-cert"),
            (signing.Fingerprint, signing.Root, signing.Owner));
        var stored = all.Single(one => one.Owner == "Secret istio-system/cacerts" && one.Role == CertificateRole.Authority);
        Assert.StartsWith(state, CertificateState.Describe(stored, Now), StringComparison.Ordinal);
        Assert.Equal(finding, Judge(stored));
    }

    /// <summary>A cluster that is served from elsewhere may still have the Secret of an earlier control plane of its own: nothing signs with it, and a
    /// rotation does not wait for it. What signs is named by the ConfigMap, if the control plane elsewhere says so.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("issuer")]
    public void Nothing_signs_with_a_Secret_that_an_earlier_control_plane_left(string says)
    {
        using var signing = Intermediate(_root);
        using var left = Intermediate(_other);
        var facts = SecretFacts.Of(Secret("cacerts", ("ca-cert.pem", CertificateText.Write(left.Certificate)), ("ca-key.pem", Keys.ToPem(left.Key)),
            ("root-cert.pem", CertificateText.Write(_other.Certificate)), ("cert-chain.pem", CertificateText.Write(left.Certificate))));
        var all = new AuthorityCertificates("c2", "istio-system", CertificateText.Write(_root.Certificate),
            says.Length > 0 ? CertificateText.Write(signing.Certificate) : "", facts, null) { IsServedFromElsewhere = true }.All(Now).ToList();

        Assert.Equal(says.Length > 0 ? ["ConfigMap istio-system/istio-ca-root-cert"] : [], all.Where(one => one.Signs).Select(one => one.Owner));
        var stored = all.Single(one => one.Role == CertificateRole.Authority && one.Owner == "Secret istio-system/cacerts");
        Assert.Equal(("waits", false, ""), (CertificateState.Describe(stored, Now), stored.IsInForce, Judge(stored)));
        var target = all.Single(one => one is { Role: CertificateRole.Root, IsInForce: true }).Fingerprint;
        var plan = RotationPlan.Of([ClusterInventory.From("c2", [], TrustFacts.None).WithCertificates([.. all], Now)], target);
        Assert.True(plan.Steps[(int)RotationAction.Sign].IsDone);
    }

    /// <summary>Without a control plane for a moment, as while it is installed anew: it will sign with what its Secret holds.</summary>
    [Fact]
    public void A_rotation_waits_for_a_Secret_that_no_control_plane_uses_just_now()
    {
        using var left = Intermediate(_other);
        var facts = SecretFacts.Of(Secret("cacerts", ("ca-cert.pem", CertificateText.Write(left.Certificate)), ("ca-key.pem", Keys.ToPem(left.Key)),
            ("root-cert.pem", CertificateText.Write(_other.Certificate) + CertificateText.Write(_root.Certificate)),
            ("cert-chain.pem", CertificateText.Write(left.Certificate))));
        var roots = CertificateText.Write(_root.Certificate) + CertificateText.Write(_other.Certificate);
        var all = new AuthorityCertificates("c2", "istio-system", roots, "", facts, null).All(Now).ToList();
        var plan = RotationPlan.Of([ClusterInventory.From("c2", [], TrustFacts.None).WithCertificates([.. all], Now)],
            CertificateRecord.Fingerprint(_root.Certificate));
        Assert.Equal(["Secret istio-system/cacerts (delete it if nothing uses it) in c2"], plan.Steps[(int)RotationAction.Sign].Pending);
    }

    [Theory]
    [InlineData("Service", "istiod", """{"selector": {"app": "istiod"} }""", false)]
    [InlineData("Service", "istiod", """{"clusterIP": "None"}""", true)]
    [InlineData("Service", "istiod-next", """{"type": "ExternalName", "externalName": "istiod.example"}""", true)]
    [InlineData("Service", "web", """{"clusterIP": "None"}""", false)]
    [InlineData("MutatingWebhookConfiguration", "injector", """{"url": "https://istiod.example/inject"}""", true)]
    [InlineData("MutatingWebhookConfiguration", "injector", """{"service": {"name": "istiod", "namespace": "istio-system"} }""", false)]
    public void Only_what_leads_out_of_a_cluster_shows_that_its_control_plane_is_elsewhere(string kind, string name, string content, bool isElsewhere)
    {
        var isService = kind == "Service";
        var value = Json($$$"""{"kind": "{{{kind}}}", "metadata": {"name": "{{{name}}}", "labels": {"app": "sidecar-injector"} } }""");
        value["apiVersion"] = isService ? "v1" : "admissionregistration.k8s.io/v1";
        if (isService) (value["metadata"]!["namespace"], value["spec"]) = ("istio-system", Json(content));
        else value["webhooks"] = new JsonArray(new JsonObject { ["clientConfig"] = Json(content) });
        Assert.Equal(isElsewhere, ControlPlaneElsewhere.Serves(ClusterInventory.From("c1", [value]), "istio-system"));
        Assert.False(ControlPlaneElsewhere.Serves(ClusterInventory.From("c1", []), "istio-system"));
    }

    /// <summary>Analyze tells it where the Secret is named, and verify where a control plane does; certificates has no other place.</summary>
    [Fact]
    public async Task A_key_that_does_not_fit_its_certificate_counts_as_a_finding()
    {
        var secret = SecretFacts.Of(Secret("front", ("tls.crt", CertificateText.Write(_root.Certificate)), ("tls.key", Keys.ToPem(_other.Key))));
        var cluster = MeshText.Clusters(MeshText.Join(MeshText.Root, MeshText.Workload("edge", "gw-1", "istio: gw", "containers: [{name: istio-proxy}]"),
            MeshText.Istio("Gateway", "edge", "front", "selector: {istio: gw}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*'], "
                + "tls: {mode: SIMPLE, credentialName: front} }]")))[0];
        var read = await new CredentialCertificates(cluster, (_, name) => Task.FromResult(name == "front" ? secret : null)).ReadAsync();
        var known = cluster.WithCertificates([.. read], Now);
        var problem = Assert.Single(CertificateAnalysis.Check(known)).Problem;
        Assert.Equal(("IST0161", "Secret edge/front", Severity.Error), (problem.Code, problem.Object, problem.Severity));
        Assert.EndsWith("; Gateway edge/front needs it", problem.Message, StringComparison.Ordinal);
        Assert.Empty(CertificateAnalysis.Analyzer.Check(new MeshSnapshot([known])));
        Assert.Equal(problem.Message, Assert.Single(CertificateVerification.Checks(known, new HashSet<(string, string)>())).Problem!.Message);
        Assert.Empty(CertificateVerification.Checks(known, new HashSet<(string, string)> { ("IST0161", "Gateway edge/front") }));
    }

    [Fact]
    public void A_remote_secret_that_cannot_be_used_counts_as_a_finding() => Assert.Equal("ISM1025 Error",
        Judge(new("c1", CertificateRole.RemoteToken, "Secret istio-system/istio-remote-secret-c2", "cluster c2", null, null) { Fault = "no token" }));

    /// <summary>A year's token has a fifth of a year, but not more than 60 days; one that does not say when it was issued, a week.</summary>
    [Theory]
    [InlineData(365, 61, "")]
    [InlineData(365, 59, "ISM1462 Warning")]
    [InlineData(365, 13, "ISM1462 Error")]
    [InlineData(1, 0.3, "")]
    [InlineData(1, 0.15, "ISM1462 Warning")]
    [InlineData(0, 8, "")]
    [InlineData(0, 6, "ISM1462 Warning")]
    [InlineData(0, 1, "ISM1462 Error")]
    public void A_token_for_another_cluster_that_ends_soon_is_named(double life, double left, string expected)
    {
        var end = Now.AddDays(left);
        DateTimeOffset? issued = life == 0 ? null : end.AddDays(-life);
        var claims = $"{{ {(issued is { } begin ? $"\"iat\": {begin.ToUnixTimeSeconds()}," : "")} \"exp\": {end.ToUnixTimeSeconds()} }}";
        var secret = Secret("istio-remote-secret-c2", ("c2", $$"""
            clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443"} }]
            contexts: [{name: c, context: {cluster: c, user: c} }]
            current-context: c
            users: [{name: c, user: {token: e30.{{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(claims))}}.x} }]
            """));
        secret.Metadata.Labels[Labels.MultiCluster] = "true";
        var facts = SecretFacts.Of(secret);
        // A snapshot of a cluster has the same.
        secret.Data.Clear();
        secret.Metadata.Annotations[SecretFacts.Annotation] = facts.Write();
        foreach (var remotes in (ValueList<RemoteSecretFacts>[])[facts.Remote, SecretFacts.Of(secret).Remote])
            Assert.Equal(expected, Judge(Assert.Single(CredentialCertificates.Tokens("c1", remotes))));
    }

    /// <summary>TLS 1.3 has suites for all keys, where it may be spoken.</summary>
    [Theory]
    [InlineData(KeyKind.Rsa2048, "cipherSuites: [ECDHE-ECDSA-AES128-GCM-SHA256]", "Warning",
        "add ECDHE-RSA-AES128-GCM-SHA256, or use a certificate with a key of ECDSA")]
    [InlineData(KeyKind.EcP256, "maxProtocolVersion: TLSV1_2, cipherSuites: [AES128-GCM-SHA256]", "Error", "add ECDHE-ECDSA-AES128-GCM-SHA256, or use")]
    [InlineData(KeyKind.EcP256, "cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256, ECDHE-ECDSA-AES128-GCM-SHA256]", "", "")]
    [InlineData(KeyKind.Rsa2048, "minProtocolVersion: TLSV1_2", "", "")]
    public async Task Suites_for_other_keys_than_that_of_the_certificate_are_named(KeyKind kind, string tls, string severity, string remedy)
    {
        using var key = Keys.Create(kind);
        using var issuer = Issuer.SelfSigned(new("edge", "front"), key, Now.AddDays(-1), Now.AddDays(100));
        var cluster = MeshText.Clusters(MeshText.Join(MeshText.Root, MeshText.Workload("edge", "gw-1", "istio: gw", "containers: [{name: istio-proxy}]"),
            MeshText.Istio("Gateway", "edge", "front", "selector: {istio: gw}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*'], "
                + $"tls: {{mode: SIMPLE, credentialName: front, {tls} }} }}]")))[0];
        var secret = SecretFacts.Of(Secret("front", ("tls.crt", CertificateText.Write(issuer.Certificate)), ("tls.key", Keys.ToPem(key))));
        var read = await new CredentialCertificates(cluster, (_, name) => Task.FromResult(name == "front" ? secret : null)).ReadAsync();
        var findings = CertificateAnalysis.Check(cluster.WithCertificates([.. read], Now)).Where(one => one.Problem.Code == "ISM1538").ToList();
        Assert.Equal(severity, findings.Count == 0 ? "" : findings[0].Problem.Severity.ToString());
        if (severity.Length == 0) return;
        Assert.Equal(("Gateway edge/front", "spec.servers[0].tls.cipherSuites"), (findings[0].Problem.Object, findings[0].Problem.Path));
        Assert.StartsWith(remedy, findings[0].Problem.Remedy, StringComparison.Ordinal);
    }

    private static Issuer Intermediate(Issuer root) => root.IssueIntermediate(new("Istio", "Intermediate", "c1"),
        Keys.Create(KeyKind.EcP256), SubjectNames.None, Now.AddDays(-10), Now.AddYears(5));

    /// <summary>The bundle may be the root of the mesh, and API servers refuse what is served all the same.</summary>
    [Theory]
    [InlineData("good", "")]
    [InlineData("expired", "API servers refuse the certificate of Pod istio-system/istiod-1: not in force")]
    [InlineData("other root", "API servers refuse the certificate of Pod istio-system/istiod-1: unknown authority")]
    [InlineData("other name", "the certificate of Pod istio-system/istiod-1 is not for istiod.istio-system.svc")]
    [InlineData("no bundle", "has no CA bundle")]
    public void A_webhook_is_trusted_if_a_handshake_proves_it(string kind, string fault)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var leaf = (kind == "other root" ? _other : _root)
            .IssueLeaf(new(new PublicKey(key), new([], [kind == "other name" ? "somebody.else" : "istiod.istio-system.svc"], []), Now.AddDays(-2),
                kind == "expired" ? Now.AddDays(-1) : Now.AddDays(9)));
        var cluster = ClusterInventory.From("c1",
        [
            Json(
                """{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istiod", "namespace": "istio-system"}, "spec": {"selector": {"app": "istiod"}, "ports": [{"port": 443}]}}"""),
            Json(
                """{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "istiod-1", "namespace": "istio-system", "labels": {"app": "istiod"}}, "spec": {"containers": []}}"""),
        ]);
        var bundle = kind == "no bundle" ? "" : Convert.ToBase64String(Encoding.UTF8.GetBytes(CertificateText.Write(_root.Certificate)));
        var configuration = Json(
            $$$"""
            {"kind": "MutatingWebhookConfiguration", "metadata": {"name": "injector"},
             "webhooks": [{"clientConfig": {"caBundle": "{{{bundle}}}", "service": {"name": "istiod", "namespace": "istio-system"} } } ]}
            """);
        var all = WebhookCertificates.Of(cluster, [configuration], [new("istio-system", "istiod-1", [leaf])], Now).ToList();
        var webhook = Assert.Single(all, one => one.Role == CertificateRole.WebhookBundle);
        Assert.StartsWith(fault, webhook.Fault, StringComparison.Ordinal);
        Assert.Equal(fault.Length == 0 ? "" : Untrusted + " Error", Judge(webhook));
        Assert.Equal(fault.Length == 0, webhook.Root.Length > 0);
        Assert.Equal("Pod istio-system/istiod-1", Assert.Single(all, one => one.Role == CertificateRole.ControlPlane).Owner);
    }

    /// <summary>A snapshot keeps what is public of a Secret, and no key, wherever it is.</summary>
    [Fact]
    public void Facts_of_a_Secret_survive_a_snapshot_without_its_keys()
    {
        var key = Keys.ToPem(_root.Key);
        var facts = SecretFacts.Of(Secret("cacerts", ("ca-cert.pem", CertificateText.Write(_root.Certificate) + key), ("ca-key.pem", key),
            ("root-cert.pem", CertificateText.Write(_root.Certificate))));
        var text = facts.Write();
        Assert.DoesNotContain("PRIVATE KEY", text, StringComparison.Ordinal);
        var packed = new Secret { Metadata = new() { Name = "cacerts", Namespace = "istio-system", Annotations = { [SecretFacts.Annotation] = text } } };
        Assert.Equal((facts.Certificates, facts.CaProblem, "you"),
            (SecretFacts.Of(packed).Certificates, SecretFacts.Of(packed).CaProblem, SecretFacts.Of(packed).RenewedBy));
        Assert.Equal(2, facts.Certificates.Count);
    }

    /// <summary>Control planes say it, and no object shows it.</summary>
    [Fact]
    public void Keys_of_issuers_that_control_planes_cannot_fetch_are_findings()
    {
        var report = new Problem("ISM1466", "RequestAuthentication shop/tokens", "spec.jwtRules[0].jwksUri", "the keys cannot be fetched", "check it",
            Severity.Error);
        Assert.Equal([report],
            Isthmus.Operate.Diagnose.Analysis.Analysis.Run([ClusterInventory.From("c1", []).WithReports([report])]).Select(finding => finding.Problem));
    }

    /// <summary>After a restart, nothing of before is left.</summary>
    [Theory]
    [InlineData("True", "the key does not fit; the CA that was in force before signs")]
    [InlineData("False", "the key does not fit; no control plane is ready, so that nothing signs")]
    [InlineData("", "the key does not fit; the CA that was in force before signs")] // The control plane is elsewhere.
    public void What_signs_in_place_of_a_refused_CA_is_said_only_while_something_does(string ready, string ends)
    {
        JsonObject[] plane = ready.Length == 0 ? []
            : [Json($$"""
                {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "istiod-1", "namespace": "istio-system", "labels": {"app": "istiod"} },
                 "spec": {"containers": [{"name": "discovery"}]},
                 "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "{{ready}}"}]} }
                """)];
        var refused = new MeshCertificate("c1", CertificateRole.Authority, "Secret istio-system/cacerts", "CN=ca", Now.AddDays(-1), Now.AddYears(1))
        {
            IsInForce = false, Fault = "the key does not fit",
        };
        var problem = CertificateAnalysis.Check(ClusterInventory.From("c1", plane).WithCertificates([refused], Now)).Single().Problem;
        Assert.EndsWith(ends, problem.Message, StringComparison.Ordinal);
    }

    private static string Judge(MeshCertificate certificate)
    {
        var cluster = ClusterInventory.From("c1", []).WithCertificates([certificate], Now);
        var finding = CertificateAnalysis.Check(cluster).SingleOrDefault();
        return finding is null ? "" : $"{finding.Problem.Code} {finding.Problem.Severity}";
    }

    /// <summary>The Gateway API has no condition for it.</summary>
    [Fact]
    public async Task An_expired_certificate_of_a_listener_of_the_Gateway_API_is_named_with_its_listener()
    {
        using var leaf = _root.IssueIntermediate(new("Istio", "www"), Keys.Create(KeyKind.EcP256), SubjectNames.None, Now.AddDays(-90), Now.AddDays(-1));
        var secret = Secret("www", ("tls.crt", CertificateText.Write(leaf.Certificate)), ("tls.key", Keys.ToPem(leaf.Key)));
        const string Listeners = "[{name: plain, port: 80, protocol: HTTP}, {name: secure, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: www}]}}, "
            + "{name: other, port: 8443, protocol: HTTPS, tls: {certificateRefs: [{name: www}]}}, "
            + "{name: past, port: 9443, protocol: TLS, tls: {mode: Passthrough}}]";
        ClusterInventory Of(string controller) => MeshText.Clusters(MeshText.Join(
            $"{{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {{name: own}}, spec: {{controllerName: {controller}}}}}",
            "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: front, namespace: istio-system}, "
                + $"spec: {{gatewayClassName: own, listeners: {Listeners}}}}}"))[0];
        Task<IEnumerable<MeshCertificate>> ReadAsync(ClusterInventory cluster) => new CredentialCertificates(cluster, (ns, name) =>
            Task.FromResult((ns, name) == ("istio-system", "www") ? SecretFacts.Of(secret) : null)).ReadAsync();

        var cluster = Of("istio.io/gateway-controller");
        var certificate = Assert.Single(await ReadAsync(cluster));
        Assert.Equal(("expired", "Gateway istio-system/front (listeners secure, other)"), (CertificateState.Describe(certificate, Now), certificate.NeededBy));
        var known = cluster.WithCertificates([certificate], Now);
        var problem = Assert.Single(CertificateAnalysis.Check(known)).Problem;
        Assert.Equal((Expired, "Secret istio-system/www"), (problem.Code, problem.Object));
        Assert.EndsWith("expired at 2030-05-31 12:00 UTC; Gateway istio-system/front (listeners secure, other) needs it", problem.Message,
            StringComparison.Ordinal);
        Assert.Equal(problem.Message, Assert.Single(CertificateVerification.Checks(known, new HashSet<(string, string)>())).Problem!.Message);
        // Another controller's.
        Assert.Empty(await ReadAsync(Of("example.com/theirs")));
    }

    /// <summary>A certificate does not say whether its issuer is a root: something must show that it is none.</summary>
    [Theory]
    [InlineData("leaf", "")] // of the root, or of an intermediate that nothing shows
    [InlineData("leaf intermediate", "")]
    [InlineData("leaf, and the CA beside it", Chain + " Warning which is not a root (CN=Root CA, O=Istio issued its certificate)")]
    [InlineData("leaf, and the CA in another Secret", Chain + " Warning which is in Secret istio-system/other (tls.crt),")]
    [InlineData("leaf of the root, and the root beside it", "")]
    [InlineData("leaf other", Chain + " Warning what is sent after it did not issue it (CN=Other root, O=Istio)")]
    [InlineData("leaf with an offer", Chain + " Info put the certificate that http://ca.example.com/ca.crt has into tls.crt")]
    [InlineData("leaf intermediate with an offer", "")]
    [InlineData("leaf that names who issued its issuer", Chain + " Warning which is not a root (CN=Root CA, O=Istio issued its certificate)")]
    [InlineData("leaf of the root that names who issued its issuer", "")]
    public async Task A_chain_that_lacks_an_intermediate_is_told_where_something_shows_it(string kind, string expected)
    {
        using var middle = _root.IssueIntermediate(new("Istio", "Issuing CA"), Keys.Create(KeyKind.EcP256), SubjectNames.None, Now.AddDays(-9),
            Now.AddYears(2));
        var issuer = kind.StartsWith("leaf of the root", StringComparison.Ordinal) ? _root : middle;
        using var leaf = kind.EndsWith("offer", StringComparison.Ordinal) ? Extended(issuer,
                new X509AuthorityInformationAccessExtension(["http://ocsp.example.com"], ["http://ca.example.com/ca.crt"]))
            : kind.EndsWith("its issuer", StringComparison.Ordinal)
            ? Extended(issuer, X509AuthorityKeyIdentifierExtension.CreateFromCertificate(issuer.Certificate, false, true))
            : issuer.IssueIntermediate(new("Istio", "www"), Keys.Create(KeyKind.EcP256), SubjectNames.None, Now.AddDays(-9), Now.AddYears(1));
        string[] sent = [CertificateText.Write(leaf.Certificate),
            kind.StartsWith("leaf intermediate", StringComparison.Ordinal) ? CertificateText.Write(middle.Certificate)
            : kind == "leaf other" ? CertificateText.Write(_other.Certificate) : ""];
        var secrets = new Dictionary<string, Secret>
        {
            ["www"] = Secret("www", [("tls.crt", string.Concat(sent)), ("tls.key", Keys.ToPem(leaf.Key)),
                .. kind.EndsWith("the CA beside it", StringComparison.Ordinal) ? [("ca.crt", CertificateText.Write(middle.Certificate))]
                    : kind.EndsWith("the root beside it", StringComparison.Ordinal) ? [("ca.crt", CertificateText.Write(_root.Certificate))]
                    : Array.Empty<(string, string)>()]),
        };
        if (kind.EndsWith("another Secret", StringComparison.Ordinal))
            secrets["other"] = Secret("other", ("tls.crt", CertificateText.Write(middle.Certificate)), ("tls.key", Keys.ToPem(middle.Key)));
        var cluster = MeshText.Clusters(MeshText.Join(
            "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: front, namespace: istio-system}, spec: {gatewayClassName: istio, "
                + "listeners: [{name: secure, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: www}, {name: other}]}}]}}"))[0];
        var read = await new CredentialCertificates(cluster, (ns, name) =>
            Task.FromResult(ns == "istio-system" && secrets.GetValueOrDefault(name) is { } secret ? SecretFacts.Of(secret) : null)).ReadAsync();
        var known = cluster.WithCertificates(read.ToValueList(), Now);
        var problem = CertificateAnalysis.Check(known).Select(finding => finding.Problem).SingleOrDefault();
        Assert.Equal(expected.Split(' ').Take(2), problem is null ? [""] : [problem.Code, $"{problem.Severity}"]);
        Assert.Contains(string.Join(' ', expected.Split(' ').Skip(2)), $"{problem?.Message} {problem?.Remedy}", StringComparison.Ordinal);
        // What is not certain is no matter for verify.
        Assert.Equal(problem?.Severity == Severity.Warning,
            CertificateVerification.Checks(known, new HashSet<(string, string)>()).Any(check => check.Problem is not null));
    }

    private static Issuer Extended(Issuer issuer, X509Extension extension)
    {
        var key = Keys.Create(KeyKind.EcP256);
        var request = new CertificateRequest(new X500DistinguishedName("CN=www"),
            PublicKey.CreateFromSubjectPublicKeyInfo(key.ExportSubjectPublicKeyInfo(), out _), HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(extension);
        var signer = X509SignatureGenerator.CreateForECDsa((ECDsa)issuer.Key);
        return new(request.Create(issuer.Certificate.SubjectName, signer, Now.AddDays(-9), Now.AddYears(1), [7]), key);
    }

    private static Secret Secret(string name, params (string Key, string Text)[] data)
    {
        var secret = new Secret { Metadata = new() { Name = name, Namespace = "istio-system" } };
        foreach (var (key, text) in data) secret.Data[key] = Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
        return secret;
    }

    private static JsonObject Json(string text) => (JsonObject)JsonNode.Parse(text)!;
}
