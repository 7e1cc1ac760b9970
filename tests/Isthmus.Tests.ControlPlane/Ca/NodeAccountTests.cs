using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using Isthmus.ControlPlane.Ca;
using Isthmus.Core.Identity;
using Isthmus.Core.Problems;
using Isthmus.Graph.Settings;
using Isthmus.Kubernetes.Objects;
using Isthmus.Wire.Grpc;
using Isthmus.Wire.Istio;
using Isthmus.Wire.Tls;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Ca;

/// <summary>Who gets certificates for the other workloads of a Node: TLS calls with tokens of a real API server, bound to real Pods.</summary>
public sealed class NodeAccountTests(CallerRig rig) : IClassFixture<CallerRig>
{
    private const string Own = "spiffe://cluster.local/ns/shop/sa/" + CallerRig.NodeAccount, Wanted = "spiffe://cluster.local/ns/shop/sa/seller";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_trusted_account_gets_the_identities_of_its_Node()
    {
        var token = await PlaceAsync("n1");
        rig.PutPod("seller-1", "seller", "n1");
        Assert.Equal(Wanted, await SignAsync(token, Wanted));
        // What Istio's agents send that ask for nothing else.
        foreach (var metadata in (Struct?[])[null, new(), Asking(""), new() { Fields = { ["CertSigner"] = Value.ForString("") } }])
            Assert.Equal(Own, await SignAsync(token, metadata));
        Assert.Equal(Own, await SignAsync(token, Own));
        // A certificate of its own comes before the token. The token says whose it is.
        using var own = Certificate(Own);
        Assert.Equal(Wanted, await SignAsync(token, Asking(Wanted), own));
    }

    [Theory]
    [InlineData("on another Node", "no Pod of ServiceAccount shop/seller runs on Node n1 of cluster 'own'")]
    [InlineData("in another cluster", "no Pod of ServiceAccount shop/seller runs on Node n1 of cluster 'own'")]
    [InlineData("ended", "no Pod of ServiceAccount shop/seller runs on Node n1 of cluster 'own'")]
    [InlineData("outside of Kubernetes", "no Pod of ServiceAccount shop/seller runs on Node n1 of cluster 'own'")]
    [InlineData("nowhere", "no Pod of ServiceAccount shop/seller runs on Node n1 of cluster 'own'")]
    public async Task An_account_that_has_no_Pod_on_the_Node_is_refused(string place, string why)
    {
        var token = await PlaceAsync("n1");
        rig.PutPod("seller-1", null);
        switch (place)
        {
            case "on another Node": rig.PutPod("seller-1", "seller", "n2"); break;
            case "in another cluster": rig.PutPod("seller-2", "seller", "n1", cluster: "other"); break;
            case "ended": rig.PutPod("seller-1", "seller", "n1", hasEnded: true); break;
            case "outside of Kubernetes": rig.PutEntry("vm", "seller"); break;
        }
        await RefusedAsync(token, Asking(Wanted), GrpcCode.Unauthenticated, why);
        Assert.Contains(rig.Log.Lines, line => line.Contains($"No certificate for {Wanted}, which {Own} asks for: {why}", StringComparison.Ordinal));
        // Its own certificate is none of this.
        Assert.Equal(Own, await SignAsync(token, (Struct?)null));
    }

    [Theory]
    [InlineData("spiffe://other.example/ns/shop/sa/seller", "the trust domain of the mesh is cluster.local")]
    [InlineData("spiffe://cluster.local/ns/shop", "is not of the form spiffe://")]
    [InlineData("shop/seller", "is not of the form spiffe://")]
    [InlineData("spiffe://cluster.local/ns/shop/sa/", "is not of the form spiffe://")]
    [InlineData("spiffe://cluster.local/ns/shop/sa/seller/", "is not of the form spiffe://")]
    [InlineData("spiffe://cluster.local/ns/shop/sa/seller?x", "no Pod of ServiceAccount shop/seller?x")]
    [InlineData("spiffe://cluster.local/ns/bank/sa/seller", "no Pod of ServiceAccount bank/seller")]
    public async Task An_identity_of_another_form_or_mesh_is_refused(string identity, string why)
    {
        var token = await PlaceAsync("n1");
        rig.PutPod("seller-1", "seller", "n1");
        await RefusedAsync(token, Asking(identity), GrpcCode.Unauthenticated, why);
    }

    [Fact]
    public async Task An_account_that_is_not_trusted_gets_no_other_identity_than_its_own()
    {
        await PlaceAsync("n1");
        rig.PutPod("seller-1", "seller", "n1");
        var buyer = await CallerRig.TokenAsync(rig.Client, "buyer", pod: await PodAsync("buyer-1", "buyer"));
        rig.PutPod("buyer-1", "buyer", "n1");
        const string why = "ServiceAccount shop/buyer is not one of CA_TRUSTED_NODE_ACCOUNTS";
        foreach (var asked in (string[])[Wanted, Own, "spiffe://cluster.local/ns/shop/sa/buyer", "a\nb"])
            await RefusedAsync(buyer, Asking(asked), GrpcCode.Unauthenticated, why);
        Assert.Contains(rig.Log.Lines, line => line.Contains("No certificate for a b, which ", StringComparison.Ordinal));
        Assert.Equal("spiffe://cluster.local/ns/shop/sa/buyer", await SignAsync(buyer, (Struct?)null));
    }

    /// <summary>A certificate, and a token of the account, can be used on any Node.</summary>
    [Fact]
    public async Task Only_a_token_of_a_Pod_shows_the_Node()
    {
        const string why = "only a token that is bound to a Pod shows on which Node it is needed";
        await PlaceAsync("n1");
        rig.PutPod("seller-1", "seller", "n1");
        await RefusedAsync(await rig.TokenAsync(CallerRig.NodeAccount), Asking(Wanted), GrpcCode.Unauthenticated, why);
        using var own = Certificate(Own);
        await RefusedAsync("", Asking(Wanted), GrpcCode.Unauthenticated, why, own);
        await RefusedAsync(await rig.TokenAsync("seller"), Asking(Wanted), GrpcCode.Unauthenticated, why, own);
    }

    [Fact]
    public async Task What_is_not_known_yet_is_no_reason_to_refuse_for_good()
    {
        var token = await PlaceAsync("n1");
        rig.PutPod("seller-1", "seller", "n1");
        rig.PutPod("node-proxy-1", null);
        await RefusedAsync(token, Asking(Wanted), GrpcCode.Unavailable, "Pod shop/node-proxy-1 of cluster 'own' is not known yet");
        rig.PutPod("node-proxy-1", CallerRig.NodeAccount);
        await RefusedAsync(token, Asking(Wanted), GrpcCode.Unavailable, "is not known yet, or not its Node");
        rig.PutPod("node-proxy-1", "seller", "n1");
        await RefusedAsync(token, Asking(Wanted), GrpcCode.Unavailable, "is not known yet");
        // Another Pod of that name was there before.
        rig.PutPod("node-proxy-1", CallerRig.NodeAccount, "n2");
        await RefusedAsync(token, Asking(Wanted), GrpcCode.Unavailable, "is known on Node n2, and its token is of Node n1");
        rig.PutPod("node-proxy-1", CallerRig.NodeAccount, "n1");
        rig.IsKnown = false;
        await RefusedAsync(token, Asking(Wanted), GrpcCode.Unavailable, "the Pods of cluster 'own' are not known yet");
        rig.IsKnown = true;
        Assert.Equal(Wanted, await SignAsync(token, Wanted));
    }

    [Fact]
    public async Task Metadata_that_is_no_text_is_the_callers_fault() =>
        await RefusedAsync(await PlaceAsync("n1"), new() { Fields = { ["ImpersonatedIdentity"] = Value.ForNumber(1) } }, GrpcCode.InvalidArgument,
            "metadata ImpersonatedIdentity is not a string");

    [Fact]
    public void Accounts_are_read_and_a_wrong_one_is_named()
    {
        static IEnumerable<NodeAccount> Read(string? text) =>
            DiscoverySettings.Read([], name => name == "CA_TRUSTED_NODE_ACCOUNTS" ? text : null).TrustedNodeAccounts;
        Assert.Equal([new("istio-system", "ztunnel"), new("shop", "my.proxy")], Read("istio-system/ztunnel, shop/my.proxy"));
        foreach (var none in (string?[])[null, "", " , "]) Assert.Empty(Read(none));
        foreach (var wrong in (string[])["ztunnel", "/ztunnel", "istio-system/", "a/b/c", "Istio/ztunnel", "istio-system/*", "*/ztunnel"])
        {
            var refused = Assert.Throws<ProblemException>(() => Read($"shop/good,{wrong}"));
            Assert.Contains($"CA_TRUSTED_NODE_ACCOUNTS: '{wrong}' is not a ServiceAccount", refused.Message, StringComparison.Ordinal);
        }
    }

    /// <summary>A Pod of the trusted account on a Node, as the control plane knows it.</summary>
    /// <returns>Its token.</returns>
    private async Task<string> PlaceAsync(string node)
    {
        var pod = await PodAsync("node-proxy-1", CallerRig.NodeAccount, node);
        rig.PutPod("node-proxy-1", CallerRig.NodeAccount, node);
        return await CallerRig.TokenAsync(rig.Client, CallerRig.NodeAccount, pod: pod);
    }

    private async Task<JsonObject> PodAsync(string name, string account, string node = "n1") =>
        await rig.Client.FindAsync(Kinds.Pod, CallerRig.Namespace, name, Stop) ?? await rig.Client.CreateAsync(Kinds.Pod, new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Pod", ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = CallerRig.Namespace },
            ["spec"] = new JsonObject
            {
                ["serviceAccountName"] = account, ["nodeName"] = node,
                ["containers"] = new JsonArray(new JsonObject { ["name"] = "istio-proxy", ["image"] = "isthmus" }),
            },
        }, Stop);

    private async Task RefusedAsync(string token, Struct metadata, GrpcCode code, string why, X509Certificate2? certificate = null)
    {
        var refused = await Assert.ThrowsAsync<GrpcException>(() => SignAsync(token, metadata, certificate));
        Assert.Equal((code, true), (refused.Code, refused.Detail.Contains(why, StringComparison.Ordinal)));
        // As Istio says it; the reason is Isthmus' own.
        if (code == GrpcCode.Unauthenticated) Assert.StartsWith("request impersonation authentication failure", refused.Detail, StringComparison.Ordinal);
    }

    private static Struct Asking(string identity) => new() { Fields = { ["ImpersonatedIdentity"] = Value.ForString(identity) } };

    private Task<string> SignAsync(string token, string identity) => SignAsync(token, Asking(identity));

    /// <summary>The identity in the certificate that the CA gives.</summary>
    private async Task<string> SignAsync(string token, Struct? metadata, X509Certificate2? certificate = null)
    {
        using var channel = rig.Channel(certificate);
        using var key = Keys.Create(KeyKind.EcP256);
        var request = new IstioCertificateRequest { Csr = SigningRequest.Create(key, new SpiffeId("any", "any", "any")), Metadata = metadata };
        var response = await channel.UnaryAsync(CertificateEndpoint.Method, request, CallerRig.Options(token, ""), Stop);
        using var leaf = X509Certificate2.CreateFromPem(response.CertChain[0]);
        Assert.Null(rig.Ca.Current!.Bundle.Trust.Reject(leaf, rig.Ca.Current.Bundle.Chain, CertificateUse.Client, DateTimeOffset.UtcNow));
        return Assert.Single(SubjectNames.Of(leaf).Uris);
    }

    private X509Certificate2 Certificate(string identity)
    {
        using var key = Keys.Create(KeyKind.EcP256);
        using var leaf = rig.Ca.Current!.Bundle.Issuer.IssueLeaf(new(new PublicKey(key), new([identity], [], []), DateTimeOffset.UtcNow.AddMinutes(-1),
            DateTimeOffset.UtcNow.AddHours(1)));
        using var joined = Keys.Join(leaf, key);
        return X509CertificateLoader.LoadPkcs12(joined.Export(X509ContentType.Pkcs12), null);
    }
}
