using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Operate.Diagnose.Packing;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Packing;

public sealed class RedactionTests
{
    private const string Key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIt8\nq5==\n-----END EC PRIVATE KEY-----";
    private const string Certificate = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmg\n-----END CERTIFICATE-----";

    [Fact]
    public void Secrets_in_text_are_removed_and_the_rest_stays()
    {
        Assert.Equal("before [redacted] after", Redaction.Text($"before {Key} after"));
        Assert.Equal(Certificate, Redaction.Text(Certificate));
        Assert.Equal("""{"key":"[redacted]","next":"kept"}""",
            Redaction.Text("""{"key":"-----BEGIN PRIVATE KEY-----\nMHcC\n-----END PRIVATE KEY-----","next":"kept"}"""));
        Assert.Equal("""{"key":"[redacted]","next":"kept"}""", Redaction.Text("""{"key":"-----BEGIN PRIVATE KEY-----\nMHcC, cut off","next":"kept"}"""));
        Assert.Equal("token [redacted]!", Redaction.Text("token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl!"));
        Assert.Equal("authorization: Bearer [redacted]", Redaction.Text("authorization: Bearer abcdefgh12345678"));
        Assert.Equal("GET /login?user=ann&password=[redacted]&next=/ 200", Redaction.Text("GET /login?user=ann&password=hunter2&next=/ 200"));
    }

    [Fact]
    public void Keys_in_base64_are_removed_and_certificates_stay()
    {
        var encodedKey = Convert.ToBase64String(Encoding.ASCII.GetBytes($"{Certificate}\n{Key}"));
        var encodedCertificate = Convert.ToBase64String(Encoding.ASCII.GetBytes(Certificate));
        Assert.Equal($"[redacted] {encodedCertificate}", Redaction.Text($"{encodedKey} {encodedCertificate}"));
    }

    [Fact]
    public void Fields_for_secrets_and_the_environment_of_applications_are_removed()
    {
        var tree = JsonNode.Parse("""
            {"spec":{"containers":[
               {"name":"web","env":[{"name":"DB_PASSWORD","value":"hunter2"},{"name":"POD","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]},
               {"name":"istio-proxy","env":[{"name":"ISTIO_META_CLUSTER_ID","value":"cluster1"}]}]},
             "filter":{"client_secret":"abc","timeout":"1s"},"tls":{"private_key":{"inline_string":"abc"}},"jwks":"{\"keys\":[{\"kty\":\"oct\",\"k\":\"secret\"}]}"}
            """)!;
        Redaction.Tree(tree);
        var containers = tree["spec"]!["containers"]!;
        Assert.Equal("[redacted]", containers[0]!["env"]![0]!["value"]!.ToString());
        Assert.Equal("metadata.name", containers[0]!["env"]![1]!["valueFrom"]!["fieldRef"]!["fieldPath"]!.ToString());
        Assert.Equal("cluster1", containers[1]!["env"]![0]!["value"]!.ToString());
        Assert.Equal("[redacted]", tree["filter"]!["client_secret"]!.ToString());
        Assert.Equal("1s", tree["filter"]!["timeout"]!.ToString());
        Assert.Equal("[redacted]", tree["tls"]!["private_key"]!.ToString());
        Assert.DoesNotContain("secret\"", tree["jwks"]!.ToString(), StringComparison.Ordinal);
        Assert.Equal("oct", JsonNode.Parse(tree["jwks"]!.ToString())!["keys"]![0]!["kty"]!.ToString());
    }
}
