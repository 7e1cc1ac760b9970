using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Ca;
using Isthmus.Core.Identity;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Servers;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Tls;
using Isthmus.Wire.Xds;
using Xunit;
using Node = Isthmus.Wire.Envoy.Node;

namespace Isthmus.Tests.ControlPlane.Ca;

/// <summary>Who gets certificates and configuration: TLS calls of honest and dishonest proxies, with tokens of a real API
/// server.</summary>
public sealed class CallerTests(CallerRig rig) : IClassFixture<CallerRig>
{
    private const string Buyer = "spiffe://cluster.local/ns/shop/sa/buyer";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_certificate_is_for_whom_the_token_proves_whatever_the_request_says()
    {
        using var leaf = await SignAsync("spiffe://cluster.local/ns/istio-system/sa/istiod", await rig.TokenAsync("buyer"));
        Assert.Equal([Buyer], SubjectNames.Of(leaf).Uris);
        Assert.Null(rig.Ca.Current!.Bundle.Trust.Reject(leaf, rig.Ca.Current.Bundle.Chain, CertificateUse.Client, DateTimeOffset.UtcNow));
    }

    /// <summary>Who is told the address of a revision tag asks for its name. Names that no Service has get no certificate of their own.</summary>
    [Fact]
    public async Task The_control_plane_has_the_names_of_its_revision_tags_once_somebody_asks_for_them()
    {
        const string Tag = "istiod-revision-tag-prod.istio-system.svc";
        Assert.DoesNotContain(Tag, await ServedNamesAsync("istiod.istio-system.svc"));
        Assert.Contains(Tag, await ServedNamesAsync(Tag));
        foreach (var other in (string[])["istiod-revision-tag-other.istio-system.svc", "istiod-revision-tag-prod.shop.svc"])
            Assert.DoesNotContain(other, await ServedNamesAsync(other));
        Assert.Contains("istiod.istio-system.svc", await ServedNamesAsync(Tag));
    }

    private async Task<IReadOnlyList<string>> ServedNamesAsync(string asked)
    {
        using var connection = new System.Net.Sockets.TcpClient();
        await connection.ConnectAsync(rig.Address.Host, rig.Address.Port, Stop);
        await using var tls = new SslStream(connection.GetStream());
        await tls.AuthenticateAsClientAsync(new()
        {
            TargetHost = asked, RemoteCertificateValidationCallback = (_, _, _, _) => true, ApplicationProtocols = [SslApplicationProtocol.Http2]
        },
            Stop);
        using var leaf = new X509Certificate2(tls.RemoteCertificate!);
        return [.. SubjectNames.Of(leaf).DnsNames];
    }

    [Fact]
    public async Task A_certificate_proves_its_owner_too_and_comes_before_a_token()
    {
        using var own = Certificate(Buyer, rig.Ca.Current!.Bundle.Issuer);
        using var leaf = await SignAsync("spiffe://cluster.local/ns/shop/sa/seller", await rig.TokenAsync("seller"), certificate: own);
        Assert.Equal([Buyer], SubjectNames.Of(leaf).Uris);
    }

    /// <summary>A proxy that keeps its certificate, and has no token any more, gets another one only while its account has a workload.</summary>
    [Fact]
    public async Task A_certificate_is_renewed_while_its_account_and_a_workload_of_it_exist()
    {
        const string Temp = "spiffe://cluster.local/ns/shop/sa/temp";
        using var own = Certificate(Temp, rig.Ca.Current!.Bundle.Issuer);
        await rig.MakeAsync(Kinds.ServiceAccount, CallerRig.Namespace, "temp");
        await RefusedAsync(GrpcCode.PermissionDenied, "no Pod and no WorkloadEntry of ServiceAccount shop/temp");
        rig.PutPod("temp-1", "temp");
        (await SignAsync(Temp, "", certificate: own)).Dispose();
        // A token proves that the account exists, whatever the watches know.
        rig.PutPod("temp-1", null);
        (await SignAsync(Temp, await rig.TokenAsync("temp"), certificate: own)).Dispose();
        await RefusedAsync(GrpcCode.PermissionDenied, "no Pod and no WorkloadEntry");
        // A virtual machine has no Pod.
        rig.PutEntry("vm", "temp");
        (await SignAsync(Temp, "", certificate: own)).Dispose();
        await RefusedAsync(GrpcCode.PermissionDenied, "cluster 'elsewhere' is unknown here", "elsewhere");
        await rig.Client.DeleteAsync(Kinds.ServiceAccount, CallerRig.Namespace, "temp", Stop);
        await RefusedAsync(GrpcCode.PermissionDenied, "has no ServiceAccount shop/temp");
        // Before a cluster is read for the first time, nobody is refused for good.
        rig.IsKnown = false;
        await RefusedAsync(GrpcCode.Unavailable, "not known yet");
        rig.IsKnown = true;

        async Task RefusedAsync(GrpcCode code, string why, string cluster = "")
        {
            var refused = await Assert.ThrowsAsync<GrpcException>(() => SignAsync(Temp, "", cluster, own));
            Assert.Equal((code, true), (refused.Code, refused.Detail.Contains(why, StringComparison.Ordinal)));
        }
    }

    [Fact]
    public async Task The_mesh_decides_how_long_a_certificate_lives()
    {
        using var channel = rig.Channel(null);
        using var key = Keys.Create(KeyKind.EcP256);
        var response = await channel.UnaryAsync(CertificateEndpoint.Method,
            new() { Csr = SigningRequest.Create(key, Id(Buyer)), ValidityDuration = 90L * 24 * 3600 }, CallerRig.Options(await rig.TokenAsync("buyer"), ""),
            Stop);
        using var leaf = X509Certificate2.CreateFromPem(response.CertChain[0]);
        Assert.InRange(leaf.NotAfter - leaf.NotBefore, TimeSpan.FromHours(24), TimeSpan.FromHours(24.1));
    }

    /// <summary>Peers refuse a chain as soon as one of its certificates has expired.</summary>
    [Fact]
    public async Task A_certificate_ends_with_the_first_of_those_above_it()
    {
        var first = DateTimeOffset.UtcNow.AddHours(2);
        await using var chained = new CallerRig { MakeCa = (client, ns) => ChainedCa.CreateAsync(client, ns, first, signing: first.AddHours(4)) };
        await chained.InitializeAsync();
        var callers = new CallerTests(chained);
        using var leaf = await callers.SignAsync(Buyer, await chained.TokenAsync("buyer"));
        Assert.InRange(leaf.NotAfter.ToUniversalTime(), first.UtcDateTime.AddSeconds(-1), first.UtcDateTime);
        Assert.Null(chained.Ca.Current!.Bundle.Trust.Reject(leaf, chained.Ca.Current.Bundle.Chain, CertificateUse.Client, DateTimeOffset.UtcNow));
    }

    /// <summary>A certificate that nobody accepts, one after another, would tell neither the proxy nor its owner why.</summary>
    [Fact]
    public async Task A_CA_that_has_expired_says_so_and_signs_nothing()
    {
        var end = DateTimeOffset.UtcNow.AddSeconds(5);
        await using var chained = new CallerRig { MakeCa = (client, ns) => ChainedCa.CreateAsync(client, ns, end, signing: end.AddHours(4)) };
        await chained.InitializeAsync();
        var callers = new CallerTests(chained);
        var token = await chained.TokenAsync("buyer");
        GrpcException? refused = null;
        while (refused is null)
        {
            try { (await callers.SignAsync(Buyer, token)).Dispose(); }
            catch (GrpcException e) when (e.Code == GrpcCode.FailedPrecondition) { refused = e; }
        }
        Assert.Contains("the CA of Secret istio-system/cacerts expired at", refused.Detail, StringComparison.Ordinal);
        Assert.True(DateTimeOffset.UtcNow >= end.AddSeconds(-1));
    }

    [Theory]
    [InlineData("nothing at all")]
    [InlineData("a word")]
    [InlineData("for another audience")]
    [InlineData("of another cluster")]
    [InlineData("of an account that is gone")]
    [InlineData("reviewed by a cluster that nobody knows")]
    public async Task Who_proves_nothing_gets_no_certificate(string token)
    {
        await using var other = new LoopbackCluster();
        var text = token switch
        {
            "nothing at all" => "",
            "a word" => "please",
            "for another audience" => await rig.TokenAsync("buyer", audience: "vault"),
            "of another cluster" => await ForeignTokenAsync(await other.StartAsync()),
            "of an account that is gone" => await GoneAsync(),
            _ => await rig.TokenAsync("buyer"),
        };
        var refused = await Assert.ThrowsAsync<GrpcException>(() => SignAsync(Buyer, text,
            cluster: token.StartsWith("reviewed", StringComparison.Ordinal) ? "elsewhere" : ""));
        Assert.Equal(GrpcCode.Unauthenticated, refused.Code);
    }

    [Theory]
    [InlineData("of another root")]
    [InlineData("expired")]
    [InlineData("of an expired intermediate")]
    [InlineData("of an intermediate that it does not send")]
    public async Task A_certificate_that_cannot_be_trusted_ends_the_handshake(string kind)
    {
        var (issuer, now) = (rig.Ca.Current!.Bundle.Issuer, DateTimeOffset.UtcNow);
        using var root = Issuer.SelfSigned(new("cluster.local"), Keys.Create(KeyKind.EcP256), now.AddMinutes(-1), now.AddDays(1));
        using var below = Below(issuer, kind == "of an expired intermediate" ? now.AddSeconds(-20) : now.AddDays(1));
        using var bad = kind switch
        {
            "of another root" => Certificate(Buyer, root),
            "expired" => Certificate(Buyer, issuer, now.AddSeconds(-10)),
            _ => Certificate(Buyer, below),
        };
        X509Certificate2[] sent = kind == "of an expired intermediate" ? [below.Certificate] : [];
        Assert.Equal(GrpcCode.Unavailable,
            (await Assert.ThrowsAsync<GrpcException>(async () => await SignAsync(Buyer, await rig.TokenAsync("buyer"), certificate: bad, sent: sent))).Code);
    }

    [Fact]
    public async Task A_certificate_may_come_with_an_intermediate_that_only_its_owner_knows()
    {
        using var below = Below(rig.Ca.Current!.Bundle.Issuer, DateTimeOffset.UtcNow.AddDays(1));
        using var own = Certificate(Buyer, below);
        using var leaf = await SignAsync("spiffe://cluster.local/ns/shop/sa/seller", "", certificate: own, sent: [below.Certificate]);
        Assert.Equal([Buyer], SubjectNames.Of(leaf).Uris);
    }

    [Theory]
    [InlineData("garbage", 3600)]
    [InlineData("of another key", 3600)]
    [InlineData("right", 3600L * 24 * 365)]
    public async Task Requests_that_cannot_be_signed_are_the_callers_fault(string csr, long seconds)
    {
        using var key = Keys.Create(KeyKind.EcP256);
        var text = SigningRequest.Create(key, Id(Buyer));
        if (csr == "garbage") text = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
        if (csr == "of another key") text = Tampered(text);
        using var channel = rig.Channel(null);
        var token = await rig.TokenAsync("buyer");
        var refused = await Assert.ThrowsAsync<GrpcException>(() => channel.UnaryAsync(CertificateEndpoint.Method,
            new() { Csr = text, ValidityDuration = seconds }, CallerRig.Options(token, ""), Stop));
        Assert.Equal(GrpcCode.InvalidArgument, refused.Code);
    }

    [Theory]
    [InlineData("shop", "buyer", "own", null)]
    [InlineData("shop", "", "", null)]
    [InlineData("istio-system", "", "own", "claims namespace 'istio-system'")]
    [InlineData("shop", "seller", "own", "claims service account 'seller'")]
    [InlineData("shop", "buyer", "other", "claims cluster 'other'")]
    public async Task A_proxy_gets_the_view_of_no_other(string ns, string account, string cluster, string? refusal)
    {
        var node = new Node { Id = $"sidecar~10.0.0.1~p.{ns}~{ns}.svc.cluster.local", Metadata = new Struct() };
        if (account.Length > 0) node.Metadata.Fields["SERVICE_ACCOUNT"] = Value.ForString(account);
        if (cluster.Length > 0) node.Metadata.Fields["CLUSTER_ID"] = Value.ForString(cluster);
        var error = await SubscribeAsync(node, await rig.TokenAsync("buyer"), null);
        if (refusal is null) Assert.Null(error);
        else Assert.Equal((GrpcCode.PermissionDenied, true), (error!.Code, error.Message.Contains(refusal, StringComparison.Ordinal)));
        // A certificate proves the same, if a token proves the cluster, which a certificate does not name.
        using var own = Certificate(Buyer, rig.Ca.Current!.Bundle.Issuer);
        Assert.Equal(error?.Code, (await SubscribeAsync(node, await rig.TokenAsync("buyer"), own))?.Code);
        var bare = await SubscribeAsync(node, "", own);
        Assert.Equal(cluster.Length == 0 ? null : GrpcCode.PermissionDenied, bare?.Code);
        if (refusal is null && bare is not null) Assert.Contains($"claims cluster '{cluster}' with a certificate", bare.Message, StringComparison.Ordinal);
        // The token of another account proves nothing about the owner of the certificate.
        Assert.Equal(bare?.Code, (await SubscribeAsync(node, await rig.TokenAsync("seller"), own))?.Code);
    }

    [Fact]
    public async Task A_certificate_without_an_identity_does_not_replace_the_check_of_the_cluster()
    {
        using var nameless = Certificate("https://shop.example", rig.Ca.Current!.Bundle.Issuer);
        var node = new Node { Id = "sidecar~10.0.0.1~p.shop~shop.svc.cluster.local", Metadata = new Struct() };
        node.Metadata.Fields["CLUSTER_ID"] = Value.ForString("other");
        Assert.Contains("claims cluster 'other'", (await SubscribeAsync(node, await rig.TokenAsync("buyer"), nameless))!.Message, StringComparison.Ordinal);
    }

    private async Task<GrpcException?> SubscribeAsync(Node node, string token, X509Certificate2? certificate)
    {
        using var channel = rig.Channel(certificate);
        await using var call = channel.Open(AdsMethods.Delta, CallerRig.Options(token, ""), Stop);
        try
        {
            await call.WriteAsync(new DeltaDiscoveryRequest { Node = node, TypeUrl = TypeUrls.Cluster }, Stop);
            Assert.Equal("a", Assert.Single((await call.ReadAsync(Stop))!.Resources).Name);
            return null;
        }
        catch (GrpcException e)
        {
            return e;
        }
    }

    private async Task<X509Certificate2> SignAsync(string identity, string token, string cluster = "", X509Certificate2? certificate = null,
        params X509Certificate2[] sent)
    {
        using var channel = rig.Channel(certificate, sent);
        using var key = Keys.Create(KeyKind.EcP256);
        var response = await channel.UnaryAsync(CertificateEndpoint.Method, new() { Csr = SigningRequest.Create(key, Id(identity)) },
            CallerRig.Options(token, cluster), Stop);
        return X509Certificate2.CreateFromPem(response.CertChain[0]);
    }

    private static Issuer Below(Issuer issuer, DateTimeOffset end) =>
        issuer.IssueIntermediate(new("cluster.local", "Intermediate CA"), Keys.Create(KeyKind.EcP256), SubjectNames.None, DateTimeOffset.UtcNow.AddMinutes(-1),
            end);

    private static X509Certificate2 Certificate(string identity, Issuer issuer, DateTimeOffset? end = null)
    {
        using var key = Keys.Create(KeyKind.EcP256);
        using var leaf = issuer.IssueLeaf(new(new PublicKey(key), new([identity], [], []), DateTimeOffset.UtcNow.AddMinutes(-1),
            end ?? DateTimeOffset.UtcNow.AddHours(1)));
        using var joined = Keys.Join(leaf, key);
        return X509CertificateLoader.LoadPkcs12(joined.Export(X509ContentType.Pkcs12), null);
    }

    private static SpiffeId Id(string text) => SpiffeId.TryParse(text, out var id) ? id : throw new ArgumentException(text);

    /// <summary>The same request with one bit of its signature flipped.</summary>
    private static string Tampered(string pem)
    {
        var request = System.Security.Cryptography.PemEncoding.Find(pem);
        var bytes = Convert.FromBase64String(pem[request.Base64Data]);
        bytes[^1] ^= 1;
        return System.Security.Cryptography.PemEncoding.WriteString("CERTIFICATE REQUEST", bytes);
    }

    private async Task<string> GoneAsync()
    {
        await rig.MakeAsync(Kinds.ServiceAccount, "shop", "leaver");
        var token = await rig.TokenAsync("leaver");
        await rig.Client.DeleteAsync(Kinds.ServiceAccount, "shop", "leaver", Stop);
        return token;
    }

    private static async Task<string> ForeignTokenAsync(KubeClient client)
    {
        await client.CreateAsync(Kinds.Namespace,
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = "shop" } }, Stop);
        await client.CreateAsync(Kinds.ServiceAccount, "shop",
            new JsonObject { ["apiVersion"] = "v1", ["kind"] = "ServiceAccount", ["metadata"] = new JsonObject { ["name"] = "buyer" } }, Stop);
        return await CallerRig.TokenAsync(client, "buyer");
    }
}
