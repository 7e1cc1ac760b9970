using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Isthmus.Testing;
using Xunit;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>Certificates that Gateways of the Gateway API refer to.</summary>
public sealed class GatewayApiSecretsTests
{
    private const string Path = "spec.listeners[0].tls.certificateRefs[0]";

    private static readonly string Mesh = Join(Web, GatewayApiCases.Gateway(GatewayApiCases.Https("shop")),
        GatewayApiCases.Route("parentRefs: [{name: front}], rules: [{backendRefs: [{name: web, port: 80}] }]"));

    [Fact]
    public void A_Secret_that_is_missing_or_holds_no_certificate_is_reported_with_the_field()
    {
        Assert.Equal([("IST0101", Path)], Find(SecretReading.Of(null)));
        Assert.Equal([("IST0161", Path)], Find(SecretReading.Of(Secret(("tls.crt", "?"), ("tls.key", "?")))));
        var (certificate, key) = TestCa.SelfSignedPair("shop.example");
        Assert.Empty(Find(SecretReading.Of(Secret(("tls.crt", certificate), ("tls.key", key)))));
    }

    [Fact]
    public void What_nobody_may_read_is_not_missing() => Assert.Empty(Find(null));

    [Fact]
    public void Secrets_of_files_are_looked_at_and_their_keys_not_kept()
    {
        var (certificate, key) = TestCa.SelfSignedPair("shop.example");
        var secret = new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Secret", ["metadata"] = new JsonObject { ["name"] = "front", ["namespace"] = "shop" },
            ["stringData"] = new JsonObject { ["tls.crt"] = certificate, ["tls.key"] = key },
        };
        var objects = Mesh.Split('\n').Select(line => (JsonObject)YamlText.Parse(line, line)!).Append(secret).ToList();
        var cluster = new ManifestFiles(objects, new Dictionary<string, string>(), [], []).Alone("istio-system");
        Assert.True(cluster.Secrets["shop/front"].Credential is { HasPair: true });
        Assert.DoesNotContain("PRIVATE", cluster.Secrets["shop/front"].Credential!.PrivateKey, StringComparison.Ordinal);
    }

    private static IEnumerable<(string, string)> Find(KnownSecret? secret)
    {
        var cluster = Clusters(Mesh)[0];
        if (secret is not null) cluster = cluster.WithSecrets(new Dictionary<string, KnownSecret> { ["shop/front"] = secret }.ToValueMap());
        return Isthmus.Operate.Diagnose.Analysis.Analysis.Run([cluster])
            .Where(finding => finding.Problem.Object.StartsWith("Gateway", StringComparison.Ordinal))
            .Select(finding => (finding.Problem.Code, finding.Problem.Path));
    }

    private static Secret Secret(params (string Key, string Value)[] data)
    {
        var secret = new Secret { Metadata = new() { Name = "front", Namespace = "shop" } };
        foreach (var (key, value) in data) secret.Data[key] = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(value));
        return secret;
    }
}
