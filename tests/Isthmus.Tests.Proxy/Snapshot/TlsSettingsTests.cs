using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Tls;
using Isthmus.Wire;
using Isthmus.Wire.Envoy;
using Xunit;

namespace Isthmus.Tests.Proxy.Snapshot;

public sealed class TlsSettingsTests
{
    [Theory]
    [InlineData("{}", "file-root:system")]
    [InlineData("""{"common_tls_context": {"validation_context": {}}}""", "file-root:system")]
    [InlineData("""{"common_tls_context": {"combined_validation_context": {"default_validation_context": {"match_subject_alt_names": [{"exact": "a"}]}}}}""",
        "file-root:system")]
    [InlineData("""{"common_tls_context": {"validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"}}}""", "")]
    [InlineData(
        """{"common_tls_context": {"validation_context": {"verify_certificate_hash": ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}}""",
        "")]
    [InlineData("""{"common_tls_context": {"validation_context": {"trusted_ca": {"filename": "/ca.pem"}}}}""", "file-root:/ca.pem")]
    [InlineData("""{"common_tls_context": {"validation_context_sds_secret_config": {"name": "ROOTCA"}}}""", "ROOTCA")]
    public void A_client_without_roots_uses_those_of_the_system_unless_it_is_told_otherwise(string context, string root) =>
        Assert.Equal(root, TlsSettings.From(WireTypes.Strict.Parse<UpstreamTlsContext>(context)).Root);

    [Theory]
    [InlineData("""{"require_client_certificate": true}""", "require_client_certificate without roots")]
    [InlineData("""{"require_client_certificate": true, "common_tls_context": {"validation_context": {"match_subject_alt_names": [{"exact": "a"}]}}}""",
        "require_client_certificate without roots")]
    [InlineData("""{"common_tls_context": {"validation_context": {"verify_certificate_hash": ["aa"]}}}""", "Invalid hex-encoded SHA-256 aa")]
    [InlineData("""{"common_tls_context": {"validation_context": {"verify_certificate_spki": ["aa"]}}}""", "Invalid base64-encoded SHA-256 aa")]
    [InlineData("""{"common_tls_context": {"tls_params": {"tls_maximum_protocol_version": "TLSv1_1"}}}""",
        "tls_maximum_protocol_version: the oldest supported version is TLS 1.2")]
    [InlineData("""{"common_tls_context": {"tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_2"}}}""",
        "tls_maximum_protocol_version is below")]
    [InlineData("""{"common_tls_context": {"tls_params": {"cipher_suites": ["AES128-SHA", "[AES256-SHA|RC4-SHA]"]}}}""",
        "Failed to initialize cipher suites: RC4-SHA is not supported")]
    [InlineData("""{"common_tls_context": {"validation_context": {"crl": {"filename": "/crl.pem"}}}}""", "crl is not supported")]
    [InlineData("""{"common_tls_context": {"validation_context": {"custom_validator_config": {"name": "v"}}}}""", "custom_validator_config is not supported")]
    public void A_server_that_would_accept_more_than_it_says_is_refused(string context, string reason) =>
        Assert.StartsWith(reason, Assert.Throws<ResourceException>(() => TlsSettings.From(WireTypes.Strict.Parse<DownstreamTlsContext>(context))).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("a.example.com:443", "a.example.com", "a.example.com")]
    [InlineData("[::1]:443", "", "::1")]
    [InlineData("10.0.0.1", "", "10.0.0.1")]
    [InlineData("", "db.example.com", "db.example.com")]
    public void The_request_names_the_server_and_without_a_request_the_service_does(string authority, string sni, string expected)
    {
        var settings = TlsSettings.From(new UpstreamTlsContext()) with { SniFromRequest = true, NameFromRequest = true, ServiceHost = "db.example.com" };
        Assert.Equal((sni, expected), settings.NamesFor(authority));
    }

    [Fact]
    public void A_name_of_the_rule_is_sent_to_every_request()
    {
        var settings = TlsSettings.From(new UpstreamTlsContext { Sni = "b.example.com" });
        Assert.Equal(("b.example.com", ""), settings.NamesFor("a.example.com"));
    }

    [Theory]
    [InlineData(0, "*.example.com", "a.example.com", true)]
    [InlineData(0, "*.example.com", "a.b.example.com", false)]
    [InlineData(0, "*.example.com", "example.com", false)]
    [InlineData(0, "*", "a", false)]
    [InlineData(0, "a.example.com", "*.example.com", true)]
    [InlineData(0, "example.com", "*.example.com", false)]
    [InlineData(2, "10.0.0.1", "10.0.0.1", true)]
    [InlineData(0, "10.0.0.1", "10.0.0.2", false)]
    [InlineData(1, "spiffe://a/b", "spiffe://a/b", true)]
    public void A_certificate_proves_its_names_only(int kind, string name, string host, bool isProven) =>
        Assert.Equal(isProven, PeerName.Proves((NameKind)kind, name, host));

    [Fact]
    public void A_typed_name_matches_names_of_its_type_only()
    {
        var name = PeerName.From(new SubjectAltNameMatcher { SanType = SubjectAltNameMatcher.Types.SanType.Dns, Matcher = new() { Exact = "a.example.com" } });
        Assert.True(name.IsMatch(NameKind.Dns, "*.example.com"));
        Assert.False(name.IsMatch(NameKind.Uri, "a.example.com"));
        Assert.Throws<ResourceException>(() => PeerName.From(new SubjectAltNameMatcher
        {
            SanType = SubjectAltNameMatcher.Types.SanType.Email, Matcher = new() { Exact = "a" }
        }));
    }
}
