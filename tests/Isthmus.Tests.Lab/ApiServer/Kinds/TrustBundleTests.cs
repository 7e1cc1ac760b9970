using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Kinds;

/// <summary>What an API server takes as a ClusterTrustBundle.</summary>
public sealed class TrustBundleTests : IDisposable
{
    private const string Unprefixed = "ClusterTrustBundle for signerName a.b/c must be named with prefix a.b:c:";

    private static readonly TestCa One = new("one"), Two = new("two");

    private readonly StoreRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Theory]
    [InlineData("platform", "", null)]
    [InlineData("a:b", "", "ClusterTrustBundle without signer name must not have \":\" in its name")]
    [InlineData("a.b:c:live", "a.b/c", null)]
    [InlineData("live", "a.b/c", Unprefixed)]
    [InlineData("a.b:d:live", "a.b/c", Unprefixed)]
    public void The_name_begins_with_the_signers(string name, string signer, string? problem) => Assert.Equal(
        problem is null ? [] : [$"metadata.name: Invalid value: \"{name}\": {problem}"], Errors(name, signer, One.Pem));

    [Fact]
    public void A_bundle_has_CA_certificates_and_nothing_twice()
    {
        using var server = One.Server("a.example");
        var leaf = server.ExportCertificatePem();
        Assert.Empty(Errors("b", "", "some words\n" + One.Pem + "\n" + Two.Pem));
        Assert.Equal(["at least one trust anchor must be provided"], Anchors(""));
        Assert.Equal(["at least one trust anchor must be provided"], Anchors("no PEM"));
        Assert.Equal(["duplicate trust anchor (indices [0 2])"], Anchors($"{One.Pem}\n{Two.Pem}\n{One.Pem}"));
        Assert.Equal(["entry 1 does not have the CA bit set"], Anchors($"{One.Pem}\n{leaf}"));
        Assert.Equal(["entry 0 has bad block type: PUBLIC KEY"], Anchors(One.Pem.Replace("CERTIFICATE", "PUBLIC KEY", StringComparison.Ordinal)));
        Assert.Equal(["entry 0 does not parse as X.509"], Anchors("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"));
    }

    [Fact]
    public void A_bundle_keeps_its_signer()
    {
        var kind = _rig.Kind(Resources.CertificatesGroup, "v1beta1", "clustertrustbundles");
        Assert.Equal(["spec.signerName: Invalid value: \"a.b/d\": field is immutable"],
            kind.Strategy.ValidateUpdate(Bundle("x", "a.b/c", ""), Bundle("x", "a.b/d", ""), _rig.Write(kind)).Select(error => error.ToString()));
    }

    private IEnumerable<string> Anchors(string pem) =>
        Errors("b", "", pem).Select(error => error.Replace("spec.trustBundle: Invalid value: \"<value omitted>\": ", "", StringComparison.Ordinal));

    private List<string> Errors(string name, string signer, string pem)
    {
        var kind = _rig.Kind(Resources.CertificatesGroup, "v1beta1", "clustertrustbundles");
        return [.. kind.Strategy.Validate(Bundle(name, signer, pem), _rig.Write(kind)).Select(error => error.ToString())];
    }

    private static JsonObject Bundle(string name, string signer, string pem) => new()
    {
        ["metadata"] = new JsonObject { ["name"] = name }, ["spec"] = new JsonObject { ["signerName"] = signer, ["trustBundle"] = pem },
    };
}
